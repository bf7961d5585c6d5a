package infer

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/autovoiced/autovoiced/dsp"
)

const reader = audio + "/readers/reader.flac"

// stranger is somebody who is no voice of the bundled pack, and what was recorded of them, at the pack's rate out.
func stranger(t testing.TB, e *Engine, path string) (who Target, recorded []float32) {
	t.Helper()
	x := recording(t, path)
	who = Target{Name: "stranger", Embedding: embedded(t, bundledEncoder(t), x), MedianHz: medianHz(follow(t, x))}
	r := dsp.NewResampler(16000, e.contract.SampleRateOut)
	return who, r.Append(nil, x)
}

func medianHz(f0 []float32) float64 {
	voiced := slices.DeleteFunc(slices.Clone(f0), func(hz float32) bool { return !(hz > 0) })
	slices.Sort(voiced)
	return float64(voiced[len(voiced)/2])
}

func fit(t testing.TB, e *Engine, who Target, recordings ...[]float32) []float32 {
	t.Helper()
	tone, err := e.FitTone(who, slices.Values(recordings))
	if err != nil {
		t.Fatal(err)
	}
	return tone
}

func bundledEngine(t testing.TB) *Engine {
	t.Helper()
	needRuntime(t)
	r := registry(t, "")
	for _, v := range r.Voices() {
		if v.Kind == KindVoice {
			e, err := r.Engine(v.Name)
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
	}
	t.Skip("no voice is bundled")
	return nil
}

// The same speaker through another microphone, one that is dull or bright, gets a tone that is so.
func TestAToneHearsATilt(t *testing.T) {
	e := bundledEngine(t)
	for _, path := range []string{audio + "/sample.flac", reader} {
		who, x := stranger(t, e, path)
		plain := fit(t, e, who, x)
		for _, gain := range []float64{-8, 8} {
			tone := fit(t, e, who, tilted(x, gain))
			rise := highs(tone) - highs(plain)
			t.Logf("%s, %+.0f dB above 1.5 kHz: the tone rises by %.1f dB more\n%v\n%v", path, gain, rise, plain, tone)
			if rise*gain < math.Abs(gain) { // 1 dB
				t.Errorf("%s, %+.0f dB above 1.5 kHz: the tone rises by %.1f dB more than that of the recording as it was", path, gain, rise)
			}
		}
	}
}

// tilted is a recording at 24 kHz as another microphone has it.
func tilted(x []float32, gain float64) []float32 {
	shelf := dsp.NewHighShelf(24000, 1500, gain, math.Sqrt2/2)
	x = slices.Clone(x)
	shelf.Process(x)
	return x
}

// highs is by how much a tone is higher above 2 kHz than below 1 kHz, where the recordings have anything.
func highs(tone []float32) (db float64) {
	for b, v := range tone {
		switch hz := ToneHz(b); {
		case hz > 200 && hz < 1000:
			db -= float64(v) / 7
		case hz > 2000 && hz < 6000:
			db += float64(v) / 4
		}
	}
	return db
}

// A tone that was fitted to one part of a recording brings what the voice makes of the rest nearer to it, and leaves it as loud.
func TestAToneBringsTheVoiceNearer(t *testing.T) {
	e := bundledEngine(t)
	for path, share := range map[string]float64{audio + "/sample.flac": 0.8, reader: 0.6} { // the first of them has a long pause
		who, plain := stranger(t, e, path)
		for _, gain := range []float64{-8, 8} {
			x := tilted(plain, gain)
			part := int(share * float64(len(x)))
			said, err := e.repeat(who, x[part:])
			check(t, err)
			with := coloured(said, fit(t, e, who, x[:part]))
			far, near, louder := bandsApart(said, x[part:]), bandsApart(with, x[part:]), levelDB(with)-levelDB(said)
			t.Logf("%s, %+.0f dB: %.2f dB away without a tone, %.2f with, %.1f dB louder", path, gain, far, near, louder)
			if near > 0.9*far || math.Abs(louder) > 0.5 {
				t.Errorf("%s, %+.0f dB: %.2f dB away with a tone, %.2f without; %.1f dB louder", path, gain, near, far, louder)
			}
		}
	}
}

// bandsApart is how far long-term spectra are from each other where both have something, in dB.
func bandsApart(a, b []float32) float64 {
	tone := toneBetween(longTerm(a), longTerm(b), 24000)
	var sum, mean, n float64
	for band, db := range tone {
		if hz := ToneHz(band); hz > 150 && hz < 7000 {
			mean, n = mean+float64(db), n+1
		}
	}
	for band, db := range tone {
		if hz := ToneHz(band); hz > 150 && hz < 7000 {
			sum += math.Pow((float64(db)-mean/n)/toneShare, 2)
		}
	}
	return math.Sqrt(sum / n)
}

func TestFittingATone(t *testing.T) {
	e := load(t, tinyVoice)
	who, err := e.Target("tiny-low")
	check(t, err)
	r := dsp.NewResampler(16000, 24000)
	x := r.Append(nil, recording(t, reader))
	tone := fit(t, e, who, x)
	check(t, CheckTone(tone))
	if len(tone) != ToneBands || toneFilter(tone, 24000) == nil || !same(tone, fit(t, e, who, x)) {
		t.Errorf("%v, or not the same again", tone)
	}
	with := who
	with.Tone = tone
	if !same(tone, fit(t, e, with, x)) {
		t.Error("a tone that is there already makes another")
	}
	quiet := make([]float32, 24000)
	if pieces := fit(t, e, who, quiet, x[:48000], nil, x[48000:]); len(pieces) != ToneBands {
		t.Errorf("of several recordings, one silent and one empty: %v", pieces)
	}
	if none := fit(t, e, who, x[:24000], quiet); none != nil {
		t.Errorf("of one second: %v", none)
	}
	if none := fit(t, e, who); none != nil {
		t.Errorf("of nothing: %v", none)
	}
	asked := 0
	_, err = e.FitTone(who, func(yield func([]float32) bool) {
		for asked++; yield(x); asked++ {
		}
	})
	check(t, err)
	if asked > 3 { // each has some 5 s of speech
		t.Errorf("asked for %d recordings of 7 s", asked)
	}
	_, err = e.FitTone(Target{Name: "odd", Embedding: make([]float32, 7), MedianHz: 100}, slices.Values([][]float32{x}))
	if !errors.Is(err, ErrWrongTarget) {
		t.Errorf("%v, expected ErrWrongTarget", err)
	}
	p := load(t, passthrough)
	if none := fit(t, p, Target{Name: "passthrough"}, x, x); none != nil {
		t.Errorf("of a pack that is no voice: %v", none)
	}
}

// Where a recording has nothing, as above 3.5 kHz in one of a telephone, nothing is asked of the voice; and of no band too much.
func TestAToneOfWhatIsHeardAlone(t *testing.T) {
	from, to := slices.Repeat([]float64{1}, toneFrame/2+1), slices.Repeat([]float64{1}, toneFrame/2+1)
	for k := range to {
		switch hz := k * 24000 / toneFrame; {
		case hz < 500:
			from[k], to[k] = 1000, 2000
		case hz < 1000:
			to[k] = 1000
		case hz > 3500:
			to[k] = 1e-5
		}
	}
	tone := toneBetween(from, to, 24000)
	unheard := tone[ToneBands-1]
	for b, db := range tone {
		most, more := toneShare*toneReach, float64(db-unheard) // what is next to other bands has something of theirs
		switch hz := ToneHz(b); {
		case hz > 600 && hz < 900 && (more < 0.7*most || more > most+0.02), hz > 4000 && math.Abs(more) > 0.15*most, hz > 9000 && more != 0:
			t.Errorf("%.2f dB at %.0f Hz, %.2f where nothing is heard", db, hz, unheard)
		}
	}
	if none := toneBetween(make([]float64, len(from)), to, 24000); none != nil {
		t.Errorf("%v for a voice that is silent", none)
	}
}

// What a tone costs, beside opening the pack.
func BenchmarkFitTone(b *testing.B) {
	e := bundledEngine(b)
	who, x := stranger(b, e, audio+"/sample.flac")
	check(b, e.Prepare(math.MaxInt))
	for b.Loop() {
		fit(b, e, who, x, x)
	}
}
