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

// talk feeds hops of a melody around a pitch and says how far the shift moved between its extremes.
func talk(p *pitchShift, random *rand.Rand, hz float64, hops int) (moved float64) {
	least, most := math.Inf(1), math.Inf(-1)
	for h := range hops {
		melody := 2*math.Sin(float64(h)/40) + 0.3*random.NormFloat64() // semitones
		if h%10 < 8 {
			p.step(float32(hz * math.Exp2(melody/12)))
		} else {
			p.step(0)
		}
		least, most = min(least, p.now()), max(most, p.now())
	}
	return most - least
}

func newRandom() *rand.Rand { return rand.New(rand.NewPCG(3, 4)) }

// Any speaker is moved to the voice: roughly after the first second, and hardly at all from then on.
func TestAutoShift(t *testing.T) {
	for _, c := range []struct{ speaker, voice float64 }{
		{115, 220}, {85, 220}, {135, 220}, {210, 220}, {180, 220}, {300, 220}, {115, 110}, {210, 110}, {250, 110},
	} {
		random, want := newRandom(), semitones(c.voice)-semitones(c.speaker)
		p := newPitchShift(Shift{Auto: true}, c.voice)
		talk(p, random, c.speaker, 100)
		if off := math.Abs(p.now() - want); off > 6 {
			t.Errorf("%g to %g Hz: shift %.1f after a second, expected about %.1f", c.speaker, c.voice, p.now(), want)
		}
		talk(p, random, c.speaker, 900)
		if moved := talk(p, random, c.speaker, 1000); moved > 1000*creepPerHop {
			t.Errorf("%g to %g Hz: the shift moved by %.1f semitones while nobody changed", c.speaker, c.voice, moved)
		}
		talk(p, random, c.speaker, 12000)
		if off := math.Abs(p.now() - want); off > 1 {
			t.Errorf("%g to %g Hz: shift %.1f after two minutes, expected %.1f", c.speaker, c.voice, p.now(), want)
		}
	}
}

// A pitch between the registers, and a tracker that is an octave off now and then or hears the mains
// before anybody speaks, do not make it waver.
func TestAutoShiftStays(t *testing.T) {
	random := newRandom()
	p := newPitchShift(Shift{Auto: true}, 220)
	for range 30 {
		p.step(60)
	}
	between := math.Sqrt(lowHz * highHz)
	talk(p, random, between, 1000)
	before := p.now()
	for h := range 5000 {
		hz := between * math.Exp2((2*math.Sin(float64(h)/40)+0.3*random.NormFloat64())/12)
		if random.IntN(10) == 0 {
			hz *= []float64{0.5, 2}[random.IntN(2)]
		}
		p.step(float32(hz))
	}
	if moved := math.Abs(p.now() - before); moved > 1.5 {
		t.Errorf("the shift went from %.1f to %.1f", before, p.now())
	}
}

// Whoever speaks first sounds near the voice's pitch within the first syllables.
func TestAutoShiftFromTheStart(t *testing.T) {
	for _, hz := range []float64{90, 122, 190, 260} {
		p := newPitchShift(Shift{Auto: true}, 220)
		talk(p, newRandom(), hz, 30)
		if off := p.now() - semitones(220) + semitones(hz); math.Abs(off) > 7 {
			t.Errorf("%g Hz: the shift is off by %.1f semitones after 0.3 s", hz, off)
		}
	}
}

// The melody is untouched: within one speaker all intervals stay as they are, but for the creep.
func TestAutoShiftKeepsTheMelody(t *testing.T) {
	random := newRandom()
	p := newPitchShift(Shift{Auto: true}, 220)
	talk(p, random, 110, 300)
	shift := p.now()
	for h := range 1000 {
		in := 110 * math.Exp2(4*math.Sin(float64(h)/60)/12) // an interval of 8 semitones
		out := float64(p.step(float32(in)))
		if moved := semitones(out) - semitones(in); !(math.Abs(moved-shift) < float64(h+1)*creepPerHop+0.001) {
			t.Fatalf("hop %d: moved by %g semitones, at first by %g", h, moved, shift)
		}
	}
}

// Another speaker takes over, an octave higher: the shift follows within seconds, gliding.
func TestAutoShiftFollowsAnotherSpeaker(t *testing.T) {
	random := newRandom()
	p := newPitchShift(Shift{Auto: true}, 220)
	talk(p, random, 110, 1000)
	before := p.now()
	if moved := talk(p, random, 220, 100); moved > 100*creepPerHop {
		t.Errorf("the shift moved by %g within a second of another pitch", moved)
	}
	last := p.now()
	for h := range 1500 {
		p.step(float32(220 * math.Exp2(2*math.Sin(float64(h)/40)/12)))
		if step := math.Abs(p.now() - last); step > glidePerHop+1e-9 {
			t.Fatalf("hop %d: the shift jumped by %g semitones", h, step)
		}
		last = p.now()
	}
	if moved := before - p.now(); math.Abs(moved-12) > 3 {
		t.Errorf("from %.1f to %.1f after 16 s of a voice an octave higher", before, p.now())
	}
}

func TestAutoShiftAddsTheOffsetAndFollowsTheVoice(t *testing.T) {
	random := newRandom()
	p := newPitchShift(Shift{Auto: true, Semitones: 3}, 220)
	talk(p, random, 220, 6000)
	if math.Abs(p.now()-3) > 1 {
		t.Errorf("shift %g, expected about 3", p.now())
	}
	before := p.now()
	p.setTarget(110)
	talk(p, random, 220, 100)
	if math.Abs(p.now()-(before-12)) > 0.1 {
		t.Errorf("shift %g for a voice an octave lower, expected %g", p.now(), before-12)
	}
	p.setTarget(20)
	talk(p, random, 1000, 3000)
	if p.now() != -MaxShift {
		t.Errorf("shift %g, expected it held at %d", p.now(), -MaxShift)
	}
}

// What is believed of a speaker stays a number, whatever it hears, for however long.
func TestSpeakerPitchOfAnything(t *testing.T) {
	s := newSpeakerPitch()
	if between := math.Abs(s.median - (semitones(lowHz)+semitones(highHz))/2); between > 1 {
		t.Errorf("before anything is heard the median is %.1f semitones from the middle", between)
	}
	for _, hz := range []float64{math.SmallestNonzeroFloat64, 1e-30, 20, 4000, 1e30, math.MaxFloat64} {
		for range 20000 {
			s.hear(semitones(hz))
		}
		if !(s.median >= medianLow && s.median <= medianOf(medianBins-1)) {
			t.Errorf("after a long time at %g Hz the median is %g", hz, s.median)
		}
	}
	for range 3000 {
		s.hear(semitones(150))
	}
	if hz := math.Exp2(s.median / 12); math.Abs(hz-150) > 15 {
		t.Errorf("half a minute of 150 Hz, and the median is %.0f Hz", hz)
	}
}
