package daemon

import (
	"math"
	"slices"
	"testing"

	"github.com/autovoiced/autovoiced/dsp"
)

const readers = "../testdata/audio/readers/"

func readClipOf(t *testing.T, path string) *clip {
	t.Helper()
	c, err := readClip(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// mixed is two clips at once, the second louder than the first by so much.
func mixed(a, b *clip, db float64) *clip {
	n := min(len(a.samples), len(b.samples))
	gain := dsp.RMS(a.samples[:n]) / dsp.RMS(b.samples[:n]) * float32(math.Pow(10, db/20))
	out := &clip{source: "both.wav", rate: a.rate, samples: make([]float32, n)}
	for i := range out.samples {
		out.samples[i] = 0.4 * (a.samples[i] + gain*b.samples[i])
	}
	return out
}

// TestTwoAtOnceAreNoticed: real readers, each alone, one after the other, and both at once.
func TestTwoAtOnceAreNoticed(t *testing.T) {
	her, him := readClipOf(t, "../testdata/audio/sample.flac"), readClipOf(t, readers+"reader.flac")
	alone := []*clip{her, him, readClipOf(t, readers+"clean.mp3"), readClipOf(t, readers+"clipped.mp3"), readClipOf(t, man[0]), readClipOf(t, woman[0])}
	hum := &clip{source: "hum.wav", rate: her.rate, samples: slices.Clone(her.samples)}
	for i := range hum.samples {
		x := 2 * math.Pi * 60 * float64(i) / float64(hum.rate)
		hum.samples[i] += 0.02 * float32(math.Sin(x)+0.3*math.Sin(2*x))
	}
	turns := &clip{source: "turns.wav", rate: her.rate, samples: slices.Concat(her.samples, him.samples)}
	for _, c := range append(alone, hum, turns) {
		if share := c.speakTogether(); share >= pairShare/1.2 {
			t.Errorf("%s: two voices at once in %.3f of it", c.source, share)
		}
	}
	for _, db := range []float64{-6, 0, 6} {
		if share := mixed(her, him, db).speakTogether(); share < 1.2*pairShare {
			t.Errorf("one reader %+.0f dB above the other: two at once in %.3f of it, want %.3f", db, share, pairShare)
		}
	}
	if share := (&clip{rate: 16000, samples: make([]float32, 16000)}).speakTogether(); share != 0 {
		t.Errorf("silence: %.3f", share)
	}
	if share := (&clip{rate: 16000, samples: make([]float32, 100)}).speakTogether(); share != 0 {
		t.Errorf("hardly anything: %.3f", share)
	}
}

// TestClippingIsNoticedBehindMP3: it has no flat tops any more, and neither has it after a change of rate.
func TestClippingIsNoticedBehindMP3(t *testing.T) {
	clipped, clean := readClipOf(t, readers+"clipped.mp3"), readClipOf(t, readers+"clean.mp3")
	if flat := clipped.flatTops(); flat >= clippedShare {
		t.Errorf("the MP3 file has flat tops, %.4f: it does not show what it is for", flat)
	}
	if share := clipped.ledge(); share < 10*clippedShare {
		t.Errorf("clipped: %.5f of it at one level", share)
	}
	at := &clip{rate: 44100, samples: clipped.at(44100)}
	if share := at.ledge(); share < 10*clippedShare {
		t.Errorf("clipped, at another rate: %.5f of it at one level", share)
	}
	for _, c := range []*clip{clean, readClipOf(t, "../testdata/audio/sample.flac"), readClipOf(t, readers+"reader.flac")} {
		if share := c.ledge(); share != 0 {
			t.Errorf("%s: %.5f of it at one level", c.source, share)
		}
	}
}

// TestVerdictsOnRealRecordings: what whoever adds a profile is told.
func TestVerdictsOnRealRecordings(t *testing.T) {
	needRuntime(t)
	dir := t.TempDir()
	both := mixed(readClipOf(t, "../testdata/audio/sample.flac"), readClipOf(t, readers+"reader.flac"), 0)
	writeWAV(t, dir+"/both.wav", both.rate, dsp.S16LE, both.samples)
	for path, want := range map[string][]string{
		dir + "/both.wav":       {verdictSpeakers},
		readers + "clipped.mp3": {verdictClipped},
		readers + "reader.flac": nil,
	} {
		study, err := Hear(t.Context(), Default(), []string{path, path}) // twice, for there to be speech enough
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, v := range study.Verdicts {
			if v.Code != verdictShort { // they are
				got = append(got, v.Code)
			}
		}
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", path, study.Verdicts, want)
		}
	}
}
