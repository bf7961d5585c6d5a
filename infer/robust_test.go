package infer

import (
	"math"
	"math/cmplx"
	"slices"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/stream"
)

// What is tested here is what a listener hears: the bundled voices between the stages of the pipeline as they are
// set by default, hop by hop. No test depends on the pack: its sizes, its voices and its look-ahead are its own.

// rig is a voice in the pipeline's four stages.
type rig struct {
	t      testing.TB
	voice  *Voice
	stages []stream.Stage
	chunk  stream.Chunk
}

func newRig(t testing.TB, e *Engine, voice string, s Shift) *rig {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	c := e.Contract()
	separation, err := stream.NewSeparation(c.SampleRateIn, stream.DefaultSeparationConfig())
	must(err)
	f0, err := stream.NewF0Extraction(c.SampleRateIn, stream.DefaultF0Config())
	must(err)
	v, ok := open(t, e, voice, SessionOptions{Shift: s, F0Delay: f0.Delay()}).(*Voice)
	if !ok {
		t.Fatalf("%s is no voice", voice)
	}
	mixing, err := stream.NewMixing(c.SampleRateIn, c.SampleRateOut, v.Latency(), stream.DefaultMixingConfig())
	must(err)
	return &rig{t: t, voice: v, stages: []stream.Stage{separation, f0, stream.NewConversion(v, "model"), mixing}}
}

// hear gives what is heard for a signal of whole hops; it is late by the latency.
func (r *rig) hear(x []float32) (heard []float32) {
	r.t.Helper()
	hop := r.voice.InRate() / hopsPerSecond
	if len(x)%hop != 0 {
		r.t.Fatalf("%d samples are no whole hops of %d", len(x), hop)
	}
	for at := 0; at < len(x); at += hop {
		c := &r.chunk
		c.Samples = append(c.Samples[:0], x[at:at+hop]...)
		c.Dry = append(c.Dry[:0], x[at:at+hop]...)
		c.Rate, c.DryRate = r.voice.InRate(), r.voice.InRate()
		for _, s := range r.stages {
			if err := s.Process(c); err != nil {
				r.t.Fatal(err)
			}
		}
		heard = append(heard, c.Samples...)
	}
	return heard
}

// seam is where in a hop of the output one hop of the voice ends and the next begins: mixing delays it.
func (r *rig) seam() int {
	return stream.TimeToFrames(r.stages[3].Latency(), r.voice.OutRate()) % (r.voice.OutRate() / hopsPerSecond)
}

// late is how many samples the output is behind the input.
func (r *rig) late() int {
	var sum time.Duration
	for _, s := range r.stages {
		sum += s.Latency()
	}
	return stream.TimeToFrames(sum, r.voice.OutRate())
}

