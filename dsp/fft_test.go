package dsp

import (
	"fmt"
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"

	godsp "github.com/mjibson/go-dsp/fft"
)

func testNoise(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = 2*rng.Float32() - 1
	}
	return x
}

// The slow twin is the definition of the transform. Tolerance: 1e-9 of the largest possible bin.
func TestFFTAgainstDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{2, 3, 7, 16, 60, 160, 255, 512} {
		x := testNoise(rng, n)
		fft := NewFFT(n)
		got := make([]complex128, fft.Bins())
		fft.Forward(got, x)
		for k := range got {
			var want complex128
			for i, v := range x {
				want += complex(float64(v), 0) * cmplx.Rect(1, -2*math.Pi*float64(i*k%n)/float64(n))
			}
			if cmplx.Abs(got[k]-want) > 1e-9*float64(n) {
				t.Fatalf("n %d bin %d: got %v, want %v", n, k, got[k], want)
			}
		}
	}
}

// Tolerance: one rounding to float32 of a value below 1.
func TestFFTInverseGivesInputBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{2, 5, 512, 960, 1024} {
		x, y := testNoise(rng, n), make([]float32, n)
		fft := NewFFT(n)
		spec := make([]complex128, fft.Bins())
		fft.Forward(spec, x)
		fft.Inverse(y, spec)
		for i := range x {
			if math.Abs(float64(x[i]-y[i])) > 6e-8 {
				t.Fatalf("n %d sample %d: got %g, want %g", n, i, y[i], x[i])
			}
		}
	}
}

func TestFFTAllocatesNothing(t *testing.T) {
	fft := NewFFT(512)
	x, p, spec := make([]float32, 512), make([]float32, 257), make([]complex128, 257)
	if n := testing.AllocsPerRun(20, func() { fft.Forward(spec, x); fft.Inverse(x, spec); fft.Power(p, x) }); n != 0 {
		t.Fatalf("%v allocations, want 0", n)
	}
}

func TestFFTPanicsOnWrongLength(t *testing.T) {
	fft := NewFFT(8)
	for name, f := range map[string]func(){
		"forward src": func() { fft.Forward(make([]complex128, 5), make([]float32, 7)) },
		"forward dst": func() { fft.Forward(make([]complex128, 4), make([]float32, 8)) },
		"inverse dst": func() { fft.Inverse(make([]float32, 9), make([]complex128, 5)) },
		"power dst":   func() { fft.Power(make([]float32, 6), make([]float32, 8)) },
		"size":        func() { NewFFT(1) },
	} {
		mustPanic(t, name, f)
	}
}

func mustPanic(t *testing.T, name string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", name)
		}
	}()
	f()
}

func BenchmarkFFT(b *testing.B) {
	for _, n := range []int{512, 960, 1024} {
		x := testNoise(rand.New(rand.NewPCG(5, 6)), n)
		wide := make([]float64, n)
		for i, v := range x {
			wide[i] = float64(v)
		}
		b.Run(fmt.Sprintf("here/%d", n), func(b *testing.B) {
			fft := NewFFT(n)
			spec := make([]complex128, fft.Bins())
			b.ReportAllocs()
			for b.Loop() {
				fft.Forward(spec, x)
			}
		})
		b.Run(fmt.Sprintf("godsp/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				godsp.FFTReal(wide)
			}
		})
	}
}
