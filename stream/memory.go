package stream

import "unsafe"

// RingMemory is where a Ring keeps its frames and counters: for a device callback that is not Go
// and so cannot wait for a processor as Go code must. Whoever uses it follows Ring's own Write or
// Read, with sequentially consistent loads and stores, instead of the method; it keeps the Ring
// alive and, for C, pinned: Pin lists what.
type RingMemory struct {
	Words          *uint32 // bits of float32, Mask + 1 of them
	Mask, Capacity uint64

	Claim, Head, Gap, Version, Tail, Dropped, Want *uint64

	Origin *int64
	Closed *uint32
	Pin    []any
}

func (r *Ring) memory() RingMemory {
	return RingMemory{
		Words: (*uint32)(unsafe.Pointer(&r.words[0])), Mask: r.mask, Capacity: r.capacity,
		Claim: (*uint64)(unsafe.Pointer(&r.claim)), Head: (*uint64)(unsafe.Pointer(&r.head)),
		Gap: (*uint64)(unsafe.Pointer(&r.gap)), Version: (*uint64)(unsafe.Pointer(&r.version)),
		Tail: (*uint64)(unsafe.Pointer(&r.tail)), Dropped: (*uint64)(unsafe.Pointer(&r.dropped)),
		Want: (*uint64)(unsafe.Pointer(&r.want)), Origin: (*int64)(unsafe.Pointer(&r.origin)),
		Closed: (*uint32)(unsafe.Pointer(&r.closed)), Pin: []any{r, &r.words[0]},
	}
}

// CaptureMemory is a RingSource's memory: what Capture and MarkGap touch.
type CaptureMemory struct {
	Ring   RingMemory
	Booked *uint64 // the ledger's frames in
	Gaps   *uint64
	Pin    []any
}

// Memory lets C stand in for Capture and MarkGap. Where Capture would wake the reader, C has
// someone call Wake.
func (s *RingSource) Memory() CaptureMemory {
	return CaptureMemory{
		Ring: s.ring.memory(), Booked: (*uint64)(unsafe.Pointer(&s.ledger.in)),
		Gaps: (*uint64)(unsafe.Pointer(&s.gaps)), Pin: []any{s, s.ledger},
	}
}

// Wake wakes a reader that waits for a chunk; it looks for itself whether there is one.
func (s *RingSource) Wake() { s.ring.wake() }

// PlayoutMemory is a Playout's memory: what Play touches.
type PlayoutMemory struct {
	Ring               RingMemory
	Target             *int64
	Playing, Draining  *uint32
	Underruns, Silence *uint64
	Pin                []any
}

// Memory lets C stand in for Play.
func (p *Playout) Memory() PlayoutMemory {
	return PlayoutMemory{
		Ring: p.ring.memory(), Target: (*int64)(unsafe.Pointer(&p.target)),
		Playing: (*uint32)(unsafe.Pointer(&p.playing)), Draining: (*uint32)(unsafe.Pointer(&p.draining)),
		Underruns: (*uint64)(unsafe.Pointer(&p.underruns)), Silence: (*uint64)(unsafe.Pointer(&p.silence)),
		Pin: []any{p},
	}
}
