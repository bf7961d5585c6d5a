package stream

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/autovoiced/autovoiced/dsp"
)

const (
	// switchFade is how long one converter fades into the next.
	switchFade = 20 * time.Millisecond
	// switchLead is how long a converter that knows nothing of the past listens before it is faded in,
	// beside its latency: it begins with silence behind it, and the start of a voice in mid-word is heard.
	switchLead = 10 * time.Millisecond
)

// Conversion is the third stage: it gives the chunk to a Converter. The converter can be replaced
// while it speaks: for some chunks both work, and one fades into the other.
type Conversion struct {
	in, out int
	latency time.Duration
	now     *conversionPlan
	newest  atomic.Pointer[conversionPlan]
	scratch []float32
	silence []float32 // pitches, for a chunk that brings none

	before *conversionPlan // fading out; nil: none
	lead   int             // frames of output until the fade begins
	fade   *dsp.Crossfade
	fading []float32
}

type conversionPlan struct {
	converter Converter
	mode      string
	previous  *conversionPlan // this and free are the stage's goroutine's
	free      chan Converter  // gives the converter that this one replaces
}

// Successor is a Converter that can take over from another in mid-signal as if it had heard all
// that the other has. Succeed says whether it did: one of another kind cannot. The stage's goroutine
// calls it, so it allocates nothing.
type Successor interface {
	Succeed(previous any) bool
}

// NewConversion returns the stage; mode says what the converter is ("model", "passthrough").
func NewConversion(c Converter, mode string) *Conversion {
	s := &Conversion{in: c.InRate(), out: c.OutRate(), latency: c.Latency()}
	s.fade = dsp.NewMatchedCrossfade(TimeToFrames(switchFade, s.out))
	s.now = &conversionPlan{converter: c, mode: mode}
	s.newest.Store(s.now)
	return s
}

// Swap lets another converter speak from the next chunk on, faded in over 20 ms. It must have the
// same rates and latency, because the pipeline's time line is built on them. The channel receives the
// converter that it replaces as soon as the stage no longer uses it; if the pipeline has ended it never
// does, and both are the caller's to close. One goroutine swaps at a time.
func (s *Conversion) Swap(next Converter, mode string) (<-chan Converter, error) {
	if next.InRate() != s.in || next.OutRate() != s.out || next.Latency() != s.latency {
		return nil, fmt.Errorf("conversion: the next voice takes %d Hz, gives %d Hz and lags %v, expected %d Hz, %d Hz and %v: start a new session for it",
			next.InRate(), next.OutRate(), next.Latency(), s.in, s.out, s.latency)
	}
	free := make(chan Converter, 1)
	s.newest.Store(&conversionPlan{converter: next, mode: mode, previous: s.newest.Load(), free: free})
	return free, nil
}

// Name implements Stage.
func (s *Conversion) Name() string { return StageConversion }

// Mode implements Stage.
func (s *Conversion) Mode() string { return s.newest.Load().mode }

// Latency implements Stage.
func (s *Conversion) Latency() time.Duration { return s.latency }

// Reset implements Stage. There is no past to fade from.
func (s *Conversion) Reset() {
	s.settle()
	if s.follow() {
		s.settle()
	}
	s.now.converter.Reset()
}

// settle ends a fade: only the newer converter is heard, and the older one is given back.
func (s *Conversion) settle() {
	if s.before == nil {
		return
	}
	s.now.release()
	s.before = nil
}

// release gives back the converter that the plan replaced.
func (p *conversionPlan) release() {
	p.free <- p.previous.converter // holds one, so this does not wait
	p.previous = nil
}

// follow takes up the newest converter, to be faded in, and says whether there was one. Those
// between it and the present one were never heard.
func (s *Conversion) follow() bool {
	newest := s.newest.Load()
	if newest == s.now {
		return false
	}
	for newest.previous != s.now {
		skipped := newest.previous
		newest.release()
		newest.previous, newest.free = skipped.previous, skipped.free
	}
	s.before, s.now = s.now, newest
	s.fade.Reset()
	s.lead = 0
	if next, ok := newest.converter.(Successor); !ok || !next.Succeed(s.before.converter) {
		s.lead = TimeToFrames(switchLead+s.latency, s.out)
	}
	return true
}

// Process implements Stage.
func (s *Conversion) Process(c *Chunk) error {
	if s.before == nil {
		s.follow()
	}
	if c.Rate != s.in {
		return fmt.Errorf("chunk at %d Hz, expected %d Hz", c.Rate, s.in)
	}
	n := len(c.Samples) * s.out / s.in
	if cap(s.scratch) < n {
		s.scratch, s.fading = make([]float32, n), make([]float32, n)
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
	if s.before != nil {
		if err := s.blend(s.scratch[:n], c.Samples, f0); err != nil {
			return err
		}
	}
	c.Samples = append(c.Samples[:0], s.scratch[:n]...)
	c.Rate = s.out
	return nil
}

// blend fades from what the converter before gives for a chunk to what the one now gave.
func (s *Conversion) blend(x, src, f0 []float32) error {
	from := s.fading[:len(x)]
	if err := s.before.converter.Convert(from, src, f0); err != nil {
		return err
	}
	lead := min(s.lead, len(x))
	s.lead -= lead
	copy(x, from[:lead])
	s.fade.Process(x[lead:], from[lead:], x[lead:])
	if s.fade.Done() {
		s.settle()
	}
	return nil
}
