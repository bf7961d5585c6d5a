package stream

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/autovoiced/autovoiced/dsp"
)

// Names of what the mixing stage does.
const (
	ModeMix     = "mix"
	ModeLimiter = "limiter" // the mix, limited
)

// MixingConfig says what is heard.
type MixingConfig struct {
	GainDB    float64 // of the whole
	DryWet    float64 // 1: only the converted voice, 0: only the captured one
	Monitor   bool    // hear the captured voice instead, at the same gain: to check a microphone
	Mute      bool    // hear nothing
	Limiter   bool    // keep within CeilingDB; without it only full scale bounds the output
	CeilingDB float64 // dBFS that no sample exceeds
}

// DefaultMixingConfig gives the converted voice, limited to -1 dBFS.
func DefaultMixingConfig() MixingConfig {
	return MixingConfig{DryWet: 1, Limiter: true, CeilingDB: dsp.DefaultLimiterConfig(MinRate).CeilingDB}
}

// Validate names the first setting that is out of range.
func (c MixingConfig) Validate() error {
	switch {
	case !(c.GainDB >= -60 && c.GainDB <= 24):
		return fmt.Errorf("'gain_db' is %g, must be -60 to 24", c.GainDB)
	case !(c.DryWet >= 0 && c.DryWet <= 1):
		return fmt.Errorf("'dry_wet' is %g, must be 0 to 1", c.DryWet)
	case !(c.CeilingDB >= -24 && c.CeilingDB <= 0):
		return fmt.Errorf("'ceiling_db' is %g, must be -24 to 0", c.CeilingDB)
	}
	return nil
}

// Mixing is the last stage: gain, the captured voice beside the converted one, limiter. The
// captured (dry) signal is resampled and delayed so that both say the same at the same time.
// Gains move along a line over one chunk; nothing clicks.
type Mixing struct {
	rate    int
	newest  atomic.Pointer[mixingPlan]
	now     *mixingPlan
	wet     float32 // gains at the end of the last chunk
	dry     float32
	latency time.Duration

	resample  *dsp.Resampler // dry to rate; nil if it is there already
	scratch   []float32
	line      []float32 // dry at rate, delayed
	lag       int       // frames of silence that line starts with
	hold      *dsp.Delay
	limiter   *dsp.Limiter
	unlimited *dsp.Delay   // the limiter's delay, while it is off
	before    *dsp.Limiter // the one to fade from in the next chunk; nil: none
	beforeOn  bool
	recent    []float32 // what the limiter was given last, to prime what follows it
	primed    []float32
}

type mixingPlan struct {
	cfg      MixingConfig
	wet, dry float32
	limiter  *dsp.Limiter // fresh, for the stage to take up
}

// NewMixing returns the stage. dryRate is that of Chunk.Dry, rate that of the converted signal,
// and lag how late the latter is: the latency of the stages before.
func NewMixing(dryRate, rate int, lag time.Duration, cfg MixingConfig) (*Mixing, error) {
	s := &Mixing{rate: rate, lag: TimeToFrames(lag, rate)}
	extra := 0
	if dryRate != rate {
		s.resample = dsp.NewResampler(dryRate, rate)
		// The dry signal waits for its resampler. If that is longer than the voice takes, the
		// voice waits too.
		need := TimeToFrames(s.resample.Latency(), rate) + 2
		extra = max(0, need-s.lag)
	}
	s.lag += extra
	s.hold = dsp.NewDelay(extra)
	if err := s.Set(cfg); err != nil {
		return nil, err
	}
	s.now = s.newest.Load()
	s.limiter = s.now.limiter
	s.wet, s.dry = s.now.wet, s.now.dry
	look := TimeToFrames(s.limiter.Latency(), rate)
	s.unlimited = dsp.NewDelay(look)
	s.recent, s.primed = make([]float32, 4*look), make([]float32, 4*look)
	s.latency = FramesToTime(uint64(look+extra), rate)
	s.Reset()
	return s, nil
}

// Set changes the settings from the next chunk on. Any goroutine may call it.
func (s *Mixing) Set(cfg MixingConfig) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("mixing: %w", err)
	}
	gain := dsp.Amplitude(cfg.GainDB)
	plan := &mixingPlan{cfg: cfg, wet: float32(gain * cfg.DryWet), dry: float32(gain * (1 - cfg.DryWet))}
	if cfg.Monitor {
		plan.wet, plan.dry = 0, float32(gain)
	}
	if cfg.Mute {
		plan.wet, plan.dry = 0, 0
	}
	l := dsp.DefaultLimiterConfig(s.rate)
	l.CeilingDB = cfg.CeilingDB
	plan.limiter = dsp.NewLimiter(l)
	s.newest.Store(plan)
	return nil
}

