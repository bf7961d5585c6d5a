package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/autovoiced/autovoiced/client/wire"
)

// withSeparator puts a live separator into the folder of models and asks for it.
func withSeparator(t testing.TB) func(*Config) {
	t.Helper()
	model, err := os.ReadFile("../testdata/models/tiny-separator/tiny-separator.onnx")
	if err != nil {
		t.Fatal(err)
	}
	return func(c *Config) {
		c.Separation.Mode = "model"
		if err := os.WriteFile(filepath.Join(c.Infer.Models, "separator.onnx"), model, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A session separates with the model, says so, counts its 20 ms into the delay, and loses no frame by it; the dry
// signal waits as long.
func TestSeparationByModel(t *testing.T) {
	format := wire.Format{Encoding: wire.F32LE, Rate: 16000, Channels: 1}
	signal := buzz(format.Rate, format.Rate)
	plain := serve(t, func(c *Config) { c.Voice.Name = tinyVoice })
	without := dial(t, plain.url, wire.Start{Format: format}).Ready()

	d := serve(t, func(c *Config) { c.Voice.Name = tinyVoice }, withSeparator(t))
	s := speaking(t, d, format.Rate)
	if stage := d.Status().Sessions[0].Stages[0]; stage.Mode != "model" {
		t.Errorf("the first stage is %q, expected model", stage.Mode)
	}
	if more := s.Ready().AlgorithmicLatencyMS - without.AlgorithmicLatencyMS; more < 19.9 || more > 20.1 {
		t.Errorf("the model adds %g ms to the delay, expected 20", more)
	}
	got, _ := converse(t, dial(t, d.url, wire.Start{Format: format}), signal, fixed(160))
	if len(got) != len(signal) || peak(got) < 0.001 {
		t.Errorf("%d frames of peak %g came back for %d", len(got), peak(got), len(signal))
	}
}

func TestSeparationByAModelThatDoesNotOpen(t *testing.T) {
	cfg := testConfig(t)
	withSeparator(t)(&cfg)
	if err := os.WriteFile(filepath.Join(cfg.Infer.Models, "separator.onnx"), []byte("no model"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newStudio(cfg); err == nil || !strings.Contains(err.Error(), "separation.mode") || !strings.Contains(err.Error(), "separator.onnx") {
		t.Errorf("got %v, want an error about separation.mode and separator.onnx", err)
	}
}
