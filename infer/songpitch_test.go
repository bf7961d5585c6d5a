package infer

import (
	"errors"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func newSongPitch(t testing.TB) *SongPitch {
	t.Helper()
	needRuntime(t)
	p, err := NewSongPitch(50, 1100)
	if errors.Is(err, ErrNotInstalled) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	check(t, err)
	t.Cleanup(func() { check(t, p.Close()) })
	return p
}

// sung glides over three octaves with vibrato, and is silent from 2 to 2.5 s: 16 kHz samples and Hz each 10 ms.
func sung(seconds int) (samples, f0 []float32) {
	samples, f0 = make([]float32, 16000*seconds), make([]float32, 100*seconds)
	phase := 0.0
	for i := range samples {
		at := float64(i) / 16000
		hz := 110 * math.Exp2(3*at/float64(seconds)+0.4/12*math.Sin(2*math.Pi*5.5*at))
		phase += hz / 16000
		if at >= 2 && at < 2.5 {
			continue
		}
		for h := 1.0; h*hz < 5000; h++ {
			samples[i] += float32(0.2 / h * math.Sin(2*math.Pi*h*phase))
		}
		if i%160 == 0 {
			f0[i/160] = float32(hz)
		}
	}
	return samples, f0
}

func TestSongPitchFollowsAGlide(t *testing.T) {
	p := newSongPitch(t)
	samples, f0 := sung(6)
	whole, err := p.Append(nil, samples)
	check(t, err)
	whole, err = p.Finish(whole)
	check(t, err)
	if len(whole) != len(f0) {
		t.Fatalf("%d values, expected %d", len(whole), len(f0))
	}
	voiced, off, cents := 0, 0, []float64{}
	for i, hz := range f0 {
		sure := whole[i].Sure >= 0.5
		if (hz > 0) == sure {
			voiced++
		}
		if hz == 0 || !sure {
			continue
		}
		away := math.Abs(1200 * math.Log2(float64(whole[i].Hz/hz)))
		if cents = append(cents, away); away > 50 {
			off++
		}
	}
	slices.Sort(cents)
	if median := cents[len(cents)/2]; median > 12 || off > len(cents)/50 || voiced < len(f0)*95/100 {
		t.Errorf("median error %.1f cents, %d of %d more than 50 off, voicing right in %d of %d", median, off, len(cents), voiced, len(f0))
	}

	// Cut in any way the same comes out, and a second recording owes nothing to the first.
	var cut []PitchGuess
	for at, n := 0, 1; at < len(samples); at, n = at+n, n*2%7001+1 {
		cut, err = p.Append(cut, samples[at:min(at+n, len(samples))])
		check(t, err)
	}
	cut, err = p.Finish(cut)
	check(t, err)
	if !slices.Equal(cut, whole) {
		t.Error("cut in pieces, another curve")
	}

	// On any number of processors, and after a recording that was given up in the middle of its windows.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, processors := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(processors)
		_, err := p.Append(nil, samples)
		check(t, err)
		p.Reset()
		got, err := p.Append(nil, samples)
		check(t, err)
		got, err = p.Finish(got)
		check(t, err)
		if !slices.Equal(got, whole) {
			t.Errorf("on %d processors another curve", processors)
		}
	}
}

func TestSongPitchOfLittleOrNothing(t *testing.T) {
	p := newSongPitch(t)
	bad := []float32{float32(math.NaN()), float32(math.Inf(-1)), 0}
	for _, c := range []struct {
		samples []float32
		values  int
	}{{nil, 0}, {make([]float32, 1), 1}, {make([]float32, 160), 1}, {make([]float32, 40000), 250}, {bad, 1}} {
		curve, err := p.Append(nil, c.samples)
		check(t, err)
		curve, err = p.Finish(curve)
		check(t, err)
		if len(curve) != c.values || slices.ContainsFunc(curve, func(g PitchGuess) bool { return g != PitchGuess{} }) {
			t.Errorf("%d silent samples: %v, expected %d times 0", len(c.samples), curve, c.values)
		}
	}
	if _, err := NewSongPitch(500, 100); err == nil || !strings.Contains(err.Error(), "from 500 to 100 Hz") {
		t.Errorf("bounds the wrong way round: %v", err)
	}
}
