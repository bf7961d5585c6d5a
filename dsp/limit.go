package dsp

import (
	"fmt"
	"math"
	"time"
)

// LimiterConfig says how loud the output may be and how gently it is kept there.
type LimiterConfig struct {
	// Rate of the signal in samples per second.
	Rate int
	// CeilingDB is the level that no sample exceeds, dBFS. −1 leaves room for what a converter makes
	// between the samples.
	CeilingDB float64
	// LookAhead is how long the gain has to come down before a peak, and the delay. 1.5 ms is
	// enough for speech; less is audible as a click on a sudden peak.
	LookAhead time.Duration
	// Release is the time constant of the gain's way back.
	Release time.Duration
}

// DefaultLimiterConfig is transparent for speech at a small delay.
func DefaultLimiterConfig(rate int) LimiterConfig {
	return LimiterConfig{Rate: rate, CeilingDB: -1, LookAhead: 1500 * time.Microsecond, Release: 50 * time.Millisecond}
}

// Validate names the first key that is out of range.
func (c LimiterConfig) Validate() error {
	switch {
	case c.Rate < MinRate || c.Rate > MaxRate:
		return fmt.Errorf("'rate' is %d, must be %d to %d Hz", c.Rate, MinRate, MaxRate)
	case !(c.CeilingDB >= -60 && c.CeilingDB <= 0):
		return fmt.Errorf("'ceiling_db' is %g, must be -60 to 0", c.CeilingDB)
	case c.LookAhead < 0 || c.LookAhead > 20*time.Millisecond:
		return fmt.Errorf("'look_ahead' is %v, must be 0s to 20ms", c.LookAhead)
	case c.Release < time.Millisecond || c.Release > 2*time.Second:
		return fmt.Errorf("'release' is %v, must be 1ms to 2s", c.Release)
	}
	return nil
}

// unity is a gain of 1 in the fixed point that gains are averaged in: whole numbers add up without
// drift, so a gain of 1 stays exactly 1 and an average never exceeds what it is made of.
const unity = 1 << 30

// Limiter keeps every sample within a ceiling. What never comes near it passes unchanged, late by
// Latency. One goroutine uses it.
//
// Every incoming sample asks for the gain that brings it to the ceiling. The least request of the
// look-ahead, released slowly, and averaged twice, is the gain of the sample that leaves: each
// sample that leaves is covered by its own request in all that was averaged, so the ceiling holds,
// and the two averages turn steps into soft curves.
type Limiter struct {
	limiterGain
	line limiterLine
}

// NewLimiter makes a limiter; it panics when the config is not valid.
func NewLimiter(cfg LimiterConfig) *Limiter {
	g := newLimiterGain(cfg)
	return &Limiter{g, g.line()}
}

// Reset forgets the past signal.
func (l *Limiter) Reset() {
	l.line.reset()
	l.reset()
}

// Process limits x in place. Samples that are not finite count as 0.
func (l *Limiter) Process(x []float32) {
	for i, v := range x {
		if !finite(v) {
			v = 0
		}
		x[i] = l.apply(l.line.next(v), l.next(max(v, -v)))
	}
}

// LinkedLimiter is a Limiter for several channels that turns all of them down together, so that nothing moves from
// side to side.
type LinkedLimiter struct {
	limiterGain
	lines []limiterLine
}

// NewLinkedLimiter makes one for so many channels; it panics when the config is not valid.
func NewLinkedLimiter(cfg LimiterConfig, channels int) *LinkedLimiter {
	l := &LinkedLimiter{limiterGain: newLimiterGain(cfg)}
	for range channels {
		l.lines = append(l.lines, l.line())
	}
	return l
}

// Reset forgets the past signal.
func (l *LinkedLimiter) Reset() {
	for c := range l.lines {
		l.lines[c].reset()
	}
	l.reset()
}

// Process limits the channels, all of one length, in place. Samples that are not finite count as 0.
func (l *LinkedLimiter) Process(channels [][]float32) {
	if len(channels) != len(l.lines) {
		panic("dsp: channels mismatch")
	}
	for i := range channels[0] {
		var peak float32
		for c := range channels {
			v := channels[c][i]
			if !finite(v) {
				v = 0
				channels[c][i] = 0
			}
			peak = max(peak, v, -v)
		}
		gain := l.next(peak)
		for c := range channels {
			channels[c][i] = l.apply(l.lines[c].next(channels[c][i]), gain)
		}
	}
}

