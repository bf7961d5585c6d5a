package report

import (
	"fmt"

	"github.com/autovoiced/autovoiced/dsp"
)

// Separator takes the voice out of the music; infer's does.
type Separator interface {
	Rate() int
	Channels() int
	Hop() int     // frames that Process takes and gives
	Latency() int // frames by which the vocals are late
	Process(vocals, mixture [][]float32) error
	Reset()
}

// pitchFinder follows the pitch of a recording: of all of it, or of the voice that a separator takes out of it.
type pitchFinder struct {
	tracker *dsp.Pitch
	hop     []float32 // of 10 ms, being filled
	pitch   []float32

	separator Separator // nil: of all of it
	resample  []*dsp.Resampler
	queue     [][]float32 // at the separator's rate
	vocals    [][]float32
	skip      int // frames that stand for what was before the beginning
	left      int // frames of the recording that are still to come
}

func newPitchFinder(s Separator, rate int, frames int64) *pitchFinder {
	p := &pitchFinder{separator: s}
	if s != nil {
		s.Reset()
		p.skip, p.left = s.Latency(), int(frames*int64(s.Rate())/int64(rate))
		for range s.Channels() {
			p.resample = append(p.resample, dsp.NewResampler(rate, s.Rate()))
			p.queue = append(p.queue, nil)
			p.vocals = append(p.vocals, make([]float32, s.Hop()))
		}
		rate = s.Rate()
	}
	p.tracker = dsp.NewPitch(dsp.DefaultPitchConfig(rate))
	p.hop = make([]float32, 0, rate/pitchEvery)
	return p
}

// hear takes the channels of a recording and their mean.
func (p *pitchFinder) hear(channels [][]float32, mean []float32) error {
	if p.separator == nil {
		p.follow(mean)
		return nil
	}
	for c, r := range p.resample {
		p.queue[c] = r.Append(p.queue[c], channels[min(c, len(channels)-1)])
	}
	return p.separate()
}

// separate works off what is complete.
func (p *pitchFinder) separate() error {
	hop, done := p.separator.Hop(), 0
	part := make([][]float32, len(p.queue))
	for ; done+hop <= len(p.queue[0]); done += hop {
		for c, x := range p.queue {
			part[c] = x[done : done+hop]
		}
		if err := p.separator.Process(p.vocals, part); err != nil {
			return fmt.Errorf("taking the voice out of the music: %w", err)
		}
		mean := p.vocals[0]
		for i := range mean {
			var sum float32
			for _, x := range p.vocals {
				sum += x[i]
			}
			mean[i] = sum / float32(len(p.vocals))
		}
		n := min(p.skip, hop)
		p.skip -= n
		mean = mean[n:]
		mean = mean[:min(p.left, len(mean))]
		p.left -= len(mean)
		p.follow(mean)
	}
	for c, x := range p.queue {
		p.queue[c] = x[:copy(x, x[done:])]
	}
	return nil
}

// finish has what is still on its way, and gives the pitch, pitchEvery values a second.
func (p *pitchFinder) finish() ([]float32, error) {
	if p.separator != nil {
		after := make([]float32, p.separator.Latency()+p.separator.Hop())
		for c, r := range p.resample {
			rest := make([]float32, r.Pending())
			rest = rest[:r.Flush(rest)]
			p.queue[c] = append(append(p.queue[c], rest...), after...)
		}
		if err := p.separate(); err != nil {
			return nil, err
		}
	}
	late := int(p.tracker.Delay().Seconds() * pitchEvery) // an estimate tells of what was then
	return p.pitch[min(late, len(p.pitch)):], nil
}

func (p *pitchFinder) follow(x []float32) {
	for len(x) > 0 {
		n := min(len(x), cap(p.hop)-len(p.hop))
		p.hop = append(p.hop, x[:n]...)
		x = x[n:]
		if len(p.hop) == cap(p.hop) {
			hz, _ := p.tracker.Process(p.hop)
			p.pitch = append(p.pitch, hz)
			p.hop = p.hop[:0]
		}
	}
}