// eachVoice is called with every bundled voice that speaks.
func eachVoice(t *testing.T, f func(t *testing.T, e *Engine, voice string)) {
	t.Helper()
	needRuntime(t)
	r := registry(t, "")
	for _, v := range r.Voices() {
		if v.Kind != KindVoice {
			continue
		}
		e, err := r.Engine(v.Name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(v.Name, func(t *testing.T) { f(t, e, v.Name) })
	}
}

// someone is a real person speaking at 16 kHz, so many seconds of it.
func someone(t testing.TB, seconds float64) []float32 {
	t.Helper()
	return recording(t, "../testdata/audio/sample.flac")[16000:][:int(seconds*100)*160]
}

func peakDB(x []float32) float64 {
	var p float32
	for _, v := range x {
		p = max(p, v, -v)
	}
	return dsp.Decibels(float64(p))
}

func levelDB(x []float32) float64 {
	return dsp.Decibels(math.Sqrt(energy(x) / max(1, float64(len(x)))))
}

// mishaps are signals that no voice was trained for, each as long as the speech that it is made of.
var mishaps = []struct {
	name string
	make func(speech []float32) []float32
}{
	{"noise at 10 dB", func(x []float32) []float32 {
		random := newRandom()
		sd := math.Sqrt(energy(x)/float64(len(x))) / math.Sqrt(10)
		return each(x, func(_ int, v float32) float32 { return v + float32(sd*random.NormFloat64()) })
	}},
	{"square wave at full scale", func(x []float32) []float32 {
		return each(x, func(i int, _ float32) float32 { return float32(1 - 2*(i/50%2)) })
	}},
	{"clipped speech", func(x []float32) []float32 {
		return each(x, func(_ int, v float32) float32 { return max(-1, min(1, 30*v)) })
	}},
	{"DC", func(x []float32) []float32 {
		return each(x, func(_ int, v float32) float32 { return v + 0.7 })
	}},
	{"impulses", func(x []float32) []float32 {
		return each(x, func(i int, _ float32) float32 { return float32(1 - min(1, i%1777)) })
	}},
	{"hum", func(x []float32) []float32 {
		return each(x, func(i int, _ float32) float32 {
			at := 2 * math.Pi * 50 * float64(i) / 16000
			return float32(0.2*math.Sin(at) + 0.1*math.Sin(2*at) + 0.1*math.Sin(3*at))
		})
	}},
	{"speech switched on and off", func(x []float32) []float32 {
		return each(x, func(i int, v float32) float32 { return v * float32(i/1333%2) })
	}},
	{"music", func(x []float32) []float32 {
		return each(x, func(i int, _ float32) float32 {
			at, chord := 2*math.Pi*float64(i)/16000, 0.0
			for k, ratio := range []float64{1, 1.26, 1.5, 2.52} {
				chord += math.Sin(at * 220 * ratio * (1 + 0.12*float64(i/8000%3)) * float64(1+k%2))
			}
			return float32(0.15 * chord * math.Exp(-float64(i%8000)/4000))
		})
	}},
	{"white noise at full scale", func(x []float32) []float32 {
		random := newRandom()
		return each(x, func(int, float32) float32 { return float32(2*random.Float64() - 1) })
	}},
	{"not a number now and then", func(x []float32) []float32 {
		return each(x, func(i int, v float32) float32 {
			switch i % 3001 {
			case 0:
				return float32(math.NaN())
			case 1:
				return float32(math.Inf(1))
			case 2:
				return -math.MaxFloat32
			}
			return v
		})
	}},
	{"a tone of 1000 Hz", func(x []float32) []float32 {
		return each(x, func(i int, _ float32) float32 { return float32(0.5 * math.Sin(2*math.Pi*1000*float64(i)/16000)) })
	}},
}

func each(x []float32, f func(i int, v float32) float32) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = f(i, v)
	}
	return y
}

// whispered is speech without its voice: the same envelope on noise.
func whispered(speech []float32) []float32 {
	const size, hop, width = 512, 128, 8 // the envelope is as wide as four harmonics, the window as long as two periods
	random := newRandom()
	magnitude := make([]float64, size/2+1)
	f := dsp.NewSpectralFilter(size, hop, func(spec []complex128) {
		for i, v := range spec {
			magnitude[i] = cmplx.Abs(v)
		}
		for i := range spec {
			near := magnitude[max(0, i-width):min(len(magnitude), i+width+1)]
			sum := 0.0
			for _, m := range near {
				sum += m * m
			}
			spec[i] = cmplx.Rect(math.Sqrt(sum/float64(len(near))), 2*math.Pi*random.Float64())
		}
	})
	y := make([]float32, len(speech)/hop*hop)
	f.Process(y, speech[:len(y)])
	return append(y, make([]float32, len(speech)-len(y))...)
}

// vowel is a steady one, "ah", its pitch gliding from 131 to 151 Hz: never in step with the hops.
func vowel(seconds float64) []float32 {
	x, phase := make([]float32, int(seconds*100)*160), 0.0
	for i := range x {
		phase += (131 + 20*float64(i)/float64(len(x))) / 16000
		for h := 1.0; h < 25; h++ {
			formants := 0.05
			for _, hz := range []float64{700, 1200, 2600} {
				away := (h*131 - hz) / 120
				formants += 1 / (1 + away*away)
			}
			x[i] += float32(0.5 * formants / (h * math.Sqrt(h)) * math.Sin(2*math.Pi*h*phase))
		}
	}
	return x
}

// voicedShare is how much of a signal our own tracker takes for voice.
func voicedShare(x []float32, rate int) float64 {
	p, voiced, hop := dsp.NewPitch(dsp.DefaultPitchConfig(rate)), 0, rate/100
	for at := 0; at+hop <= len(x); at += hop {
		if hz, _ := p.Process(x[at : at+hop]); hz > 0 {
			voiced++
		}
	}
	return float64(voiced) / float64(len(x)/hop)
}

// roughness is the energy of the second difference at one place of each hop, as a share of the whole hop's; the
// geometric mean, so that a few loud places do not speak for all.
func roughness(x []float32, hop, at int) float64 {
	sum, n := 0.0, 0.0
	for from := hop; from+2*hop < len(x); from += hop {
		all, here := 1e-12, 1e-15
		for i := from + at - hop/2; i < from+at+hop/2; i++ {
			d := float64(x[i+1]) - 2*float64(x[i]) + float64(x[i-1])
			all += d * d
			if i == from+at || i == from+at-1 { // the two that look over the border
				here += d * d
			}
		}
		sum += math.Log(here / all)
		n++
	}
	return math.Exp(sum / n)
}

