package daemon

import (
	"context"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/daemon/song"
	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream"
)

func TestConvertLeavesNothingBehindWhenItFails(t *testing.T) {
	cfg := testConfig(t)
	dir := t.TempDir()
	good, empty := filepath.Join(dir, "good.wav"), filepath.Join(dir, "empty.wav")
	writeWAV(t, good, 16000, dsp.S16LE, buzz(160000, 16000))
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	cases := []struct {
		name    string
		ctx     context.Context
		in, out string
		voice   string
		want    error
	}{
		{"no input", t.Context(), filepath.Join(dir, "none.wav"), "out.wav", "", os.ErrNotExist},
		{"empty input", t.Context(), empty, "out.wav", "", nil},
		{"no such folder", t.Context(), good, "none/out.wav", "", os.ErrNotExist},
		{"unknown voice", t.Context(), good, "out.wav", "nobody", &wire.Error{Code: wire.CodeUnknownVoice}},
		{"cancelled", cancelled, good, "out.wav", "", context.Canceled},
	}
	for _, tc := range cases {
		_, err := Convert(tc.ctx, cfg, tc.in, filepath.Join(dir, tc.out), ConvertOptions{Voice: tc.voice})
		if err == nil || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "out*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

func TestConvertTellsProgressAndStages(t *testing.T) {
	cfg := testConfig(t)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.wav"), filepath.Join(dir, "out.wav")
	writeWAV(t, in, 22050, dsp.S16LE, buzz(22050*3, 22050))
	var last song.Progress
	calls := map[string]int{} // from the profiler's one goroutine, read after it has ended
	convert := func(preset string) Result {
		result, err := Convert(t.Context(), cfg, in, out, ConvertOptions{
			Voice: tinyVoice, Pitch: &wire.PitchShift{Semitones: 4}, Mix: &wire.Mix{DryWet: 0.5}, Preset: preset, Separator: infer.SeparatorNone,
			Progress: func(p song.Progress) { last = p },
			Profile:  func(stage string, _ time.Duration) { calls[stage]++ },
		})
		if err != nil {
			t.Fatal(err)
		}
		if last.Done < 1-1e-9 || last.Song != 3*time.Second {
			t.Errorf("%s: the last progress is %+v, want 3 s of 3", preset, last)
		}
		if result.Voice != tinyVoice || result.Frames != 22050*3 || result.AudioSeconds != 3 || result.RTF <= 0 || result.Provider.Active != "cpu" {
			t.Errorf("%s: result %+v", preset, result)
		}
		if result.Metadata.TensorRT.Enabled || result.Metadata.TensorRT.Precision != nil {
			t.Errorf("%s: TensorRT is said to run", preset)
		}
		return result
	}
	result := convert(wire.PresetFast)
	if result.StageTimingsMS == nil || result.StageTimingsMS.Lacks() > 0.15 || result.StageTimingsMS.Lacks() < -0.01 || result.Pipeline != nil {
		t.Errorf("stages %+v", result.StageTimingsMS)
	}
	want := map[string]int{stream.StageSeparation: 1, stream.StageF0Extraction: 1, stream.StageConversion: 1, stream.StageMixing: 1, stream.StageTotal: 1}
	if !maps.Equal(calls, want) {
		t.Errorf("the profiler heard %v, want each once", calls)
	}
	result = convert(wire.PresetLive)
	addsUp(t, *result.Pipeline)
	for _, stage := range result.Pipeline.Stages {
		if stage.Compute.Count != 300 {
			t.Errorf("%s: %d chunks, want 300", stage.Name, stage.Compute.Count)
		}
	}
}

// TestConvertLiveIsAStream: the file is what a stream gives, with a fixed shift and with one that is learnt.
func TestConvertLiveIsAStream(t *testing.T) {
	cfg := testConfig(t)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.wav"), filepath.Join(dir, "out.wav")
	signal := make([]float32, 32000)
	for i := range signal {
		signal[i] = float32(0.4 * (math.Mod(float64(i)*130/16000, 1) - 0.5))
	}
	writeWAV(t, in, 16000, dsp.F32LE, signal)
	d := serve(t, func(c *Config) { *c = cfg; c.Voice.Name = "tiny-high" })
	for _, pitch := range []wire.PitchShift{{Semitones: 5}, {Auto: true}} {
		o := ConvertOptions{Voice: "tiny-high", Pitch: &pitch, PCM: dsp.F32LE, Preset: wire.PresetLive}
		if _, err := Convert(t.Context(), cfg, in, out, o); err != nil {
			t.Fatal(err)
		}
		got, _ := converse(t, dial(t, d.url, wire.Start{Format: mono16k, Pitch: &pitch}), signal, random(5, 1600))
		if at := difference(got, readWAV(t, out)); at >= 0 {
			t.Errorf("with a shift of %+v a stream differs from the file at %d", pitch, at)
		}
	}
}

// TestConvertWithAnEmbedding: what is given is who speaks; one of the wrong length is refused with both lengths.
func TestConvertWithAnEmbedding(t *testing.T) {
	cfg := testConfig(t)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.wav"), filepath.Join(dir, "out.wav")
	writeWAV(t, in, 16000, dsp.S16LE, buzz(16000, 16000))
	convert := func(embedding []float32) ([]float32, error) {
		_, err := Convert(t.Context(), cfg, in, out, ConvertOptions{Voice: tinyVoice, Embedding: embedding, Separator: infer.SeparatorNone})
		if err != nil {
			return nil, err
		}
		return readWAV(t, out), nil
	}
	s, err := newStudio(cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, target, err := s.speaker(tinyVoice)
	if err := errors.Join(err, s.close()); err != nil {
		t.Fatal(err)
	}
	plain, err := convert(nil)
	if err != nil {
		t.Fatal(err)
	}
	same, err := convert(target.Embedding)
	if err != nil || !slices.Equal(plain, same) {
		t.Errorf("the voice's own embedding sounds like another (%v)", err)
	}
	_, err = convert(append(slices.Clone(target.Embedding), 1))
	if !errors.Is(err, song.ErrOption) {
		t.Errorf("an embedding that is too long: %v, want %v", err, song.ErrOption)
	}
	wantWords(t, err, "embedding has 9 values", "expected the 8")
}
