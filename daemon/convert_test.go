package daemon

import (
	"context"
	"errors"
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
	var done, total float64
	calls := map[string]int{} // from the profiler's one goroutine, read after it has ended
	result, err := Convert(t.Context(), cfg, in, out, ConvertOptions{
		Voice: tinyVoice, Pitch: &wire.PitchShift{Semitones: 4}, Mix: &wire.Mix{DryWet: 0.5},
		Progress: func(d, all float64) { done, total = d, all },
		Profile:  func(stage string, _ time.Duration) { calls[stage]++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	if done != 3 || total != 3 {
		t.Errorf("the last progress is %v of %v s, want 3 of 3", done, total)
	}
	if result.Voice != tinyVoice || result.Frames != 22050*3 || result.AudioSeconds != 3 || result.RTF <= 0 || result.Provider.Active != "cpu" {
		t.Errorf("result %+v", result)
	}
	addsUp(t, result.Pipeline)
	for _, stage := range result.Pipeline.Stages {
		if stage.Compute.Count != 300 {
			t.Errorf("%s: %d chunks, want 300", stage.Name, stage.Compute.Count)
		}
	}
	if calls[stream.StageConversion] == 0 || calls[stream.StageConversion] != calls[stream.StageTotal] {
		t.Errorf("the profiler heard %v, want every stage and the total alike", calls)
	}
}

// TestConvertMeasuresThePitchFirst: an automatic shift takes the recording's median to the voice's, and is the same from
// the first sample to the last: the file is what a stream gives that is told this shift.
func TestConvertMeasuresThePitchFirst(t *testing.T) {
	cfg := testConfig(t)
	dir := t.TempDir()
	in, auto, fixed := filepath.Join(dir, "in.wav"), filepath.Join(dir, "auto.wav"), filepath.Join(dir, "fixed.wav")
	signal := make([]float32, 32000)
	for i := range signal {
		signal[i] = float32(0.4 * (math.Mod(float64(i)*130/16000, 1) - 0.5))
	}
	writeWAV(t, in, 16000, dsp.F32LE, signal)
	convert := func(out string, pitch wire.PitchShift) Result {
		result, err := Convert(t.Context(), cfg, in, out, ConvertOptions{Voice: "tiny-high", Pitch: &pitch, PCM: dsp.F32LE})
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	result := convert(auto, wire.PitchShift{Auto: true})
	if want := 12 * math.Log2(220/130.); math.Abs(result.PitchShift-want) > 0.1 {
		t.Errorf("a shift of %.2f semitones, want %.2f", result.PitchShift, want)
	}
	shift := wire.PitchShift{Semitones: result.PitchShift}
	if again := convert(fixed, shift); again.PitchShift != result.PitchShift {
		t.Errorf("told to shift by %v it shifts by %v", result.PitchShift, again.PitchShift)
	}
	want := readWAV(t, auto)
	if at := difference(readWAV(t, fixed), want); at >= 0 {
		t.Errorf("with the measured shift as a setting the file differs at %d", at)
	}
	d := serve(t, func(c *Config) { *c = cfg; c.Voice.Name = "tiny-high" })
	got, _ := converse(t, dial(t, d.url, wire.Start{Format: mono16k, Pitch: &shift}), signal, random(5, 1600))
	if at := difference(got, want); at >= 0 {
		t.Errorf("a stream with the measured shift differs at %d", at)
	}

	learnt, live := wire.PitchShift{Auto: true}, filepath.Join(dir, "live.wav")
	if _, err := Convert(t.Context(), cfg, in, live, ConvertOptions{Voice: "tiny-high", Pitch: &learnt, PCM: dsp.F32LE, Live: true}); err != nil {
		t.Fatal(err)
	}
	got, _ = converse(t, dial(t, d.url, wire.Start{Format: mono16k, Pitch: &learnt}), signal, random(6, 1600))
	if at := difference(got, readWAV(t, live)); at >= 0 {
		t.Errorf("as live, with a shift to be learnt, the file differs from a stream at %d", at)
	}

	silence := filepath.Join(dir, "silence.wav")
	writeWAV(t, silence, 16000, dsp.S16LE, make([]float32, 8000))
	in = silence
	if r := convert(auto, wire.PitchShift{Auto: true, Semitones: 1}); math.IsNaN(r.PitchShift) || math.Abs(r.PitchShift) > infer.MaxShift {
		t.Errorf("nobody speaks, and the shift is %v", r.PitchShift)
	}
}
