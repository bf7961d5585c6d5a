package dsp

import "math"

// Biquad is a second-order filter in transposed direct form II, with coefficients from Robert
// Bristow-Johnson's "Cookbook formulae for audio EQ biquad filter coefficients". The state is
// float64, which keeps low corners clean at high rates. The zero value gives silence.
type Biquad struct {
	b0, b1, b2, a1, a2 float64
	s1, s2             float64
}

// NewLowPass passes what lies below corner (Hz). With q = 1/√2 it is −3 dB at the corner, and
// falls by 12 dB an octave above it.
func NewLowPass(rate, corner, q float64) Biquad {
	cos, alpha := rbj(rate, corner, q)
	return normalised((1-cos)/2, 1-cos, (1-cos)/2, 1+alpha, -2*cos, 1-alpha)
}

// NewHighPass passes what lies above corner (Hz), mirror image of NewLowPass.
func NewHighPass(rate, corner, q float64) Biquad {
	cos, alpha := rbj(rate, corner, q)
	return normalised((1+cos)/2, -1-cos, (1+cos)/2, 1+alpha, -2*cos, 1-alpha)
}

// NewLowShelf lifts what lies below corner (Hz) by gain dB; half of it, in dB, at the corner.
func NewLowShelf(rate, corner, gain, q float64) Biquad {
	cos, alpha := rbj(rate, corner, q)
	a := math.Pow(10, gain/40)
	r := 2 * math.Sqrt(a) * alpha
	return normalised(a*((a+1)-(a-1)*cos+r), 2*a*((a-1)-(a+1)*cos), a*((a+1)-(a-1)*cos-r),
		(a+1)+(a-1)*cos+r, -2*((a-1)+(a+1)*cos), (a+1)+(a-1)*cos-r)
}

// NewHighShelf lifts what lies above corner (Hz) by gain dB; half of it, in dB, at the corner.
func NewHighShelf(rate, corner, gain, q float64) Biquad {
	cos, alpha := rbj(rate, corner, q)
	a := math.Pow(10, gain/40)
	r := 2 * math.Sqrt(a) * alpha
	return normalised(a*((a+1)+(a-1)*cos+r), -2*a*((a-1)+(a+1)*cos), a*((a+1)+(a-1)*cos-r),
		(a+1)-(a-1)*cos+r, 2*((a-1)-(a+1)*cos), (a+1)-(a-1)*cos-r)
}

func rbj(rate, corner, q float64) (cos, alpha float64) {
	if !(corner > 0 && corner < rate/2 && q > 0) {
		panic("dsp: biquad corner outside (0, rate/2) or q not positive")
	}
	w := 2 * math.Pi * corner / rate
	return math.Cos(w), math.Sin(w) / (2 * q)
}

func normalised(b0, b1, b2, a0, a1, a2 float64) Biquad {
	return Biquad{b0: b0 / a0, b1: b1 / a0, b2: b2 / a0, a1: a1 / a0, a2: a2 / a0}
}

// tail is −1000 dB: what a filter remembers of the past when it may as well forget it.
const tail = 1e-50

// Process filters x in place. A sample that is not finite counts as 0 and does not stay in the state.
func (f *Biquad) Process(x []float32) {
	b0, b1, b2, a1, a2, s1, s2 := f.b0, f.b1, f.b2, f.a1, f.a2, f.s1, f.s2
	for i, v := range x {
		in := float64(v)
		if !finite(v) {
			in = 0
		}
		// A tail must not decay into the denormal numbers, where arithmetic crawls.
		if in == 0 && math.Abs(s1) < tail && math.Abs(s2) < tail {
			s1, s2 = 0, 0
		}
		out := b0*in + s1
		s1 = b1*in - a1*out + s2
		s2 = b2*in - a2*out
		x[i] = float32(out)
	}
	f.s1, f.s2 = s1, s2
}

// Reset forgets the past signal.
func (f *Biquad) Reset() { f.s1, f.s2 = 0, 0 }

// Response is the filter's gain at a frequency in Hz, as a factor.
func (f *Biquad) Response(rate, hz float64) float64 {
	s, c := math.Sincos(-2 * math.Pi * hz / rate)
	z := complex(c, s)
	num := complex(f.b0, 0) + z*(complex(f.b1, 0)+z*complex(f.b2, 0))
	den := 1 + z*(complex(f.a1, 0)+z*complex(f.a2, 0))
	n, d := real(num)*real(num)+imag(num)*imag(num), real(den)*real(den)+imag(den)*imag(den)
	return math.Sqrt(n / d)
}
