package dsp

import (
	"math/rand/v2"
	"testing"
)

// Exact, at every length and cut, in place too.
func TestDelay(t *testing.T) {
	rng := rand.New(rand.NewPCG(23, 24))
	for _, n := range []int{0, 1, 7, 480, 3000} {
		x := testNoise(rng, 2000)
		d := NewDelay(n)
		d.Process(make([]float32, 50), x[:50])
		d.Reset()
		y := append([]float32(nil), x...)
		for rest := y; len(rest) > 0; {
			k := min(rng.IntN(200), len(rest))
			d.Process(rest[:k], rest[:k])
			rest = rest[k:]
		}
		for i := range y {
			var want float32
			if i >= n {
				want = x[i-n]
			}
			if y[i] != want {
				t.Fatalf("delay %d sample %d: got %g, want %g", n, i, y[i], want)
			}
		}
		if d.Len() != n {
			t.Errorf("length %d, want %d", d.Len(), n)
		}
	}
	mustPanic(t, "negative", func() { NewDelay(-1) })
	mustPanic(t, "length", func() { NewDelay(1).Process(make([]float32, 2), make([]float32, 3)) })
}

func BenchmarkDelay(b *testing.B) {
	d := NewDelay(777)
	x := make([]float32, 480)
	b.ReportAllocs()
	for b.Loop() {
		d.Process(x, x)
	}
}
