package song

import (
	"bufio"
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/autovoiced/autovoiced/infer"
)

// spoken reads testdata/audio/pitch: clips at trackRate and the curves that they were made with, brought to 100 values a second.
func spoken(t *testing.T) map[string]known {
	t.Helper()
	names, err := filepath.Glob("../../testdata/audio/pitch/*.flac")
	if err != nil || len(names) < 6 {
		t.Fatalf("found %d clips, want at least 6 (%v)", len(names), err)
	}
	clips := map[string]known{}
	for _, name := range names {
		rate, block := readSong(t, name)
		if rate != trackRate {
			t.Fatalf("%s: %d Hz, want %d", name, rate, trackRate)
		}
		file, err := os.Open(strings.TrimSuffix(name, ".flac") + ".f0")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close() //nolint:errcheck // it was only read
		var given curve    // 80 values a second
		for lines := bufio.NewScanner(file); lines.Scan(); {
			hz, err := strconv.ParseFloat(lines.Text(), 32)
			if err != nil {
				t.Fatal(err)
			}
			given = append(given, float32(hz))
		}
		c := known{samples: block[0]}
		for i := range len(block[0]) / trackHop {
			c.f0 = append(c.f0, given[min(len(given)-1, int(math.Round(float64(i)*0.8)))])
		}
		clips[filepath.Base(name)] = c
	}
	return clips
}

// known is a recording whose pitch is known.
type known struct {
	samples []float32
	f0      curve
}

// glide goes from low to high and back, a pulse train through two formants.
func glide(low, high float64, seconds int) known {
	var k known
	bell := func(x float64) float64 { return math.Exp(-x * x) }
	phase := 0.0
	for i := range seconds * trackRate {
		part := float64(i) / float64(seconds*trackRate)
		hz := low * math.Pow(high/low, 1-math.Abs(2*part-1))
		phase += hz / trackRate
		v := 0.0
		for h := 1.0; h*hz < 5000; h++ {
			formants := bell((h*hz-600)/500) + 0.3*bell((h*hz-1800)/600) + 0.02
			v += 0.1 * formants * math.Cos(2*math.Pi*h*phase)
		}
		k.samples = append(k.samples, float32(v))
		if i%trackHop == 0 {
			k.f0 = append(k.f0, float32(hz))
		}
	}
	return k
}

// noisy is the same so many dB above white noise.
func (k known) noisy(db float64) known {
	var energy float64
	for _, v := range k.samples {
		energy += float64(v) * float64(v)
	}
	rms := math.Sqrt(energy/float64(len(k.samples))) * math.Pow(10, -db/20)
	random, out := rand.New(rand.NewPCG(1, 2)), slices.Clone(k.samples)
	for i := range out {
		out[i] += float32(rms * random.NormFloat64())
	}
	return known{out, k.f0}
}

// marks are how well a curve follows what is known: shares of the voiced moments that were followed and are more than 200 cents off
// (Kokoro itself is some way off its curve where that moves), of the voiced that were missed, and of the others that were made up; and
// the median of the rest in cents.
type marks struct{ gross, missed, madeUp, cents float64 }

func mark(found curve, k known) marks {
	var both, gross, voiced, missed, silence, made float64
	var fine []float64
	for i, hz := range k.f0 {
		switch f := found[i]; {
		case hz == 0:
			silence++
			if f > 0 {
				made++
			}
		case f == 0:
			voiced++
			missed++
		default:
			voiced++
			both++
			if off := math.Abs(100 * interval(hz, f)); off > 200 {
				gross++
			} else {
				fine = append(fine, off)
			}
		}
	}
	slices.Sort(fine)
	m := marks{gross / max(both, 1), missed / max(voiced, 1), made / max(silence, 1), math.Inf(1)}
	if len(fine) > 0 {
		m.cents = fine[len(fine)/2]
	}
	return m
}

