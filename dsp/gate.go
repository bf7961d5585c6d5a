package dsp

import (
	"fmt"
	"math"
	"time"
)

// GateConfig says when the gate opens and what it does with the rest.
type GateConfig struct {
	// Rate of the signal in samples per second.
	Rate int
	// OpenDB is the peak level that opens the gate, CloseDB the one below which it closes, dBFS.
	// 6 dB between them keep a voice that dies away from fluttering.
	OpenDB, CloseDB float64
	// RangeDB is the gain of the closed gate. −30 hides a room; −80 is silence, and sounds like it.
	RangeDB float64
	// Attack is how long opening takes, Hold how long the gate stays open below CloseDB, Release
	// how long closing takes.
	Attack, Hold, Release time.Duration
	// LookAhead delays the signal, so that the gate is open before the start of a word arrives.
	// Without it a start loses part of its first Attack.
	LookAhead time.Duration
	// Adaptive raises the levels with the noise: the gate opens MarginDB above the noise floor, if
	// that is higher than OpenDB.
	Adaptive bool
	MarginDB float64
}

// DefaultGateConfig suits a headset in a quiet room and costs no delay.
func DefaultGateConfig(rate int) GateConfig {
	return GateConfig{
		Rate: rate, OpenDB: -50, CloseDB: -56, RangeDB: -30, MarginDB: 18,
		Attack: time.Millisecond, Hold: 200 * time.Millisecond, Release: 100 * time.Millisecond,
	}
}

// Validate names the first key that is out of range.
func (c GateConfig) Validate() error {
	inside := func(v, lo, hi float64) bool { return v >= lo && v <= hi }
	for _, d := range []struct {
		key     string
		v, high time.Duration
	}{
		{"attack", c.Attack, 50 * time.Millisecond},
		{"hold", c.Hold, 2 * time.Second},
		{"release", c.Release, 2 * time.Second},
		{"look_ahead", c.LookAhead, 50 * time.Millisecond},
	} {
		if d.v < 0 || d.v > d.high {
			return fmt.Errorf("'%s' is %v, must be 0s to %v", d.key, d.v, d.high)
		}
	}
	switch {
	case c.Rate < MinRate || c.Rate > MaxRate:
		return fmt.Errorf("'rate' is %d, must be %d to %d Hz", c.Rate, MinRate, MaxRate)
	case !inside(c.OpenDB, -100, 0):
		return fmt.Errorf("'open_db' is %g, must be -100 to 0", c.OpenDB)
	case !inside(c.CloseDB, -100, c.OpenDB):
		return fmt.Errorf("'close_db' is %g, must be -100 to open_db (%g)", c.CloseDB, c.OpenDB)
	case !inside(c.RangeDB, -100, 0):
		return fmt.Errorf("'range_db' is %g, must be -100 to 0", c.RangeDB)
	case !inside(c.MarginDB, 3, 60):
		return fmt.Errorf("'margin_db' is %g, must be 3 to 60", c.MarginDB)
	}
	return nil
}

// Gate turns down what is quieter than a voice. An open gate changes no sample; a closed one
// multiplies by its range. One goroutine uses it.
type Gate struct {
	cfg         GateConfig
	decay       float32 // of the peak envelope, a sample
	rise, fall  float32 // of the gain: added, multiplied
	rest        float32 // gain when closed
	hold        int
	open, close float32
	floor       noiseFloor

	envelope float32
	gain     float32
	left     int       // samples until the gate closes; 0: closed
	delay    []float32 // ring of LookAhead
	at       int
}

// NewGate makes a gate, closed; it panics when the config is not valid.
func NewGate(cfg GateConfig) *Gate {
	if err := cfg.Validate(); err != nil {
		panic("dsp: gate: " + err.Error())
	}
	samples := func(d time.Duration) float64 { return d.Seconds() * float64(cfg.Rate) }
	rest := Amplitude(cfg.RangeDB)
	g := &Gate{
		cfg:   cfg,
		decay: float32(math.Exp(-1 / (0.010 * float64(cfg.Rate)))),
		rise:  float32((1 - rest) / max(1, samples(cfg.Attack))),
		fall:  float32(math.Pow(rest, 1/max(1, samples(cfg.Release)))),
		rest:  float32(rest),
		hold:  1 + int(samples(cfg.Hold)),
		delay: make([]float32, int(math.Round(samples(cfg.LookAhead)))),
	}
	g.Reset()
	return g
}

