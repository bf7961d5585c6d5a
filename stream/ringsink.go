package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/autovoiced/autovoiced/dsp"
)

// RingSinkConfig says how playout is buffered.
type RingSinkConfig struct {
	Rate       int  // Hz of the chunks written
	DeviceRate int  // Hz of the device, by its own clock
	Capacity   int  // frames of the ring, at DeviceRate
	Target     int  // frames at which playing starts and which drift correction and catch-up keep
	Chunk      int  // frames of a chunk, at DeviceRate; 0: 10 ms
	Drift      bool // correct for a device whose clock is not the capture's
	CatchUp    bool // take time out when playout lags by more than a chunk over Target
	Ledger     *Ledger
}

// Validate says what cannot be.
func (c RingSinkConfig) Validate() error {
	switch {
	case c.Rate < MinRate || c.Rate > MaxRate || c.DeviceRate < MinRate || c.DeviceRate > MaxRate:
		return fmt.Errorf("playout: from %d to %d Hz, allowed: %d to %d", c.Rate, c.DeviceRate, MinRate, MaxRate)
	case c.Chunk < 0 || c.Target < 1 || c.Capacity < c.Target+2*c.Chunk:
		return fmt.Errorf("playout: ring of %d frames, needed: the target of %d (at least 1) and two chunks of %d", c.Capacity, c.Target, c.Chunk)
	}
	return nil
}

// RingSink is the live playout edge: the pipeline writes chunks, a device callback calls Play.
// Write never blocks. It keeps the delay where it was: an asynchronous resampler follows the
// device's clock, and what a stall has piled up is dropped in silence or shortened, booked as
// CatchUp. Frames are booked out when they have been played (the ledger learns of it at the next
// Write or Drain), and as PlayoutOverrun if the device stood still and they were overwritten.
type RingSink struct {
	Playout
	cfg      RingSinkConfig
	resample *dsp.Resampler
	scratch  []float32
	drift    *Drift
	catchUp  *catchUp
	book     playoutBook
	owed     int // input frames taken, but not yet in the ring or dropped
}

// stalled is how long Drain waits for a device that takes nothing.
const stalled = 2 * time.Second

// NewRingSink builds the edge; a nil Ledger gives it one of its own.
func NewRingSink(cfg RingSinkConfig) (*RingSink, error) {
	if cfg.Chunk == 0 {
		cfg.Chunk = cfg.DeviceRate / 100
	}
	if cfg.Ledger == nil {
		cfg.Ledger = new(Ledger)
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &RingSink{cfg: cfg}
	s.ring = NewRing(cfg.DeviceRate, cfg.Capacity)
	s.SetTarget(cfg.Target)
	s.book = newPlayoutBook(s.ring, cfg.Ledger, 2*cfg.Capacity/cfg.Chunk+8)
	if cfg.Drift || cfg.Rate != cfg.DeviceRate {
		s.resample = dsp.NewResampler(cfg.Rate, cfg.DeviceRate)
	}
	if cfg.Drift {
		s.drift = NewDrift(cfg.DeviceRate)
	}
	if cfg.CatchUp {
		s.catchUp = newCatchUp(cfg.DeviceRate, cfg.Chunk)
	}
	return s, nil
}

// Rate implements Sink.
func (s *RingSink) Rate() int { return s.cfg.Rate }

// Ledger implements Accountant.
func (s *RingSink) Ledger() *Ledger { return s.cfg.Ledger }

// Write implements Sink.
func (s *RingSink) Write(ctx context.Context, c *Chunk) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.ring.Closed() {
		return errors.New("playout: write after close")
	}
	s.owed += c.Frames
	x := s.convert(c.Samples)
	held := 0
	if s.catchUp != nil {
		held = len(s.catchUp.held)
	}
	total := held + len(x)
	excess := s.ring.Len() + total - s.Target()
	dropped := 0
	if s.catchUp != nil {
		x, dropped = s.catchUp.step(x, excess, !s.Playing())
	}
	if total > 0 && dropped > 0 {
		lost := s.owed * dropped / total
		s.cfg.Ledger.Drop(CatchUp, lost)
		s.owed -= lost
	}
	if s.catchUp != nil && s.catchUp.active || !s.Playing() {
		s.settle()
	} else if s.drift != nil && total > 0 {
		s.resample.SetRatio(s.drift.Update(excess, FramesToTime(uint64(total), s.cfg.DeviceRate)))
	}
	s.push(x)
	return nil
}

func (s *RingSink) settle() {
	if s.drift != nil {
		s.drift.Settle()
	}
}

func (s *RingSink) convert(x []float32) []float32 {
	if s.resample == nil {
		return x
	}
	s.scratch = s.resample.Append(s.scratch[:0], x)
	return s.scratch
}

// push puts frames into the ring; they stand for all that is owed.
func (s *RingSink) push(x []float32) {
	if len(x) > 0 {
		s.book.add(len(x), s.owed)
		s.owed = 0
		s.ring.Write(x, 0)
	}
	s.book.retire()
}

// Drain implements Sink: it returns when everything has been played, or with an error if the
// device takes nothing for two seconds.
func (s *RingSink) Drain(ctx context.Context) error {
	var rest []float32
	if s.resample != nil {
		rest = make([]float32, s.resample.Pending())
		s.resample.Flush(rest)
	}
	if s.catchUp != nil {
		rest = s.catchUp.flush(rest)
	}
	s.push(rest)
	s.draining.Store(true)
	defer s.draining.Store(false)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for last, since := s.ring.Len(), time.Now(); ; {
		held := s.ring.Len()
		if held == 0 {
			s.book.retire()
			s.cfg.Ledger.Out(s.owed)
			s.owed = 0
			return nil
		}
		if held != last {
			last, since = held, time.Now()
		}
		if time.Since(since) > stalled {
			return fmt.Errorf("playout: the device has taken nothing for %v, %d frames are unplayed", stalled, held)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close implements Sink. What is in the ring can still be played.
func (s *RingSink) Close() error {
	s.ring.Close()
	return nil
}

// Edge implements EdgeReporter.
func (s *RingSink) Edge() EdgeSnapshot {
	a := s.ring.Account()
	e := EdgeSnapshot{
		Rate: s.cfg.DeviceRate, Queued: int(a.Held), Target: s.Target(), Capacity: s.ring.Cap(),
		Lost: a.Dropped, Underruns: s.underruns.Load(), Silence: s.silence.Load(),
	}
	if s.drift != nil {
		e.DriftPPM = s.drift.PPM()
	}
	if s.catchUp != nil {
		e.CatchUps, e.CaughtUp = s.catchUp.times.Load(), s.catchUp.frames.Load()
	}
	return e
}