// hearAll is the curve of a recording that arrives in pieces.
func hearAll(t *testing.T, samples []float32, pieces func() int) (curve, *ear) {
	t.Helper()
	if err := infer.Start(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	e, err := newEar(trackRate, Default(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.close() })
	for at := 0; at < len(samples); {
		n := min(pieces(), len(samples)-at)
		if err := e.hear(samples[at : at+n]); err != nil {
			t.Fatal(err)
		}
		at += n
	}
	c, _, err := e.finish()
	if err != nil {
		t.Fatal(err)
	}
	return c, e
}

func blocks(n int) func() int { return func() int { return n } }

func TestFollowerOfSpeech(t *testing.T) {
	for _, c := range []struct {
		name   string
		made   func(known) known
		bounds marks // on the mean of all clips
	}{
		{"plain", func(k known) known { return k }, marks{0.02, 0.12, 0.05, 22}},
		{"in noise", func(k known) known { return k.noisy(10) }, marks{0.02, 0.14, 0.05, 22}},
	} {
		var mean marks
		clips := spoken(t)
		for _, k := range clips {
			k = c.made(k)
			found, _ := hearAll(t, k.samples, blocks(4000))
			m := mark(found, k)
			n := float64(len(clips))
			mean.gross, mean.missed, mean.madeUp, mean.cents = mean.gross+m.gross/n, mean.missed+m.missed/n, mean.madeUp+m.madeUp/n, mean.cents+m.cents/n
		}
		t.Logf("%s: %+.3f", c.name, mean)
		if b := c.bounds; mean.gross > b.gross || mean.missed > b.missed || mean.madeUp > b.madeUp || mean.cents > b.cents {
			t.Errorf("%s: %+.3f, want at most %+v", c.name, mean, b)
		}
	}
}

// TestFollowerReachesFrom50To1100Hz: a bass's lowest and a soprano's highest notes are followed.
func TestFollowerReachesFrom50To1100Hz(t *testing.T) {
	for _, k := range []known{glide(51, 120, 4), glide(300, 1080, 4)} {
		found, _ := hearAll(t, k.samples, blocks(4000))
		m := mark(found, k)
		t.Logf("%.0f Hz: %+.3f", k.f0[0], m)
		if m.gross > 0.02 || m.missed > 0.04 || m.cents > 12 {
			t.Errorf("from %.0f Hz: %+.3f", k.f0[0], m)
		}
	}
}

func TestFollowerHearsNothingInNoise(t *testing.T) {
	k := known{samples: make([]float32, 3*trackRate)}
	random := rand.New(rand.NewPCG(3, 4))
	for i := range k.samples {
		k.samples[i] = float32(0.05 * random.NormFloat64())
	}
	found, _ := hearAll(t, k.samples, blocks(4000))
	if n := found.voiced(); n > len(found)/50 {
		t.Errorf("%d of %d moments of noise are voiced", n, len(found))
	}
}

func TestFollowerDoesNotCareHowARecordingIsCut(t *testing.T) {
	k := spoken(t)["kumo-plain.flac"]
	whole, _ := hearAll(t, k.samples, blocks(len(k.samples)))
	if len(whole) != (len(k.samples)+trackHop-1)/trackHop {
		t.Fatalf("%d values of %d samples", len(whole), len(k.samples))
	}
	n := 0
	cut, _ := hearAll(t, k.samples, func() int { n = (n*2 + 1) % 7001; return n + 1 })
	if !slices.Equal(cut, whole) {
		t.Error("cut in pieces, another curve")
	}
}

func TestFollowerKeepsNoMoreOfALongRecording(t *testing.T) {
	_, e := hearAll(t, slices.Repeat(spoken(t)["kumo-plain.flac"].samples, 15), blocks(1000))
	f := e.pitch
	t.Logf("%d values; %d moments, %d guesses and %d steps kept", len(e.curve), cap(f.moments), cap(f.guesses), cap(f.path.steps))
	if most := max(cap(f.moments), cap(f.guesses), cap(f.path.steps)); most > 2500 || len(e.curve) < 5000 {
		t.Errorf("%d moments kept of %d", most, len(e.curve))
	}
}

// TestThePitchThatWasFollowedCanBeGivenBack: written and read, it is the same pitch.
func TestThePitchThatWasFollowedCanBeGivenBack(t *testing.T) {
	s, dir := singer(t, tinyVoice), t.TempDir()
	in, first, second := "../../testdata/audio/pitch/alpha-plain.flac", filepath.Join(dir, "1.wav"), filepath.Join(dir, "2.wav")
	o := Default()
	o.Separator = infer.SeparatorNone
	r, err := Convert(t.Context(), in, first, s, o)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := WriteF0(&text, r.F0); err != nil {
		t.Fatal(err)
	}
	if o.F0, err = ReadF0(&text); err != nil {
		t.Fatal(err)
	}
	again, err := Convert(t.Context(), in, second, s, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Pitch == PitchGiven || again.Pitch != PitchGiven || len(o.F0) != len(r.F0) || again.Voiced != r.Voiced || curve(r.F0).voiced() == 0 {
		t.Errorf("%s, %d values, %g s voiced; given back: %s, %d, %g s", r.Pitch, len(r.F0), r.Voiced, again.Pitch, len(o.F0), again.Voiced)
	}
	for i := range o.F0 {
		if math.Abs(float64(o.F0[i]-r.F0[i])) > 0.01 {
			t.Fatalf("value %d: %g Hz, written as %g", i, r.F0[i], o.F0[i])
		}
	}
}
