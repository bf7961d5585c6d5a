package daemon

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/infer"
)

// TestAbsurdSamplesAreBounded: numbers that no microphone gives count as 24 dB over full scale, from a socket as from a
// file; they do not end the session, nor stay in it. (What is no number at all is refused or made 0.)
func TestAbsurdSamplesAreBounded(t *testing.T) {
	d := serve(t, func(c *Config) { c.Voice.Name, c.Voice.Pitch = tinyVoice, wire.PitchShift{} })
	absurd := buzz(16000, 16000)
	bounded := append([]float32(nil), absurd...)
	for i := range 50 {
		absurd[3000+37*i] = []float32{math.MaxFloat32, -math.MaxFloat32, 1e20}[i%3]
		bounded[3000+37*i] = []float32{16, -16, 16}[i%3]
	}
	want := convertFile(t, d.cfg, bounded, mono16k)
	if at := difference(convertFile(t, d.cfg, absurd, mono16k), want); at >= 0 {
		t.Errorf("the file differs at %d", at)
	}
	sent := []byte(nil)
	for _, v := range absurd {
		sent = binary.LittleEndian.AppendUint32(sent, math.Float32bits(v))
	}
	s := dial(t, d.url, wire.Start{Format: mono16k})
	if err := s.SendPCM(t.Context(), sent, time.Now()); err != nil {
		t.Fatal(err)
	}
	got, ledger := converse(t, s, nil, fixed(1))
	if at := difference(got, want); at >= 0 || !ledger.Balanced() || ledger.Out != 16000 {
		t.Errorf("the stream differs at %d; ledger %+v", at, ledger)
	}
	if last := want[12000:]; peak(want) > 1 || peak(last) < 0.01 {
		t.Errorf("peaks of %v, at last %v", peak(want), peak(last))
	}
}

// TestPitchShiftIsCheckedEverywhere: the configuration, the command line and the socket refuse the same shifts, and
// name what is allowed.
func TestPitchShiftIsCheckedEverywhere(t *testing.T) {
	for text, good := range map[string]bool{
		"24": true, "-24": true, "0.5": true, "auto": true,
		"24.5": false, "-25": false, "NaN": false, "inf": false, "high": false, "": false,
	} {
		if _, err := ParsePitch(text); (err == nil) != good {
			t.Errorf("%q on the command line: %v", text, err)
		}
		_, err := parseConfig("test", nil, []string{"AUTOVOICED_VOICE_PITCH=" + text})
		if (err == nil) != good {
			t.Errorf("%q in the configuration: %v", text, err)
		}
		err = infer.Shift{Semitones: map[string]float64{"24": 24, "-24": -24, "24.5": 24.5, "-25": -25, "NaN": math.NaN(), "inf": math.Inf(1)}[text]}.Validate()
		if numeric := text != "auto" && text != "high" && text != ""; numeric && (err == nil) != good {
			t.Errorf("%q to a session: %v", text, err)
		}
	}
	d := serve(t, func(c *Config) { c.Voice.Name = tinyVoice })
	for text, good := range map[string]bool{"24": true, "-24": true, `"auto"`: true, "24.01": false, "-30": false, `"high"`: false, "1e400": false} {
		r := rawDial(t, d, "")
		r.text(`{"type":"start","pitch_shift_semitones":` + text + `,"format":{"encoding":"f32le","rate":16000,"channels":1}}`)
		r.text(`{"type":"stop"}`)
		e, code := r.end()
		if (e == nil) != good || good && code != wire.CloseNormal {
			t.Errorf("%s in start: %+v, close code %d", text, e, code)
		}
	}
}
