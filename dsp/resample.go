package dsp

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"time"

	"gonum.org/v1/gonum/blas/gonum"
)

// MinRate and MaxRate bound the rates, in Hz, that a Resampler takes.
const (
	MinRate = 8000
	MaxRate = 192000
)

// MaxDrift is how far SetRatio moves from the nominal ratio, as a fraction.
const MaxDrift = 0.005

// Resampler changes the rate of a stream by a linear-phase polyphase filter: flat within 0.1 dB up to
// 0.9 of the lower Nyquist frequency, 90 dB down from that Nyquist frequency on, so nothing audible
// folds back. The ratio can be moved while it runs, to follow a clock.
//
// Output frame n stands for the input at time n·in/out exactly, the first for the first: there is no
// delay in the signal. The delay is in the waiting: a frame is written once Lookahead more input
// frames are there, so the first calls write less, and Flush writes the rest. A stream of n frames
// becomes ceil(n·out/in). The output does not depend on how the input is cut.
//
// The delay is 39 frames of the lower rate, rounded up to whole input frames:
//
//	lower rate  8     16     22.05  24     32     40     44.1   48 kHz
//	delay       4.88  2.44   1.77   1.63   1.22   0.98   0.88   0.81 ms
//
// The filter is the nominal ratio's; moving the ratio does not move its edges.
//
// A Resampler is for one goroutine and allocates nothing after NewResampler.
type Resampler struct {
	in, out int
	filter  *sincFilter

	// Time between input frames is counted in units: one input frame is one units, an output frame
	// nominally nominal units, now step units. All ratios of whole rates are exact.
	one, nominal, step uint64
	ratio              float64
	toRow              float64 // units → row

	buf   []float32
	fill  int    // frames in buf
	start int    // frame in buf that meets the first weight of the next output
	phase uint64 // units after the input frame that the next output follows
}

// NewResampler plans the way from in to out, both in Hz from MinRate to MaxRate. Equal rates are
// allowed: the ratio can then be moved around 1.
func NewResampler(in, out int) *Resampler { return newResampler(shortSinc, in, out) }

// NewFineResampler plans the same for what has time, such as a file: flat within 0.0001 dB up to 0.93 of the lower Nyquist
// frequency and 115 dB down from there on, for three times the work and 128 frames of the lower rate of delay.
func NewFineResampler(in, out int) *Resampler { return newResampler(fineSinc, in, out) }

func newResampler(p prototype, in, out int) *Resampler {
	if in < MinRate || in > MaxRate || out < MinRate || out > MaxRate {
		panic(fmt.Sprintf("dsp: resampling %d to %d Hz: rates must be from %d to %d", in, out, MinRate, MaxRate))
	}
	g := gcd(in, out)
	phases := uint64(out / g)
	shift := 40 - bits.Len64(phases)
	r := &Resampler{
		in: in, out: out,
		filter:  sincFilters.get(sincKey{p.half, in, out}, func() *sincFilter { return newSincFilter(p, in, out, out/g) }),
		one:     phases << shift,
		nominal: uint64(in/g) << shift,
	}
	r.toRow = float64(r.filter.rows) / float64(r.one)
	r.buf = make([]float32, 4*r.filter.taps+1024)
	r.SetRatio(1)
	r.Reset()
	return r
}

// InRate is the input's rate in Hz.
func (r *Resampler) InRate() int { return r.in }

// OutRate is the output's nominal rate in Hz.
func (r *Resampler) OutRate() int { return r.out }

// Lookahead is the delay in input frames, exact: how many frames must follow one for it to be written.
func (r *Resampler) Lookahead() int { return r.filter.ahead }

// Latency is Lookahead as time: half the filter's length.
func (r *Resampler) Latency() time.Duration { return Samples(r.filter.ahead, r.in) }

// ResamplerLatency is the Latency of a Resampler from in to out, without planning one: a plan takes
// milliseconds.
func ResamplerLatency(in, out int) time.Duration { return Samples(shortSinc.ahead(in, out), in) }

// SetRatio makes ratio times as many output frames per input frame as the rates say, from the next
// frame on, without a step in the signal; it is held within 1 ± MaxDrift. Use it for clocks that
// differ: 1.0001 stretches the stream by 100 ppm. A ratio that is no number panics.
func (r *Resampler) SetRatio(ratio float64) {
	if math.IsNaN(ratio) {
		panic("dsp: resampling ratio is not a number")
	}
	r.ratio = min(max(ratio, 1-MaxDrift), 1+MaxDrift)
	r.step = r.nominal
	if r.ratio != 1 {
		r.step = uint64(math.Round(float64(r.nominal) / r.ratio))
	}
}

// SetRatioPPM is SetRatio(1 + ppm/1e6).
func (r *Resampler) SetRatioPPM(ppm float64) { r.SetRatio(1 + ppm*1e-6) }

