package dsp

import (
	"math"
	"testing"
)

// measured is the gain in dB of a process for a sine, once settled.
func measured(process func([]float32), rate, hz float64) float64 {
	x := make([]float32, int(2*rate))
	for i := range x {
		x[i] = float32(0.1 * math.Sin(2*math.Pi*hz*float64(i)/rate))
	}
	process(x)
	return 20 * math.Log10(float64(RMS(x[len(x)/2:]))/0.1*math.Sqrt2)
}

func TestBiquadsAgainstTheory(t *testing.T) {
	const q = math.Sqrt2 / 2
	for _, rate := range []float64{8000, 16000, 48000} {
		low, high := NewLowPass(rate, 1000, q), NewHighPass(rate, 100, q)
		lowShelf, highShelf := NewLowShelf(rate, 300, -12, q), NewHighShelf(rate, 1000, 6, q)
		for _, c := range []struct {
			name     string
			f        Biquad
			hz, want float64
			within   float64
		}{
			{"low-pass, pass band", low, 50, 0, 0.01},
			{"low-pass, corner", low, 1000, -3.0103, 0.01},
			{"high-pass, corner", high, 100, -3.0103, 0.01},
			{"high-pass, pass band", high, 1000, 0, 0.01},
			{"high-pass, octave below", high, 50, -12.3045, 0.02},
			{"high-pass, two octaves below", high, 25, -24.0993, 0.03},
			{"low shelf, below", lowShelf, 20, -12, 0.05},
			{"low shelf, corner", lowShelf, 300, -6, 0.02},
			{"low shelf, above", lowShelf, 3500, 0, 0.05},
			{"high shelf, below", highShelf, 50, 0, 0.05},
			{"high shelf, corner", highShelf, 1000, 3, 0.02},
		} {
			f := c.f
			got := measured(f.Process, rate, c.hz)
			if math.Abs(got-c.want) > c.within {
				t.Errorf("%g Hz, %s: %.4f dB at %g Hz, want %.4f", rate, c.name, got, c.hz, c.want)
			}
			if r := 20 * math.Log10(c.f.Response(rate, c.hz)); math.Abs(got-r) > 0.002 {
				t.Errorf("%g Hz, %s: measured %.4f dB, Response says %.4f", rate, c.name, got, r)
			}
		}
	}
	// The bilinear transform only bends the slope near half the rate: 12 dB an octave at 48 kHz.
	low := NewLowPass(48000, 500, q)
	if d := 20 * math.Log10(low.Response(48000, 2000)/low.Response(48000, 4000)); math.Abs(d-12.2) > 0.3 {
		t.Errorf("low-pass falls by %.2f dB in an octave, want about 12", d)
	}
}

func TestBiquadKeepsItsState(t *testing.T) {
	whole, cut := make([]float32, 1000), make([]float32, 1000)
	NewNoise(1).Normal(whole)
	copy(cut, whole)
	f, g := NewLowPass(16000, 900, 0.7), NewLowPass(16000, 900, 0.7)
	f.Process(whole)
	for from, n := 0, 1; from < len(cut); n = n*3%67 + 1 {
		to := min(len(cut), from+n)
		g.Process(cut[from:to])
		from = to
	}
	for i := range whole {
		if whole[i] != cut[i] {
			t.Fatalf("sample %d: %g whole, %g cut", i, whole[i], cut[i])
		}
	}
}

func TestBiquadForgetsBrokenSamples(t *testing.T) {
	f := NewHighPass(16000, 100, 0.7)
	f.Process([]float32{float32(math.NaN()), float32(math.Inf(1)), 1})
	x := make([]float32, 32000)
	f.Process(x)
	if x[0] != x[0] || x[len(x)-1] != 0 || f.s1 != 0 {
		t.Errorf("after broken samples and silence: first %g, last %g, state %g", x[0], x[len(x)-1], f.s1)
	}
}

func BenchmarkBiquad(b *testing.B) {
	f, x := NewHighPass(48000, 70, 0.7), make([]float32, 480)
	NewNoise(1).Normal(x)
	b.ReportAllocs()
	for b.Loop() {
		f.Process(x)
	}
}
