package dsp

import (
	"bufio"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mewkiz/flac"
)

// trackPitch runs a tracker over x in hops of 10 ms and pads the end by the delay, so that value i
// describes the time 10 ms * (i+1) - 20 ms.
func trackPitch(x []float32, rate int) []float64 {
	p := NewPitch(DefaultPitchConfig(rate))
	x = append(append([]float32(nil), x...), make([]float32, rate/50)...)
	var hz []float64
	for i := 1; i*rate/100 <= len(x); i++ {
		v, _ := p.Process(x[(i-1)*rate/100 : i*rate/100])
		hz = append(hz, float64(v))
	}
	return hz
}

// pitchScore compares estimates with a curve; seconds into the clip in, Hz out, 0 is unvoiced.
type pitchScore struct{ frames, agree, both, octave, gross, cents float64 }

func (s *pitchScore) add(hz []float64, curve func(t float64) float64, from, to float64) {
	for i, v := range hz {
		t := 0.01*float64(i+1) - 0.02
		if t < from || t > to {
			continue
		}
		want := curve(t)
		s.frames++
		if (v > 0) == (want > 0) {
			s.agree++
		}
		if v == 0 || want == 0 {
			continue
		}
		off := 1200 * math.Abs(math.Log2(v/want))
		s.both++
		s.cents += min(off, 100)
		if off > 600 {
			s.octave++
		}
		if off > 200 {
			s.gross++
		}
	}
}

func (s *pitchScore) String() string {
	return fmt.Sprintf("agreement %.4f, octave errors %.4f, over 200 cents %.4f, mean %.1f cents, %g frames",
		s.agree/s.frames, s.octave/s.both, s.gross/s.both, s.cents/s.both, s.frames)
}

// voice is a pulse train through three formants and a tilt: about what a vowel is. hz gives the
// pitch at a time; skip leaves out the lowest harmonics; formants 0 leaves them level.
func voice(rate int, seconds float64, hz func(t float64) float64, skip int, formants bool) []float32 {
	x := make([]float32, int(seconds*float64(rate)))
	var phase float64
	var peak float32
	for i := range x {
		f := hz(float64(i) / float64(rate))
		phase += f / float64(rate)
		var v float64
		for h := 1 + skip; float64(h)*f < min(3800, 0.45*float64(rate)) && h <= 30+skip; h++ {
			g := 1 / math.Sqrt(float64(h))
			if formants {
				g = 0.02 / float64(h)
				for _, at := range [3]float64{550, 1200, 2500} {
					d := (float64(h)*f - at) / 90
					g += 1 / (1 + d*d)
				}
			}
			v += g * math.Sin(2*math.Pi*float64(h)*phase+float64(h*h))
		}
		x[i] = float32(v)
		peak = max(peak, float32(math.Abs(v)))
	}
	for i := range x {
		x[i] *= 0.3 / peak
	}
	return x
}

func steady(hz float64) func(float64) float64 { return func(float64) float64 { return hz } }

func glide(from, to, seconds float64) func(float64) float64 {
	return func(t float64) float64 { return from * math.Pow(to/from, t/seconds) }
}

func addNoise(x []float32, snr float64, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	var e float64
	for _, v := range x {
		e += float64(v) * float64(v)
	}
	g := math.Sqrt(e / float64(len(x)) * math.Pow(10, -snr/10))
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = v + float32(g*r.NormFloat64())
	}
	return y
}

func scaled(x []float32, db, dc float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = v*float32(math.Pow(10, db/20)) + float32(dc)
	}
	return y
}

