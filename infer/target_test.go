package infer

import (
	"errors"
	"math"
	"slices"
	"testing"
)

// A target with the embedding of one of the pack's voices is that voice, sample for sample, whatever
// it is called; and a voice can become a target while it speaks.
func TestATargetIsAVoice(t *testing.T) {
	e := load(t, tinyVoice)
	samples, f0 := speech(60)
	high, err := e.Target("tiny-high")
	if err != nil || high.Name != "tiny-high" || high.MedianHz != 220 || len(high.Embedding) != e.contract.SpeakerSize() {
		t.Fatalf("%+v, %v", high, err)
	}
	options := SessionOptions{Shift: Shift{Auto: true}}
	want := convert(t, open(t, e, "tiny-high", options), samples, f0, 1)
	low := convert(t, open(t, e, "tiny-low", options), samples, f0, 1)
	if same(want, low) {
		t.Fatal("the two voices sound alike, so nothing can be told from them")
	}

	high.Name = "somebody"
	high.Embedding = slices.Clone(high.Embedding)
	c, err := e.NewTargetSession(high, options)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := convert(t, c, samples, f0, 1); !same(got, want) {
		t.Error("the target with a voice's embedding and pitch does not sound like it")
	}
	if name := c.(*Voice).VoiceName(); name != "somebody" {
		t.Errorf("speaks as %q", name)
	}

	turned := open(t, e, "tiny-low", options).(*Voice)
	check(t, turned.SetTarget(high))
	if got := convert(t, turned, samples, f0, 1); !same(got, want) {
		t.Error("a voice that became the target does not sound like it")
	}
	check(t, turned.SetVoice("tiny-low"))
	if turned.VoiceName() != "tiny-low" {
		t.Errorf("speaks as %q", turned.VoiceName())
	}
}

func TestTargetsThatDoNotFit(t *testing.T) {
	e := load(t, tinyVoice)
	good, err := e.Target("tiny-low")
	if err != nil {
		t.Fatal(err)
	}
	v := open(t, e, "tiny-high", SessionOptions{}).(*Voice)
	for _, c := range []struct {
		change func(*Target)
		words  []string
	}{
		{func(g *Target) { g.Embedding = g.Embedding[:5] }, []string{"somebody", "5 values", "tiny-voice takes 8"}},
		{func(g *Target) { g.Embedding = nil }, []string{"somebody", "0 values", "takes 8"}},
		{func(g *Target) { g.Embedding[3] = float32(math.NaN()) }, []string{"somebody", "NaN"}},
		{func(g *Target) { g.MedianHz = 0 }, []string{"somebody", "0 Hz", "40 to 1100"}},
		{func(g *Target) { g.MedianHz = math.Inf(1) }, []string{"somebody", "+Inf Hz"}},
		{func(g *Target) { g.Tone = make([]float32, 5) }, []string{"somebody", "5 bands", "expected 23"}},
		{func(g *Target) { g.Tone = slope(-13, 0) }, []string{"somebody", "-13 dB at 63 Hz", "-12 to 12"}},
		{func(g *Target) { g.Tone = slope(0, float32(math.NaN())) }, []string{"somebody", "NaN dB"}},
		{func(g *Target) { g.Tone = slices.Repeat([]float32{float32(math.Inf(1))}, ToneBands) }, []string{"somebody", "+Inf dB"}},
	} {
		bad := Target{Name: "somebody", Embedding: slices.Clone(good.Embedding), MedianHz: good.MedianHz}
		c.change(&bad)
		_, err := e.NewTargetSession(bad, SessionOptions{})
		wantError(t, err, append(c.words, tinyVoice)...)
		if !errors.Is(err, ErrWrongTarget) {
			t.Errorf("%v is not ErrWrongTarget", err)
		}
		wantError(t, v.SetTarget(bad), c.words...)
	}
	if v.VoiceName() != "tiny-high" {
		t.Errorf("after targets that do not fit %q speaks", v.VoiceName())
	}
	p := load(t, passthrough)
	_, err = p.NewTargetSession(good, SessionOptions{})
	wantError(t, err, "tiny-low", "passthrough", "takes 0")
}

// The pack is found by what it takes: the preferred voice's if that fits, else the first.
func TestEngineForATarget(t *testing.T) {
	needRuntime(t)
	folder := t.TempDir()
	put(t, folder, "tiny.onnx", tinyVoice)
	r := registry(t, folder)
	tiny, err := r.Engine("tiny-low")
	if err != nil {
		t.Fatal(err)
	}
	for _, near := range []string{"", "passthrough", "nobody", "tiny-high"} {
		e, err := r.EngineFor(Target{Name: "small", Embedding: make([]float32, 8), MedianHz: 100}, near)
		if err != nil || e != tiny {
			t.Errorf("near %q: %v, %v", near, e, err)
		}
	}
	_, err = r.EngineFor(Target{Name: "odd", Embedding: make([]float32, 7), MedianHz: 100}, "tiny-low")
	wantError(t, err, "odd", "7 values", "tiny-voice takes 8")
	if !errors.Is(err, ErrWrongTarget) {
		t.Errorf("%v is not ErrWrongTarget", err)
	}
}