// Latency is how far the output lags behind the input: LookAhead.
func (g *Gate) Latency() time.Duration { return Samples(len(g.delay), g.cfg.Rate) }

// IsOpen says whether the last sample counted as voice.
func (g *Gate) IsOpen() bool { return g.left > 0 }

// Reset closes the gate and forgets the past signal and noise.
func (g *Gate) Reset() {
	g.envelope, g.gain, g.left, g.at = 0, g.rest, 0, 0
	clear(g.delay)
	g.floor = noiseFloor{block: g.cfg.Rate / 100}
	g.floor.forget()
	g.open, g.close = float32(Amplitude(g.cfg.OpenDB)), float32(Amplitude(g.cfg.CloseDB))
}

// Open opens the gate, as a voice would: it stays so for its hold.
func (g *Gate) Open() { g.gain, g.left = 1, g.hold }

// Succeed goes on where another gate is, with the levels of its own config: in the middle of a signal
// that the other has heard so far. Both have the same rate and look-ahead.
func (g *Gate) Succeed(before *Gate) {
	if g.cfg.Rate != before.cfg.Rate || len(g.delay) != len(before.delay) {
		panic("dsp: gate: another rate or look-ahead")
	}
	g.envelope, g.gain, g.left, g.at = before.envelope, max(g.rest, before.gain), min(before.left, g.hold), before.at
	g.floor = before.floor
	copy(g.delay, before.delay)
}

// Process gates x in place. Samples that are not finite count as 0.
func (g *Gate) Process(x []float32) {
	for i, v := range x {
		if !finite(v) {
			v = 0
		}
		if g.cfg.Adaptive && g.floor.add(v) {
			open := max(g.cfg.OpenDB, min(0, g.floor.level()+g.cfg.MarginDB))
			g.open, g.close = float32(Amplitude(open)), float32(Amplitude(open+g.cfg.CloseDB-g.cfg.OpenDB))
		}
		g.follow(v)
		if len(g.delay) > 0 {
			v, g.delay[g.at] = g.delay[g.at], v
			if g.at++; g.at == len(g.delay) {
				g.at = 0
			}
		}
		x[i] = v * g.gain
	}
}

// follow moves the gain by one sample towards what the incoming sample asks for. It opens along a
// line, because half-way open must come early, and closes by dB.
func (g *Gate) follow(v float32) {
	g.envelope = max(v, -v, g.envelope*g.decay)
	switch {
	case g.envelope < 1e-30:
		g.envelope = 0
	case g.envelope >= g.open, g.left > 0 && g.envelope >= g.close:
		g.left = g.hold
	}
	if g.left > 0 {
		g.left--
		g.gain = min(1, g.gain+g.rise)
	} else {
		g.gain = max(g.rest, g.gain*g.fall)
	}
}

// noiseFloor is the least level of 10 ms in the last 2 to 2.5 s: speech has gaps, noise has none.
type noiseFloor struct {
	block, filled int
	sum           float64
	count         int        // blocks in the newest fifth
	least         [5]float64 // mean squares, newest last
}

func (f *noiseFloor) forget() {
	for i := range f.least {
		f.least[i] = math.Inf(1)
	}
}

// add takes a sample and says whether the floor may have moved.
func (f *noiseFloor) add(v float32) bool {
	f.sum += float64(v) * float64(v)
	if f.filled++; f.filled < f.block {
		return false
	}
	newest := &f.least[len(f.least)-1]
	*newest = min(*newest, f.sum/float64(f.block))
	f.sum, f.filled = 0, 0
	if f.count++; f.count == 50 {
		copy(f.least[:], f.least[1:])
		*newest, f.count = math.Inf(1), 0
	}
	return true
}

// level is the floor in dB, Silent before there is one.
func (f *noiseFloor) level() float64 {
	least := math.Inf(1)
	for _, e := range f.least {
		least = min(least, e)
	}
	if math.IsInf(least, 1) {
		return Silent
	}
	return Decibels(math.Sqrt(least))
}
