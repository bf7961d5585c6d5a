package stream

import (
	"sync/atomic"

	"github.com/autovoiced/autovoiced/dsp"
)

const (
	catchUpPatience = 5     // chunks over target in a row, before anything is done
	catchUpGrace    = 50    // the same for a quarter of a chunk, which waits for silence
	catchUpSilence  = 0.003 // peak, -50 dBFS: what is dropped without a joint
)

// catchUp takes time out of the signal when playout lags by more than a chunk over its target:
// silence is dropped, anything else is shortened by whole periods where it has them. It goes on
// until the target is reached. To have two chunks to cut from it holds one back meanwhile, which
// a ring that is too full can spare.
type catchUp struct {
	chunk   int // frames that make "one chunk" of lag
	over    int // chunks in a row that found too much
	above   int // the same for a quarter of a chunk
	active  bool
	piled   int // frames dropped in the present silence
	least   int
	most    int
	shorten *dsp.Shortener
	held    []float32

	times, frames atomic.Uint64
}

func newCatchUp(rate, chunk int) *catchUp {
	k := &catchUp{
		chunk: chunk, least: max(1, rate/400), most: max(1, rate/100),
		shorten: dsp.NewShortener(max(1, rate/200)),
	}
	k.held = make([]float32, 0, k.shorten.Need(k.most)+2*chunk)
	return k
}

// step takes x and how many frames playout will hold above target once x is written, and returns
// what to write (valid until the next step) and how many frames it took out. While playout is
// silent, after an underrun, what a stall has piled up is dropped at once: the gap is there already,
// and what is over the target would stay as delay.
func (k *catchUp) step(x []float32, excess int, silent bool) (out []float32, dropped int) {
	if silent && excess > k.chunk/4 {
		dropped = min(len(x), excess)
		if k.piled <= k.chunk && k.piled+dropped > k.chunk { // less is the start's fine adjustment
			bump(&k.times, 1)
		}
		k.piled += dropped
		k.active, k.over = false, 0
		bump(&k.frames, uint64(dropped))
		return k.flush(x[dropped:]), dropped
	}
	if !silent {
		k.piled = 0
	}
	if !k.active {
		if k.linger(excess) && silence(x) {
			dropped = min(len(x), excess)
			bump(&k.frames, uint64(dropped))
			return x[dropped:], dropped
		}
		if excess <= k.chunk {
			k.over = 0
			return x, 0
		}
		if k.over++; k.over < catchUpPatience {
			return x, 0
		}
		k.active, k.over = true, 0
		bump(&k.times, 1)
	}
	defer func() { bump(&k.frames, uint64(dropped)) }()

	if excess < k.least {
		k.active = false
		return k.flush(x), 0
	}
	if silence(x) {
		dropped = min(len(x), excess)
		return k.flush(x[dropped:]), dropped
	}
	k.held = append(k.held, x...)
	if len(k.held) < k.shorten.Need(k.most) {
		return nil, 0
	}
	n := k.shorten.Shorten(k.held, k.held, k.least, min(k.most, excess))
	dropped = len(k.held) - n
	out, k.held = k.held[:n], k.held[:0]
	return out, dropped
}

// linger says whether a part of a chunk has been too much for half a second: what a late first
// chunk leaves behind when playing begins. It waits for the next pause: nothing is held back for it.
func (k *catchUp) linger(excess int) bool {
	if excess <= k.chunk/4 {
		k.above = 0
		return false
	}
	k.above++
	return k.above > catchUpGrace
}

func silence(x []float32) bool {
	_, _, peak := inspect(x)
	return peak < catchUpSilence
}

// flush is what was held back followed by x.
func (k *catchUp) flush(x []float32) []float32 {
	if len(k.held) == 0 {
		return x
	}
	k.held = append(k.held, x...)
	out := k.held
	k.held = k.held[:0]
	return out
}
