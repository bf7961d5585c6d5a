package dsp

import "math"

// What the tracker weighs, in units of periodicity. Tuned together on 29 speakers against CREPE and
// on synthesised speech with a known curve; 20 further speakers were kept out of it.
const (
	pitchHarmony   = 0.6   // worth of a spectrum that fits, beside a wave that repeats
	pitchThreshold = 0.68  // worth that counts as voiced at the recent peak level,
	pitchLevel     = 0.016 // and how much more it takes for each dB below that, down to 60
	pitchSwitch    = 0.055 // cost between voiced and unvoiced
	pitchJump      = 0.44  // cost of each octave between neighbouring frames,
	pitchJumpMost  = 0.2   // up to this, so that an error cannot last
	pitchAway      = 0.25  // cost of each octave further than pitchRange from the voice's register,
	pitchAwayMost  = 0.17  // up to this, so that a singer may leap
	pitchRange     = 0.5   // octaves
	pitchSettled   = 20    // frames heard before there is a register,
	pitchMemory    = 200   // and how many it rests on later

	pitchForget = 0.04 // dB a frame by which the recent peak falls,
	pitchRelent = 2    // and in a frame that is voice but for the peak, so that speech after a bang is heard:
	pitchFar    = 20   // dB and more below it,
	pitchClear  = 0.2  // worth beyond the threshold
	pitchFloor  = -85  // dBFS below which nothing is voiced
)

// pitchTracker chooses, for each frame, the end of the cheapest path through the candidates so
// far, silence being one of them. It never looks ahead.
type pitchTracker struct {
	paths    [PitchCandidates]pitchPath
	n        int
	unvoiced float64 // cost of the best path that ends unvoiced
	register float64 // log2 of the voice's usual pitch in Hz
	heard    int     // frames that the register rests on
}

// pitchPath is the cheapest way to end at one candidate.
type pitchPath struct{ octave, cost float64 }

func (t *pitchTracker) reset() { *t = pitchTracker{} }

// step takes a frame's candidates, strongest first, and what they must be worth, and returns the pitch in Hz (0:
// unvoiced) and the periodicity.
func (t *pitchTracker) step(cands []PitchCandidate, bar float64) (hz, voicing float32) {
	if len(cands) > 0 {
		voicing = float32(max(0, cands[0].Strength))
	}
	unvoiced := t.unvoiced
	for _, p := range t.paths[:t.n] {
		unvoiced = min(unvoiced, p.cost+pitchSwitch)
	}
	var next [PitchCandidates]pitchPath
	chosen, least := -1, unvoiced
	for i, c := range cands {
		next[i] = pitchPath{c.Octave, t.reach(c) + bar - c.Worth()}
		if next[i].cost < least {
			chosen, least = i, next[i].cost
		}
	}
	for i := range cands {
		next[i].cost -= least
	}
	t.paths, t.n, t.unvoiced = next, len(cands), unvoiced-least
	if chosen < 0 {
		return 0, voicing
	}
	octave := cands[chosen].Octave
	t.heard = min(t.heard+1, pitchMemory)
	t.register += (octave - t.register) / float64(t.heard)
	return float32(math.Exp2(octave)), float32(cands[chosen].Strength)
}

// reach is the cost of the cheapest way from the frame before to a candidate.
func (t *pitchTracker) reach(c PitchCandidate) float64 {
	cost := t.unvoiced + pitchSwitch
	for _, p := range t.paths[:t.n] {
		cost = min(cost, p.cost+min(pitchJumpMost, pitchJump*math.Abs(p.octave-c.Octave)))
	}
	if t.heard > pitchSettled {
		away := math.Abs(c.Octave-t.register) - pitchRange
		cost += min(pitchAwayMost, pitchAway*max(0, away))
	}
	return cost
}