// Config is what is set. Any goroutine may ask.
func (s *Mixing) Config() MixingConfig { return s.newest.Load().cfg }

// Name implements Stage.
func (s *Mixing) Name() string { return StageMixing }

// Mode implements Stage.
func (s *Mixing) Mode() string {
	if s.newest.Load().cfg.Limiter {
		return ModeLimiter
	}
	return ModeMix
}

// Latency implements Stage: the limiter's look-ahead, also while it is off.
func (s *Mixing) Latency() time.Duration { return s.latency }

// Reset implements Stage.
func (s *Mixing) Reset() {
	s.follow()
	if s.resample != nil {
		s.resample.Reset()
	}
	s.line = s.line[:0]
	for range s.lag {
		s.line = append(s.line, 0)
	}
	s.hold.Reset()
	s.limiter.Reset()
	s.unlimited.Reset()
	s.before = nil
	clear(s.recent)
	s.wet, s.dry = s.now.wet, s.now.dry
}

// follow takes up new settings. A new limiter first hears what the old one heard last, so that
// the signal goes on without a gap, and is faded in by the next limit.
func (s *Mixing) follow() {
	newest := s.newest.Load()
	if newest == s.now {
		return
	}
	before := s.now.cfg
	s.now = newest
	on := newest.cfg.Limiter
	if on == before.Limiter && (!on || newest.cfg.CeilingDB == before.CeilingDB) {
		return
	}
	s.before, s.beforeOn = s.limiter, before.Limiter
	s.limiter = newest.limiter
	copy(s.primed, s.recent)
	s.unlimited.Process(s.primed, s.primed)
	copy(s.primed, s.recent)
	s.limiter.Process(s.primed)
}

// Process implements Stage.
func (s *Mixing) Process(c *Chunk) error {
	s.follow()
	if c.Rate != s.rate {
		return fmt.Errorf("chunk at %d Hz, expected %d Hz", c.Rate, s.rate)
	}
	s.pushDry(c.Dry)
	x := c.Samples
	if len(s.line) < len(x) {
		return fmt.Errorf("dry signal of %d frames beside %d converted ones: Dry must be the chunk as captured", len(s.line), len(x))
	}
	s.hold.Process(x, x)
	s.mix(x, s.line[:len(x)])
	s.line = s.line[:copy(s.line, s.line[len(x):])]
	s.limit(x)
	return nil
}

func (s *Mixing) pushDry(dry []float32) {
	if s.resample == nil {
		s.line = append(s.line, dry...)
		return
	}
	s.line = s.resample.Append(s.line, dry)
}

// mix writes the weighted sum over x, with gains that reach their new values at its end.
func (s *Mixing) mix(x, dry []float32) {
	wet, to := s.wet, s.now
	if wet == to.wet && s.dry == to.dry {
		if wet == 1 && s.dry == 0 {
			return
		}
		for i, v := range x {
			x[i] = wet*v + s.dry*dry[i]
		}
		return
	}
	n := float32(len(x))
	for i, v := range x {
		t := float32(i+1) / n
		x[i] = (wet+(to.wet-wet)*t)*v + (s.dry+(to.dry-s.dry)*t)*dry[i]
	}
	s.wet, s.dry = to.wet, to.dry
}

func (s *Mixing) limit(x []float32) {
	keep := len(s.recent)
	if n := len(x); n >= keep {
		copy(s.recent, x[n-keep:])
	} else {
		copy(s.recent, s.recent[n:])
		copy(s.recent[keep-n:], x)
	}
	if s.before != nil {
		s.fade(x)
		return
	}
	s.bound(x, s.now.cfg.Limiter, s.limiter)
}

// bound keeps x within the ceiling, or just within full scale but equally late.
func (s *Mixing) bound(x []float32, on bool, limiter *dsp.Limiter) {
	if on {
		limiter.Process(x)
		return
	}
	s.unlimited.Process(x, x)
	for i, v := range x {
		x[i] = max(-1, min(1, v))
	}
}

// fade goes from what the settings before would give to what they give now, over one chunk.
func (s *Mixing) fade(x []float32) {
	if cap(s.scratch) < len(x) {
		s.scratch = make([]float32, len(x))
	}
	from := s.scratch[:len(x)]
	copy(from, x)
	s.bound(from, s.beforeOn, s.before)
	s.bound(x, s.now.cfg.Limiter, s.limiter)
	s.before = nil
	n := float32(len(x))
	for i, v := range x {
		x[i] = from[i] + (v-from[i])*float32(i+1)/n
	}
}
