package stream

import (
	"context"
	"fmt"
	"time"

	"github.com/autovoiced/autovoiced/dsp"
)

// outlet is the last goroutine of a pipeline: it drops the stages' latency at the start and the
// padding at the end, so that output frame n stands for the input at time n/rate, brings the
// signal to the sink's rate, delivers it, and books and measures the chunk.
type outlet struct {
	p        *Pipeline
	sink     Sink
	rate     int // the sink's
	resample *dsp.Resampler
	scratch  []float32

	skip    int    // frames of latency still to drop, at the stages' output rate
	written uint64 // frames delivered, at the sink's rate
	frames  int    // input frames of chunks that were all latency, carried to the next
	broken  bool   // the same for Discontinuous
	total   uint64
	ended   bool
	books   bool // the sink does not
}

func newOutlet(p *Pipeline) *outlet {
	o := &outlet{p: p, sink: p.opt.Sink, rate: p.opt.Sink.Rate(), books: true}
	if a, ok := o.sink.(Accountant); ok {
		o.books = a.Ledger() == nil
	}
	if o.rate != p.opt.OutRate {
		o.resample = dsp.NewResampler(p.opt.OutRate, o.rate)
	}
	o.skip = TimeToFrames(p.latency, p.opt.OutRate)
	return o
}

// lookahead is how long the output resampler waits for its future.
func (o *outlet) lookahead() time.Duration {
	if o.resample == nil {
		return 0
	}
	return o.resample.Latency()
}

// run delivers chunks until the last stage closes its queue, then drains the sink.
func (o *outlet) run(ctx context.Context, in <-chan *Chunk) error {
	for c := range in {
		if ctx.Err() != nil {
			return nil
		}
		if err := o.take(ctx, c); err != nil {
			return err
		}
	}
	return o.finish(ctx)
}

// take delivers one chunk and returns it to the pool.
func (o *outlet) take(ctx context.Context, c *Chunk) error {
	c.marks.take = o.p.clock.Now()
	if c.Rate != o.p.opt.OutRate {
		return fmt.Errorf("last stage gave a chunk at %d Hz, expected %d Hz", c.Rate, o.p.opt.OutRate)
	}
	if err := o.deliver(ctx, c, o.books); err != nil {
		return fmt.Errorf("sink: %w", err)
	}
	o.p.give(c)
	return nil
}

// finish drains the sink, when all has been delivered.
func (o *outlet) finish(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	if o.ended && o.written != o.total {
		return fmt.Errorf("sink: %d frames delivered, expected %d: a stage gave fewer frames than its rate says", o.written, o.total)
	}
	o.p.ledger.Out(o.frames)
	if err := o.sink.Drain(ctx); err != nil {
		return fmt.Errorf("sink: drain: %w", err)
	}
	return nil
}

func (o *outlet) deliver(ctx context.Context, c *Chunk, books bool) error {
	length := FramesToTime(uint64(o.p.opt.Hop), o.p.opt.InRate)
	audible, m := !c.flush, &c.marks
	o.ended, o.total = c.ended, c.total
	o.trim(c)
	o.frames += c.Frames
	o.broken = o.broken || c.Discontinuous
	if len(c.Samples) > 0 {
		c.Frames, c.Discontinuous = o.frames, o.broken
		o.frames, o.broken = 0, false
		_, rms, peak := inspect(c.Samples)
		o.p.stats.out.update(rms, peak, c.Duration())
		o.p.opt.Tap.hear(c.Samples)
		if err := o.sink.Write(ctx, c); err != nil {
			return err
		}
		o.written += uint64(len(c.Samples))
		if books {
			o.p.ledger.Out(c.Frames)
		}
	}
	m.delivered = o.p.clock.Now()
	if audible {
		o.p.stats.record(m, length)
		o.p.profiler.observe(m)
	}
	return nil
}

// trim cuts off what is no output, resamples, and says in Pos and Captured what is left.
func (o *outlet) trim(c *Chunk) {
	hop := FramesToTime(c.Pos, o.p.opt.InRate) // stream time of the chunk's input
	n := min(o.skip, len(c.Samples))
	o.skip -= n
	if n > 0 {
		c.Samples = c.Samples[:copy(c.Samples, c.Samples[n:])]
	}
	if o.resample != nil {
		o.scratch = o.resample.Append(o.scratch[:0], c.Samples)
		c.Samples = append(c.Samples[:0], o.scratch...)
		c.Rate = o.rate
	}
	if c.ended {
		c.Samples = c.Samples[:min(uint64(len(c.Samples)), c.total-o.written)]
	}
	c.Pos = o.written
	c.Captured += FramesToTime(o.written, o.rate) - hop
}
