package wire_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/autovoiced/autovoiced/client/wire"
)

var update = flag.Bool("update", false, "write schema.json anew")

// spoken is every message, and every body of an answer or a request.
type spoken struct {
	Start   wire.Start   `json:"start"`
	Update  wire.Update  `json:"update"`
	Flush   wire.Flush   `json:"flush"`
	Stop    wire.Stop    `json:"stop"`
	Ready   wire.Ready   `json:"ready"`
	Updated wire.Updated `json:"updated"`
	Timing  wire.Timing  `json:"timing"`
	Notice  wire.Notice  `json:"notice"`
	Drained wire.Drained `json:"drained"`
	Error   wire.Error   `json:"error"`
	Status  wire.Status  `json:"status"`
	Goodbye wire.Goodbye `json:"goodbye"`

	Voice   wire.Voice   `json:"-voice"`
	Profile wire.Profile `json:"-profile"`
	Job     wire.Job     `json:"-job"`
	Convert wire.Convert `json:"-convert"`
}

var (
	fromClient = []string{"start", "update", "flush", "stop"}
	fromServer = []string{"ready", "updated", "timing", "notice", "drained", "error", "status", "goodbye"}
)

// bounds are what the types cannot say; DecodeClient holds clients to them.
var bounds = map[string]func(*jsonschema.Schema){
	"Format.encoding":     func(s *jsonschema.Schema) { s.Enum = []any{wire.S16LE, wire.F32LE} },
	"Format.rate":         within(wire.MinRate, wire.MaxRate),
	"Format.channels":     within(1, wire.MaxChannels),
	"Mix.gain_db":         within(-2*wire.MaxGainDB, wire.MaxGainDB),
	"Mix.dry_wet":         within(0, 1),
	"Gate.open_db":        within(wire.MinGateDB, 0),
	"Gate.close_db":       within(wire.MinGateDB, 0),
	"Start.timings":       within(0, wire.MaxTimings),
	"Update.timings":      within(0, wire.MaxTimings),
	"Start.preset":        func(s *jsonschema.Schema) { s.Enum = []any{"", "live"} },
	"Ready.version":       func(s *jsonschema.Schema) { s.Const = wire.Version },
	"GateChange.open_db":  within(wire.MinGateDB, 0),
	"GateChange.close_db": within(wire.MinGateDB, 0),
	"Error.code": func(s *jsonschema.Schema) {
		for _, c := range wire.Codes() {
			s.Enum = append(s.Enum, string(c))
		}
	},
}

func within(least, most int) func(*jsonschema.Schema) {
	return func(s *jsonschema.Schema) {
		s.Minimum, s.Maximum = json.Number(fmt.Sprint(least)), json.Number(fmt.Sprint(most))
	}
}

// generate makes the schema of the Go types, with their comments.
func generate(t *testing.T) []byte {
	t.Helper()
	r := &jsonschema.Reflector{AllowAdditionalProperties: true, ExpandedStruct: true}
	if err := r.AddGoComments("github.com/autovoiced/autovoiced/client/wire", "./", jsonschema.WithFullComment()); err != nil {
		t.Fatal(err)
	}
	for at, text := range r.CommentMap { // the package itself lies at "./"
		r.CommentMap[strings.Replace(at, "/wire/.", "/wire.", 1)] = strings.Join(strings.Fields(text), " ")
	}
	all := r.Reflect(&spoken{})
	all.ID, all.Required, all.Properties, all.Type = "urn:autovoiced:protocol:1", nil, nil, ""
	all.Title = "autovoiced protocol 1"
	all.Description = "Every JSON message. #/$defs/client is what a client sends, #/$defs/server what the daemon does; the definitions with a capital letter are also the bodies of plain HTTP."
	all.AdditionalProperties = nil
	all.Definitions["PitchShift"] = &jsonschema.Schema{
		Description: "Semitones, or \"auto\": the shift that brings the speaker's usual pitch to the voice's.",
		OneOf: []*jsonschema.Schema{
			{Type: "number", Minimum: json.Number(fmt.Sprint(-wire.MaxPitchShift)), Maximum: json.Number(fmt.Sprint(wire.MaxPitchShift))},
			{Const: "auto"},
		},
	}
	all.Definitions["Start"].AnyOf = []*jsonschema.Schema{{Required: []string{"format"}}, {Required: []string{"resume"}}}
	for path, bound := range bounds {
		of, field, _ := strings.Cut(path, ".")
		def := all.Definitions[of]
		if def == nil {
			t.Fatalf("no type %s", of)
		}
		s, ok := def.Properties.Get(field)
		if !ok {
			t.Fatalf("no field %s", path)
		}
		bound(s)
	}
	for name, kinds := range map[string][]string{"client": fromClient, "server": fromServer} {
		one := &jsonschema.Schema{}
		for _, kind := range kinds {
			one.OneOf = append(one.OneOf, &jsonschema.Schema{Ref: "#/$defs/" + kind})
			typed := jsonschema.NewProperties()
			typed.Set("type", &jsonschema.Schema{Const: kind})
			all.Definitions[kind] = &jsonschema.Schema{
				Ref: "#/$defs/" + strings.ToUpper(kind[:1]) + kind[1:], Properties: typed, Required: []string{"type"},
			}
		}
		all.Definitions[name] = one
	}
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

// TestTheSchemaIsThatOfTheTypes: schema.json is made of them, by go test ./client/wire -run Schema -update.
func TestTheSchemaIsThatOfTheTypes(t *testing.T) {
	want := generate(t)
	if *update {
		if err := os.WriteFile("schema.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(wire.Schema, want) && !*update {
		t.Error("schema.json is not the schema of the Go types; make it anew: go test ./client/wire -run Schema -update")
	}
}

// compiled is one definition of the schema.
func compiled(t *testing.T, def string) *validator.Schema {
	t.Helper()
	doc, err := validator.UnmarshalJSON(bytes.NewReader(wire.Schema))
	if err != nil {
		t.Fatal(err)
	}
	c := validator.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json#/$defs/" + def)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTheSchemaFitsTheVectors: it takes the good ones, and refuses the bad ones that a schema can tell.
func TestTheSchemaFitsTheVectors(t *testing.T) {
	var v messageVectors
	readJSON(t, "messages.json", &v)
	check := func(def, name string, text []byte) error {
		t.Helper()
		doc, err := validator.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return err
		}
		return compiled(t, def).Validate(doc)
	}
	for _, m := range v.Client {
		if err := check("client", m.Name, m.JSON); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
	for _, m := range v.Server {
		if err := check("server", m.Name, m.JSON); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
	for _, m := range v.Tolerated {
		if err := check("client", m.Name, []byte(m.Text)); err != nil {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
	beyond := []string{"voice and profile", "voice and profile in an update", "no version in common"} // what one field says of another
	for _, m := range v.Refused {
		if err := check("client", m.Name, []byte(m.Text)); (err == nil) != slices.Contains(beyond, m.Name) {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
}
