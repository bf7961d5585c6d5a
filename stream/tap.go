package stream

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Tap lets what a pipeline delivers be kept beside its sink. While nobody listens it costs one load a chunk; while
// somebody does, one copy into a ring: a slow listener loses the oldest and delays nobody. The zero Tap is ready.
type Tap struct{ ring atomic.Pointer[Ring] }

// tapTime is how far a listener may fall behind before it loses audio, and tapEvery how much it takes at a time.
const (
	tapTime  = 4 * time.Second
	tapEvery = 100 * time.Millisecond
)

// hear is called by the goroutine that delivers.
func (t *Tap) hear(samples []float32) {
	if t == nil {
		return
	}
	if r := t.ring.Load(); r != nil {
		r.Write(samples, 0)
	}
}

// Listen writes all that passes from now on, at the rate of the pipeline's sink, to a sink of that rate, until ctx ends,
// and says how many frames it was too slow for. One may listen at a time. It drains the sink and leaves it open. begun, which
// may be nil, is called when nothing is missed any more.
func (t *Tap) Listen(ctx context.Context, to Sink, begun func()) (lost uint64, err error) {
	rate := to.Rate()
	ring := NewRing(rate, TimeToFrames(tapTime, rate))
	if !t.ring.CompareAndSwap(nil, ring) {
		return 0, errors.New("somebody listens already")
	}
	defer t.ring.Store(nil)
	if begun != nil {
		begun()
	}
	c := Chunk{Samples: make([]float32, TimeToFrames(tapEvery, rate)), Rate: rate}
	whole := len(c.Samples)
	take := func() error {
		for ring.Len() > 0 {
			n, gone, _, _ := ring.Read(c.Samples[:whole])
			lost += gone
			c.Samples, c.Frames = c.Samples[:n], n
			if err := to.Write(context.WithoutCancel(ctx), &c); err != nil {
				return err
			}
		}
		return nil
	}
	for {
		select {
		case <-ring.Wait(whole):
			if err := take(); err != nil {
				return lost, err
			}
		case <-ctx.Done():
			err := errors.Join(take(), to.Drain(context.WithoutCancel(ctx)))
			return lost, err
		}
	}
}
