package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Encode gives the text frame of a message: its fields after a leading "type".
func Encode(m Message) ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("wire: encode %s: %w", m.kind(), err)
	}
	out := make([]byte, 0, len(body)+24)
	out = append(out, `{"type":"`...)
	out = append(out, m.kind()...)
	out = append(out, '"')
	if len(body) > len("{}") {
		out = append(out, ',')
	}
	return append(out, body[1:]...), nil
}

// DecodeClient reads a text frame that a client sent. Fields that the message does not have are left out
// and named in ignored, as in "mix.dry": a client of a later version is understood, and a misspelt setting
// can be told. An unknown type is an error that is not fatal, and so is a bad update.
func DecodeClient(data []byte) (m Message, ignored []string, err *Error) {
	if len(data) > MaxControl {
		return nil, nil, Errorf(CodeTooLarge, "", "text message of %d bytes, at most %d", len(data), MaxControl)
	}
	kind, err := kindOf(data)
	if err != nil {
		return nil, nil, err
	}
	switch kind {
	case "start":
		m = &Start{}
	case "update":
		m = &Update{}
	case "flush":
		m = &Flush{}
	case "stop":
		m = &Stop{}
	default:
		err = Errorf(CodeUnknownType, "type", "unknown message type %q, this server knows start, update, flush and stop", kind)
		err.Fatal = false
		return nil, nil, err
	}
	if ignored, err = decode(data, m); err == nil {
		err = validate(m)
	}
	if err == nil {
		return m, ignored, nil
	}
	if kind == "update" && err.Code == CodeBadParam {
		err.Fatal = false // the stream goes on with what it had
	}
	return nil, ignored, err
}

// DecodeUpdate reads an update that came without a type, as the body of a request.
func DecodeUpdate(data []byte) (u *Update, ignored []string, err *Error) {
	u = new(Update)
	if ignored, err = decode(data, u); err == nil {
		err = validate(u)
	}
	return u, ignored, err
}

// ErrUnknownType is what DecodeServer returns for a message of a later version, to be passed over.
var ErrUnknownType = errors.New("wire: unknown message type")

// DecodeServer reads a text frame that a server sent. Fields it does not know are left out: a
// server of a later minor version may send more.
func DecodeServer(data []byte) (Message, error) {
	kind, kerr := kindOf(data)
	if kerr != nil {
		return nil, kerr
	}
	var m Message
	switch kind {
	case "ready":
		m = &Ready{}
	case "updated":
		m = &Updated{}
	case "timing":
		m = &Timing{}
	case "notice":
		m = &Notice{}
	case "drained":
		m = &Drained{}
	case "error":
		m = &Error{}
	case "status":
		m = &Status{}
	case "goodbye":
		m = &Goodbye{}
	default:
		return nil, fmt.Errorf("%w %q", ErrUnknownType, kind)
	}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, Errorf(CodeBadMessage, kind, "%v", err)
	}
	return m, nil
}

func kindOf(data []byte) (string, *Error) {
	var head struct {
		Type *string `json:"type"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return "", Errorf(CodeBadMessage, "", "text message is not a JSON object with a type: %v", err)
	}
	if head.Type == nil {
		return "", Errorf(CodeBadMessage, "type", "text message has no type")
	}
	return *head.Type, nil
}

// decode fills m, a pointer to a struct, and names what it has no place for.
func decode(data []byte, m any) (ignored []string, _ *Error) {
	if err := json.Unmarshal(data, m); err != nil {
		var te *json.UnmarshalTypeError
		if errors.As(err, &te) {
			return nil, Errorf(CodeBadMessage, te.Field, "%s where %s is wanted", te.Value, te.Type)
		}
		var we *Error
		if errors.As(err, &we) {
			return nil, we
		}
		return nil, Errorf(CodeBadMessage, "", "%v", err)
	}
	return unknownFields(data, reflect.TypeOf(m).Elem(), ""), nil
}

// decodeStrict refuses what decode would leave out.
func decodeStrict(data []byte, m Message) *Error {
	ignored, err := decode(data, m)
	if err == nil && len(ignored) > 0 {
		err = Errorf(CodeBadMessage, ignored[0], "unknown field %q", ignored[0])
	}
	return err
}

// unknownFields lists the fields of a JSON object that have no place in a struct, sorted, those of
// objects within it too.
func unknownFields(data []byte, t reflect.Type, path string) (unknown []string) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return nil // null, or what unmarshals itself
	}
	for name, value := range fields {
		if path == "" && strings.EqualFold(name, "type") {
			continue
		}
		of, known := fieldNamed(t, name)
		if !known {
			unknown = append(unknown, path+name)
			continue
		}
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if of.Kind() == reflect.Struct {
			unknown = append(unknown, unknownFields(value, of, path+name+".")...)
		}
	}
	slices.Sort(unknown)
	return unknown
}

// fieldNamed finds the field that encoding/json would fill.
func fieldNamed(t reflect.Type, name string) (reflect.Type, bool) {
	for i := range t.NumField() {
		tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if strings.EqualFold(tag, name) {
			return t.Field(i).Type, true
		}
	}
	return nil, false
}

func validate(m Message) *Error {
	switch m := m.(type) {
	case *Start:
		return m.validate()
	case *Update:
		return m.validate()
	}
	return nil
}

func (m *Start) validate() *Error {
	if m.Voice != "" && m.Profile != "" {
		return Errorf(CodeBadParam, "profile", "both voice and profile are given, want one")
	}
	if m.Preset != "" && m.Preset != "live" {
		return Errorf(CodeUnsupported, "preset", "preset %q, a stream knows \"live\" only", m.Preset)
	}
	if len(m.Versions) > 0 && !slices.Contains(m.Versions, Version) {
		return Errorf(CodeBadVersion, "versions", "the client speaks versions %v of the protocol, this server %d", m.Versions, Version)
	}
	if m.Resume == "" || m.Format != (Format{}) {
		if err := m.Format.Validate(); err != nil {
			return err
		}
	}
	return first(m.Pitch.validate(), m.Mix.validate(), m.Gate.validate(), validateTimings(m.Timings))
}

func (m *Update) validate() *Error {
	if m.Voice != nil && m.Profile != nil {
		return Errorf(CodeBadParam, "profile", "both voice and profile are given, want one")
	}
	var rate float64
	if m.Timings != nil {
		rate = *m.Timings
	}
	return first(m.Pitch.validate(), m.Mix.validate(), m.Gate.validate(), validateTimings(rate))
}

func first(errs ...*Error) *Error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func validateTimings(hz float64) *Error {
	if hz < 0 || hz > MaxTimings {
		return Errorf(CodeBadParam, "timings", "%v timing messages a second, want 0 to %d", hz, MaxTimings)
	}
	return nil
}
