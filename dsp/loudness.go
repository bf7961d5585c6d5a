package dsp

import (
	"math"
	"sync/atomic"
)

const (
	loudnessBlocks    = 300 // of 10 ms: what short-term loudness covers
	loudnessMomentary = 40
)

// Loudness measures how loud a mono stream sounds, after ITU-R BS.1770-5: the K-weighted level over
// the last 400 ms (momentary) and 3 s (short-term), in LUFS. A 997 Hz sine at full scale is
// −3.01 LUFS. A stream that is younger than the window is measured as if silence came before it.
//
// The standard gives its two filters as coefficients for 48 kHz; they are derived again here for
// other rates from the analogue prototypes behind those numbers. One goroutine processes; any may
// read.
type Loudness struct {
	shelf, highpass Biquad
	scratch         []float32
	energy          [loudnessBlocks]float64 // per 10 ms, oldest at next
	next            int
	sum             float64 // of the block being filled
	filled, block   int
	shown           atomic.Uint64 // momentary and short-term as float32 bits
}

// NewLoudness measures a stream of rate samples a second.
func NewLoudness(rate int) *Loudness {
	if rate < 8000 {
		panic("dsp: loudness needs a rate of 8000 Hz or more")
	}
	l := &Loudness{shelf: kShelf(float64(rate)), highpass: kHighPass(float64(rate)), block: rate / 100}
	l.scratch = make([]float32, l.block)
	l.show()
	return l
}

// kShelf is the first filter of the K weighting, the effect of the head. Its shelf is not the
// cookbook's: the gain half-way up is a little below half.
func kShelf(rate float64) Biquad {
	const corner, gain, q = 1681.974450955533, 3.999843853973347, 0.7071752369554196
	k := math.Tan(math.Pi * corner / rate)
	high := Amplitude(gain)
	band := math.Pow(high, 0.4996667741545416)
	return normalised(high+band*k/q+k*k, 2*(k*k-high), high-band*k/q+k*k, 1+k/q+k*k, 2*(k*k-1), 1-k/q+k*k)
}

// kHighPass is the second filter. The standard leaves its numerator at 1, −2, 1.
func kHighPass(rate float64) Biquad {
	const corner, q = 38.13547087602444, 0.5003270373238773
	k := math.Tan(math.Pi * corner / rate)
	f := normalised(1, -2, 1, 1+k/q+k*k, 2*(k*k-1), 1-k/q+k*k)
	f.b0, f.b1, f.b2 = 1, -2, 1
	return f
}

// Process takes the next samples and leaves them as they are.
func (l *Loudness) Process(x []float32) {
	for len(x) > 0 {
		n := min(len(x), l.block-l.filled)
		y := l.scratch[:n]
		copy(y, x)
		l.shelf.Process(y)
		l.highpass.Process(y)
		for _, v := range y {
			l.sum += float64(v) * float64(v)
		}
		if l.filled += n; l.filled == l.block {
			l.energy[l.next] = l.sum
			l.next = (l.next + 1) % loudnessBlocks
			l.sum, l.filled = 0, 0
			l.show()
		}
		x = x[n:]
	}
}

func (l *Loudness) show() {
	var momentary, short float64
	for i := range loudnessBlocks {
		e := l.energy[(l.next+loudnessBlocks-1-i)%loudnessBlocks]
		short += e
		if i < loudnessMomentary {
			momentary += e
		}
	}
	lufs := func(energy float64, blocks int) uint64 {
		db := -0.691 + 10*math.Log10(energy/float64(blocks*l.block)+1e-30)
		return uint64(math.Float32bits(float32(max(Silent, db))))
	}
	l.shown.Store(lufs(momentary, loudnessMomentary)<<32 | lufs(short, loudnessBlocks))
}

// Read is the loudness in LUFS at the end of the last whole 10 ms; Silent when there is none. Any
// goroutine may call it.
func (l *Loudness) Read() (momentary, shortTerm float64) {
	s := l.shown.Load()
	return float64(math.Float32frombits(uint32(s >> 32))), float64(math.Float32frombits(uint32(s)))
}

// Reset forgets the past signal.
func (l *Loudness) Reset() {
	l.shelf.Reset()
	l.highpass.Reset()
	l.energy = [loudnessBlocks]float64{}
	l.sum, l.filled = 0, 0
	l.show()
}
