package song

import (
	"math"
	"slices"
	"testing"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
)

func hz(pitch, strength float64) dsp.PitchCandidate {
	return dsp.PitchCandidate{Octave: math.Log2(pitch), Strength: strength}
}

// walk gives the curve of moments that are all below the same bar.
func walk(p *path, bar float64, moments ...[]dsp.PitchCandidate) curve {
	var c curve
	for _, m := range moments {
		c = p.append(c, m, bar, infer.PitchGuess{})
	}
	return p.finish(c)
}

func TestPathTakesNoLeapForAMoment(t *testing.T) {
	note := []dsp.PitchCandidate{hz(200, 0.9), hz(100, 0.8)}
	slip := []dsp.PitchCandidate{hz(100, 0.92), hz(200, 0.85)} // the octave is a little stronger
	c := walk(newPath(false, false), 0.5, note, note, slip, slip, slip, note, note)
	for i, hz := range c {
		if math.Abs(float64(hz)-200) > 0.1 {
			t.Errorf("moment %d: %g Hz, want 200", i, hz)
		}
	}
	leap := []dsp.PitchCandidate{hz(100, 0.95)}
	if c := walk(newPath(false, false), 0.5, note, note, leap, leap, leap); math.Abs(float64(c[4])-100) > 0.1 {
		t.Errorf("%g Hz after a leap to 100", c[4])
	}
}

// TestPathLooksAhead: what comes later says whether a weak moment is voice.
func TestPathLooksAhead(t *testing.T) {
	note := []dsp.PitchCandidate{hz(200, 0.9)}
	if c := walk(newPath(false, false), 0.5, note, []dsp.PitchCandidate{hz(200, 0.4)}, note); c.voiced() != 3 {
		t.Errorf("%v, want a note without a hole", c)
	}
	if c := walk(newPath(false, false), 0.5, nil, []dsp.PitchCandidate{hz(200, 0.6)}, nil); c.voiced() > 0 {
		t.Errorf("%v, want no voice of a moment", c)
	}
}

func TestPathBelievesAGuess(t *testing.T) {
	p := newPath(true, false)
	var c curve
	for range 5 {
		c = p.append(c, []dsp.PitchCandidate{hz(100, 0.9), hz(200, 0.8)}, 0.5, infer.PitchGuess{Hz: 202, Sure: 1})
	}
	for _, hz := range p.finish(c) {
		if hz < 200 || hz > 202 {
			t.Errorf("%g Hz, want what both agree on", hz)
		}
	}
}

func TestPathIsSilentBelowTheFloor(t *testing.T) {
	loud := []dsp.PitchCandidate{hz(200, 1)}
	if c := walk(newPath(false, false), math.Inf(1), loud, loud, loud); c.voiced() > 0 || len(c) != 3 {
		t.Errorf("%v, want three times 0", c)
	}
}

// TestPathRemembersEnough: decided upon bit by bit, the pitch of speech is what one search through all of it finds.
func TestPathRemembersEnough(t *testing.T) {
	scan := dsp.NewPitchScan(dsp.PitchConfig{Rate: trackRate, Fmin: 50, Fmax: 1100})
	short, long := newPath(false, false), newPath(false, false)
	var c, all curve
	for _, k := range spoken(t) {
		samples := k.noisy(5).samples
		for at := 0; at+trackHop <= len(samples); at += trackHop {
			candidates, bar := scan.Process(samples[at : at+trackHop])
			c = short.append(c, candidates, bar, infer.PitchGuess{})
			if len(long.steps) == cap(long.steps) {
				long.steps = slices.Grow(long.steps, 1000)
			}
			all = long.append(all, candidates, bar, infer.PitchGuess{})
		}
	}
	if len(all) > 0 {
		t.Fatal("the long path decided before the end")
	}
	c, all = short.finish(c), long.finish(all)
	if !slices.Equal(c, all) || len(c) < 20*pathPiece || c.voiced() < len(c)/5 {
		t.Errorf("%d values, %d voiced, are not the %d, %d of the whole", len(c), c.voiced(), len(all), all.voiced())
	}
}

// TestRepairMovesTheLesserPart: of a note that leaps for a moment, the moment is what slipped, wherever in it the note began.
func TestRepairMovesTheLesserPart(t *testing.T) {
	c := curve{137, 132, 133, 131, 66, 65, 129, 127, 122, 0}
	c.repair()
	for i, hz := range c[:9] {
		if hz < 120 || hz > 140 {
			t.Errorf("value %d: %g Hz, want 122 to 137", i, hz)
		}
	}
}
