package dsp

import "testing"

// One 10 ms chunk at 48 kHz through everything that has no allocation test beside it.
func TestWarmPlansAllocateNothing(t *testing.T) {
	x, y, mono := make([]float32, 480), make([]float32, 480), make([]float32, 240)
	bands, pcm, short := make([]float32, 80), make([]byte, 1920), make([]float32, 480)
	mel, filter := NewMel(DefaultMelConfig()), NewSpectralFilter(512, 128, nil)
	delay, fade, shortener := NewDelay(100), NewCrossfade(300), NewShortener(100)
	fir, taps := NewFIR(64), [2][]float32{make([]float32, 64), nil}
	for name, f := range map[string]func(){
		"mel":     func() { mel.Process(bands, x[:160]) },
		"filter":  func() { filter.Process(y, x) },
		"delay":   func() { delay.Process(y, x) },
		"fade":    func() { fade.Reset(); fade.Process(y, x, y) },
		"shorten": func() { shortener.Shorten(short, x, 50, 200) },
		"fir":     func() { fir.Process(y, taps[0]); fir.Process(x, taps[1]) },
		"pcm":     func() { F32LE.Encode(pcm, x); S16LE.Decode(y, pcm[:960]) },
		"mix":     func() { Downmix(mono, x, 2); Upmix(y, mono, 2) },
	} {
		if n := testing.AllocsPerRun(20, f); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}
