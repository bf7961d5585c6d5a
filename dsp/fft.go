package dsp

import "gonum.org/v1/gonum/dsp/fourier"

// FFT is a planned Fourier transform of real signals of one length. Forward is unnormalised (a sine of
// amplitude 1 that falls on a bin gives n/2 there); Inverse divides by n, so Inverse after Forward gives
// the input back. The plan owns its scratch: it allocates nothing after NewFFT, and one goroutine uses it.
type FFT struct {
	plan *fourier.FFT
	time []float64
	spec []complex128
}

// NewFFT plans transforms of n samples, n ≥ 2. Sizes made of small primes are fast; any size is right.
func NewFFT(n int) *FFT {
	if n < 2 {
		panic("dsp: FFT size below 2")
	}
	return &FFT{plan: fourier.NewFFT(n), time: make([]float64, n), spec: make([]complex128, n/2+1)}
}

// Len is the number of samples of a transform.
func (f *FFT) Len() int { return len(f.time) }

// Bins is the number of frequencies of a half spectrum, n/2+1: bin k is k·rate/n Hz.
func (f *FFT) Bins() int { return len(f.spec) }

// Forward writes the half spectrum of src (Len samples) to dst (Bins values).
func (f *FFT) Forward(dst []complex128, src []float32) {
	if len(src) != len(f.time) || len(dst) != len(f.spec) {
		panic("dsp: length mismatch")
	}
	for i, v := range src {
		f.time[i] = float64(v)
	}
	f.plan.Coefficients(dst, f.time)
}

// Inverse writes the signal (Len samples) whose half spectrum is src (Bins values) to dst. src is kept.
// The imaginary parts of bin 0 and, for an even length, of the last bin have no meaning and are ignored.
func (f *FFT) Inverse(dst []float32, src []complex128) {
	if len(dst) != len(f.time) || len(src) != len(f.spec) {
		panic("dsp: length mismatch")
	}
	f.plan.Sequence(f.time, src)
	scale := 1 / float64(len(f.time))
	for i, v := range f.time {
		dst[i] = float32(v * scale)
	}
}

// Power writes the power spectrum |X|² of src (Len samples) to dst (Bins values), in double precision
// inside. It is Forward without a spectrum of the caller's.
func (f *FFT) Power(dst, src []float32) {
	if len(dst) != len(f.spec) {
		panic("dsp: length mismatch")
	}
	f.Forward(f.spec, src)
	for i, x := range f.spec {
		dst[i] = float32(real(x)*real(x) + imag(x)*imag(x))
	}
}
