package stream

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/autovoiced/autovoiced/dsp"
)

// ModeBypass is the mode of a stage that does nothing.
const ModeBypass = "bypass"

// ModeGate is the separation that there is so far: a high-pass and a noise gate.
const ModeGate = "gate"

// SeparationConfig says what is taken out of the captured signal before the voice is looked for.
type SeparationConfig struct {
	Mode       string        // ModeGate or ModeBypass
	HighPassHz float64       // corner; 0: none. Rumble below a voice costs the pitch tracker
	OpenDB     float64       // peak level in dBFS that opens the gate
	CloseDB    float64       // level below which it closes
	RangeDB    float64       // gain of the closed gate
	Hold       time.Duration // how long it stays open below CloseDB
	Adaptive   bool          // open above the noise floor rather than at OpenDB, if that is higher
}

// DefaultSeparationConfig suits a headset in a quiet room.
func DefaultSeparationConfig() SeparationConfig {
	g := dsp.DefaultGateConfig(MinRate)
	return SeparationConfig{
		Mode: ModeGate, HighPassHz: 70,
		OpenDB: g.OpenDB, CloseDB: g.CloseDB, RangeDB: g.RangeDB, Hold: g.Hold,
	}
}

// Validate names the first setting that is out of range.
func (c SeparationConfig) Validate() error {
	switch {
	case c.Mode != ModeGate && c.Mode != ModeBypass:
		return fmt.Errorf("'mode' is %q, must be %q or %q", c.Mode, ModeGate, ModeBypass)
	case !(c.HighPassHz >= 0 && c.HighPassHz <= 500):
		return fmt.Errorf("'high_pass_hz' is %g, must be 0 to 500 Hz", c.HighPassHz)
	}
	return c.gate(MinRate).Validate()
}

// gate is the gate's part; no look-ahead, so the stage delays nothing.
func (c SeparationConfig) gate(rate int) dsp.GateConfig {
	g := dsp.DefaultGateConfig(rate)
	g.OpenDB, g.CloseDB, g.RangeDB, g.Hold, g.Adaptive = c.OpenDB, c.CloseDB, c.RangeDB, c.Hold, c.Adaptive
	return g
}

// Separation is the first stage. It adds no latency.
type Separation struct {
	rate   int
	now    *separationPlan
	newest atomic.Pointer[separationPlan]
}

// separationPlan is a configuration and the state that it needs.
type separationPlan struct {
	cfg  SeparationConfig
	pass dsp.Biquad
	gate *dsp.Gate
}

// NewSeparation returns the stage for a signal of the given rate.
func NewSeparation(rate int, cfg SeparationConfig) (*Separation, error) {
	s := &Separation{rate: rate}
	if err := s.Set(cfg); err != nil {
		return nil, err
	}
	s.now = s.newest.Load()
	return s, nil
}

// Set changes the settings from the next chunk on. Any goroutine may call it.
func (s *Separation) Set(cfg SeparationConfig) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("separation: %w", err)
	}
	plan := &separationPlan{cfg: cfg}
	if cfg.Mode == ModeGate {
		plan.gate = dsp.NewGate(cfg.gate(s.rate))
		if cfg.HighPassHz > 0 {
			plan.pass = dsp.NewHighPass(float64(s.rate), cfg.HighPassHz, 0.7071)
		}
	}
	s.newest.Store(plan)
	return nil
}

// Name implements Stage.
func (s *Separation) Name() string { return StageSeparation }

// Mode implements Stage.
func (s *Separation) Mode() string { return s.newest.Load().cfg.Mode }

// Latency implements Stage.
func (s *Separation) Latency() time.Duration { return 0 }

// Reset implements Stage.
func (s *Separation) Reset() {
	s.now = s.newest.Load()
	s.now.pass.Reset()
	if s.now.gate != nil {
		s.now.gate.Reset()
	}
}

// Process implements Stage.
func (s *Separation) Process(c *Chunk) error {
	s.now = s.newest.Load()
	if c.Rate != s.rate {
		return fmt.Errorf("chunk at %d Hz, expected %d Hz", c.Rate, s.rate)
	}
	if s.now.gate == nil {
		return nil
	}
	if s.now.cfg.HighPassHz > 0 {
		s.now.pass.Process(c.Samples)
	}
	s.now.gate.Process(c.Samples)
	return nil
}
