package song

import (
	"github.com/autovoiced/autovoiced/dsp"
)

const (
	// trackRate is the rate in Hz at which pitch is looked for.
	trackRate = 16000
	trackHop  = trackRate / curveRate
)

// ear follows the pitch of a voice from its beginning to its end.
type ear struct {
	rail  rail
	queue queue
	pitch *dsp.Pitch
	skip  int // hops whose pitch describes moments before the beginning
	curve curve
	level []float32
}

func newEar(rate int, o Options) *ear {
	p := dsp.NewPitch(dsp.PitchConfig{Rate: trackRate, Fmin: o.MinHz, Fmax: o.MaxHz})
	// The hop that ends at (n+1)·10 ms tells of the moment Delay before: the first to tell of 0 is the one that ends there.
	skip := int(p.Delay().Seconds()*curveRate) - 1
	return &ear{rail: newRail(rate, trackRate), pitch: p, skip: skip}
}

func (e *ear) hear(mono []float32) {
	e.queue.set(e.rail.carry(e.queue.tail(), mono))
	e.track()
}

func (e *ear) track() {
	for e.queue.len() >= trackHop {
		hop := e.queue.take(trackHop)
		hz, _ := e.pitch.Process(hop)
		rms := dsp.RMS(hop)
		e.level = append(e.level, rms*rms)
		if e.skip > 0 {
			e.skip--
			continue
		}
		e.curve = append(e.curve, hz)
	}
}

// finish gives the pitch of all moments, and the levels of the 10 ms that follow each.
func (e *ear) finish() (c curve, level []float32) {
	e.queue.set(e.rail.finish(e.queue.tail()))
	values := (e.queue.len()+trackHop-1)/trackHop + len(e.level)
	for len(e.curve) < values {
		e.queue.set(append(e.queue.tail(), make([]float32, trackHop)...))
		e.track()
	}
	return e.curve[:values], e.level[:values]
}
