package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/dsp"
)

// lookingAhead is the test configuration with a small voice that says of itself that it looks 18.5 ms ahead:
// no whole number of hops, but of samples, 296 at 16 kHz and 444 at 24 kHz.
func lookingAhead(t *testing.T) Config {
	t.Helper()
	cfg := testConfig(t)
	path := filepath.Join(cfg.Infer.Models, "tiny.onnx")
	model, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	was, is := []byte("\"lookahead_ms\": 10,\n "), []byte("\"lookahead_ms\":18.5,\n") // as long, so the file stays sound
	if bytes.Count(model, was) != 1 || len(was) != len(is) {
		t.Fatalf("%q is not in the model once", was)
	}
	if err := os.WriteFile(path, bytes.Replace(model, was, is, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Voice.Name = tinyVoice
	return cfg
}

func TestLatencyOfNoWholeHops(t *testing.T) {
	cfg := lookingAhead(t)
	s := openStudio(t, cfg)
	device, werr := s.newSession(request{kind: kindDevice})
	if werr != nil {
		t.Fatal(werr)
	}
	defer func() {
		if err := device.close(); err != nil {
			t.Error(err)
		}
	}()
	// A chunk of 10 ms, the look-ahead, the limiter's 1.5 ms.
	if got := device.latency(); got != 30*time.Millisecond {
		t.Errorf("latency %v, want 30 ms", got)
	}
	if got := device.status().AlgorithmicLatencyMS; got != 30 {
		t.Errorf("the status says %v ms, want 30", got)
	}

	d := serve(t, func(c *Config) { *c = cfg })
	stream := dial(t, d.url, wire.Start{Format: mono16k})
	want := 30 + milliseconds(resampling(24000, 16000))
	if got := stream.Ready().AlgorithmicLatencyMS; got != want {
		t.Errorf("ready says %v ms, want %v", got, want)
	}
	if reply, _ := converse(t, stream, buzz(5000, 16000), fixed(160)); len(reply) != 5000 {
		t.Errorf("%d frames came back for 5000", len(reply))
	}
}

// TestTrimsALookAheadOfNoWholeHops: what is cut off at the start is the look-ahead to the sample, and the captured
// voice is delayed by as much.
func TestTrimsALookAheadOfNoWholeHops(t *testing.T) {
	before, after := testConfig(t), lookingAhead(t)
	before.Voice.Name = tinyVoice
	signal := buzz(24000*2, 24000)
	format := wire.Format{Encoding: wire.F32LE, Rate: 24000, Channels: 1}
	for _, cfg := range []*Config{&before, &after} {
		cfg.Voice.Pitch = wire.PitchShift{}
	}
	was, is := convertFile(t, before, signal, format), convertFile(t, after, signal, format)
	const further = 204 // 8.5 ms
	if at := difference(is[:len(is)-further], was[further:]); at >= 0 {
		t.Errorf("8.5 ms more look-ahead do not move the voice by %d samples, from sample %d on", further, at)
	}
	if peak(is) < 0.01 {
		t.Error("the voice says nothing: the comparison is empty")
	}
	before.Mixing.DryWet, after.Mixing.DryWet = 0, 0
	was, is = convertFile(t, before, signal, format), convertFile(t, after, signal, format)
	if at := difference(is, was); at >= 0 {
		t.Errorf("the captured voice differs at sample %d", at)
	}
	if ratio := dsp.RMS(is) / dsp.RMS(signal); ratio < 0.7 || ratio > 1.1 {
		t.Errorf("the captured voice comes out %v times as loud", ratio)
	}
}
