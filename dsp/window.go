package dsp

import "math"

// Hann fills w with the periodic Hann window, 0.5 − 0.5·cos(2πi/n): the one whose copies, shifted by
// n/2, n/4, …, add up to a constant. It returns w.
func Hann(w []float32) []float32 {
	for i := range w {
		w[i] = float32(0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(len(w))))
	}
	return w
}

// SqrtHann fills w with the square root of the periodic Hann window, sin(πi/n): used before and after
// a change of the spectrum, it acts as one Hann window in all. It returns w.
func SqrtHann(w []float32) []float32 {
	for i := range w {
		w[i] = float32(math.Sin(math.Pi * float64(i) / float64(len(w))))
	}
	return w
}

// kaiser is the Kaiser window at x in [−1, 1], 1 in the middle and 0 outside, with shape beta.
func kaiser(x, beta float64) float64 {
	if x <= -1 || x >= 1 {
		return 0
	}
	return besselI0(beta*math.Sqrt(1-x*x)) / besselI0(beta)
}

// besselI0 is the modified Bessel function of the first kind and order zero: its power series
// Σ ((x/2)^k / k!)², summed until a term no longer counts.
func besselI0(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-17; k++ {
		f := x / (2 * k)
		term *= f * f
		sum += term
	}
	return sum
}

// sinc is sin(πx)/(πx).
func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}
