package dsp

import "math"

// MinimumPhase fills taps with the filter whose gain is that of a curve, and that answers sooner than any other of that gain: it
// delays nothing. db is the gain in dB at the bins of a transform of 2·(len(db)−1) samples, from 0 Hz to half the rate; it should be
// smooth, and the transform long beside the taps, which end in a fade over their last quarter. It returns taps.
//
// The cepstrum of a gain is even; folded onto positive times it is that of the filter wanted, see Oppenheim and Schafer,
// "Discrete-Time Signal Processing", on homomorphic systems.
func MinimumPhase(taps []float32, db []float64) []float32 {
	n := 2 * (len(db) - 1)
	if n < 2*len(taps) {
		panic("dsp: a transform shorter than twice the taps")
	}
	fft, spec, response := NewFFT(n), make([]complex128, len(db)), make([]float32, n)
	for k, v := range db {
		spec[k] = complex(v*math.Ln10/20, 0)
	}
	fft.Inverse(response, spec) // the cepstrum
	for i := 1; i < n/2; i++ {
		response[i] *= 2
	}
	clear(response[n/2+1:])
	fft.Forward(spec, response)
	for k, v := range spec {
		sin, cos := math.Sincos(imag(v))
		gain := math.Exp(real(v))
		spec[k] = complex(gain*cos, gain*sin)
	}
	fft.Inverse(response, spec)
	fade := len(taps) / 4
	for i := range copy(taps, response) {
		if left := len(taps) - i; left <= fade {
			taps[i] *= float32(0.5 - 0.5*math.Cos(math.Pi*float64(left)/float64(fade+1)))
		}
	}
	return taps
}
