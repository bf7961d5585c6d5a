package daemon

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
)

// A stream is converted in runs as long as its chunk; the tiny voice's graphs are exact, so all say the same.
func TestLongRunsAreHeardNowhere(t *testing.T) {
	cfg := testConfig(t)
	model, err := os.ReadFile("../testdata/models/tiny-voice/tiny-hops.onnx")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.Infer.Models, "tiny.onnx"), model, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Voice.Name, cfg.Voice.Pitch = tinyVoice, wire.PitchShift{Semitones: 3}
	format := wire.Format{Encoding: wire.F32LE, Rate: 22050, Channels: 1}
	signal := buzz(2*format.Rate+77, format.Rate)
	want := convertFile(t, cfg, signal, format)
	if peak(want) < 0.01 {
		t.Error("the voice says nothing: the comparison is empty")
	}
	for _, chunk := range []time.Duration{10, 20, 30, 40} {
		d := serve(t, func(c *Config) { *c = cfg; c.Stream.Chunk = chunk * time.Millisecond })
		got, _ := converse(t, dial(t, d.url, wire.Start{Format: format}), signal, fixed(500))
		if at := difference(got, want); at >= 0 {
			t.Errorf("chunks of %d ms: the stream's %d frames differ from the file's %d at %d", chunk, len(got), len(want), at)
		}
	}
}
