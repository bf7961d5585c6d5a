package dsp

import (
	"math"
	"slices"
)

// firBlock is how many samples are filtered at once.
const firBlock = 256

// FIR filters a stream by taps, its impulse response, that may change on the way. Without taps it leaves the stream as it is, bit
// for bit, and remembers it, so that taps can be had at any moment. It allocates nothing after NewFIR.
type FIR struct {
	taps  []float32 // of the last call
	heard bool      // there is a signal that a change must not break
	past  int       // samples that are remembered
	line  []float32 // a block, and behind it what was before, both with the newest sample first
}

// NewFIR makes a filter of so many taps at most.
func NewFIR(most int) *FIR {
	if most < 1 {
		panic("dsp: FIR without taps")
	}
	return &FIR{past: most - 1, line: make([]float32, firBlock+most-1)}
}

// Process filters x in place. Where the taps are others than those of the call before, the old ones fade out and the new ones in
// over the whole of x, so that nothing clicks. The filter keeps taps, which nobody changes.
func (f *FIR) Process(x, taps []float32) {
	if len(taps) > f.past+1 {
		panic("dsp: more taps than the FIR was made for")
	}
	old := f.taps
	fades := f.heard && !slices.Equal(old, taps)
	f.taps, f.heard = taps, f.heard || len(x) > 0
	for at := 0; at < len(x); at += firBlock {
		block := x[at:min(at+firBlock, len(x))]
		begin := firBlock - len(block)
		line := f.line[begin:]
		for i, v := range block {
			line[len(block)-1-i] = v
		}
		if len(taps) > 0 {
			convolve(block, line, taps)
		}
		if fades {
			fadeIn(block, line, old, at, len(x))
		}
		copy(f.line[firBlock:], line[:f.past])
	}
}

// convolve filters a block, four samples at a time, each summed in the order of the taps.
func convolve(block, line, taps []float32) {
	i := 0
	for ; i+4 <= len(block); i += 4 {
		x := line[len(block)-4-i:][:len(taps)+3]
		var a, b, c, d float32
		for k, h := range taps {
			x := x[k : k+4 : k+4]
			d += h * x[0]
			c += h * x[1]
			b += h * x[2]
			a += h * x[3]
		}
		block[i], block[i+1], block[i+2], block[i+3] = a, b, c, d
	}
	for ; i < len(block); i++ {
		block[i] = filtered(line[len(block)-1-i:], taps)
	}
}

// filtered is one sample: x begins with it, and what was before follows.
func filtered(x, taps []float32) (sum float32) {
	for k, h := range taps {
		sum += h * x[k]
	}
	return sum
}

// fadeIn mixes a block that the new taps have filtered with what the old ones make of it: the samples from at of a fade over n. The
// two are alike, so the gains add up to 1.
func fadeIn(block, line, old []float32, at, n int) {
	for i, v := range block {
		before := line[len(block)-1-i]
		if len(old) > 0 {
			before = filtered(line[len(block)-1-i:], old)
		}
		share := float32(0.5 + 0.5*math.Cos(math.Pi*(float64(at+i)+0.5)/float64(n)))
		block[i] = v + share*(before-v)
	}
}

// Succeed goes on where another filter for as many taps is, as if this one had heard its signal.
func (f *FIR) Succeed(before *FIR) {
	if f.past != before.past {
		panic("dsp: length mismatch")
	}
	f.taps, f.heard = before.taps, before.heard
	copy(f.line[firBlock:], before.line[firBlock:])
}

// Reset forgets the past signal: the next taps begin at once.
func (f *FIR) Reset() {
	clear(f.line)
	f.heard = false
}
