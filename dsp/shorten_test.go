package dsp

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A tone whose period is a whole number of samples loses whole periods and goes on as if nothing had
// happened. Tolerance 2e-6.
func TestShortenTone(t *testing.T) {
	const period = 96
	x := testTone(2400, 24000/period, 24000)
	y := make([]float32, len(x))
	n := NewShortener(240).Shorten(y, x, 200, 340)
	if dropped := len(x) - n; dropped != 3*period {
		t.Fatalf("dropped %d samples, want %d", dropped, 3*period)
	}
	for i, v := range y[:n] {
		near(t, "tone goes on", float64(v), float64(x[i]), 2e-6)
	}
}

// A voice-like signal (noise through a comb) against the slow twin: the best of all distances by the
// definition of normalised correlation, and the same joint. Tolerance 1e-6.
func TestShortenAgainstSlowTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	for range 20 {
		fade, least := 1+rng.IntN(200), 1+rng.IntN(100)
		most := least + rng.IntN(300)
		x := testNoise(rng, most+fade+rng.IntN(300))
		for i := 137; i < len(x); i++ {
			x[i] = 0.3*x[i] + 0.7*x[i-137]
		}
		best, drop := math.Inf(-1), 0
		for d := least; d <= most; d++ {
			var dot, energy float64
			for i := range fade {
				dot += float64(x[i]) * float64(x[d+i])
				energy += float64(x[d+i]) * float64(x[d+i])
			}
			if score := dot / math.Sqrt(energy+1e-10*float64(fade)); score >= best {
				best, drop = score, d
			}
		}
		s := NewShortener(fade)
		got := append([]float32(nil), x...)
		n := s.Shorten(got, got, least, most) // in place
		if len(x)-n != drop {
			t.Fatalf("fade %d, %d to %d: dropped %d, want %d", fade, least, most, len(x)-n, drop)
		}
		for i := range n {
			w := 1.0
			if i < fade {
				w = 0.5 - 0.5*math.Cos(math.Pi*(float64(i)+0.5)/float64(fade))
			}
			near(t, "joint", float64(got[i]), (1-w)*float64(x[i])+w*float64(x[i+drop]), 1e-6)
		}
	}
}

// In silence, and where only one length is allowed, it drops all it may.
func TestShortenSilence(t *testing.T) {
	s := NewShortener(100)
	dst := make([]float32, 900)
	if n := s.Shorten(dst, make([]float32, 1000), 100, 700); n != 300 {
		t.Errorf("silence: %d samples left, want 300", n)
	}
	if n := s.Shorten(dst, testNoise(rand.New(rand.NewPCG(1, 1)), 1000), 500, 500); n != 500 {
		t.Errorf("fixed length: %d samples left, want 500", n)
	}
	mustPanic(t, "too short", func() { s.Shorten(dst, make([]float32, 799), 100, 700) })
	mustPanic(t, "least", func() { s.Shorten(dst, make([]float32, 900), 0, 700) })
	mustPanic(t, "fade", func() { NewShortener(0) })
}

func BenchmarkShorten(b *testing.B) {
	s := NewShortener(240)
	x, y := testNoise(rand.New(rand.NewPCG(1, 1)), 960), make([]float32, 960)
	b.ReportAllocs()
	for b.Loop() {
		s.Shorten(y, x, 120, 360)
	}
}
