package dsp

import "math"

// pitchBar says what a candidate must be worth to count as voice. The quieter a frame is beside those before it, the more.
type pitchBar struct {
	peak float64 // recent peak level, dBFS
}

func (b *pitchBar) reset() { b.peak = -60 }

// step takes a frame's candidates and level in dB.
func (b *pitchBar) step(cands []PitchCandidate, level float64) float64 {
	forget := pitchForget
	if b.tooQuiet(cands, level) {
		forget = pitchRelent
	}
	b.peak = max(level, b.peak-forget, -70)
	if level < pitchFloor {
		return math.Inf(1)
	}
	return pitchThreshold + pitchLevel*min(60, b.peak-level)
}

// tooQuiet says whether a frame would clearly be voice, were it not for something far louder before it.
func (b *pitchBar) tooQuiet(cands []PitchCandidate, level float64) bool {
	best := math.Inf(-1)
	for _, c := range cands {
		best = max(best, c.Worth())
	}
	margin := best - pitchThreshold
	below := b.peak - level
	return below > pitchFar && margin > pitchClear && margin < pitchLevel*below
}
