package dsp

import (
	"math"
	"testing"
)

// TestFinePrototype: the filter's own response, by its definition as a Fourier integral.
func TestFinePrototype(t *testing.T) {
	response := func(f float64) float64 { // of the Nyquist frequency
		const steps = 64
		sum := fineAt(0)
		for i := 1; i < fineHalf*steps; i++ {
			at := float64(i) / steps
			sum += 2 * fineAt(at) * math.Cos(math.Pi*f*at)
		}
		return sum / steps
	}
	for f := 0.; f <= 0.93; f += 0.003 {
		if db := Decibels(math.Abs(response(f))); math.Abs(db) > 1e-4 {
			t.Errorf("%.3f of Nyquist: %.6f dB, want 0", f, db)
		}
	}
	for f := 1.; f < 4; f += 0.0037 {
		if db := Decibels(math.Abs(response(f))); db > -115 {
			t.Errorf("%.3f of Nyquist: %.1f dB, want -115", f, db)
		}
	}
}

// TestFineResamplerAgainstTheory: sines at any rate are what they are, sample for sample, also cut in pieces.
func TestFineResamplerAgainstTheory(t *testing.T) {
	for _, rates := range [][2]int{{44100, 48000}, {48000, 44100}, {96000, 22050}, {16000, 48000}, {44100, 16000}, {48000, 48000}, {11025, 47999}} {
		in, out := rates[0], rates[1]
		hz := 0.9 * float64(min(in, out)) / 2
		x := make([]float32, in/5)
		for i := range x {
			x[i] = float32(math.Sin(2 * math.Pi * hz * float64(i) / float64(in)))
		}
		r := NewFineResampler(in, out)
		y := r.Append(nil, x[:1001])
		y = r.Append(y, x[1001:])
		edge := fineHalf * out / min(in, out)
		var worst float64
		for i := edge; i < len(y)-edge; i++ {
			worst = max(worst, math.Abs(float64(y[i])-math.Sin(2*math.Pi*hz*float64(i)/float64(out))))
		}
		if len(y) < out/6 || worst > 2e-5 {
			t.Errorf("%d to %d Hz: off by %.2g of full scale in %d frames", in, out, worst, len(y))
		}
	}
}

func BenchmarkFineResampler(b *testing.B) {
	b.Run("plan", func(b *testing.B) {
		for b.Loop() {
			NewFineResampler(44100, 48000)
		}
	})
	b.Run("second", func(b *testing.B) {
		r, x := NewFineResampler(44100, 48000), make([]float32, 44100)
		y := make([]float32, r.MaxOut(len(x)))
		b.ReportAllocs()
		for b.Loop() {
			r.Process(y, x)
		}
	})
}
