package infer

import (
	"fmt"
	"math"
	"sync/atomic"
)

const (
	// MaxShift is the largest pitch shift, in semitones up or down.
	MaxShift = 24

	// The automatic shift hears one thing of a speaker: whether the voice is a low or a high one.
	// It takes either as if it were at lowHz or highHz, and so keeps one shift for all of an
	// utterance: a finer estimate would move with every phrase, and bend the melody. The two lie
	// nearer to each other than the medians of men and of women (115 and 205 Hz), so that a
	// speaker who is heard wrong at first is not moved as far. It looks at the median of the last medianHops voiced hops (6 s), decides
	// freely within the first openingHops (0.5 s), and afterwards only when the median has been
	// marginSemitones beyond the border for driftHops voiced hops (2 s). People begin higher than
	// they go on, hence a border of its own for the opening. The figures are those that kept most
	// of the melody over 236 speakers reading.
	lowHz, highHz   = 122, 192
	openingHz       = 165
	medianHops      = 600
	openingHops     = 50
	marginSemitones = 3
	driftHops       = 200

	// slewPerHop is how many semitones the shift slides in a voiced hop; where nobody hears a
	// pitch, it may jump.
	slewPerHop = 0.5
)

// Shift is a pitch shift in semitones, fractions allowed. With Auto, a low or high speaker is moved to
// the voice's register by whole semitones, and Semitones comes on top.
type Shift struct {
	Auto      bool    `json:"auto"`
	Semitones float64 `json:"semitones"`
}

// Validate quotes the range.
func (s Shift) Validate() error {
	if !(math.Abs(s.Semitones) <= MaxShift) {
		return fmt.Errorf("'pitch_shift_semitones' is %g, allowed: -%d to %d", s.Semitones, MaxShift, MaxShift)
	}
	return nil
}

// pitchShift moves f0, hop by hop. set and now may be called from any goroutine, the rest by the
// owner.
type pitchShift struct {
	wanted  atomic.Pointer[Shift]
	current atomic.Uint64 // bits of a float64

	target  float64 // the voice's median, in semitones above 1 Hz
	speaker runningMedian
	high    bool    // the speaker's register
	follow  float64 // what auto has settled on, whole semitones
	drift   int     // voiced hops that spoke for the other register
	applied float64
	voiced  bool // the last hop was: a change must slide
}

func newPitchShift(s Shift, medianHz float64) *pitchShift {
	p := &pitchShift{target: semitones(medianHz)}
	p.wanted.Store(&s)
	p.apply(s.Semitones)
	return p
}

// semitones is the distance from 1 Hz.
func semitones(hz float64) float64 { return 12 * math.Log2(hz) }

func (p *pitchShift) set(s Shift) error {
	if err := s.Validate(); err != nil {
		return err
	}
	p.wanted.Store(&s)
	return nil
}

func (p *pitchShift) now() float64 { return math.Float64frombits(p.current.Load()) }

func (p *pitchShift) apply(semitones float64) {
	p.applied = semitones
	p.current.Store(math.Float64bits(semitones))
}

// setTarget names the pitch to move the speaker to: another voice, another shift at once.
func (p *pitchShift) setTarget(medianHz float64) {
	if t := semitones(medianHz); t != p.target {
		p.target = t
		p.settle()
	}
}

// reset lets the next change jump; the speaker's median stays.
func (p *pitchShift) reset() { p.voiced = false }

// step takes one hop's f0 in Hz and returns it shifted; what is no pitch comes back as 0.
func (p *pitchShift) step(f0 float32) float32 {
	hz := float64(f0)
	voiced := hz > 0 && !math.IsInf(hz, 0)
	if voiced {
		p.learn(semitones(hz))
	}
	want := p.wanted.Load()
	goal := want.Semitones
	if want.Auto {
		goal += p.follow
	}
	goal = max(-MaxShift, min(MaxShift, goal))
	if p.voiced && voiced {
		goal = max(p.applied-slewPerHop, min(p.applied+slewPerHop, goal))
	}
	p.apply(goal)
	if p.voiced = voiced; !voiced {
		return 0
	}
	return float32(hz * math.Exp2(goal/12))
}

// learn follows the speaker's median and decides when the register, and so the shift, changes.
func (p *pitchShift) learn(pitch float64) {
	p.speaker.add(pitch)
	median := p.speaker.median()
	if p.speaker.count <= openingHops {
		p.high = median > semitones(openingHz)
		p.settle()
		return
	}
	above := median - (semitones(lowHz)+semitones(highHz))/2
	if p.high {
		above = -above
	}
	if above <= marginSemitones {
		p.drift = 0
		return
	}
	if p.drift++; p.drift > driftHops {
		p.high = !p.high
		p.settle()
	}
}

// settle takes the whole number of semitones between the speaker's register and the voice.
func (p *pitchShift) settle() {
	p.drift = 0
	switch {
	case p.speaker.count == 0:
	case p.high:
		p.follow = math.Round(p.target - semitones(highHz))
	default:
		p.follow = math.Round(p.target - semitones(lowHz))
	}
}

const (
	medianLow  = 60 // semitones above 1 Hz: 32 Hz
	medianBins = 256
	binsPerST  = 4
)

// runningMedian is the median of the last medianHops values, to a quarter of a semitone: a ring of
// bins and their histogram, so that a value costs the same whatever came before.
type runningMedian struct {
	ring  [medianHops]uint8
	next  int
	count int // values in the ring
	bins  [medianBins]int
}

func (m *runningMedian) add(semitones float64) {
	bin := uint8(max(0, min(medianBins-1, (semitones-medianLow)*binsPerST)))
	if m.count == medianHops {
		m.bins[m.ring[m.next]]--
	} else {
		m.count++
	}
	m.ring[m.next] = bin
	m.bins[bin]++
	m.next = (m.next + 1) % medianHops
}

// median is the middle of the bin that holds the middle value; 0 when there is none.
func (m *runningMedian) median() float64 {
	seen := 0
	for bin, n := range m.bins {
		if seen += n; 2*seen >= m.count && seen > 0 {
			return medianLow + (float64(bin)+0.5)/binsPerST
		}
	}
	return 0
}
