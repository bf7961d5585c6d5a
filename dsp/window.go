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
