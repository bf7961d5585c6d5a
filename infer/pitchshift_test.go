package infer

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestFixedShift(t *testing.T) {
	for _, s := range []float64{0, 12, -12, 0.5, -7.25, 24, -24} {
		p := newPitchShift(Shift{Semitones: s}, 220)
		want := 200 * math.Exp2(s/12)
		if got := float64(p.step(200)); math.Abs(got/want-1) > 1e-6 || p.now() != s {
			t.Errorf("%g semitones: 200 Hz became %g at shift %g, expected %g", s, got, p.now(), want)
		}
		for _, none := range []float64{0, -1, math.NaN(), math.Inf(1)} {
			if got := p.step(float32(none)); got != 0 {
				t.Errorf("f0 %g became %g, expected 0", none, got)
			}
		}
	}
	for _, bad := range []float64{24.5, -25, math.NaN(), math.Inf(1)} {
		wantError(t, newPitchShift(Shift{}, 220).set(Shift{Semitones: bad}), "'pitch_shift_semitones'", "-24 to 24")
	}
}

// A shift set in the middle of a note slides there; in a pause it jumps.
func TestShiftSlides(t *testing.T) {
	p := newPitchShift(Shift{}, 220)
	p.step(200)
	check(t, p.set(Shift{Semitones: 12}))
	last, hops := 0.0, 0
	for ; p.now() < 12; hops++ {
		p.step(200)
		if step := p.now() - last; step > slewPerHop+1e-9 || step <= 0 {
			t.Fatalf("hop %d: the shift moved by %g semitones", hops, step)
		}
		last = p.now()
	}
	if want := int(12 / slewPerHop); hops != want {
		t.Errorf("an octave took %d hops, expected %d", hops, want)
	}
	check(t, p.set(Shift{Semitones: -12}))
	p.step(0)
	if p.now() != -12 {
		t.Errorf("in a pause the shift went to %g, expected -12 at once", p.now())
	}
}

// talk feeds hops of a melody around a pitch and says how the shift moved.
func talk(p *pitchShift, random *rand.Rand, hz float64, hops int) (moves int) {
	for h := range hops {
		before := p.follow
		melody := 2*math.Sin(float64(h)/40) + 0.3*random.NormFloat64() // semitones
		if h%10 < 8 {
			p.step(float32(hz * math.Exp2(melody/12)))
		} else {
			p.step(0)
		}
		if p.follow != before {
			moves++
		}
	}
	return moves
}

func newRandom() *rand.Rand { return rand.New(rand.NewPCG(3, 4)) }

// Any speaker of a register gets the register's shift, from the first second on and for good.
func TestAutoShift(t *testing.T) {
	for _, c := range []struct{ speaker, voice, want float64 }{
		{115, 220, 10},
		{85, 220, 10},
		{135, 220, 10},
		{210, 220, 2},
		{180, 220, 2},
		{300, 220, 2},
		{115, 110, -2},
		{210, 110, -10},
		{250, 110, -10},
	} {
		random := newRandom()
		p := newPitchShift(Shift{Auto: true}, c.voice)
		talk(p, random, c.speaker, 60)
		if moves := talk(p, random, c.speaker, 2000); moves > 0 {
			t.Errorf("%g to %g Hz: the shift moved %d times while nobody changed", c.speaker, c.voice, moves)
		}
		if p.now() != c.want {
			t.Errorf("%g to %g Hz: shift %g, expected %g", c.speaker, c.voice, p.now(), c.want)
		}
	}
}

// A speaker at the border between the registers stays where the first syllable put them.
func TestAutoShiftAtTheBorder(t *testing.T) {
	random := newRandom()
	p := newPitchShift(Shift{Auto: true}, 220)
	talk(p, random, math.Sqrt(lowHz*highHz), 60)
	if moves := talk(p, random, math.Sqrt(lowHz*highHz), 5000); moves > 0 {
		t.Errorf("the shift moved %d times", moves)
	}
}

// Whoever speaks first sounds near the voice's pitch from the first voiced hop on.
func TestAutoShiftFromTheStart(t *testing.T) {
	p := newPitchShift(Shift{Auto: true}, 220)
	p.step(0)
	if got := p.step(122); math.Abs(semitones(float64(got))-semitones(220)) > 1 {
		t.Errorf("the first voiced hop came out at %g Hz, expected about 220", got)
	}
}

// The melody is untouched: within one speaker all intervals stay as they are.
func TestAutoShiftKeepsTheMelody(t *testing.T) {
	random := newRandom()
	p := newPitchShift(Shift{Auto: true}, 220)
	talk(p, random, 110, 300)
	for h := range 1000 {
		in := 110 * math.Exp2(4*math.Sin(float64(h)/60)/12) // an interval of 8 semitones
		out := float64(p.step(float32(in)))
		if moved := semitones(out) - semitones(in); !(math.Abs(moved-10) < 0.001) {
			t.Fatalf("hop %d: moved by %g semitones", h, moved)
		}
	}
}

// Another speaker takes over, an octave higher: the shift follows, late and sliding.
func TestAutoShiftFollowsAnotherSpeaker(t *testing.T) {
	random := newRandom()
	p := newPitchShift(Shift{Auto: true}, 220)
	talk(p, random, 110, 1000)
	before := p.now()
	if moves := talk(p, random, 220, 200); moves != 0 {
		t.Error("the shift moved within two seconds of another pitch")
	}
	if p.now() != before {
		t.Errorf("shift %g, expected %g still", p.now(), before)
	}
	talk(p, random, 220, 2000)
	if p.now() != 2 {
		t.Errorf("shift %g after 20 s of a high voice, expected 2", p.now())
	}
}

func TestAutoShiftAddsTheOffsetAndFollowsTheVoice(t *testing.T) {
	random := newRandom()
	p := newPitchShift(Shift{Auto: true, Semitones: 3}, 220)
	talk(p, random, 220, 300)
	if p.now() != 3+2 {
		t.Errorf("shift %g, expected 5", p.now())
	}
	p.setTarget(110)
	talk(p, random, 220, 300)
	if p.now() != 3-10 {
		t.Errorf("shift %g for a voice an octave lower, expected -7", p.now())
	}
	p.setTarget(20)
	talk(p, random, 1000, 3000)
	if p.now() != -MaxShift {
		t.Errorf("shift %g, expected it held at %d", p.now(), -MaxShift)
	}
}

// The median against a slow twin, over the ring's edge, to half a bin.
func TestRunningMedian(t *testing.T) {
	random := newRandom()
	var m runningMedian
	if m.median() != 0 {
		t.Error("a median of nothing")
	}
	var all []float64
	for i := range 3 * medianHops {
		v := 90 + 10*math.Sin(float64(i)/200) + random.NormFloat64()
		m.add(v)
		all = append(all, v)
		window := all[max(0, len(all)-medianHops):]
		below, above := 0, 0
		for _, w := range window {
			if w < m.median()-0.5/binsPerST {
				below++
			}
			if w > m.median()+0.5/binsPerST {
				above++
			}
		}
		if 2*below > len(window) || 2*above > len(window) {
			t.Fatalf("value %d: median %g has %d below and %d above of %d", i, m.median(), below, above, len(window))
		}
	}
	m.add(-1000)
	m.add(1000) // beyond the bins: the outermost ones take them
}
