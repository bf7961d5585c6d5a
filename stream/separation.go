package stream

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/autovoiced/autovoiced/dsp"
)

// ModeBypass is the mode of a stage that does nothing.
const ModeBypass = "bypass"

// The modes of separation that do something.
const (
	ModeGate  = "gate"  // a high-pass and a noise gate
	ModeModel = "model" // a Separator takes the voice out of what else sounds; then as ModeGate
)

// Separator is what the separation stage needs of a model: it works in hops of one channel, and its vocals are Latency
// frames late. It allocates nothing once warm; one goroutine calls it. Implemented by infer's live separator.
type Separator interface {
	Rate() int
	Channels() int
	Hop() int
	Latency() int
	Process(vocals, mixture [][]float32) error
	Reset()
}

// SeparationConfig says what is taken out of the captured signal before the voice is looked for.
type SeparationConfig struct {
	Mode       string        // ModeGate, ModeBypass, or ModeModel where the stage has a model
	NoGate     bool          // the high-pass alone
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
	case c.Mode != ModeGate && c.Mode != ModeBypass && c.Mode != ModeModel:
		return fmt.Errorf("'mode' is %q, must be %q, %q or %q", c.Mode, ModeGate, ModeModel, ModeBypass)
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

// Separation is the first stage. Without a model it adds no latency; with one, that of the model, in every mode, so
// that modes can change while it runs.
type Separation struct {
	rate    int
	model   *modelSeparation // nil: none
	now     *separationPlan
	newest  atomic.Pointer[separationPlan]
	scratch []float32 // what the settings before would give, while they change
}

// separationPlan is a configuration and the state that it needs.
type separationPlan struct {
	cfg  SeparationConfig
	pass *dsp.Biquad // nil: no high-pass
	gate *dsp.Gate   // nil: no gate
}

// NewSeparation returns the stage for a signal of the given rate.
func NewSeparation(rate int, cfg SeparationConfig) (*Separation, error) {
	return newSeparation(&Separation{rate: rate}, cfg)
}

// NewModelSeparation returns the stage with a model, which stays the caller's to close.
func NewModelSeparation(rate int, cfg SeparationConfig, model Separator) (*Separation, error) {
	if model.Rate() != rate || model.Channels() != 1 {
		return nil, fmt.Errorf("separation: 'mode' is %q, and the model separates %d channels at %d Hz, expected one at %d Hz, as the voice takes: use mode %q",
			cfg.Mode, model.Channels(), model.Rate(), rate, ModeGate)
	}
	return newSeparation(&Separation{rate: rate, model: newModelSeparation(model)}, cfg)
}

func newSeparation(s *Separation, cfg SeparationConfig) (*Separation, error) {
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
	if cfg.Mode == ModeModel && s.model == nil {
		return fmt.Errorf("separation: 'mode' is %q, and there is no model: use mode %q", ModeModel, ModeGate)
	}
	plan := &separationPlan{cfg: cfg}
	if cfg.Mode != ModeBypass {
		if !cfg.NoGate {
			plan.gate = dsp.NewGate(cfg.gate(s.rate))
		}
		if cfg.HighPassHz > 0 {
			pass := dsp.NewHighPass(float64(s.rate), cfg.HighPassHz, 0.7071)
			plan.pass = &pass
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
func (s *Separation) Latency() time.Duration {
	if s.model == nil {
		return 0
	}
	return dsp.Samples(s.model.Latency(), s.rate)
}

// Reset implements Stage.
func (s *Separation) Reset() {
	s.now = s.newest.Load()
	s.now.reset()
	if s.model != nil {
		s.model.reset(s.now.cfg.Mode == ModeModel)
	}
}

func (p *separationPlan) reset() {
	if p.pass != nil {
		p.pass.Reset()
	}
	if p.gate != nil {
		p.gate.Reset()
	}
}

// Process implements Stage. New settings are faded in over the chunk.
func (s *Separation) Process(c *Chunk) error {
	if c.Rate != s.rate {
		return fmt.Errorf("chunk at %d Hz, expected %d Hz", c.Rate, s.rate)
	}
	if cap(s.scratch) < len(c.Samples) {
		s.scratch = make([]float32, len(c.Samples))
	}
	newest := s.newest.Load()
	if s.model != nil {
		if err := s.model.process(c.Samples, newest.cfg.Mode == ModeModel); err != nil {
			return err
		}
	}
	if newest == s.now {
		s.now.process(c.Samples)
		return nil
	}
	from := s.scratch[:len(c.Samples)]
	copy(from, c.Samples)
	newest.succeed(s.now)
	s.now.process(from)
	newest.process(c.Samples)
	s.now = newest
	n := float32(len(from))
	for i, v := range c.Samples {
		c.Samples[i] = from[i] + (v-from[i])*float32(i+1)/n
	}
	return nil
}

func (p *separationPlan) process(x []float32) {
	if p.pass != nil {
		p.pass.Process(x)
	}
	if p.gate != nil {
		p.gate.Process(x)
	}
}

// succeed takes over what the settings before knew of the signal. A gate after none was there begins
// open: it closes when it has heard that nobody speaks.
func (p *separationPlan) succeed(before *separationPlan) {
	if p.pass != nil && before.pass != nil && p.cfg.HighPassHz == before.cfg.HighPassHz {
		*p.pass = *before.pass
	}
	switch {
	case p.gate == nil:
	case before.gate != nil:
		p.gate.Succeed(before.gate)
	default:
		p.gate.Open()
	}
}
