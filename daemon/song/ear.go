package song

import (
	"github.com/autovoiced/autovoiced/dsp"
)

const (
	// trackRate is the rate in Hz at which pitch is looked for.
	trackRate = 16000
	trackHop  = trackRate / curveRate
)

// ear follows the pitch and the level of a voice from its beginning to its end.
type ear struct {
	rail  rail
	queue queue
	pitch *follower
	curve curve
	level []float32
}

func newEar(rate int, o Options, parted bool) (*ear, error) {
	pitch, err := newFollower(o, parted)
	if err != nil {
		return nil, err
	}
	return &ear{rail: newRail(rate, trackRate), pitch: pitch}, nil
}

func (e *ear) hear(mono []float32) error {
	e.queue.set(e.rail.carry(e.queue.tail(), mono))
	return e.track()
}

func (e *ear) track() (err error) {
	for err == nil && e.queue.len() >= trackHop {
		hop := e.queue.take(trackHop)
		rms := dsp.RMS(hop)
		e.level = append(e.level, rms*rms)
		e.curve, err = e.pitch.append(e.curve, hop)
	}
	return err
}

// finish gives the pitch of all moments, and the levels of the 10 ms that follow each.
func (e *ear) finish() (c curve, level []float32, err error) {
	e.queue.set(e.rail.finish(e.queue.tail()))
	if rest := e.queue.len() % trackHop; rest > 0 {
		e.queue.set(append(e.queue.tail(), make([]float32, trackHop-rest)...))
	}
	if err = e.track(); err == nil {
		e.curve, err = e.pitch.finish(e.curve)
	}
	return e.curve, e.level, err
}

func (e *ear) close() error { return e.pitch.close() }
