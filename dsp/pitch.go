package dsp

import (
	"fmt"
	"time"
)

// pitchDelay is what the tracker waits for: half of its window.
const pitchDelay = 20 * time.Millisecond

// PitchConfig says what the tracker listens for.
type PitchConfig struct {
	// Rate of the input in samples per second.
	Rate int
	// Fmin and Fmax bound the pitch in Hz. A lower Fmin costs time and octave errors in high
	// voices; 55 Hz is the floor that the 40 ms window can still see.
	Fmin, Fmax float64
}

// DefaultPitchConfig covers speech and singing, from a low male voice to a soprano.
func DefaultPitchConfig(rate int) PitchConfig { return PitchConfig{Rate: rate, Fmin: 55, Fmax: 1000} }

// Validate names the first key that is out of range.
func (c PitchConfig) Validate() error {
	switch {
	case c.Rate < 8000 || c.Rate > 192000:
		return fmt.Errorf("'rate' is %d, must be 8000 to 192000 Hz", c.Rate)
	case !(c.Fmin >= 50 && c.Fmin <= 500):
		return fmt.Errorf("'fmin' is %g, must be 50 to 500 Hz", c.Fmin)
	case !(c.Fmax >= 2*c.Fmin && c.Fmax <= 1200):
		return fmt.Errorf("'fmax' is %g, must be 2 * fmin (%g) to 1200 Hz", c.Fmax, 2*c.Fmin)
	}
	return nil
}

// PitchScan hears, hop by hop, which pitches there may be, and leaves the choice to who has heard more. Candidates
// describe the signal Delay before the end of the hop just given. It allocates nothing; one goroutine uses it.
//
// The signal is brought down to about 8 kHz, so the cost hardly grows with the rate. Every hop, the
// peaks of the normalised autocorrelation of a window centred on the described moment (McLeod and
// Wyvill, "A smarter way to find pitch", 2005) become candidates.
type PitchScan struct {
	dec   *decimator
	frame *pitchFrame
	bar   pitchBar
}

// NewPitchScan makes a scan; it panics when the config is not valid.
func NewPitchScan(cfg PitchConfig) *PitchScan {
	if err := cfg.Validate(); err != nil {
		panic("dsp: pitch: " + err.Error())
	}
	dec := newDecimator(cfg.Rate)
	s := &PitchScan{dec: dec, frame: newPitchFrame(dec.rate(), dec.reach(pitchDelay), cfg.Fmin, cfg.Fmax)}
	s.Reset()
	return s
}

// Delay is how long before the end of the last hop the moment lies that candidates describe.
func (s *PitchScan) Delay() time.Duration { return pitchDelay }

// Reset forgets the past signal.
func (s *PitchScan) Reset() {
	s.dec.reset()
	s.bar.reset()
}

// Process takes the next hop, 10 ms or about that, and returns the candidates, strongest first and
// PitchCandidates at most, valid until the next call, and the bar: how much one must be Worth to count as voice
// rather than noise at the level of the moment. Samples that are not finite, or beyond MaxSample, count as 0.
func (s *PitchScan) Process(hop []float32) (cands []PitchCandidate, bar float64) {
	s.dec.push(hop)
	cands, level := s.frame.analyse(s.dec.window(pitchDelay))
	return cands, s.bar.step(cands, level)
}

// Pitch follows the pitch of one voice, hop by hop. Each estimate describes the signal Delay
// before the end of the hop just given. It allocates nothing; one goroutine uses it.
//
// A causal dynamic programme chooses among the candidates of a PitchScan and silence.
type Pitch struct {
	scan    *PitchScan
	tracker pitchTracker
}

// NewPitch makes a tracker; it panics when the config is not valid.
func NewPitch(cfg PitchConfig) *Pitch {
	p := &Pitch{scan: NewPitchScan(cfg)}
	p.Reset()
	return p
}

// Delay is how long before the end of the last hop the moment lies that an estimate describes.
func (p *Pitch) Delay() time.Duration { return p.scan.Delay() }

// Reset forgets the past signal.
func (p *Pitch) Reset() {
	p.scan.Reset()
	p.tracker.reset()
}

// Process takes the next hop, 10 ms or about that, and returns the pitch in Hz, 0 when unvoiced,
// and the voicing: how periodic the signal is, from 0 (noise) to 1 (a perfect repetition).
// Samples that are not finite, or beyond MaxSample, count as 0.
func (p *Pitch) Process(hop []float32) (hz, voicing float32) {
	return p.tracker.step(p.scan.Process(hop))
}
