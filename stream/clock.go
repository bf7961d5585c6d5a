package stream

import (
	"time"

	"github.com/autovoiced/autovoiced/dsp"
)

// Clock tells monotonic time since an arbitrary zero. Every moment in this package, from the
// capture of a sample to its delivery, is read from one Clock, so that differences add up.
// Now is called from several goroutines and from device callbacks: it never blocks or allocates.
type Clock interface {
	Now() time.Duration
}

type monotonic struct{ zero time.Time }

// NewClock returns the machine's monotonic clock, zero at the call.
func NewClock() Clock { return monotonic{time.Now()} }

func (m monotonic) Now() time.Duration { return time.Since(m.zero) }

// FramesToTime is how long n frames last at rate; exact to the nanosecond for any n.
func FramesToTime(n uint64, rate int) time.Duration {
	r := uint64(rate)
	return time.Duration(n/r)*time.Second + time.Duration(n%r*uint64(time.Second)/r)
}

// TimeToFrames is the number of frames at rate in d, rounded to the nearest.
func TimeToFrames(d time.Duration, rate int) int {
	s, rest := d/time.Second, d%time.Second
	return int(s)*rate + int((rest*time.Duration(rate)+time.Second/2)/time.Second)
}

// MinRate and MaxRate bound the rates in Hz that a pipeline, its sources and its sinks may have.
const (
	MinRate = dsp.MinRate
	MaxRate = dsp.MaxRate
)
