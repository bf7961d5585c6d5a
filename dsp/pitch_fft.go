package dsp

import (
	"math"
	"math/bits"
)

// complexFFT is a planned in-place transform of a power of two of complex float32 values, kept as
// separate real and imaginary parts. The pitch tracker runs two each hop, and single precision in
// radix 4 is several times as fast as the general, double-precision FFT.
type complexFFT struct {
	swaps    [][2]int32
	cos, sin []float32
	turns    [][]turn // a table for each stage but the first
}

// turn holds the factors of one butterfly of four: cosine and sine of once, twice and three times an angle.
type turn [6]float32

func newComplexFFT(n int) *complexFFT {
	f := &complexFFT{cos: make([]float32, n), sin: make([]float32, n)}
	for i := range n {
		s, c := math.Sincos(2 * math.Pi * float64(i) / float64(n))
		f.cos[i], f.sin[i] = float32(c), float32(s)
		if j := int(bits.Reverse64(uint64(i)) >> (65 - bits.Len(uint(n)))); i < j {
			f.swaps = append(f.swaps, [2]int32{int32(i), int32(j)})
		}
	}
	q := 4
	if f.odd() {
		q = 2
	}
	for ; q < n; q *= 4 {
		stage := make([]turn, q)
		for k := range stage {
			for i := range 3 {
				at := (i + 1) * k * n / (4 * q)
				stage[k][2*i], stage[k][2*i+1] = f.cos[at], f.sin[at]
			}
		}
		f.turns = append(f.turns, stage)
	}
	return f
}

// odd says whether the length is an odd power of two.
func (f *complexFFT) odd() bool { return bits.Len(uint(len(f.cos)))%2 == 0 }

// transform is the unnormalised forward transform. Of an even, real sequence it is the inverse as well.
func (f *complexFFT) transform(re, im []float32) {
	n := len(f.cos)
	re, im = re[:n], im[:n]
	for _, s := range f.swaps {
		i, j := s[0], s[1]
		re[i], re[j] = re[j], re[i]
		im[i], im[j] = im[j], im[i]
	}
	if f.odd() {
		first2(re, im)
	} else {
		first4(re, im)
	}
	for _, turns := range f.turns {
		radix4(re, im, turns)
	}
}

// first2 and first4 join single points, for which there is nothing to turn.
func first2(re, im []float32) {
	for i := 0; i+1 < len(re); i += 2 {
		re[i], re[i+1] = re[i]+re[i+1], re[i]-re[i+1]
		im[i], im[i+1] = im[i]+im[i+1], im[i]-im[i+1]
	}
}

func first4(re, im []float32) {
	for i := 0; i+3 < len(re) && i+3 < len(im); i += 4 {
		r, m := re[i:i+4:i+4], im[i:i+4:i+4]
		pr, pi, qr, qi := r[0]+r[1], m[0]+m[1], r[0]-r[1], m[0]-m[1]
		sr, si, tr, ti := r[2]+r[3], m[2]+m[3], r[2]-r[3], m[2]-m[3]
		r[0], m[0], r[2], m[2] = pr+sr, pi+si, pr-sr, pi-si
		r[1], m[1], r[3], m[3] = qr+ti, qi-tr, qr-ti, qi+tr
	}
}

// radix4 joins groups of four transforms of len(turns) points, whose order is 0, 2, 1, 3 after the
// bits were reversed.
func radix4(re, im []float32, turns []turn) {
	q := len(turns)
	for base := 0; base < len(re); base += 4 * q {
		r0, r2, r1, r3 := re[base:base+q], re[base+q:base+2*q], re[base+2*q:base+3*q], re[base+3*q:base+4*q]
		i0, i2, i1, i3 := im[base:base+q], im[base+q:base+2*q], im[base+2*q:base+3*q], im[base+3*q:base+4*q]
		r0, r1, r2, r3 = r0[:q], r1[:q], r2[:q], r3[:q]
		i0, i1, i2, i3 = i0[:q], i1[:q], i2[:q], i3[:q]
		for k := range turns {
			w := &turns[k]
			ar, ai := r0[k], i0[k]
			br, bi := r1[k]*w[0]+i1[k]*w[1], i1[k]*w[0]-r1[k]*w[1]
			cr, ci := r2[k]*w[2]+i2[k]*w[3], i2[k]*w[2]-r2[k]*w[3]
			dr, di := r3[k]*w[4]+i3[k]*w[5], i3[k]*w[4]-r3[k]*w[5]
			pr, pi, qr, qi := ar+cr, ai+ci, ar-cr, ai-ci
			sr, si, tr, ti := br+dr, bi+di, br-dr, bi-di
			r0[k], i0[k] = pr+sr, pi+si
			r1[k], i1[k] = pr-sr, pi-si
			r2[k], i2[k] = qr+ti, qi-tr
			r3[k], i3[k] = qr-ti, qi+tr
		}
	}
}
