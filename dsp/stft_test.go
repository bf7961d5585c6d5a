package dsp

import (
	"math"
	"math/cmplx"
	"math/rand/v2"
	"testing"
)

var frameShapes = [][2]int{{512, 256}, {512, 128}, {400, 160}, {480, 240}, {63, 20}, {2, 1}}

// Analysis and synthesis give the input back after size−hop samples. Tolerance: 5e-7 of full scale.
func TestSTFTReconstructs(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	for _, shape := range frameShapes {
		size, hop := shape[0], shape[1]
		s, i := NewSTFT(size, hop), NewISTFT(size, hop)
		x := testNoise(rng, hop*60)
		y := make([]float32, len(x))
		spec := make([]complex128, s.Bins())
		for at := 0; at < len(x); at += hop {
			s.Analyze(spec, x[at:at+hop])
			i.Synthesize(y[at:at+hop], spec)
		}
		for n := range y {
			var want float32
			if d := n - (size - hop); d >= 0 {
				want = x[d]
			}
			if math.Abs(float64(y[n]-want)) > 5e-7 {
				t.Fatalf("%d/%d sample %d: got %g, want %g", size, hop, n, y[n], want)
			}
		}
	}
}

// Windows of the caller's own: Hann both ways as Spleeter has it, and a long look at the past that is synthesised
// from its newest part alone, so that the delay is 320 samples, not 480.
func TestSTFTWindowsReconstruct(t *testing.T) {
	hann := Hann(make([]float32, 1024))
	long, newest := make([]float32, 640), make([]float32, 640)
	for i := range long {
		long[i] = float32(math.Sin(math.Pi / 2 * float64(min(i, 400)) / 400))
		if i >= 400 {
			long[i] = float32(math.Cos(math.Pi / 2 * float64(i-400) / 240))
		}
		if i >= 160 {
			newest[i] = float32(math.Sin(math.Pi * float64(i-160) / 480))
		}
	}
	for _, c := range []struct {
		analysis, synthesis []float32
		hop, late           int
	}{{hann, hann, 256, 768}, {long, newest, 160, 320}} {
		s, i := NewSTFTWindow(c.analysis, c.hop), NewISTFTWindow(c.analysis, c.synthesis, c.hop)
		x := testNoise(rand.New(rand.NewPCG(3, 4)), c.hop*40)
		y := make([]float32, len(x))
		spec := make([]complex128, s.Bins())
		for at := 0; at < len(x); at += c.hop {
			s.Analyze(spec, x[at:at+c.hop])
			i.Synthesize(y[at:at+c.hop], spec)
		}
		for n := c.late; n < len(y); n++ {
			if math.Abs(float64(y[n]-x[n-c.late])) > 1e-6 {
				t.Fatalf("%d/%d sample %d: got %g, want %g", len(c.analysis), c.hop, n, y[n], x[n-c.late])
			}
		}
	}
}

// A frame is the transform of the last size samples under the window, by definition. Tolerance 1e-5.
func TestSTFTAgainstDefinition(t *testing.T) {
	x := testNoise(rand.New(rand.NewPCG(13, 14)), 200)
	s := NewSTFT(64, 20)
	spec := make([]complex128, s.Bins())
	for f := range 10 {
		s.Analyze(spec, x[20*f:20*f+20])
		for k, got := range spec {
			var want complex128
			for i := range 64 {
				if n := 20*(f+1) - 64 + i; n >= 0 {
					v := float64(x[n]) * math.Sin(math.Pi*float64(i)/64)
					want += cmplx.Rect(1, -2*math.Pi*float64(k*i)/64) * complex(v, 0)
				}
			}
			if cmplx.Abs(got-want) > 1e-5 {
				t.Fatalf("frame %d bin %d: got %v, want %v", f, k, got, want)
			}
		}
	}
}

// The filter delays by Delay samples and, bit for bit, does not care how its input is cut, nor whether
// it works in place.
func TestSpectralFilterIgnoresCuts(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	low := func(spec []complex128) { clear(spec[len(spec)/2:]) }
	for _, shape := range frameShapes {
		x := testNoise(rng, 3000)
		f := NewSpectralFilter(shape[0], shape[1], low)
		whole := make([]float32, len(x))
		f.Process(whole, x)
		f.Reset()
		cut := append([]float32(nil), x...)
		for rest := cut; len(rest) > 0; {
			n := min(rng.IntN(300), len(rest))
			f.Process(rest[:n], rest[:n])
			rest = rest[n:]
		}
		for i := range cut {
			if cut[i] != whole[i] {
				t.Fatalf("%v sample %d: %g when cut, %g whole", shape, i, cut[i], whole[i])
			}
		}
	}
	f := NewSpectralFilter(512, 128, nil)
	x, y := testNoise(rng, 2000), make([]float32, 2000)
	f.Process(y, x)
	for i := range y[f.Delay():] {
		near(t, "delayed", float64(y[i+f.Delay()]), float64(x[i]), 5e-7)
	}
}

func TestSTFTMisuse(t *testing.T) {
	mustPanic(t, "hop", func() { NewSTFT(100, 51) })
	mustPanic(t, "hop", func() { NewISTFT(100, 0) })
	mustPanic(t, "analyze", func() { NewSTFT(8, 4).Analyze(make([]complex128, 5), make([]float32, 5)) })
	mustPanic(t, "synthesize", func() { NewISTFT(8, 4).Synthesize(make([]float32, 3), make([]complex128, 5)) })
	mustPanic(t, "filter", func() { NewSpectralFilter(8, 4, nil).Process(make([]float32, 3), make([]float32, 4)) })
}

// The copies of a periodic Hann window, a quarter apart, add up to 2. Tolerance 1e-6.
func TestHannAddsUp(t *testing.T) {
	w := Hann(make([]float32, 400))
	for i := range 100 {
		near(t, "sum", float64(w[i]+w[i+100]+w[i+200]+w[i+300]), 2, 1e-6)
	}
	for i, v := range SqrtHann(make([]float32, 400)) {
		near(t, "square", float64(v*v), float64(w[i]), 1e-6)
	}
}

func BenchmarkSpectralFilter(b *testing.B) {
	f := NewSpectralFilter(512, 128, nil)
	x := testNoise(rand.New(rand.NewPCG(1, 1)), 480)
	b.ReportAllocs()
	for b.Loop() {
		f.Process(x, x)
	}
}
