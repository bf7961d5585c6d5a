package stream

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// RingSource is the live capture edge: a device callback (or a socket's reader) puts frames into
// a Ring, the pipeline takes chunks out. When the pipeline is too slow the oldest frames are lost,
// booked as CaptureOverrun, and the next chunk is discontinuous. It books in its own Ledger,
// frames in at the moment of their capture.
type RingSource struct {
	ring   *Ring
	chunk  int
	ledger *Ledger
	why    DropReason
	gaps   atomic.Uint64
	want   int // frames of the next Read; the reader's own
}

// NewRingSource returns a source of chunks of chunk frames at rate, behind a ring of capacity
// frames. ledger may be nil: then it has one of its own, which a Pipeline takes over.
func NewRingSource(rate, capacity, chunk int, ledger *Ledger) *RingSource {
	if chunk < 1 || chunk > capacity {
		panic(fmt.Sprintf("stream: chunks of %d frames from a ring of %d", chunk, capacity))
	}
	if ledger == nil {
		ledger = new(Ledger)
	}
	return &RingSource{ring: NewRing(rate, capacity), chunk: chunk, ledger: ledger, why: CaptureOverrun, want: chunk}
}

// Capture takes up frames whose first was captured at the moment at, on the pipeline's Clock. It
// never waits or allocates and keeps no reference to x: a device callback may call it, one at a
// time. After Close it does nothing.
func (s *RingSource) Capture(x []float32, at time.Duration) {
	if s.ring.Closed() {
		return
	}
	s.ledger.In(len(x)) // before the reader can see them
	s.ring.Write(x, at)
}

// MarkGap says that the device lost frames before the next Capture (its overrun flag, or a
// reconnection). The caller of Capture calls it.
func (s *RingSource) MarkGap() {
	s.gaps.Add(1)
	s.ring.MarkGap()
}

// Rate implements Source.
func (s *RingSource) Rate() int { return s.ring.Rate() }

// Ledger implements Accountant.
func (s *RingSource) Ledger() *Ledger { return s.ledger }

// Want implements Wanter.
func (s *RingSource) Want(frames int) { s.want = max(1, min(frames, s.ring.Cap())) }

// Read implements Source.
func (s *RingSource) Read(ctx context.Context, c *Chunk) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		closed := s.ring.Closed() // before Len: what was written before Close is not missed
		held := s.ring.Len()
		if held >= s.want || closed && held > 0 {
			break
		}
		if closed {
			return io.EOF
		}
		select {
		case <-s.ring.Wait(s.want):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if cap(c.Samples) < s.want {
		c.Samples = make([]float32, s.want)
	}
	n, lost, at, gap := s.ring.Read(c.Samples[:s.want])
	if lost > 0 {
		s.ledger.Drop(s.why, int(lost))
	}
	c.Samples, c.Rate, c.Frames = c.Samples[:n], s.Rate(), n
	c.Captured, c.Discontinuous = at, gap || lost > 0
	return nil
}

// Close ends the stream after what is held. Stop the device first: what is captured while Close
// runs may be left in the ring, and in flight.
func (s *RingSource) Close() error {
	s.ring.Close()
	return nil
}

// Edge implements EdgeReporter.
func (s *RingSource) Edge() EdgeSnapshot {
	a := s.ring.Account()
	return EdgeSnapshot{
		Rate: s.Rate(), Queued: int(a.Held), Capacity: s.ring.Cap(), Lost: a.Dropped, Gaps: s.gaps.Load(),
	}
}
