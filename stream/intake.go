package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/autovoiced/autovoiced/dsp"
)

// intake is the first goroutine of a pipeline: it reads the source, brings its signal to the
// stages' rate, cuts it into hops however the source cut it, and at the end pads it with silence
// until everything that the stages still hold has come out.
type intake struct {
	p        *Pipeline
	source   Source
	in       Chunk // what the source fills
	rate     int   // the source's
	resample *dsp.Resampler

	fifo    []float32 // at the stages' rate, waiting to make a hop
	frames  int       // input frames booked for what is in fifo and in the resampler
	broken  bool      // the next hop is discontinuous
	read    uint64    // source frames read
	sent    uint64    // frames sent at the stages' rate
	stampAt time.Duration
	stamp   uint64 // source frame captured at stampAt
	seq     uint64
	ended   bool   // the source has: what follows is padding
	total   uint64 // frames of output, once ended
}

func newIntake(p *Pipeline) *intake {
	k := &intake{p: p, source: p.opt.Source, rate: p.opt.Source.Rate()}
	if k.rate != p.opt.InRate {
		k.resample = dsp.NewResampler(k.rate, p.opt.InRate)
	}
	return k
}

// run feeds the first queue until the source ends, then flushes.
func (k *intake) run(ctx context.Context) error {
	books := true
	if a, ok := k.source.(Accountant); ok {
		books = a.Ledger() == nil
	}
	wanter, _ := k.source.(Wanter)
	for {
		if wanter != nil {
			wanter.Want(k.missing())
		}
		c := &k.in
		c.Samples, c.Rate, c.Frames, c.Discontinuous = c.Samples[:0], k.rate, 0, false
		c.Captured = k.p.clock.Now()
		err := k.source.Read(ctx, c)
		if errors.Is(err, io.EOF) {
			return k.flush(ctx)
		}
		if err != nil {
			return fmt.Errorf("source: %w", err)
		}
		if c.Rate != k.rate {
			return fmt.Errorf("source: chunk at %d Hz from a source of %d Hz", c.Rate, k.rate)
		}
		if books {
			k.p.ledger.In(c.Frames)
		}
		k.take(c)
		for len(k.fifo) >= k.p.opt.Hop {
			share := k.frames * k.p.opt.Hop / len(k.fifo)
			if err := k.send(ctx, share); err != nil {
				return err
			}
		}
	}
}

// missing is how many source frames complete the next hop.
func (k *intake) missing() int {
	lack := k.p.opt.Hop - len(k.fifo)
	if k.resample == nil {
		return lack
	}
	n := 0
	for out := 0; out < lack; out = k.resample.Out(n) {
		n += max(1, (lack-out)*k.rate/k.p.opt.InRate)
	}
	for n > 1 && k.resample.Out(n-1) >= lack {
		n--
	}
	return n
}

// take appends a source chunk to the fifo.
func (k *intake) take(c *Chunk) {
	bad, rms, peak := inspect(c.Samples)
	if bad > 0 {
		k.p.stats.badSamples.Add(uint64(bad))
	}
	k.p.stats.in.update(rms, peak, c.Duration())
	k.stampAt, k.stamp = c.Captured, k.read
	k.read += uint64(len(c.Samples))
	k.frames += c.Frames
	k.broken = k.broken || c.Discontinuous
	k.push(c.Samples)
}

func (k *intake) push(x []float32) {
	if k.resample == nil {
		k.fifo = append(k.fifo, x...)
		return
	}
	k.fifo = k.resample.Append(k.fifo, x)
}

// send cuts one hop off the fifo and sends it; it stands for that many input frames.
func (k *intake) send(ctx context.Context, frames int) error {
	c, err := k.p.take(ctx)
	if err != nil {
		return err
	}
	hop, rate := k.p.opt.Hop, k.p.opt.InRate
	c.Samples = append(c.Samples[:0], k.fifo[:hop]...)
	c.Dry = append(c.Dry[:0], c.Samples...)
	c.F0 = c.F0[:0]
	c.Rate, c.DryRate, c.Frames = rate, rate, frames
	c.Seq, c.Pos = k.seq, k.sent
	c.Discontinuous, k.broken = k.broken, false
	if c.Discontinuous {
		k.p.stats.discontinuities.Add(1)
	}
	c.flush, c.ended, c.total = k.ended && frames == 0, k.ended, k.total
	c.marks.read = k.p.clock.Now()
	c.Captured = min(k.captured(k.sent), c.marks.read)
	c.marks.captured = c.Captured

	k.fifo = k.fifo[:copy(k.fifo, k.fifo[hop:])]
	k.frames -= frames
	k.seq++
	k.sent += uint64(hop)
	return k.p.pass(ctx, c)
}

// captured is when the frame at pos, at the stages' rate, was captured: reckoned from the newest
// stamp of the source.
func (k *intake) captured(pos uint64) time.Duration {
	return k.stampAt + FramesToTime(pos, k.p.opt.InRate) - FramesToTime(k.stamp, k.rate)
}

// flush pads the last hop and sends silence until the output is complete: round(n·out/in) frames
// for n read.
func (k *intake) flush(ctx context.Context) error {
	in, out := k.p.opt.InRate, k.p.opt.Sink.Rate()
	k.ended, k.total = true, scaleRound(k.read, out, k.rate)
	if k.total == 0 {
		k.p.ledger.Out(k.frames)
		return nil
	}
	tail := k.p.latency + k.p.outlet.lookahead()
	need := scaleRound(k.total, in, out) + uint64(TimeToFrames(tail, in)) + 2
	silence := make([]float32, k.p.opt.Hop)
	for k.sent < need {
		for len(k.fifo) < k.p.opt.Hop {
			k.push(silence)
		}
		if err := k.send(ctx, k.frames); err != nil {
			return err
		}
	}
	return nil
}

// scaleRound is n·to/from, rounded to the nearest, halves up.
func scaleRound(n uint64, to, from int) uint64 {
	f := uint64(from)
	return n/f*uint64(to) + (2*(n%f)*uint64(to)+f)/(2*f)
}
