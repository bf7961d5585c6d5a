package daemon

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/autovoiced/autovoiced/client/wire"
)

func TestASessionIsChangedOverHTTP(t *testing.T) {
	d := serve(t, func(c *Config) { c.Voice.Name = tinyVoice })
	dial(t, d.url, wire.Start{Format: mono16k, Pitch: &wire.PitchShift{}})
	id := d.Status().Sessions[0].ID
	patch := func(id, body string, into any) (int, *wire.Error) {
		t.Helper()
		status, refused, _ := ask(t, http.MethodPatch, d.url+"/v1/sessions/"+id, "application/json", strings.NewReader(body), into)
		return status, refused
	}
	var updated wire.Updated
	status, refused := patch(id, `{"voice":"tiny-high","pitch_shift_semitones":-3,"mix":{"gain_db":2,"dry_wet":0.5},"gate":{"on":false},"monitor":true,"mute":true,"volume":11}`, &updated)
	want := wire.Settings{
		Pitch: wire.PitchShift{Semitones: -3}, Mix: wire.Mix{GainDB: 2, DryWet: 0.5},
		Gate: wire.Gate{On: false, OpenDB: -50, CloseDB: -56}, Monitor: true, Mute: true,
	}
	if status != http.StatusOK || updated.Voice != "tiny-high" || updated.Settings != want || !slices.Equal(updated.Ignored, []string{"volume"}) {
		t.Errorf("answer %d, %v, %+v", status, refused, updated)
	}
	if s := d.Status().Sessions[0]; s.Voice != "tiny-high" || *s.Settings != want {
		t.Errorf("session %+v", s)
	}
	for _, c := range []struct {
		id, body string
		status   int
		code     wire.Code
		param    string
	}{
		{"stream-99", `{}`, 404, wire.CodeUnknownSession, "id"},
		{id, `{"voice":"nobody"}`, 400, wire.CodeUnknownVoice, "voice"},
		{id, `{"profile":"nobody"}`, 400, wire.CodeUnknownVoice, "profile"},
		{id, `{"voice":"passthrough"}`, 400, wire.CodeUnsupported, "voice"},
		{id, `{"gate":{"open_db":-70}}`, 400, wire.CodeBadParam, "gate.close_db"},
		{id, `{"gate":{"open_db":3}}`, 400, wire.CodeBadParam, "gate.open_db"},
		{id, `{"mute":"yes"}`, 400, wire.CodeBadMessage, "mute"},
		{id, `mute`, 400, wire.CodeBadMessage, ""},
		{id, `{"pad":"` + strings.Repeat("x", wire.MaxControl) + `"}`, 413, wire.CodeTooLarge, ""},
	} {
		if status, refused := patch(c.id, c.body, nil); status != c.status || refused == nil || refused.Code != c.code || refused.Param != c.param {
			t.Errorf("%.60s: %d, %+v, want %d, %s of %q", c.body, status, refused, c.status, c.code, c.param)
		}
	}
	if s := d.Status().Sessions[0]; s.Voice != "tiny-high" || *s.Settings != want {
		t.Errorf("what was refused has changed the session: %+v", s)
	}
}

// TestUpdatesAreAnswered: each with what holds then, also where the change is left out or made of fields of a
// later version.
func TestUpdatesAreAnswered(t *testing.T) {
	d := serve(t, func(c *Config) { c.Voice.Name = tinyVoice })
	r := rawDial(t, d, "")
	r.text(`{"type":"dance"}`)
	r.text(strings.Replace(startText, "{", `{"mute":true,"gate":{"on":false},"volume":11,`, 1))
	next := func() wire.Message {
		t.Helper()
		_, data, err := r.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		m, err := wire.DecodeServer(data)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if e, ok := next().(*wire.Error); !ok || e.Code != wire.CodeUnknownType || e.Fatal {
		t.Errorf("to an unknown type: %+v", e)
	}
	if m, ok := next().(*wire.Ready); !ok || !m.Settings.Mute || m.Settings.Gate.On || !m.Settings.Pitch.Auto {
		t.Errorf("ready is %+v", m)
	}
	if m, ok := next().(*wire.Notice); !ok || m.Code != wire.NoticeIgnoredFields || !strings.Contains(m.Message, "volume") {
		t.Errorf("of a field of start: %+v", m)
	}
	r.text(`{"type":"update","mute":false,"gate":{"on":true,"open_db":-40},"voice":"tiny-high","pitch_shift_semitones":2}`)
	if m, ok := next().(*wire.Updated); !ok || m.Voice != "tiny-high" || m.Settings.Mute || m.Settings.Gate != (wire.Gate{On: true, OpenDB: -40, CloseDB: -56}) || m.Settings.Pitch.Semitones != 2 {
		t.Errorf("updated is %+v", m)
	}
	r.text(`{"type":"update","mix":{"gain_db":1,"dry_wet":1,"wet":3}}`)
	if m, ok := next().(*wire.Notice); !ok || !strings.Contains(m.Message, "mix.wet") {
		t.Errorf("of a field of mix: %+v", m)
	}
	if m, ok := next().(*wire.Updated); !ok || m.Settings.Mix.GainDB != 1 || m.Voice != "tiny-high" {
		t.Errorf("updated is %+v", m)
	}
}
