package infer

import (
	"math"
	"strings"
	"testing"
)

func TestNoSeparatorPassesEverythingAsVocals(t *testing.T) {
	s, err := NewSeparator(SeparatorNone, PresetBalanced)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	mixture, vocals := frames(s), frames(s)
	for c := range mixture {
		for i := range mixture[c] {
			mixture[c][i] = float32(math.Sin(float64(i * (c + 1))))
		}
	}
	mixture[1][7] = float32(math.NaN())
	if err := s.Process(vocals, mixture); err != nil {
		t.Fatal(err)
	}
	mixture[1][7] = 0
	for c := range mixture {
		for i, v := range mixture[c] {
			if vocals[c][i] != v {
				t.Fatalf("channel %d, frame %d: %g, expected %g", c, i, vocals[c][i], v)
			}
		}
	}
	if err := s.Process(vocals[:1], mixture); err == nil || !strings.Contains(err.Error(), "1 channels, expected 2") {
		t.Errorf("one channel of vocals: %v", err)
	}
	vocals[0] = vocals[0][:5]
	if err := s.Process(vocals, mixture); err == nil || !strings.Contains(err.Error(), "5 frames, expected 1024") {
		t.Errorf("a short channel: %v", err)
	}
}

func TestNewSeparatorNamesWhatItDoesNotKnow(t *testing.T) {
	if _, err := NewSeparator("", "best"); err == nil || !strings.Contains(err.Error(), "fast, balanced, quality") {
		t.Errorf("unknown preset: %v", err)
	}
	if _, err := NewSeparator("oracle", PresetFast); err == nil || !strings.Contains(err.Error(), `"oracle"`) {
		t.Errorf("unknown model: %v", err)
	}
}

// frames are what Process takes, silent.
func frames(s Separator) [][]float32 {
	channels := make([][]float32, s.Channels())
	for c := range channels {
		channels[c] = make([]float32, s.Hop())
	}
	return channels
}