func TestPitchOfSyntheticVoices(t *testing.T) {
	vibrato := func(t float64) float64 { return 330 * math.Exp2(0.6/12*math.Sin(2*math.Pi*5.5*t)) }
	cases := []struct {
		name     string
		hz       func(float64) float64
		skip     int
		formants bool
		cents    float64 // mean error allowed
	}{
		{"low glide", glide(60, 180, 1.5), 0, true, 8},
		{"glide up", glide(100, 500, 1.5), 0, true, 8},
		{"glide down", glide(900, 220, 1.5), 0, true, 8},
		{"vibrato", vibrato, 0, true, 8},
		{"harmonic stack", glide(80, 400, 1.5), 0, false, 8},
		{"no fundamental", glide(100, 300, 1.5), 1, false, 8},
		{"no fundamental, no octave", glide(100, 240, 1.5), 2, false, 8},
	}
	for _, hz := range []float64{60, 75, 97, 183, 333, 610, 900} {
		c := cases[0]
		c.name, c.hz, c.cents = fmt.Sprintf("%g Hz", hz), steady(hz), 6
		cases = append(cases, c)
	}
	for _, rate := range []int{16000, 48000} {
		for _, c := range cases {
			x := voice(rate, 1.3, c.hz, c.skip, c.formants)
			for _, y := range []struct {
				name string
				x    []float32
			}{
				{"clean", x},
				{"20 dB noise", addNoise(x, 20, 7)},
				{"-50 dBFS, offset", scaled(x, -40, 0.01)},
			} {
				var s pitchScore
				s.add(trackPitch(y.x, rate), c.hz, 0.1, 1.2)
				if s.agree/s.frames < 0.98 || s.octave/s.both > 0.01 || s.gross/s.both > 0.02 || s.cents/s.both > c.cents {
					t.Errorf("%d Hz, %s, %s: %v", rate, c.name, y.name, &s)
				}
			}
		}
	}
}

// On a glide, an estimate that spoke of another moment than it says would be off to one side.
func TestPitchDelayIsExact(t *testing.T) {
	for _, rate := range []int{8000, 16000, 22050, 44100, 48000} {
		const octavesPerSecond = 1.5
		curve := func(t float64) float64 { return 110 * math.Exp2(octavesPerSecond*t) }
		hz := trackPitch(voice(rate, 1.2, curve, 0, false), rate)
		var late, n float64
		for i := 12; i < 115; i++ {
			at := 0.01*float64(i+1) - pitchDelay.Seconds()
			late -= math.Log2(hz[i]/curve(at)) / octavesPerSecond
			n++
		}
		if late /= n; math.Abs(late) > 0.0005 {
			t.Errorf("%d Hz: estimates are %.2f ms late against Delay", rate, 1000*late)
		}
		if d := NewPitch(DefaultPitchConfig(rate)).Delay(); d > 25*time.Millisecond {
			t.Errorf("delay is %v, must be 25 ms at most", d)
		}
	}
}

func TestPitchOfNothing(t *testing.T) {
	noise := addNoise(voice(16000, 3, steady(150), 0, true), -60, 3)
	r := rand.New(rand.NewPCG(4, 4))
	for i := range noise {
		noise[i] = float32(0.1 * r.NormFloat64())
	}
	for name, x := range map[string][]float32{
		"silence": make([]float32, 48000), "offset": scaled(make([]float32, 48000), 0, 0.5), "noise": noise,
	} {
		voiced := 0
		hz := trackPitch(x, 16000)
		for _, v := range hz {
			if v > 0 {
				voiced++
			}
		}
		if float64(voiced) > 0.02*float64(len(hz)) {
			t.Errorf("%s: %d of %d frames voiced", name, voiced, len(hz))
		}
	}
}

// A voice that starts out of noise and ends in it again: its edges are found within 30 ms, and it does
// not flicker in between.
func TestPitchEdges(t *testing.T) {
	x := voice(16000, 2, steady(140), 0, true)
	for i := range x {
		if s := float64(i) / 16000; s < 0.5 || s > 1.5 {
			x[i] = 0
		}
	}
	hz := trackPitch(addNoise(x, 30, 5), 16000)
	var edges []float64
	for i := 1; i < len(hz); i++ {
		if (hz[i] > 0) != (hz[i-1] > 0) {
			edges = append(edges, 0.01*float64(i+1)-0.02)
		}
	}
	if len(edges) != 2 || math.Abs(edges[0]-0.5) > 0.03 || math.Abs(edges[1]-1.5) > 0.03 {
		t.Errorf("voiced edges at %v s, want 0.5 and 1.5", edges)
	}
}