// Ratio is the ratio in force, 1 at first.
func (r *Resampler) Ratio() float64 { return r.ratio }

// MaxOut is the most frames that Process can write for n input frames, at any ratio and state.
func (r *Resampler) MaxOut(n int) int {
	return int(float64(n)*float64(r.out)/float64(r.in)*(1+2*MaxDrift)) + 2
}

// Out is exactly how many frames Process writes for the next n input frames at the present ratio.
func (r *Resampler) Out(n int) int { return r.count(r.fill + n - r.filter.taps) }

// Pending is exactly how many frames Flush writes now.
func (r *Resampler) Pending() int { return r.count(r.fill - r.filter.taps + r.filter.ahead) }

// count is how many outputs, from the next one on, start at or before frame last of buf.
func (r *Resampler) count(last int) int {
	if last < r.start {
		return 0
	}
	hi, lo := bits.Mul64(uint64(last+1-r.start), r.one)
	lo, borrow := bits.Sub64(lo, r.phase, 0)
	lo, carry := bits.Add64(lo, r.step-1, 0)
	n, _ := bits.Div64(hi-borrow+carry, lo, r.step)
	return int(n)
}

// Append takes src and appends what is complete to dst, which it grows when it must; the two must not
// share memory.
func (r *Resampler) Append(dst, src []float32) []float32 {
	at := len(dst)
	dst = slices.Grow(dst, r.MaxOut(len(src)))[:at+r.Out(len(src))]
	r.Process(dst[at:], src)
	return dst
}

// Process takes src and writes what is complete to dst, which must hold MaxOut(len(src)) or Out(len(src))
// frames. It returns how many it wrote.
func (r *Resampler) Process(dst, src []float32) int {
	if len(dst) < r.Out(len(src)) {
		panic("dsp: length mismatch: resampler's dst is below Out(len(src))")
	}
	written := 0
	for len(src) > 0 {
		n := r.push(src)
		src = src[n:]
		written += r.pull(dst[written:], r.fill-r.filter.taps)
	}
	return written
}

// Flush writes the rest of the stream to dst, as if silence followed, and resets the resampler for a
// new stream. dst must hold Pending frames; MaxOut(Lookahead()) always suffices.
func (r *Resampler) Flush(dst []float32) int {
	if len(dst) < r.Pending() {
		panic("dsp: length mismatch: resampler's dst is below Pending()")
	}
	written := 0
	for left := r.filter.ahead; left > 0; {
		left -= r.push(silence[:min(left, len(silence))])
		written += r.pull(dst[written:], r.fill-r.filter.taps)
	}
	r.Reset()
	return written
}

// Resampled is a whole signal at another rate; the signal itself where the rates are one.
func Resampled(x []float32, in, out int) []float32 {
	if in == out {
		return x
	}
	r := NewResampler(in, out)
	y := r.Append(nil, x)
	rest := make([]float32, r.Pending())
	return append(y, rest[:r.Flush(rest)]...)
}

// silence is what follows a stream.
var silence [256]float32

// Reset forgets the stream. The ratio stays.
func (r *Resampler) Reset() {
	clear(r.buf)
	r.fill = r.filter.taps - r.filter.ahead - 1
	r.start, r.phase = 0, 0
}

// push appends as much of src as fits, at least one frame, and returns how much.
func (r *Resampler) push(src []float32) int {
	if r.fill == len(r.buf) {
		r.fill = copy(r.buf, r.buf[r.start:])
		r.start = 0
	}
	n := copy(r.buf[r.fill:], src)
	r.fill += n
	return n
}

// pull writes every output that starts at or before frame last of buf.
func (r *Resampler) pull(dst []float32, last int) int {
	n := r.count(last)
	r.start, r.phase = r.filtered(dst[:n], r.buf, r.start, r.phase)
	return n
}

// filtered fills dst with the outputs from one on, which meets the first weight at frame start of buf, and says where the next is.
func (r *Resampler) filtered(dst, buf []float32, start int, phase uint64) (int, uint64) {
	var blas gonum.Implementation
	taps, whole, rest := r.filter.taps, int(r.step/r.one), r.step%r.one
	for n := range dst {
		x := buf[start : start+taps]
		at := float64(phase) * r.toRow
		row := int(at)
		w := r.filter.weights[row*taps:]
		// The weights come second: the assembly behind Sdot starts by its second argument's
		// alignment, and only the rows of weights are aligned alike for every cut of the input.
		y := blas.Sdot(taps, x, 1, w, 1)
		if part := float32(at - float64(row)); part != 0 {
			y += part * (blas.Sdot(taps, x, 1, w[taps:], 1) - y)
		}
		dst[n] = y
		start += whole
		if phase += rest; phase >= r.one {
			phase -= r.one
			start++
		}
	}
	return start, phase
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
