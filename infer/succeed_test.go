package infer

import "testing"

// A voice that takes over gives the very samples that the one before would have given.
func TestAVoiceTakesOver(t *testing.T) {
	samples, f0 := speech(60)
	e := load(t, tinyVoice)
	o := SessionOptions{Shift: Shift{Auto: true}}
	want := convert(t, open(t, e, "tiny-low", o), samples, f0, 1)

	first, second := open(t, e, "tiny-low", o), open(t, e, "tiny-low", o)
	const half = 30
	in := len(samples) / len(f0)
	got := convert(t, first, samples[:half*in], f0[:half], 1)
	if n := testing.AllocsPerRun(1, func() {
		if !second.(interface{ Succeed(any) bool }).Succeed(first) {
			t.Fatal("it does not take over")
		}
	}); n != 0 {
		t.Errorf("taking over allocates %v times", n)
	}
	got = append(got, convert(t, second, samples[half*in:], f0[half:], 1)...)
	if !same(want, got) {
		t.Error("other samples than without a change")
	}

	other := open(t, load(t, tinyVoice), "tiny-high", o)
	if other.(interface{ Succeed(any) bool }).Succeed(second) {
		t.Error("a voice of another engine took over what it does not know")
	}
	if a, b := other.(*Voice).shift.home, second.(*Voice).shift.home; a != b {
		t.Errorf("the speaker is at home at %v semitones, known as %v before", a, b)
	}
}
