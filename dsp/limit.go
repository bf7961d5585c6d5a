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
	cfg     LimiterConfig
	ceiling float32
	release float64
	delay   []float32
	at      int
	least   slidingMin
	gain    float64 // after release
	smooth  [2]movingAverage
}

// NewLimiter makes a limiter; it panics when the config is not valid.
func NewLimiter(cfg LimiterConfig) *Limiter {
	if err := cfg.Validate(); err != nil {
		panic("dsp: limiter: " + err.Error())
	}
	rate := float64(cfg.Rate)
	n := int(math.Round(cfg.LookAhead.Seconds() * rate))
	l := &Limiter{
		cfg: cfg, ceiling: float32(Amplitude(cfg.CeilingDB)),
		release: 1 - math.Exp(-1/(cfg.Release.Seconds()*rate)),
		delay:   make([]float32, n+1),
		least:   newSlidingMin(n + 1),
	}
	l.smooth[0] = movingAverage{ring: make([]int64, n/2+1)}
	l.smooth[1] = movingAverage{ring: make([]int64, n-n/2+1)}
	l.Reset()
	return l
}

// Latency is how far the output lags behind the input: LookAhead in whole samples.
func (l *Limiter) Latency() time.Duration { return Samples(len(l.delay)-1, l.cfg.Rate) }

// Reset forgets the past signal.
func (l *Limiter) Reset() {
	clear(l.delay)
	l.at, l.gain = 0, unity
	l.least.reset()
	l.smooth[0].fill(unity)
	l.smooth[1].fill(unity)
}

// Reduction is the gain in dB that the last sample got, 0 or less.
func (l *Limiter) Reduction() float64 { return Decibels(float64(l.smooth[1].value()) / unity) }

// Process limits x in place. Samples that are not finite count as 0.
func (l *Limiter) Process(x []float32) {
	for i, v := range x {
		if !finite(v) {
			v = 0
		}
		request := int64(unity)
		if a := max(v, -v); a > l.ceiling {
			request = int64(unity * float64(l.ceiling) / float64(a))
		}
		least := float64(l.least.next(request))
		if l.gain += (least - l.gain) * l.release; least < l.gain || least-l.gain < 1 {
			l.gain = least
		}
		gain := l.smooth[1].next(l.smooth[0].next(int64(l.gain)))

		l.delay[l.at] = v
		if l.at++; l.at == len(l.delay) {
			l.at = 0
		}
		y := l.delay[l.at]
		if gain != unity {
			// The clamp takes no more than the rounding of the product.
			y = min(l.ceiling, max(-l.ceiling, float32(float64(y)*float64(gain)/unity)))
		}
		x[i] = y
	}
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
