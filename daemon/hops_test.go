package daemon

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream"
)

// A recording is converted in runs as long as the voice has a graph for, a stream in runs as long as its chunk;
// the tiny voice's graphs are exact, so all say the same.
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

// The default voice says of real speech what it would have said live, to -60 dB; its stages' times add up.
func TestTheDefaultVoiceConvertsAsItSpeaks(t *testing.T) {
	cfg := testConfig(t)
	cfg.Voice.Name, cfg.Voice.Pitch = "", wire.PitchShift{Semitones: 2}
	source, err := stream.OpenFile("../testdata/audio/sample.flac")
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close() //nolint:errcheck // it was only read
	var signal []float32
	for c := new(stream.Chunk); ; {
		err := source.Read(t.Context(), c)
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		signal = append(signal, c.Samples...)
	}
	signal = signal[:3*source.Rate()+123]
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.wav"), filepath.Join(dir, "out.wav")
	writeWAV(t, in, source.Rate(), dsp.F32LE, signal)
	result, err := Convert(t.Context(), cfg, in, out, ConvertOptions{PCM: dsp.F32LE})
	if err != nil {
		t.Fatal(err)
	}
	addsUp(t, result.Pipeline)
	run, hops := longestRun(t, cfg), (len(signal)*100+source.Rate()-1)/source.Rate()
	for _, stage := range result.Pipeline.Stages {
		// The stages are fed silence beyond the end, to make up for what the voice looks ahead.
		if n := int(stage.Compute.Count); n < hops/run || n > (hops+10)/run+1 {
			t.Errorf("%s: %d chunks for %d hops, %d a run", stage.Name, n, hops, run)
		}
	}
	long := readWAV(t, out)
	d := serve(t, func(c *Config) { *c = cfg })
	live, _ := converse(t, dial(t, d.url, wire.Start{Format: wire.Format{Encoding: wire.F32LE, Rate: source.Rate(), Channels: 1}}), signal, fixed(160))
	if len(long) != len(signal) || len(live) != len(signal) {
		t.Fatalf("%d frames: %d live, %d converted", len(signal), len(live), len(long))
	}
	var loud, apart float64
	for i := range live {
		loud += float64(live[i]) * float64(live[i])
		apart += math.Pow(float64(long[i])-float64(live[i]), 2)
	}
	db := 10 * math.Log10((apart+1e-30)/loud)
	t.Logf("%d hops a run: %.0f dB apart from live", run, db)
	if peak(live) < 0.01 || !(db < -60) {
		t.Errorf("peak %.3f, %.0f dB apart from live", peak(live), db)
	}
}

func longestRun(t *testing.T, cfg Config) int {
	t.Helper()
	s, err := newStudio(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close() //nolint:errcheck // not what is tested
	var e *infer.Engine
	if e, _, err = s.speaker(s.defaultVoice); err != nil {
		t.Fatal(err)
	}
	c := e.Contract()
	return c.Run(math.MaxInt)
}
