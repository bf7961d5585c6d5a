package song

import "github.com/autovoiced/autovoiced/dsp"

// rail brings one channel of a signal from one rate to another. Sample n that comes out stands for the input at time n/rate,
// for any pair of rates, so signals that have come different ways still lie sample on sample.
type rail struct{ resample *dsp.Resampler } // nil: the rates are equal

func newRail(from, to int) rail {
	if from == to {
		return rail{}
	}
	return rail{dsp.NewFineResampler(from, to)}
}

func newRails(channels, from, to int) []rail {
	all := make([]rail, channels)
	for c := range all {
		all[c] = newRail(from, to)
	}
	return all
}

// carry appends what is complete of src to dst.
func (r rail) carry(dst, src []float32) []float32 {
	if r.resample == nil {
		return append(dst, src...)
	}
	return r.resample.AppendMany(dst, src)
}

// finish appends the rest, as if silence followed.
func (r rail) finish(dst []float32) []float32 {
	if r.resample == nil {
		return dst
	}
	at, n := len(dst), r.resample.Pending()
	dst = append(dst, make([]float32, n)...)
	r.resample.Flush(dst[at:])
	return dst
}

// carried is how many frames become of n, finish included.
func carried(n int64, from, to int) int64 { return (n*int64(to) + int64(from) - 1) / int64(from) }

// rounded is n frames at another rate, to the nearest.
func rounded(n int64, from, to int) int64 {
	return (2*n*int64(to) + int64(from)) / (2 * int64(from))
}

// queue holds frames of one channel that wait for their hop.
type queue struct {
	frames []float32
	at     int
}

func (q *queue) len() int { return len(q.frames) - q.at }

// tail is where the next frames are appended: q.set(f(q.tail())).
func (q *queue) tail() []float32 {
	if q.at > 0 && 2*q.at >= len(q.frames) {
		q.frames = q.frames[:copy(q.frames, q.frames[q.at:])]
		q.at = 0
	}
	return q.frames
}

func (q *queue) set(frames []float32) { q.frames = frames }

// peek is the next n frames, valid until the next tail.
func (q *queue) peek(n int) []float32 { return q.frames[q.at : q.at+n] }

func (q *queue) drop(n int) { q.at += n }

// take is peek and drop.
func (q *queue) take(n int) []float32 {
	x := q.peek(n)
	q.drop(n)
	return x
}

// down mixes the channels of a block to one.
func down(dst []float32, block [][]float32) []float32 {
	dst = append(dst[:0], block[0]...)
	if len(block) == 1 {
		return dst
	}
	for _, channel := range block[1:] {
		for i, v := range channel {
			dst[i] += v
		}
	}
	share := 1 / float32(len(block))
	for i := range dst {
		dst[i] *= share
	}
	return dst
}
