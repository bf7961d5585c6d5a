package infer

import (
	"math"
	"os"
	"slices"
	"testing"

	"github.com/autovoiced/autovoiced/dsp"
)

// needSpleeter skips where the checkpoint is not installed; in CI that is a failure.
func needSpleeter(t testing.TB) {
	t.Helper()
	needRuntime(t)
	if !spleeterInstalled() {
		if os.Getenv("CI") != "" {
			t.Fatal("Spleeter is not installed: make deps")
		}
		t.Skip("Spleeter is not installed: make deps")
	}
}

func song(t testing.TB, preset string) Separator {
	t.Helper()
	needSpleeter(t)
	s, err := NewSeparator("", preset)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if s.Name() != SeparatorSpleeter {
		t.Fatalf("%s is the best that is installed, expected %s", s.Name(), SeparatorSpleeter)
	}
	return s
}

// vocalsOf gives the vocals of a mixture, in time with it.
func vocalsOf(t testing.TB, s Separator, mixture [][]float32) [][]float32 {
	t.Helper()
	n, block := len(mixture[0]), frames(s)
	out := make([][]float32, len(mixture))
	for at := 0; at < n+s.Latency(); at += s.Hop() {
		for c := range block {
			clear(block[c])
			if at < n {
				copy(block[c], mixture[c][at:])
			}
		}
		if err := s.Process(block, block); err != nil {
			t.Fatal(err)
		}
		for c := range block {
			out[c] = append(out[c], block[c]...)
		}
	}
	for c := range out {
		out[c] = out[c][s.Latency():][:n]
	}
	return out
}

// duet is the sample's speech in the middle, and a band of our own to both sides, equally loud: mixture and voice.
func duet(t testing.TB, seconds int) (mixture, voice [][]float32) {
	t.Helper()
	r := dsp.NewResampler(16000, songRate)
	mono := r.Append(nil, recording(t, "../testdata/audio/sample.flac")[16000:][:16100*seconds])[:songRate*seconds]
	mixture, voice = make([][]float32, 2), make([][]float32, 2)
	for c := range mixture {
		voice[c] = mono
		mixture[c] = band(len(mono), c)
		gain := float32(math.Sqrt(power(mono) / power(mixture[c])))
		for i := range mixture[c] {
			mixture[c][i] = gain*mixture[c][i] + mono[i]
		}
	}
	return mixture, voice
}

// band plays chords of plucked strings, and a drum on each beat.
func band(n, channel int) []float32 {
	out, noise := make([]float32, n), dsp.NewNoise(uint64(channel))
	hits := make([]float32, n)
	noise.Normal(hits)
	for i := range out {
		t := float64(i) / songRate
		chord := [][]float64{{131, 165, 196, 262}, {110, 131, 165, 220}, {87, 110, 131, 175}, {98, 123, 147, 196}}[int(t/2)%4]
		age := math.Mod(t, 0.5)
		for k, hz := range chord {
			for h := 1.0; h < 9; h++ {
				out[i] += float32(math.Exp(-age*(2+h)) / h * math.Sin(2*math.Pi*hz*h*t+float64(k+channel)))
			}
		}
		out[i] += 0.7 * hits[i] * float32(math.Exp(-40*age))
	}
	return out
}

func power(x []float32) (sum float64) {
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum
}

// siSDR is the ratio of what is like the wanted signal to what is not, in dB.
func siSDR(got, want []float32) float64 {
	var both float64
	for i := range got {
		both += float64(got[i]) * float64(want[i])
	}
	like := both * both / power(want)
	return 10 * math.Log10(like/(power(got)-like))
}

// One block of 12 s is all that these take: it costs a second or two. A separator that was reset gives the same bytes.
func TestSpleeterFindsTheVoice(t *testing.T) {
	mixture, voice := duet(t, 3)
	s := song(t, PresetFast)
	vocals := vocalsOf(t, s, mixture)
	for c := range vocals {
		before, after := siSDR(mixture[c], voice[c]), siSDR(vocals[c], voice[c])
		t.Logf("channel %d: %.1f dB to %.1f dB", c, before, after)
		if after-before < 6 {
			t.Errorf("channel %d: %.1f dB better, expected 6 at least", c, after-before)
		}
	}
	s.Reset()
	if again := vocalsOf(t, s, mixture); !slices.Equal(again[0], vocals[0]) || !slices.Equal(again[1], vocals[1]) {
		t.Error("after Reset other bytes than from the start")
	}
}

func TestSongSeparatorKeepsToNumbers(t *testing.T) {
	s := song(t, PresetBalanced)
	silent := [][]float32{make([]float32, songRate), make([]float32, songRate)}
	silent[0][1234], silent[1][40000] = float32(math.NaN()), float32(math.Inf(1))
	for c, vocals := range vocalsOf(t, s, silent) {
		if power(vocals) != 0 {
			t.Errorf("channel %d: silence with NaN in it in, power %g out", c, power(vocals))
		}
	}
}

func TestSongSeparatorAllocatesNothing(t *testing.T) {
	s := song(t, PresetFast)
	block := frames(s)
	if n := testing.AllocsPerRun(40, func() { check(t, s.Process(block, block)) }); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}
