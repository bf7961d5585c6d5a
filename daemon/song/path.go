package song

import (
	"math"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
)

// What the path weighs, in units of periodicity as dsp.PitchCandidate.Worth. Tuned on speakers, rooms, noises and made-up
// singers that nothing is measured with, against CREPE and known curves.
const (
	pathSure       = 0.45 // what it adds to a candidate that the network is sure of,
	pathSureParted = 1.0  // and out of music, of which something is left that repeats as well
	pathNear       = 0.03 // octaves between the two that count as one pitch (standard deviation)
	pathBar        = 0.06 // what a voice must be worth beyond dsp's bar for that,
	pathBarParted  = 0.32 // and out of music
	pathSwitch     = 0.09 // cost between voice and none
	pathJump       = 1.0  // cost of each octave between neighbouring moments,
	pathFar        = 0.4  // up to this, so that a singer may leap

	pathAway     = 0.5 // cost of each octave further than pathRange from the voice's register,
	pathAwayMost = 0.4 // up to this
	pathRange    = 0.5 // octaves
	pathSettled  = 20  // moments of voice heard before there is a register,
	pathMemory   = 200 // and how many it rests on later

	// A moment is decided upon when pathAhead more were heard, some at a time.
	pathAhead = 100
	pathPiece = 100
)

// path finds the pitch of a recording: the cheapest way through the candidates of all its moments, silence being one of
// them. It is a Viterbi search that remembers no more than pathAhead+pathPiece moments: what is best at one is no other
// for what comes more than a second later.
type path struct {
	sure     float64                      // what a network's certainty is worth,
	bar      float64                      // and how much more a voice must be for it
	costs    [dsp.PitchCandidates]float64 // of the cheapest way to each candidate of the newest moment
	unvoiced float64                      // and to silence
	steps    []step                       // moments not decided upon, oldest first
	register float64                      // log2 of the voice's usual pitch in Hz
	heard    int                          // moments that it rests on
}

// step is a moment, and for each of its candidates which of the moment before leads there; silent is silence.
type step struct {
	octaves  [dsp.PitchCandidates]float64
	from     [dsp.PitchCandidates]int8
	unvoiced int8 // what leads to silence
	n        int
}

const silent = -1

// newPath makes a path; guessed says that its moments will have guesses of a network, and parted that the voice was taken out of music.
func newPath(guessed, parted bool) *path {
	p := &path{steps: make([]step, 0, pathAhead+pathPiece)}
	switch {
	case guessed && parted:
		p.sure, p.bar = pathSureParted, pathBarParted
	case guessed:
		p.sure, p.bar = pathSure, pathBar
	}
	return p
}

// append takes the next moment and appends to the curve what it decides. bar is what a candidate must be worth to be voice.
func (p *path) append(curve []float32, candidates []dsp.PitchCandidate, bar float64, guess infer.PitchGuess) []float32 {
	if len(p.steps) == cap(p.steps) {
		curve = p.decide(curve, pathPiece)
	}
	var last step
	if n := len(p.steps); n > 0 {
		last = p.steps[n-1]
	}
	now, costs := step{n: len(candidates), unvoiced: silent}, p.costs
	unvoiced := p.unvoiced
	for i, cost := range p.costs[:last.n] {
		if cost+pathSwitch < unvoiced {
			unvoiced, now.unvoiced = cost+pathSwitch, int8(i)
		}
	}
	best, least := silent, unvoiced
	for i, c := range candidates {
		agreed, away := agreement(c, guess)
		now.octaves[i] = c.Octave + agreed*away
		costs[i], now.from[i] = p.reach(last, c.Octave)
		costs[i] += bar + p.bar - c.Worth() - p.sure*agreed + p.strangeness(c.Octave)
		if costs[i] < least {
			best, least = i, costs[i]
		}
	}
	if best != silent {
		p.heard = min(p.heard+1, pathMemory)
		p.register += (now.octaves[best] - p.register) / float64(p.heard)
	}
	for i := range candidates {
		costs[i] -= least
	}
	p.costs, p.unvoiced = costs, unvoiced-least
	p.steps = append(p.steps, now)
	return curve
}

// reach is the cost of the cheapest way from the moment before to a pitch, and where it comes from.
func (p *path) reach(last step, octave float64) (cost float64, from int8) {
	cost, from = p.unvoiced+pathSwitch, silent
	for i, before := range p.costs[:last.n] {
		if c := before + min(pathFar, pathJump*math.Abs(last.octaves[i]-octave)); c < cost {
			cost, from = c, int8(i)
		}
	}
	return cost, from
}

// strangeness is what a pitch costs that is far from where the voice usually is: an octave off it is likely none.
func (p *path) strangeness(octave float64) float64 {
	if p.heard <= pathSettled {
		return 0
	}
	return min(pathAwayMost, pathAway*max(0, math.Abs(octave-p.register)-pathRange))
}

// agreement is how much a guess speaks for a candidate, from 0 to 1, and by how many octaves it is above: a network that is sure places a
// pitch more exactly.
func agreement(c dsp.PitchCandidate, guess infer.PitchGuess) (agreed, away float64) {
	if guess.Hz <= 0 {
		return 0, 0
	}
	away = math.Log2(float64(guess.Hz)) - c.Octave
	return float64(guess.Sure) * math.Exp(-away*away/(2*pathNear*pathNear)), away
}

// decide appends the pitch of the oldest moments to the curve and forgets them.
func (p *path) decide(curve []float32, moments int) []float32 {
	at := int8(silent)
	least := p.unvoiced
	for i, cost := range p.costs[:p.steps[len(p.steps)-1].n] {
		if cost < least {
			at, least = int8(i), cost
		}
	}
	begin := len(curve)
	curve = append(curve, make([]float32, moments)...)
	for i := len(p.steps) - 1; i >= 0; i-- {
		s := &p.steps[i]
		if at == silent {
			at = s.unvoiced
			continue
		}
		if i < moments {
			curve[begin+i] = float32(math.Exp2(s.octaves[at]))
		}
		at = s.from[at]
	}
	p.steps = p.steps[:copy(p.steps, p.steps[moments:])]
	return curve
}

// finish decides upon all that is left.
func (p *path) finish(curve []float32) []float32 {
	if len(p.steps) > 0 {
		curve = p.decide(curve, len(p.steps))
	}
	p.costs, p.unvoiced, p.register, p.heard = [dsp.PitchCandidates]float64{}, 0, 0, 0
	return curve
}