func TestPitchSurvivesBrokenSamples(t *testing.T) {
	x := voice(16000, 2, steady(200), 0, true)
	for i := 8000; i < 8100; i++ {
		x[i] = [...]float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), -math.MaxFloat32, 1e20}[i%5]
	}
	var s pitchScore
	s.add(trackPitch(x, 16000), steady(200), 0.6, 1.9)
	if s.agree != s.frames || s.gross > 0 {
		t.Errorf("after broken samples: %v", &s)
	}
}

func TestPitchReset(t *testing.T) {
	x := voice(48000, 1, glide(100, 300, 1), 0, true)
	p := NewPitch(DefaultPitchConfig(48000))
	var first []float32
	for round := range 2 {
		for i := 0; i+480 <= len(x); i += 480 {
			hz, _ := p.Process(x[i : i+480])
			if round == 0 {
				first = append(first, hz)
			} else if hz != first[i/480] {
				t.Fatalf("frame %d: %g Hz after Reset, %g Hz when new", i/480, hz, first[i/480])
			}
		}
		p.Reset()
	}
}

// speechClips reads testdata/audio/pitch: 16 kHz clips and their curves (see make.py there).
func speechClips(t testing.TB) map[string]speechClip {
	names, err := filepath.Glob("../testdata/audio/pitch/*.flac")
	if err != nil || len(names) < 6 {
		t.Fatalf("found %d clips in testdata/audio/pitch, want at least 6 (%v)", len(names), err)
	}
	clips := map[string]speechClip{}
	for _, name := range names {
		var c speechClip
		c.x = readFLAC(t, name)
		f, err := os.Open(strings.TrimSuffix(name, ".flac") + ".f0")
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			hz, err := strconv.ParseFloat(lines.Text(), 64)
			if err != nil {
				t.Fatalf("%s: %v", f.Name(), err)
			}
			c.f0 = append(c.f0, hz)
		}
		f.Close()
		clips[filepath.Base(name)] = c
	}
	return clips
}

type speechClip struct {
	x  []float32
	f0 []float64 // 80 a second
}

func (c speechClip) curve(t float64) float64 {
	return c.f0[max(0, min(int(math.Round(t*80)), len(c.f0)-1))]
}

func readFLAC(t testing.TB, name string) []float32 {
	s, err := flac.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Info.SampleRate != 16000 || s.Info.NChannels != 1 || s.Info.BitsPerSample != 16 {
		t.Fatalf("%s: want 16 kHz, 16 bit, mono", name)
	}
	x := make([]float32, 0, s.Info.NSamples)
	for uint64(len(x)) < s.Info.NSamples {
		f, err := s.ParseNext()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, v := range f.Subframes[0].Samples {
			x = append(x, float32(v)/32768)
		}
	}
	return x
}

func TestPitchOfSpeech(t *testing.T) {
	var all, noisy, quiet pitchScore
	for name, c := range speechClips(t) {
		var s pitchScore
		to := float64(len(c.x)) / 16000
		hz := trackPitch(c.x, 16000)
		s.add(hz, c.curve, 0, to)
		t.Logf("%s: %v", name, &s)
		all.add(hz, c.curve, 0, to)
		noisy.add(trackPitch(addNoise(c.x, 20, 11), 16000), c.curve, 0, to)
		quiet.add(trackPitch(scaled(c.x, -40, 0.02), 16000), c.curve, 0, to)
	}
	for _, s := range []struct {
		name string
		*pitchScore
		agree float64
	}{{"as made", &all, 0.93}, {"20 dB noise", &noisy, 0.92}, {"-40 dB, offset", &quiet, 0.92}} {
		t.Logf("%s: %v", s.name, s.pitchScore)
		if s.agree > s.pitchScore.agree/s.frames || s.octave/s.both >= 0.01 || s.gross/s.both >= 0.03 {
			t.Errorf("%s: %v; want agreement >= %g, octave errors < 0.01, over 200 cents < 0.03", s.name, s.pitchScore, s.agree)
		}
	}
}

