package stream

import (
	"fmt"
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// Ring carries mono frames over a live edge from one writer to one reader. When it is full the
// oldest frames are lost, because new speech matters more than old. The writer never waits and
// never touches the reader's index, so a device callback may be either side.
//
// How it works: head counts the frames ever written, tail the frames the reader has passed
// (read or found lost). Only frames in [head-capacity, head) are promised; the storage is at
// least twice the capacity, so a reader that is copying promised frames is overtaken only if the
// writer gets a whole capacity further meanwhile. The writer announces how far it is about to
// write (claim) before it writes; the reader copies first and then looks at claim, and throws the
// copy away if the words under it may have changed. Words are atomic, so even the copy that is
// thrown away is no data race. At any moment written = read + dropped + held.
type Ring struct {
	rate     int
	capacity uint64
	mask     uint64
	words    []atomic.Uint32
	ready    chan struct{}

	_      [64]byte // the two sides' counters live on lines of their own
	claim  atomic.Uint64
	head   atomic.Uint64
	origin atomic.Int64  // ns: when frame 0 would have been captured, by the newest time stamp
	gap    atomic.Uint64 // 1 + index of the first frame after the newest gap; 0 = none
	closed atomic.Bool

	_       [64]byte
	version atomic.Uint64 // odd while tail and dropped change
	tail    atomic.Uint64
	dropped atomic.Uint64
	want    atomic.Uint64 // head at which the reader asks to be woken
	gapSeen uint64        // reader's own
}

// RingAccount is where the frames of a Ring are: Written = Read + Dropped + Held.
type RingAccount struct {
	Written, Read, Dropped, Held uint64
}

// NewRing returns a ring that holds capacity frames of a signal at rate.
func NewRing(rate, capacity int) *Ring {
	if rate <= 0 || capacity <= 0 || capacity > 1<<28 {
		panic(fmt.Sprintf("stream: ring of %d frames at %d Hz", capacity, rate))
	}
	size := uint64(1) << bits.Len64(uint64(2*capacity-1))
	return &Ring{
		rate: rate, capacity: uint64(capacity), mask: size - 1,
		words: make([]atomic.Uint32, size), ready: make(chan struct{}, 1),
	}
}

// Rate is the frames per second of the signal in the ring.
func (r *Ring) Rate() int { return r.rate }

// Cap is how many frames the ring holds before it loses the oldest.
func (r *Ring) Cap() int { return int(r.capacity) }

// Len is how many frames wait for the reader. Any goroutine may ask.
func (r *Ring) Len() int {
	tail := r.tail.Load() // before head, which only grows: never negative
	return int(min(r.head.Load()-tail, r.capacity))
}

// Write appends src, whose first frame was captured at the moment at. It never waits; only one
// goroutine or callback writes. It keeps no reference to src.
func (r *Ring) Write(src []float32, at time.Duration) {
	h := r.head.Load()
	r.origin.Store(int64(at - FramesToTime(h, r.rate)))
	for len(src) > 0 {
		n := min(uint64(len(src)), r.capacity)
		r.claim.Store(h + n)
		for i, s := range src[:n] {
			r.words[(h+uint64(i))&r.mask].Store(math.Float32bits(s))
		}
		h += n
		r.head.Store(h)
		src = src[n:]
	}
	if want := r.want.Load(); want != 0 && h >= want {
		r.wake()
	}
}

// MarkGap says that the device lost frames just before the next Write (an overrun flag): the
// chunk that takes them up is discontinuous. The writer calls it.
func (r *Ring) MarkGap() { r.gap.Store(r.head.Load() + 1) }

// Close says that nothing more will be written. What is held can still be read.
func (r *Ring) Close() {
	r.closed.Store(true)
	r.wake()
}

// Closed reports whether Close was called.
func (r *Ring) Closed() bool { return r.closed.Load() }

func (r *Ring) wake() {
	select {
	case r.ready <- struct{}{}:
	default:
	}
}

// Wait returns a channel that receives when n frames are held or the ring is closed; spurious
// tokens are possible, so ask Len again. Only the reader waits.
func (r *Ring) Wait(n int) <-chan struct{} {
	r.want.Store(r.tail.Load() + uint64(n))
	if r.Len() >= n || r.closed.Load() { // written since: the writer may have missed the wish
		r.wake()
	}
	return r.ready
}

// Read moves up to len(dst) of the oldest held frames into dst, and says how many, how many
// frames were lost just before the first of them, when that first one was captured, and whether
// the writer marked a gap before or within them. It never waits; only one goroutine or callback
// reads.
func (r *Ring) Read(dst []float32) (n int, lost uint64, at time.Duration, gap bool) {
	start := r.tail.Load()
	t := start
	for {
		head := r.head.Load()
		if head-t > r.capacity {
			t = head - r.capacity
		}
		n = int(min(head-t, uint64(len(dst))))
		for i := range dst[:n] {
			dst[i] = math.Float32frombits(r.words[(t+uint64(i))&r.mask].Load())
		}
		if claim := r.claim.Load(); claim-t <= uint64(len(r.words)) {
			break
		}
		t = r.claim.Load() - r.capacity // overtaken while copying: start again
	}
	lost = t - start
	r.pass(t+uint64(n), lost)
	if n > 0 {
		if g := r.gap.Load(); g > r.gapSeen && g <= t+uint64(n) {
			r.gapSeen, gap = g, true
		}
	}
	return n, lost, time.Duration(r.origin.Load()) + FramesToTime(t, r.rate), gap
}

// Discard passes over everything held, counted as dropped, and says how many frames that was.
// Only the reader discards.
func (r *Ring) Discard() uint64 {
	head, tail := r.head.Load(), r.tail.Load()
	r.pass(head, head-tail)
	return head - tail
}

func (r *Ring) pass(tail, lost uint64) {
	r.version.Add(1)
	r.tail.Store(tail)
	r.dropped.Store(r.dropped.Load() + lost)
	r.version.Add(1)
}

// Account is a consistent count, also while both sides are busy. It delays neither side.
func (r *Ring) Account() RingAccount {
	for {
		v := r.version.Load()
		tail, dropped, head := r.tail.Load(), r.dropped.Load(), r.head.Load()
		if v&1 != 0 || r.version.Load() != v {
			continue
		}
		a := RingAccount{Written: head, Read: tail - dropped, Dropped: dropped, Held: head - tail}
		if a.Held > r.capacity { // lapped, though the reader has not noticed yet
			a.Dropped += a.Held - r.capacity
			a.Held = r.capacity
		}
		return a
	}
}
