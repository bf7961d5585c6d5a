package daemon

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/autovoiced/autovoiced/client/wire"
)

// checker holds what a daemon says to the schema that it serves.
type checker struct {
	t     *testing.T
	c     *jsonschema.Compiler
	types map[string]int // messages seen
}

func newChecker(t *testing.T, d *testDaemon) *checker {
	t.Helper()
	_, text := get(t, d, "/v1/schema")
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := &checker{t: t, c: jsonschema.NewCompiler(), types: map[string]int{}}
	if err := c.c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *checker) holds(def string, text []byte) {
	c.t.Helper()
	schema, err := c.c.Compile("schema.json#/$defs/" + def)
	if err != nil {
		c.t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err == nil {
		err = schema.Validate(doc)
	}
	if err != nil {
		c.t.Errorf("%s\nis no %s: %v", text, def, err)
	}
	if m, ok := doc.(map[string]any); ok && def == "server" {
		c.types[fmt.Sprint(m["type"])]++
	}
}

// finds holds what stands at a path to the schema.
func (c *checker) finds(def string, d *testDaemon, path string) {
	c.t.Helper()
	_, text := get(c.t, d, path)
	c.holds(def, []byte(text))
}

// until reads messages and holds them to the schema, to one of a type or the end.
func (c *checker) until(conn *websocket.Conn, kind string) []byte {
	c.t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		kindOf, data, err := conn.ReadMessage()
		if err != nil {
			if kind != "end" {
				c.t.Fatalf("no %s: %v", kind, err)
			}
			return nil
		}
		if kindOf != websocket.TextMessage {
			continue
		}
		c.holds("server", data)
		if bytes.HasPrefix(data, []byte(`{"type":"`+kind+`"`)) {
			return data
		}
	}
}

// TestWhatTheDaemonSaysFitsTheSchema: every message of a life with voices, changes, faults, a return and an end, the
// feed, and the bodies of HTTP.
func TestWhatTheDaemonSaysFitsTheSchema(t *testing.T) {
	cfg, _ := profileConfig(t)
	d := serve(t, func(c *Config) { c.Infer.Models, c.Voice.Name = cfg.Infer.Models, tinyVoice })
	putProfile(t, "she", unit(8), 200)
	putProfile(t, "misfit", unit(7), 200)
	c := newChecker(t, d)
	idle := rawFeed(t, d, "?hz=50")
	c.until(idle, "status") // with nobody there

	r := rawDial(t, d, "")
	r.text(`{"type":"dance"}`)
	r.text(strings.Replace(startText, "{", `{"timings":50,"volume":11,`, 1))
	ready := c.until(r.Conn, "ready")
	c.until(r.Conn, "notice")
	for i := range 30 {
		r.audio(mono16k.Encode(wire.Header{Sequence: uint32(i)}.Append(nil), buzz(160, 16000)))
	}
	c.until(r.Conn, "timing")
	for _, update := range []string{
		`"voice":"tiny-high"`, `"profile":"she"`, `"pitch_shift_semitones":"auto"`, `"pitch_shift_semitones":-2.5`, `"mix":{"gain_db":3,"dry_wet":0.5}`,
		`"gate":{"on":false}`, `"monitor":true`, `"mute":true`,
	} {
		r.text(`{"type":"update",` + update + `}`)
		c.until(r.Conn, "updated")
	}
	for _, bad := range []string{`"voice":"nobody"`, `"mix":{"gain_db":99,"dry_wet":1}`, `"profile":"misfit"`} {
		r.text(`{"type":"update",` + bad + `}`)
		c.until(r.Conn, "error")
	}
	r.text(`{"type":"flush"}`)
	c.until(r.Conn, "drained")
	c.until(idle, "status")
	_ = r.NetConn().Close()
	eventually(t, "the client is away", func() bool { return d.Status().Sessions[0].Away })
	c.until(idle, "status")
	token := string(ready[bytes.Index(ready, []byte(`"session":"`))+len(`"session":"`):])
	token = token[:strings.Index(token, `"`)]
	r = rawDial(t, d, "")
	r.text(`{"type":"start","resume":"` + token + `","received":0}`)
	c.until(r.Conn, "ready")
	r.text(`{"type":"stop"}`)
	c.until(r.Conn, "end")
	bad := rawDial(t, d, "")
	bad.audio([]byte{1})
	c.until(bad.Conn, "end")

	c.finds("Status", d, "/v1/status")
	for path, def := range map[string]string{"voices": "Voice", "profiles": "Profile"} {
		_, text := get(t, d, "/v1/"+path)
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		list, ok := doc.([]any)
		schema, cerr := c.c.Compile("schema.json#/$defs/" + def)
		if err != nil || cerr != nil || !ok || len(list) < 2 {
			t.Fatalf("%s: %v, %v, %v", path, doc, err, cerr)
		}
		for _, one := range list {
			if err := schema.Validate(one); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	c.finds("Error", d, "/v1/stream") // which is a socket
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	c.until(idle, "goodbye")
	for _, kind := range []string{"ready", "updated", "timing", "notice", "drained", "error", "status", "goodbye"} {
		if c.types[kind] == 0 {
			t.Errorf("no %s was seen: %v", kind, c.types)
		}
	}
}
