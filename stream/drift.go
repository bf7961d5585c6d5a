package stream

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/autovoiced/autovoiced/dsp"
)

// The controller's constants. The level integrates the clocks' difference, so PI control makes a
// second-order loop of natural frequency √driftI = 0.1/s, critically damped: a step is followed in
// about half a minute, slowly enough that nobody hears the pitch move.
const (
	driftP       = 0.2             // ratio per second of excess
	driftI       = 0.01            // ratio per second of excess, each second
	driftAverage = 2 * time.Second // of the level, which jumps by a chunk and a callback
	driftReach   = 0.020           // s: larger excess is a stall's, which is catch-up's business
	driftSlew    = 0.0005          // most that the ratio changes in a second
)

// Drift keeps a playout ring at its level although capture and playout devices count time
// differently: it steers an asynchronous resampler by at most ±0.5 %.
// One goroutine updates; any may ask for PPM.
type Drift struct {
	rate     float64
	average  float64 // of the excess, s
	integral float64
	ratio    float64
	ppm      atomic.Uint64 // bits of float64
}

// NewDrift returns a controller for a ring of frames at rate.
func NewDrift(rate int) *Drift { return &Drift{rate: float64(rate), ratio: 1} }

// Update takes how many frames the ring holds above its target (negative: below), dt after the
// last Update, and returns the ratio for the resampler before the ring: below 1 it makes fewer
// frames than the rates say.
func (d *Drift) Update(excess int, dt time.Duration) float64 {
	seconds := dt.Seconds()
	now := min(max(float64(excess)/d.rate, -driftReach), driftReach)
	d.average += (now - d.average) * min(1, seconds/driftAverage.Seconds())

	step := d.average * driftI * seconds
	want := 1 - driftP*d.average - d.integral - step
	if math.Abs(want-1) < dsp.MaxDrift { // else the integral would wind up
		d.integral += step
	}
	want = min(max(want, 1-dsp.MaxDrift), 1+dsp.MaxDrift)
	slew := driftSlew * seconds
	d.ratio += min(max(want-d.ratio, -slew), slew)
	d.ppm.Store(math.Float64bits((d.ratio - 1) * 1e6))
	return d.ratio
}

// Settle forgets the present excess but not the clocks' difference: for after a gap or catch-up,
// when the level says nothing about clocks.
func (d *Drift) Settle() { d.average = 0 }

// PPM is by how much the playout is stretched now, in parts per million: about how much faster
// the playout device's clock is than the capture's.
func (d *Drift) PPM() float64 { return math.Float64frombits(d.ppm.Load()) }
