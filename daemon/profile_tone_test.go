package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
)

// A target of recordings has a tone of the pack that speaks as it, the same each time and wherever the voices run. One that was made
// before there were tones speaks as it did, and so does another embedding.
func TestProfileHasATone(t *testing.T) {
	cfg, profiles := profileConfig(t)
	made := addProfile(t, cfg, "he", man...)
	if len(made.Tone) != infer.ToneBands || infer.CheckTone(made.Tone) != nil {
		t.Fatalf("tone %v", made.Tone)
	}
	cfg.Infer.Provider, cfg.Infer.Precision = infer.ProviderTensorRT, infer.FP16
	heard, err := Hear(t.Context(), cfg, man)
	if err != nil || !slices.Equal(heard.Tone, made.Tone) {
		t.Errorf("where the voices run on a GPU: %v, %v; want %v", heard.Tone, err, made.Tone)
	}
	cfg.Infer.Provider, cfg.Infer.Precision = infer.ProviderCPU, infer.FP32

	plain := made.Study
	plain.Tone, plain.Clips = nil, nil
	old := putStudy(t, "old", plain)
	if text := readFile(t, profiles.Folder("old"), profileFile); bytes.Contains(text, []byte(`"tone"`)) {
		t.Errorf("a profile without a tone writes of one: %s", text)
	}
	with, without := made.Target(), old.Target()
	said := saidBy(t, cfg, ConvertOptions{Target: &without})
	if coloured := saidBy(t, cfg, ConvertOptions{Target: &with}); slices.Equal(coloured, said) {
		t.Error("the tone is not heard")
	}
	if !slices.Equal(saidBy(t, cfg, ConvertOptions{Target: &with, Embedding: made.Embedding}), said) {
		t.Error("another embedding speaks in the tone of the profile's")
	}
	again, err := profiles.Refresh(t.Context(), cfg, "he")
	if err != nil || !slices.Equal(again.Tone, made.Tone) {
		t.Errorf("made anew: %v, %v; want %v", again.Tone, err, made.Tone)
	}
}

// saidBy is what comes of a buzz.
func saidBy(t *testing.T, cfg Config, o ConvertOptions) []float32 {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.wav"), filepath.Join(dir, "out.wav")
	writeWAV(t, in, 16000, dsp.S16LE, buzz(16000, 16000))
	o.PCM, o.Pitch, o.Separator = dsp.F32LE, &wire.PitchShift{Auto: true}, infer.SeparatorNone
	if _, err := Convert(t.Context(), cfg, in, out, o); err != nil {
		t.Fatal(err)
	}
	return readWAV(t, out)
}

// Without a pack that speaks as it a target has no tone, and neither has one whose pack cannot be opened, which is told.
func TestNoToneWithoutAPack(t *testing.T) {
	cfg, _ := profileConfig(t)
	packs, err := filepath.Glob(filepath.Join(cfg.Infer.Models, "*.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range packs {
		if filepath.Base(path) != "speaker.onnx" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	study, err := Hear(t.Context(), cfg, man)
	if err != nil || study.Tone != nil || hasVerdict(study, verdictNoTone) {
		t.Errorf("no pack: %v, %v", study, err)
	}
	if err := os.WriteFile(filepath.Join(cfg.Infer.Models, "broken.onnx"), []byte("no pack"), 0o600); err != nil {
		t.Fatal(err)
	}
	study, err = Hear(t.Context(), cfg, man)
	if err != nil || study.Tone != nil || !hasVerdict(study, verdictNoTone) {
		t.Errorf("a broken pack: %+v, %v", study, err)
	}
}

func hasVerdict(s *Study, code string) bool {
	return slices.ContainsFunc(s.Verdicts, func(v Verdict) bool { return v.Code == code })
}