// borderRatio is how rough a signal is where one hop ends and the next begins, against elsewhere: about 1 when
// nobody can hear where that is. The first hop begins at sample first.
func borderRatio(x []float32, hop, first int) float64 {
	elsewhere, n := 0.0, 0.0
	for at := hop / 12; at < hop; at += hop / 12 {
		elsewhere += roughness(x, hop, first+at)
		n++
	}
	return roughness(x, hop, first) / (elsewhere / n)
}

// timbre is a signal's log-mel spectrum averaged over time, in dB.
func timbre(x []float32, rate int) []float64 {
	const bands = 40
	mel := dsp.NewMel(dsp.MelConfig{Rate: rate, FFT: 1024, Window: 1024, Hop: rate / 100, Bands: bands, Fmin: 60, Fmax: 7600, Floor: 1e-10})
	sum, now, hop := make([]float64, bands), make([]float32, bands), rate/100
	for at := 0; at+hop <= len(x); at += hop {
		mel.Process(now, x[at:at+hop])
		for b, v := range now {
			sum[b] += math.Exp(float64(v))
		}
	}
	for b, v := range sum {
		sum[b] = 10 * math.Log10(v/float64(len(x)/hop))
	}
	return sum
}

// apart is how far two timbres are from each other, in dB.
func apart(a, b []float64) (d float64) {
	for i := range a {
		d += math.Abs(a[i]-b[i]) / float64(len(a))
	}
	return d
}

// medianPitch is what our own tracker hears of a signal, in semitones above 1 Hz.
func medianPitch(x []float32, rate int) float64 {
	p, hop := dsp.NewPitch(dsp.DefaultPitchConfig(rate)), rate/100
	var heard []float64
	for at := 0; at+hop <= len(x); at += hop {
		if hz, _ := p.Process(x[at : at+hop]); hz > 0 {
			heard = append(heard, semitones(float64(hz)))
		}
	}
	slices.Sort(heard)
	if len(heard) == 0 {
		return 0
	}
	return heard[len(heard)/2]
}

// Every voice: digital silence is silent before speech and from settles after it; speech has no seams; a whisper
// stays a whisper.
func TestEachVoice(t *testing.T) {
	const (
		silentDB = -60                    // dBFS
		settles  = 100 * time.Millisecond // after the end of the speech, the latency apart
		seams    = 2.0                    // borderRatio of a vowel; 0.8 to 1.5 by chance
		buzz     = 0.05                   // of a whisper's hops
	)
	speech := someone(t, 1.2)
	whisper := whispered(speech)[:16000]
	if v, w := voicedShare(speech, 16000), voicedShare(whisper, 16000); v < 0.3 || w > buzz/2 {
		t.Fatalf("the tracker hears voice in %.2f of speech and %.2f of a whisper", v, w)
	}
	eachVoice(t, func(t *testing.T, e *Engine, voice string) {
		out := e.Contract().SampleRateOut
		r := newRig(t, e, voice, Shift{Auto: true})
		if db := peakDB(r.hear(make([]float32, 1600))); db > silentDB {
			t.Errorf("before anybody speaks: %.1f dBFS", db)
		}
		spoken := r.hear(speech)
		if db := levelDB(spoken); db < -40 {
			t.Errorf("speech comes out at %.1f dBFS", db)
		}
		after := r.hear(make([]float32, 16000*2/5))
		quiet := after[r.late()+stream.TimeToFrames(settles, out):]
		if db := peakDB(quiet); db > silentDB {
			t.Errorf("%v after speech: %.1f dBFS", settles, db)
		}
		seam := borderRatio(r.hear(vowel(1.2)), out/hopsPerSecond, r.seam())
		if seam > seams {
			t.Errorf("where two hops meet a vowel is %.2f times as rough as elsewhere", seam)
		}
		hushed := newRig(t, e, voice, Shift{Auto: true}).hear(whisper)
		if share := voicedShare(hushed, out); share > buzz {
			t.Errorf("a whisper is voiced in %.3f of its hops", share)
		}
		t.Logf("speech %.1f dBFS, silence %.1f dBFS, seams %.2f, whisper %.1f dBFS", levelDB(spoken), peakDB(quiet), seam, levelDB(hushed))
	})
}

