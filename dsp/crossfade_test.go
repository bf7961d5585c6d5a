package dsp

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Theory: gains' squares, or the gains, add up to 1; both rise steadily; the ends mirror each other.
// Tolerance 2e-7.
func TestCrossfadeGains(t *testing.T) {
	for _, n := range []int{1, 2, 7, 480} {
		ones, zeros := make([]float32, n), make([]float32, n)
		for i := range ones {
			ones[i] = 1
		}
		in, out := make([]float32, n), make([]float32, n)
		for name, fade := range map[string]*Crossfade{"power": NewCrossfade(n), "gain": NewMatchedCrossfade(n)} {
			fade.Process(in, zeros, ones)
			fade.Reset()
			fade.Process(out, ones, zeros)
			for i := range n {
				sum := float64(in[i] + out[i])
				if name == "power" {
					sum = float64(in[i]*in[i] + out[i]*out[i])
				}
				near(t, name, sum, 1, 2e-7)
				near(t, name+" mirrored", float64(in[i]), float64(out[n-1-i]), 2e-7)
				if i > 0 && in[i] <= in[i-1] {
					t.Errorf("%s: gain falls from %g to %g", name, in[i-1], in[i])
				}
			}
		}
	}
}

func TestCrossfadeIgnoresCutsAndEnds(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 18))
	a, b := testNoise(rng, 1000), testNoise(rng, 1000)
	fade := NewCrossfade(333)
	whole := make([]float32, 1000)
	fade.Process(whole, a, b)
	fade.Reset()
	got := append([]float32(nil), b...)
	for at := 0; at < 1000; {
		if fade.Done() != (at >= 333) {
			t.Fatalf("Done is %v after %d of 333", fade.Done(), at)
		}
		n := min(rng.IntN(90), 1000-at)
		fade.Process(got[at:at+n], a[at:at+n], got[at:at+n])
		at += n
	}
	for i := range got {
		if got[i] != whole[i] || i >= 333 && got[i] != b[i] {
			t.Fatalf("sample %d: got %g, want %g", i, got[i], whole[i])
		}
	}
	mustPanic(t, "length", func() { fade.Process(got[:3], a[:3], b[:4]) })
}

// Two independent noises keep their power through the fade. Tolerance 0.3 dB for this many samples.
func TestCrossfadeKeepsPower(t *testing.T) {
	rng := rand.New(rand.NewPCG(19, 20))
	y := make([]float32, 48000)
	NewCrossfade(len(y)).Process(y, testNoise(rng, len(y)), testNoise(rng, len(y)))
	for at := 0; at < len(y); at += 4800 {
		var sum float64
		for _, v := range y[at : at+4800] {
			sum += float64(v) * float64(v)
		}
		near(t, "power in dB", 10*math.Log10(sum/4800*3), 0, 0.3)
	}
}

func BenchmarkCrossfade(b *testing.B) {
	fade := NewCrossfade(480)
	x, y := make([]float32, 480), make([]float32, 480)
	b.ReportAllocs()
	for b.Loop() {
		fade.Reset()
		fade.Process(x, x, y)
	}
}
