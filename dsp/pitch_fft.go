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
}

func newComplexFFT(n int) *complexFFT {
	f := &complexFFT{cos: make([]float32, n), sin: make([]float32, n)}
	for i := range n {
		s, c := math.Sincos(2 * math.Pi * float64(i) / float64(n))
		f.cos[i], f.sin[i] = float32(c), float32(s)
		if j := int(bits.Reverse64(uint64(i)) >> (65 - bits.Len(uint(n)))); i < j {
			f.swaps = append(f.swaps, [2]int32{int32(i), int32(j)})
		}
	}
	return f
}

// transform is the unnormalised forward transform. Of an even, real sequence it is the inverse as well.
func (f *complexFFT) transform(re, im []float32) {
	n := len(f.cos)
	re, im = re[:n], im[:n]
	for _, s := range f.swaps {
		i, j := s[0], s[1]
		re[i], re[j] = re[j], re[i]
		im[i], im[j] = im[j], im[i]
	}
	half := 1
	if bits.Len(uint(n))%2 == 0 { // an odd power of two: one stage of radix 2 first
		for i := 0; i < n; i += 2 {
			re[i], re[i+1] = re[i]+re[i+1], re[i]-re[i+1]
			im[i], im[i+1] = im[i]+im[i+1], im[i]-im[i+1]
		}
		half = 2
	}
	for ; half < n; half *= 4 {
		f.radix4(re, im, half)
	}
}

// radix4 joins groups of four transforms of q points. In bit-reversed order the quarters come as
// 0, 2, 1, 3.
func (f *complexFFT) radix4(re, im []float32, q int) {
	n := len(re)
	step := n / (4 * q)
	for base := 0; base < n; base += 4 * q {
		r0, r2, r1, r3 := re[base:base+q], re[base+q:base+2*q], re[base+2*q:base+3*q], re[base+3*q:base+4*q]
		i0, i2, i1, i3 := im[base:base+q], im[base+q:base+2*q], im[base+2*q:base+3*q], im[base+3*q:base+4*q]
		r1, r2, r3 = r1[:len(r0)], r2[:len(r0)], r3[:len(r0)]
		i0, i1, i2, i3 = i0[:len(r0)], i1[:len(r0)], i2[:len(r0)], i3[:len(r0)]
		for k := range r0 {
			c1, s1 := f.cos[k*step], f.sin[k*step]
			c2, s2 := f.cos[2*k*step], f.sin[2*k*step]
			c3, s3 := f.cos[3*k*step], f.sin[3*k*step]
			ar, ai := r0[k], i0[k]
			br, bi := r1[k]*c1+i1[k]*s1, i1[k]*c1-r1[k]*s1
			cr, ci := r2[k]*c2+i2[k]*s2, i2[k]*c2-r2[k]*s2
			dr, di := r3[k]*c3+i3[k]*s3, i3[k]*c3-r3[k]*s3
			pr, pi, qr, qi := ar+cr, ai+ci, ar-cr, ai-ci
			sr, si, tr, ti := br+dr, bi+di, br-dr, bi-di
			r0[k], i0[k] = pr+sr, pi+si
			r1[k], i1[k] = pr-sr, pi-si
			r2[k], i2[k] = qr+ti, qi-tr
			r3[k], i3[k] = qr-ti, qi+tr
		}
	}
}
