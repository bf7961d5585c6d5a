package stream

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/autovoiced/autovoiced/dsp"
)

// ModeAutocorrelation is the pitch tracker that there is so far: dsp.Pitch.
const ModeAutocorrelation = "autocorrelation"

// F0Config says where the pitch tracker looks.
type F0Config struct {
	Mode  string  // ModeAutocorrelation or ModeBypass
	MinHz float64 // lowest pitch; a lower one costs octave errors in high voices
	MaxHz float64
}

// DefaultF0Config covers speech and singing.
func DefaultF0Config() F0Config {
	p := dsp.DefaultPitchConfig(MinRate)
	return F0Config{Mode: ModeAutocorrelation, MinHz: p.Fmin, MaxHz: p.Fmax}
}

// Validate names the first setting that is out of range.
func (c F0Config) Validate() error {
	if c.Mode != ModeAutocorrelation && c.Mode != ModeBypass {
		return fmt.Errorf("'mode' is %q, must be %q or %q", c.Mode, ModeAutocorrelation, ModeBypass)
	}
	return dsp.PitchConfig{Rate: MinRate, Fmin: c.MinHz, Fmax: c.MaxHz}.Validate()
}

// F0Extraction is the second stage: it appends one pitch in Hz to the chunk's F0 for each 10 ms.
// The signal passes through untouched and undelayed; what it writes describes the moment Delay
// before the end of its hop.
type F0Extraction struct {
	rate   int
	hop    int
	now    *f0Plan
	newest atomic.Pointer[f0Plan]
	shown  atomic.Uint32
}

type f0Plan struct {
	cfg   F0Config
	pitch *dsp.Pitch
}

// NewF0Extraction returns the stage for a signal of the given rate, a whole number of frames in
// 10 ms.
func NewF0Extraction(rate int, cfg F0Config) (*F0Extraction, error) {
	if rate%100 != 0 {
		return nil, fmt.Errorf("f0_extraction: %d Hz has no whole number of frames in 10 ms", rate)
	}
	s := &F0Extraction{rate: rate, hop: rate / 100}
	if err := s.Set(cfg); err != nil {
		return nil, err
	}
	s.now = s.newest.Load()
	return s, nil
}

// Set changes the settings from the next chunk on; the tracker starts anew. Any goroutine may
// call it.
func (s *F0Extraction) Set(cfg F0Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("f0_extraction: %w", err)
	}
	plan := &f0Plan{cfg: cfg}
	if cfg.Mode != ModeBypass {
		plan.pitch = dsp.NewPitch(dsp.PitchConfig{Rate: s.rate, Fmin: cfg.MinHz, Fmax: cfg.MaxHz})
	}
	s.newest.Store(plan)
	return nil
}

// Hz is the newest pitch, 0 if unvoiced. Any goroutine may ask.
func (s *F0Extraction) Hz() float64 { return float64(math.Float32frombits(s.shown.Load())) }

// Name implements Stage.
func (s *F0Extraction) Name() string { return StageF0Extraction }

// Mode implements Stage.
func (s *F0Extraction) Mode() string { return s.newest.Load().cfg.Mode }

// Latency implements Stage: the signal is not delayed.
func (s *F0Extraction) Latency() time.Duration { return 0 }

// Delay is how long before the end of its hop the moment lies that a pitch describes.
func (s *F0Extraction) Delay() time.Duration {
	if p := s.newest.Load().pitch; p != nil {
		return p.Delay()
	}
	return 0
}

// Reset implements Stage.
func (s *F0Extraction) Reset() {
	s.now = s.newest.Load()
	if s.now.pitch != nil {
		s.now.pitch.Reset()
	}
}

// Process implements Stage. In bypass every pitch is 0.
func (s *F0Extraction) Process(c *Chunk) error {
	s.now = s.newest.Load()
	if c.Rate != s.rate || len(c.Samples)%s.hop != 0 {
		return fmt.Errorf("chunk of %d frames at %d Hz, expected a multiple of %d at %d Hz", len(c.Samples), c.Rate, s.hop, s.rate)
	}
	c.F0 = c.F0[:0]
	for at := 0; at < len(c.Samples); at += s.hop {
		var hz float32
		if s.now.pitch != nil {
			hz, _ = s.now.pitch.Process(c.Samples[at : at+s.hop])
		}
		c.F0 = append(c.F0, hz)
		storeFloat(&s.shown, hz)
	}
	return nil
}
