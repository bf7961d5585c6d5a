package stream

import (
	"fmt"
	"sync/atomic"
	"time"
)

// Conversion is the third stage: it gives the chunk to a Converter. The converter can be replaced
// between two chunks.
type Conversion struct {
	in, out int
	latency time.Duration
	now     *conversionPlan
	newest  atomic.Pointer[conversionPlan]
	scratch []float32
	silence []float32 // pitches, for a chunk that brings none
}

type conversionPlan struct {
	converter Converter
	mode      string
	previous  *conversionPlan
	free      chan Converter
}

// NewConversion returns the stage; mode says what the converter is ("model", "passthrough").
func NewConversion(c Converter, mode string) *Conversion {
	s := &Conversion{in: c.InRate(), out: c.OutRate(), latency: c.Latency()}
	s.now = &conversionPlan{converter: c, mode: mode}
	s.newest.Store(s.now)
	return s
}

// Swap lets another converter speak from the next chunk on. It must have the same rates and
// latency, because the pipeline's time line is built on them. The channel receives the converter
// that it replaces as soon as the stage no longer uses it; if the pipeline has ended it never
// does, and both are the caller's to close. One goroutine swaps at a time.
func (s *Conversion) Swap(next Converter, mode string) (<-chan Converter, error) {
	if next.InRate() != s.in || next.OutRate() != s.out || next.Latency() != s.latency {
		return nil, fmt.Errorf("conversion: the next voice takes %d Hz, gives %d Hz and lags %v, expected %d Hz, %d Hz and %v: start a new session for it",
			next.InRate(), next.OutRate(), next.Latency(), s.in, s.out, s.latency)
	}
	plan := &conversionPlan{converter: next, mode: mode, previous: s.newest.Load(), free: make(chan Converter, 1)}
	s.newest.Store(plan)
	return plan.free, nil
}

// Name implements Stage.
func (s *Conversion) Name() string { return StageConversion }

// Mode implements Stage.
func (s *Conversion) Mode() string { return s.newest.Load().mode }

// Latency implements Stage.
func (s *Conversion) Latency() time.Duration { return s.latency }

// Reset implements Stage.
func (s *Conversion) Reset() {
	s.follow()
	s.now.converter.Reset()
}

// follow takes up the newest converter and releases all before it. Here is the place to fade from
// one to the other.
func (s *Conversion) follow() {
	newest := s.newest.Load()
	if newest == s.now {
		return
	}
	for plan := newest; plan != s.now; {
		previous := plan.previous
		plan.free <- previous.converter // holds one, so this does not wait
		plan.previous = nil
		plan = previous
	}
	s.now = newest
}

// Process implements Stage.
func (s *Conversion) Process(c *Chunk) error {
	s.follow()
	if c.Rate != s.in {
		return fmt.Errorf("chunk at %d Hz, expected %d Hz", c.Rate, s.in)
	}
	n := len(c.Samples) * s.out / s.in
	if cap(s.scratch) < n {
		s.scratch = make([]float32, n)
	}
	f0 := c.F0
	if len(f0) == 0 {
		hops := len(c.Samples) * 100 / s.in
		if len(s.silence) < hops {
			s.silence = make([]float32, hops)
		}
		f0 = s.silence[:hops]
	}
	if err := s.now.converter.Convert(s.scratch[:n], c.Samples, f0); err != nil {
		return err
	}
	c.Samples = append(c.Samples[:0], s.scratch[:n]...)
	c.Rate = s.out
	return nil
}
