package wire_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
)

func TestConvertOptionsAreReadStrictly(t *testing.T) {
	good := []string{
		``, `{}`, `{"voice":"alma"}`, `{"profile":"me","preset":"quality","pitch_shift_semitones":"auto"}`,
		`{"pitch_shift_semitones":-2.5,"sample_rate":44100,"format":"flac","vocal_gain_db":3,"music_gain_db":-48}`,
		`{"format":"flac","samples":"s24"}`, `{"format":"wav","samples":"f32"}`, `{"samples":"f32"}`,
	}
	for _, text := range good {
		if _, err := wire.DecodeConvert([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	bad := []struct {
		text  string
		code  wire.Code
		param string
	}{
		{`{"voice":"alma","profile":"me"}`, wire.CodeBadParam, "profile"},
		{`{"preset":"live"}`, wire.CodeBadParam, "preset"},
		{`{"preset":"best"}`, wire.CodeBadParam, "preset"},
		{`{"pitch_shift_semitones":25}`, wire.CodeBadParam, "pitch_shift_semitones"},
		{`{"pitch_shift_semitones":"up"}`, wire.CodeBadParam, "pitch_shift_semitones"},
		{`{"sample_rate":8000}`, wire.CodeBadParam, "sample_rate"},
		{`{"sample_rate":96000}`, wire.CodeBadParam, "sample_rate"},
		{`{"format":"mp3"}`, wire.CodeBadParam, "format"},
		{`{"samples":"24"}`, wire.CodeBadParam, "samples"},
		{`{"format":"flac","samples":"f32"}`, wire.CodeBadParam, "samples"},
		{`{"vocal_gain_db":25}`, wire.CodeBadParam, "vocal_gain_db"},
		{`{"music_gain_db":-49}`, wire.CodeBadParam, "music_gain_db"},
		{`{"sample_rate":"high"}`, wire.CodeBadMessage, "sample_rate"},
		{`{"voise":"alma"}`, wire.CodeBadMessage, ""},
		{`[1]`, wire.CodeBadMessage, ""},
		{`{"voice":"` + strings.Repeat("a", wire.MaxControl) + `"}`, wire.CodeTooLarge, "options"},
	}
	for _, tc := range bad {
		_, err := wire.DecodeConvert([]byte(tc.text))
		if err == nil || err.Code != tc.code || tc.param != "" && err.Param != tc.param {
			t.Errorf("%.60s: got %v, want %s of %q", tc.text, err, tc.code, tc.param)
		}
	}
}

// A job keeps the names that clients read, also where a value is zero.
func TestJobFields(t *testing.T) {
	data, err := json.Marshal(wire.Job{ID: "a", Created: time.Unix(0, 0), Result: &wire.JobResult{}, Error: wire.Errorf(wire.CodeBadAudio, "song", "no")})
	if err != nil {
		t.Fatal(err)
	}
	var job map[string]any
	if err := json.Unmarshal(data, &job); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"id", "name", "state", "stage", "progress", "audio_seconds", "elapsed_seconds", "speed", "eta_seconds", "error", "result"} {
		if _, ok := job[want]; !ok {
			t.Errorf("a job lacks %q: %s", want, data)
		}
	}
	result, ok := job["result"].(map[string]any)
	for _, want := range []string{"url", "rate", "channels", "frames", "voice", "pitch_shift_semitones", "rtf", "stage_timings_ms", "provider"} {
		if _, there := result[want]; !ok || !there {
			t.Errorf("a result lacks %q: %s", want, data)
		}
	}
	for state, final := range map[wire.JobState]bool{wire.JobQueued: false, wire.JobRunning: false, wire.JobDone: true, wire.JobFailed: true, wire.JobCancelled: true} {
		if state.Final() != final {
			t.Errorf("%s is final: %v", state, state.Final())
		}
	}
}
