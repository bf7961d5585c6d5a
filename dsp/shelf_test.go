package dsp

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

func TestPowerSpectrumAgainstFFT(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{128, 256, 512, 1024, 4096} {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64()) + float32(math.Sin(float64(i)))
		}
		want, got := make([]float32, n/2+1), make([]float32, n/2+1)
		NewFFT(n).Power(want, x)
		newPowerSpectrum(n).power(got, x)
		var sum float64
		for _, v := range want {
			sum += float64(v)
		}
		for k := range want {
			if d := math.Abs(math.Sqrt(float64(got[k])) - math.Sqrt(float64(want[k]))); d > 3e-7*math.Sqrt(sum) {
				t.Fatalf("%d points, bin %d: %g, expected %g", n, k, got[k], want[k])
			}
		}
	}
}

// Tables are shared while somebody has them, and gone when nobody does.
func TestShelf(t *testing.T) {
	var s shelf[int, [1000]float32]
	made := 0
	produce := func() *[1000]float32 { made++; return new([1000]float32) }
	a, b := s.get(1, produce), s.get(1, produce)
	if a != b || made != 1 || s.get(2, produce) == a {
		t.Errorf("made %d times", made)
	}
	runtime.KeepAlive(a)
	runtime.KeepAlive(b)
	empty := func() bool {
		runtime.GC()
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.held) == 0
	}
	for began := time.Now(); !empty(); time.Sleep(time.Millisecond) {
		if time.Since(began) > 30*time.Second {
			t.Fatal("what nobody uses is still held")
		}
	}
}

func BenchmarkPowerSpectrum(b *testing.B) {
	x, dst := make([]float32, 512), make([]float32, 257)
	NewNoise(1).Uniform(x)
	b.Run("single", func(b *testing.B) {
		p := newPowerSpectrum(512)
		for b.Loop() {
			p.power(dst, x)
		}
	})
	b.Run("double", func(b *testing.B) {
		p := NewFFT(512)
		for b.Loop() {
			p.Power(dst, x)
		}
	})
}