// The measure of seams hears what a listener would: hops that do not quite join.
func TestBorderRatio(t *testing.T) {
	x := vowel(1.5)
	for at := 0; at < 160; at += 13 {
		if clean := borderRatio(x, 160, at); clean > 1.3 || clean < 0.7 {
			t.Errorf("%.2f for a signal without hops", clean)
		}
	}
	y := each(x, func(i int, v float32) float32 { return v * (1 + 0.2*float32((i+124)/160%2)) })
	if seamed := borderRatio(y, 160, 36); seamed < 1.8 {
		t.Errorf("%.2f for hops that are a fifth louder and softer in turn", seamed)
	}
}

// Whatever a microphone gives: nothing but numbers comes out, within the ceiling, without bursts, and what is said
// afterwards sounds soon as if nothing had been.
func TestMishaps(t *testing.T) {
	const (
		louder = 12.0 // dB that the loudest 50 ms may be above those of the input; a voice may be louder than its speaker
		within = 6.0  // dB that the timbre of the speech may differ from 0.8 to 1.2 s after the mishap
	)
	speech := someone(t, 1.2)
	voices := 0
	eachVoice(t, func(t *testing.T, e *Engine, voice string) {
		turn := voices
		if voices++; turn > 1 {
			return // two voices take turns: what they share is what can go wrong
		}
		out := e.Contract().SampleRateOut
		late := out * 8 / 10
		r := newRig(t, e, voice, Shift{})
		r.hear(make([]float32, 16000))
		want := timbre(r.hear(speech)[late:], out)
		for i, m := range mishaps {
			if i%2 != turn {
				continue
			}
			r := newRig(t, e, voice, Shift{})
			in := m.make(speech[:16000])
			heard := r.hear(in)
			again := r.hear(speech)
			if !finite(heard) || !finite(again) || r.voice.Faults().Output > 0 {
				t.Fatalf("%s: NaN came out, faults %+v", m.name, r.voice.Faults())
			}
			if db := peakDB(heard); db > stream.DefaultMixingConfig().CeilingDB+0.001 {
				t.Errorf("%s: peaks of %.2f dBFS", m.name, db)
			}
			if from, to := loudest(in, 16000), loudest(heard, out); to > max(-40, from+louder) {
				t.Errorf("%s: 50 ms of %.1f dBFS out of %.1f", m.name, to, from)
			}
			d := apart(timbre(again[late:], out), want)
			if d > within {
				t.Errorf("%s: afterwards speech sounds %.1f dB different", m.name, d)
			}
			t.Logf("%-28s loudest 50 ms %6.1f dBFS in, %6.1f out; afterwards %.1f dB apart", m.name, loudest(in, 16000), loudest(heard, out), d)
		}
	})
}

// loudest is the level of the loudest 50 ms, of what is a number and can be heard.
func loudest(x []float32, rate int) (db float64) {
	db = dsp.Silent
	for at := 0; at+rate/20 <= len(x); at += rate / 20 {
		db = max(db, dsp.Decibels(float64(dsp.RMS(x[at:at+rate/20]))))
	}
	return db
}

// The ends of the range, in and out: two octaves up and down arrive as two octaves, and pitches that nobody has
// do no harm.
func TestExtremePitch(t *testing.T) {
	low, high := someone(t, 1), recording(t, "../testdata/audio/pitch/alpha-high.flac")[8000:24000]
	tried := false
	eachVoice(t, func(t *testing.T, e *Engine, voice string) {
		if tried {
			return
		}
		tried = true
		out := e.Contract().SampleRateOut
		for _, c := range []struct {
			speech []float32
			shift  float64
		}{{low, MaxShift}, {high, -MaxShift}} {
			heard := newRig(t, e, voice, Shift{Semitones: c.shift}).hear(c.speech)
			from, to := medianPitch(c.speech, 16000), medianPitch(heard, out)
			if math.Abs(to-from-c.shift) > 1 {
				t.Errorf("a shift of %g semitones took %.0f Hz to %.0f Hz", c.shift, math.Exp2(from/12), math.Exp2(to/12))
			}
		}
		for _, shift := range []float64{MaxShift, -MaxShift} {
			v := open(t, e, voice, SessionOptions{Shift: Shift{Semitones: shift}})
			f0 := make([]float32, 100)
			for i := range f0 {
				f0[i] = float32(20 * math.Exp2(float64(i*37%100)/14)) // 20 to 2800 Hz, leaping
			}
			heard := make([]float32, out)
			check(t, v.Convert(heard, low[:16000], f0))
			if !finite(heard) || v.Faults() != (Faults{}) || peakDB(heard) > 12 {
				t.Errorf("shift %g of leaping pitches: peak %.1f dBFS, faults %+v", shift, peakDB(heard), v.Faults())
			}
		}
	})
}