// limiterGain finds the gain of the sample that leaves from the peaks of those that come in.
type limiterGain struct {
	cfg     LimiterConfig
	ahead   int
	ceiling float32
	release float64
	least   slidingMin
	gain    float64 // after release
	smooth  [2]movingAverage
}

func newLimiterGain(cfg LimiterConfig) limiterGain {
	if err := cfg.Validate(); err != nil {
		panic("dsp: limiter: " + err.Error())
	}
	rate := float64(cfg.Rate)
	n := int(math.Round(cfg.LookAhead.Seconds() * rate))
	g := limiterGain{
		cfg: cfg, ahead: n, ceiling: float32(Amplitude(cfg.CeilingDB)),
		release: 1 - math.Exp(-1/(cfg.Release.Seconds()*rate)),
		least:   newSlidingMin(n + 1),
	}
	g.smooth[0] = movingAverage{ring: make([]int64, n/2+1)}
	g.smooth[1] = movingAverage{ring: make([]int64, n-n/2+1)}
	g.reset()
	return g
}

// Latency is how far the output lags behind the input: LookAhead in whole samples.
func (g *limiterGain) Latency() time.Duration { return Samples(g.ahead, g.cfg.Rate) }

// Reduction is the gain in dB that the last sample got, 0 or less.
func (g *limiterGain) Reduction() float64 { return Decibels(float64(g.smooth[1].value()) / unity) }

func (g *limiterGain) line() limiterLine { return limiterLine{ring: make([]float32, g.ahead+1)} }

func (g *limiterGain) reset() {
	g.gain = unity
	g.least.reset()
	g.smooth[0].fill(unity)
	g.smooth[1].fill(unity)
}

// next takes the peak of the sample that comes in.
func (g *limiterGain) next(peak float32) int64 {
	request := int64(unity)
	if peak > g.ceiling {
		request = int64(unity * float64(g.ceiling) / float64(peak))
	}
	least := float64(g.least.next(request))
	if g.gain += (least - g.gain) * g.release; least < g.gain || least-g.gain < 1 {
		g.gain = least
	}
	return g.smooth[1].next(g.smooth[0].next(int64(g.gain)))
}

func (g *limiterGain) apply(y float32, gain int64) float32 {
	if gain == unity {
		return y
	}
	// The clamp takes no more than the rounding of the product.
	return min(g.ceiling, max(-g.ceiling, float32(float64(y)*float64(gain)/unity)))
}

// limiterLine delays a channel by the look-ahead.
type limiterLine struct {
	ring []float32
	at   int
}

func (l *limiterLine) reset() {
	clear(l.ring)
	l.at = 0
}

func (l *limiterLine) next(v float32) float32 {
	l.ring[l.at] = v
	if l.at++; l.at == len(l.ring) {
		l.at = 0
	}
	return l.ring[l.at]
}

// movingAverage is the mean of the last len(ring) values, rounded down.
type movingAverage struct {
	ring  []int64
	at    int
	sum   int64
	whole int64 // the sum when all is at rest, where no division is needed
}

func (m *movingAverage) fill(v int64) {
	for i := range m.ring {
		m.ring[i] = v
	}
	m.sum = v * int64(len(m.ring))
	m.whole = unity * int64(len(m.ring))
}

func (m *movingAverage) next(v int64) int64 {
	m.sum += v - m.ring[m.at]
	m.ring[m.at] = v
	if m.at++; m.at == len(m.ring) {
		m.at = 0
	}
	return m.value()
}

func (m *movingAverage) value() int64 {
	if m.sum == m.whole {
		return unity
	}
	return m.sum / int64(len(m.ring))
}

// slidingMin is the least of the last n values. It keeps only those that can still become the least:
// a queue whose values rise, in a ring.
type slidingMin struct {
	n          int
	values     []int64
	times      []int64
	head, size int
	now        int64
}

func newSlidingMin(n int) slidingMin {
	return slidingMin{n: n, values: make([]int64, n), times: make([]int64, n)}
}

func (s *slidingMin) reset() { s.head, s.size, s.now = 0, 0, 0 }

func (s *slidingMin) next(v int64) int64 {
	if s.size > 0 && s.times[s.head] <= s.now-int64(s.n) {
		s.head, s.size = s.wrap(s.head+1), s.size-1
	}
	for s.size > 0 && s.values[s.wrap(s.head+s.size-1)] >= v {
		s.size--
	}
	tail := s.wrap(s.head + s.size)
	s.values[tail], s.times[tail] = v, s.now
	s.size++
	s.now++
	return s.values[s.head]
}

func (s *slidingMin) wrap(i int) int {
	if i >= s.n {
		return i - s.n
	}
	return i
}
