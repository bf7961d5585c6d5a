package infer

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Converter is one conversation with an engine: a *Voice or a *Passthrough. Its methods are those
// that the conversion stage needs, and a few to look after it.
//
// One goroutine owns it and calls Convert, Reset and, last, Close; Close may be called again. The
// other methods may be called from anywhere.
type Converter interface {
	InRate() int
	OutRate() int
	// Latency is how far the output lags behind the input beyond the hop: the pack's look-ahead.
	Latency() time.Duration
	// Convert turns the hops in src into as many hops in dst. f0 holds Hz for each hop, 0 where
	// unvoiced. It allocates nothing. What comes out is always finite: where the model gives NaN or
	// infinity, a hop of silence, counted by Faults. After an error, the rest of dst is silence.
	Convert(dst, src, f0 []float32) error
	// Reset forgets the past signal.
	Reset()
	Faults() Faults
	Close() error
}

// Faults counts the hops that were not numbers. Such input is heard as silence; such output is
// replaced by silence and the model starts afresh.
type Faults struct {
	Input  uint64 `json:"input"`
	Output uint64 `json:"output"`
}

// session is what every Converter is made of.
type session struct {
	engine *Engine
	name   string // of the voice, for errors
	bound  *binding
	seat   *seat // of a live session, where runs are shared
	closed bool

	badInput, badOutput atomic.Uint64
}

func newSession(e *Engine, name string, hops int) (*session, error) {
	nets, err := e.acquire(hops)
	if err != nil {
		return nil, err
	}
	s := &session{engine: e, name: name}
	if s.bound, err = newBinding(&e.contract, nets); err != nil {
		return nil, errors.Join(s.wrap(err), s.Close())
	}
	return s, nil
}

func (s *session) wrap(err error) error {
	return fmt.Errorf("model %s: voice %s: %w", s.engine.file, s.name, err)
}

// Engine is whose voice it is.
func (s *session) Engine() *Engine { return s.engine }

// InRate is the number of samples a second that Convert takes.
func (s *session) InRate() int { return s.engine.contract.SampleRateIn }

// OutRate is the number of samples a second that Convert gives.
func (s *session) OutRate() int { return s.engine.contract.SampleRateOut }

// Latency is the pack's look-ahead.
func (s *session) Latency() time.Duration { return s.engine.contract.Lookahead() }

// Faults counts what was not a number so far.
func (s *session) Faults() Faults {
	return Faults{Input: s.badInput.Load(), Output: s.badOutput.Load()}
}

// hops checks the lengths given to Convert and says how many hops they hold.
func (s *session) hops(dst, src []float32) (int, error) {
	c := &s.engine.contract
	n := len(src) / c.HopIn
	if len(src) != n*c.HopIn || len(dst) != n*c.HopOut {
		return 0, s.wrap(fmt.Errorf("convert: %d samples to %d, expected whole hops of %d to %d", len(src), len(dst), c.HopIn, c.HopOut))
	}
	if s.closed {
		return 0, s.wrap(errors.New("convert: the session is closed"))
	}
	return n, nil
}

// run does one run of a graph, with others where that is better.
func (s *session) run(g *graph) error {
	if s.seat != nil {
		return s.seat.run(g)
	}
	return s.bound.run(g)
}

// step runs one hop: what the inputs of the graph for one hold.
func (s *session) step(dst []float32) error {
	g := s.bound.single
	if err := s.run(g); err != nil {
		return s.wrap(err)
	}
	if !finite(g.audio) {
		s.badOutput.Add(1)
		s.bound.reset()
		clear(dst)
		return nil
	}
	copy(dst, g.audio)
	return nil
}

// leap runs as many hops as the larger graph takes at once. Where one of them is no number, all are
// run again one by one, so that no more is lost than would be live.
func (s *session) leap(dst []float32) error {
	g := s.bound.more
	if err := s.run(g); err != nil {
		return s.wrap(err)
	}
	if finite(g.audio) {
		copy(dst, g.audio)
		return nil
	}
	s.bound.back()
	n := len(dst) / g.hops
	for h := range g.hops {
		s.bound.single.take(g, h)
		if err := s.step(dst[h*n : (h+1)*n]); err != nil {
			return err
		}
	}
	return nil
}

// Close gives the session's memory back, and the engine's when it was the last user of a closed
// engine. It may be called again.
func (s *session) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	var err error
	if s.seat != nil {
		s.seat.leave()
	}
	if s.bound != nil {
		err = s.bound.close()
	}
	return errors.Join(err, s.engine.release())
}

// finite says whether there is no NaN and no infinity: only those times zero are not zero.
func finite(x []float32) bool {
	var sum float32
	for _, v := range x {
		sum += v * 0
	}
	return sum == 0
}