// A bang, or somebody shouting, does not make the tracker deaf to speech for long.
func TestPitchOfSpeechAfterABang(t *testing.T) {
	c := speechClips(t)["kumo-plain.flac"]
	const bang = 16000
	x := make([]float32, bang)
	NewNoise(5).Uniform(x)
	x = append(x, scaled(c.x, -30, 0)...)
	var s pitchScore
	s.add(trackPitch(x, 16000), func(at float64) float64 { return c.curve(at - 1) }, 1.5, 1+float64(len(c.x))/16000)
	t.Log(&s)
	if s.agree < 0.8*s.frames {
		t.Errorf("half a second after the bang: %v", &s)
	}
}

// The correlation by transform against its definition.
func TestPitchFrameAgainstDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	f := newPitchFrame(8000, 150, 55, 1000)
	x := make([]float32, 301)
	for i := range x {
		x[i] = float32(r.NormFloat64() + math.Sin(float64(i)*0.3))
	}
	var mean float64
	for _, v := range x {
		mean += float64(v) / 301
	}
	f.analyse(x)
	for lag := 1; lag <= f.hi; lag++ {
		var rr, m float64
		for i := 0; i+lag < len(x); i++ {
			a, b := float64(x[i])-mean, float64(x[i+lag])-mean
			rr += a * b
			m += a*a + b*b
		}
		if d := math.Abs(2*rr/m - float64(f.nsdf[lag])); d > 2e-5 {
			t.Fatalf("lag %d: off by %g", lag, d)
		}
	}
	for k := range f.magnitude {
		var re, im float64
		for i, v := range x {
			s, c := math.Sincos(2 * math.Pi * float64(k*i) / float64(len(f.re)))
			w := 0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/301)
			re, im = re+w*(float64(v)-mean)*c, im-w*(float64(v)-mean)*s
		}
		if d := math.Abs(math.Sqrt(math.Hypot(re, im)) - float64(f.magnitude[k])); d > 1e-3 {
			t.Fatalf("bin %d: off by %g", k, d)
		}
	}
}

func TestComplexFFTAgainstDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 2))
	for _, n := range []int{64, 128, 256, 512, 1024} {
		f := newComplexFFT(n)
		x := make([]complex128, n)
		re, im := make([]float32, n), make([]float32, n)
		for i := range x {
			re[i], im[i] = float32(r.NormFloat64()), float32(r.NormFloat64())
			x[i] = complex(float64(re[i]), float64(im[i]))
		}
		f.transform(re, im)
		for k := range n {
			var want complex128
			for i, v := range x {
				s, c := math.Sincos(-2 * math.Pi * float64(i*k%n) / float64(n))
				want += v * complex(c, s)
			}
			if d := math.Hypot(real(want)-float64(re[k]), imag(want)-float64(im[k])); d > 1e-4 {
				t.Fatalf("n %d, bin %d: off by %g", n, k, d)
			}
		}
	}
}

func TestPitchConfigValidate(t *testing.T) {
	for want, c := range map[string]PitchConfig{
		"'rate' is 500000": {Rate: 500000, Fmin: 55, Fmax: 1000},
		"'fmin' is 10":     {Rate: 16000, Fmin: 10, Fmax: 1000},
		"'fmax' is 90":     {Rate: 16000, Fmin: 55, Fmax: 90},
		"'fmin' is NaN":    {Rate: 16000, Fmin: math.NaN(), Fmax: 90},
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", c, err, want)
		}
	}
	for rate := 8000; rate <= 192000; rate += 1000 {
		NewPitch(PitchConfig{Rate: rate, Fmin: 50, Fmax: 1200}).Process(make([]float32, rate/100))
	}
}

func TestPitchDoesNotAllocate(t *testing.T) {
	x := voice(48000, 0.01, steady(200), 0, true)
	p := NewPitch(DefaultPitchConfig(48000))
	if n := testing.AllocsPerRun(100, func() { p.Process(x) }); n != 0 {
		t.Errorf("%g allocations a hop", n)
	}
}

func BenchmarkPitch(b *testing.B) {
	for _, rate := range []int{16000, 48000} {
		b.Run(strconv.Itoa(rate), func(b *testing.B) {
			x := addNoise(voice(rate, 1, glide(90, 300, 1), 0, true), 30, 1)
			p := NewPitch(DefaultPitchConfig(rate))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				at := i % 100 * rate / 100
				p.Process(x[at : at+rate/100])
			}
		})
	}
}
