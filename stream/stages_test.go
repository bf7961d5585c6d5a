package stream_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/stream"
	"github.com/autovoiced/autovoiced/stream/streamtest"
)

// upsampler is a Converter with state: late frames late, then resampled by straight lines.
type upsampler struct {
	in, out, late int
	gain          float32
	delay         *dsp.Delay
	last          float32
	line          []float32
}

func newUpsampler(in, out, late int) *upsampler {
	return &upsampler{in: in, out: out, late: late, gain: 1, delay: dsp.NewDelay(late), line: make([]float32, 4*in/100)}
}

func (u *upsampler) InRate() int            { return u.in }
func (u *upsampler) OutRate() int           { return u.out }
func (u *upsampler) Latency() time.Duration { return dsp.Samples(u.late, u.in) }

func (u *upsampler) Reset() {
	u.delay.Reset()
	u.last = 0
}

func (u *upsampler) Convert(dst, src, f0 []float32) error {
	if len(f0)*u.in != 100*len(src) {
		return fmt.Errorf("%d pitches for %d frames", len(f0), len(src))
	}
	line := u.line[:len(src)]
	u.delay.Process(line, src)
	for i := range dst {
		dst[i] = u.gain * line[i*u.in/u.out]
	}
	return nil
}

// halver is a Separator that takes half of everything for the voice, late frames late.
type halver struct {
	rate, late int
	delay      *dsp.Delay
}

func newHalver(rate, late int) *halver {
	return &halver{rate: rate, late: late, delay: dsp.NewDelay(late)}
}

func (h *halver) Rate() int     { return h.rate }
func (h *halver) Channels() int { return 1 }
func (h *halver) Hop() int      { return h.rate / 100 }
func (h *halver) Latency() int  { return h.late }
func (h *halver) Reset()        { h.delay.Reset() }

func (h *halver) Process(vocals, mixture [][]float32) error {
	h.delay.Process(vocals[0], mixture[0])
	for i := range vocals[0] {
		vocals[0][i] /= 2
	}
	return nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestEveryStageKeepsTheContract(t *testing.T) {
	separation, f0, mixing := stream.DefaultSeparationConfig(), stream.DefaultF0Config(), stream.DefaultMixingConfig()
	quiet := mixing
	quiet.Limiter = false
	half := mixing
	half.DryWet, half.GainDB = 0.5, 3
	for name, c := range map[string]streamtest.StageCase{
		"separation gate": {InRate: 16000, New: func() stream.Stage { return must(stream.NewSeparation(16000, separation)) }},
		"separation bypass": {InRate: 48000, Transparent: true, New: func() stream.Stage {
			return must(stream.NewSeparation(48000, stream.SeparationConfig{Mode: stream.ModeBypass}))
		}},
		"separation model": {InRate: 16000, New: func() stream.Stage {
			model := separation
			model.Mode = stream.ModeModel
			return must(stream.NewModelSeparation(16000, model, newHalver(16000, 37)))
		}},
		"separation model, bypassed": {InRate: 16000, Transparent: true, New: func() stream.Stage {
			return must(stream.NewModelSeparation(16000, stream.SeparationConfig{Mode: stream.ModeBypass}, newHalver(16000, 37)))
		}},
		"f0": {InRate: 16000, Transparent: true, New: func() stream.Stage { return must(stream.NewF0Extraction(16000, f0)) }},
		"f0 bypass": {InRate: 48000, Transparent: true, New: func() stream.Stage {
			return must(stream.NewF0Extraction(48000, stream.F0Config{Mode: stream.ModeBypass, MinHz: 55, MaxHz: 1000}))
		}},
		"conversion": {InRate: 16000, OutRate: 24000, F0: true, New: func() stream.Stage {
			return stream.NewConversion(newUpsampler(16000, 24000, 37), "model")
		}},
		"conversion without pitch": {InRate: 16000, OutRate: 16000, New: func() stream.Stage {
			return stream.NewConversion(newUpsampler(16000, 16000, 37), "model")
		}, Transparent: true},
		"mixing":             {InRate: 48000, Transparent: true, New: func() stream.Stage { return must(stream.NewMixing(48000, 48000, 0, mixing)) }},
		"mixing, no limiter": {InRate: 24000, Transparent: true, New: func() stream.Stage { return must(stream.NewMixing(24000, 24000, 0, quiet)) }},
		"mixing both":        {InRate: 24000, New: func() stream.Stage { return must(stream.NewMixing(24000, 24000, 10*time.Millisecond, half)) }},
	} {
		t.Run(name, func(t *testing.T) { streamtest.CheckStage(t, c) })
	}
}

func TestBadSettingsAreRefusedByName(t *testing.T) {
	for want, err := range map[string]error{
		"'mode' is \"magic\"":    second(stream.NewSeparation(16000, stream.SeparationConfig{Mode: "magic"})),
		"'high_pass_hz' is 9000": second(stream.NewSeparation(16000, stream.SeparationConfig{Mode: "gate", HighPassHz: 9000})),
		"'fmin' is 3":            second(stream.NewF0Extraction(16000, stream.F0Config{Mode: "bypass", MinHz: 3})),
		"22050 Hz has no whole":  second(stream.NewF0Extraction(22050, stream.DefaultF0Config())),
		"'gain_db' is NaN":       second(stream.NewMixing(16000, 16000, 0, stream.MixingConfig{GainDB: math.NaN()})),
		"'dry_wet' is 2":         second(stream.NewMixing(16000, 16000, 0, stream.MixingConfig{DryWet: 2})),
		"'ceiling_db' is 3":      second(stream.NewMixing(16000, 16000, 0, stream.MixingConfig{CeilingDB: 3})),
		"queue: 0 is out":        stream.Config{}.Validate(),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, expected %q", err, want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestSeparationTakesHumAndRoomAway(t *testing.T) {
	level := func(hz, amplitude float64) float64 {
		s := must(stream.NewSeparation(16000, stream.DefaultSeparationConfig()))
		tone := streamtest.Tone{SampleRate: 16000, Hz: hz, Amplitude: amplitude, Length: 16000}
		var c stream.Chunk
		for tone.Read(t.Context(), &c) == nil {
			if err := s.Process(&c); err != nil {
				t.Fatal(err)
			}
		}
		return 20 * math.Log10(float64(dsp.RMS(c.Samples))/(amplitude/math.Sqrt2))
	}
	if hum := level(20, 0.3); hum > -18 {
		t.Errorf("20 Hz: %.1f dB", hum)
	}
	if room := level(500, 0.0005); room > -29 {
		t.Errorf("a quiet tone: %.1f dB", room)
	}
	if voice := level(500, 0.1); math.Abs(voice) > 0.1 {
		t.Errorf("a voice's tone: %.2f dB", voice)
	}
}

func TestF0IsThePitchOfTheTone(t *testing.T) {
	s := must(stream.NewF0Extraction(16000, stream.DefaultF0Config()))
	tone := streamtest.Tone{SampleRate: 16000, Hz: 150, Amplitude: 0.3, Length: 16000, Chunk: 320}
	var c stream.Chunk
	for tone.Read(t.Context(), &c) == nil {
		if err := s.Process(&c); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.F0) != 2 || math.Abs(float64(c.F0[1])-150) > 1 || math.Abs(s.Hz()-150) > 1 {
		t.Errorf("pitches %v of 20 ms, %v shown, expected 150 Hz", c.F0, s.Hz())
	}
	if s.Delay() != 20*time.Millisecond {
		t.Errorf("delay of %v", s.Delay())
	}
}

// play runs a tone through stages and returns what the sink took.
func play(t *testing.T, in, out int, source stream.Source, stages ...stream.Stage) []float32 {
	t.Helper()
	sink := streamtest.NewRecorder(out)
	p, err := stream.New(stream.Options{Source: source, Sink: sink, Stages: stages, InRate: in, OutRate: out})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return sink.Samples()
}

func TestDryAndWetSayTheSameAtTheSameTime(t *testing.T) {
	for _, late := range []int{0, 11, 400} { // shorter and longer than the dry resampler's wait
		for _, mix := range []float64{0, 0.5, 1} {
			conversion := stream.NewConversion(newUpsampler(16000, 24000, late), "model")
			mixing := must(stream.NewMixing(16000, 24000, conversion.Latency(), stream.MixingConfig{DryWet: mix, Limiter: true, CeilingDB: -1}))
			got := play(t, 16000, 24000, &streamtest.Tone{SampleRate: 16000, Hz: 100, Amplitude: 0.5, Length: 16000}, conversion, mixing)
			if len(got) != 24000 {
				t.Fatalf("%d frames, expected 24000", len(got))
			}
			for i := 200; i < len(got)-200; i++ {
				want := 0.5 * math.Sin(2*math.Pi*100*float64(i)/24000)
				if d := math.Abs(float64(got[i]) - want); d > 0.02 {
					t.Fatalf("late %d, dry/wet %v: frame %d is %v, expected %v", late, mix, i, got[i], want)
				}
			}
		}
	}
}

func TestSettingsChangeWithoutAClick(t *testing.T) {
	s := must(stream.NewMixing(48000, 48000, 0, stream.DefaultMixingConfig()))
	tone := streamtest.Tone{SampleRate: 48000, Hz: 200, Amplitude: 0.5, Length: 48000}
	var c stream.Chunk
	var all []float32
	for i := 0; tone.Read(t.Context(), &c) == nil; i++ {
		c.Dry = append(c.Dry[:0], c.Samples...)
		if err := s.Process(&c); err != nil {
			t.Fatal(err)
		}
		all = append(all, c.Samples...)
		cfg := s.Config()
		switch i {
		case 20:
			cfg.GainDB = 4
		case 30:
			cfg.CeilingDB = -3
		case 40:
			cfg.Limiter = false
		case 50:
			cfg.Monitor, cfg.Limiter = true, true
		case 60:
			cfg.Mute = true
		case 70:
			cfg.Mute = false
		}
		if err := s.Set(cfg); err != nil {
			t.Fatal(err)
		}
	}
	steepest := 0.8 * 2 * math.Pi * 200 / 48000
	for i := 1; i < len(all); i++ {
		if step := math.Abs(float64(all[i] - all[i-1])); step > 1.3*steepest {
			t.Fatalf("a step of %v at frame %d (chunk %d), expected at most %v", step, i, i/480, steepest)
		}
	}
}

// TestTheGateChangesWithoutAClick: on a tone in the middle of its opening, holding and closing.
func TestTheGateChangesWithoutAClick(t *testing.T) {
	cfg := stream.DefaultSeparationConfig()
	s := must(stream.NewSeparation(16000, cfg))
	tone := streamtest.Tone{SampleRate: 16000, Hz: 100, Amplitude: 0.5, Length: 16000 * 2}
	var c stream.Chunk
	var all []float32
	for i := 0; tone.Read(t.Context(), &c) == nil; i++ {
		switch i {
		case 20:
			cfg.NoGate = true
		case 30:
			cfg.NoGate = false
		case 40:
			cfg.OpenDB, cfg.CloseDB, cfg.Hold = 0, 0, 0 // closes on the tone
		case 43:
			cfg.OpenDB, cfg.CloseDB = -50, -56
		case 60:
			cfg.Mode = stream.ModeBypass
		case 70:
			cfg.Mode = stream.ModeGate
		case 80:
			cfg.HighPassHz = 300
		case 90:
			cfg.HighPassHz = 0
		}
		if err := s.Set(cfg); err != nil {
			t.Fatal(err)
		}
		if err := s.Process(&c); err != nil {
			t.Fatal(err)
		}
		all = append(all, c.Samples...)
	}
	steepest := 0.5 * 2 * math.Pi * 100 / 16000
	for i := 320; i < len(all); i++ { // the gate opens at first, as it does for everybody
		if step := math.Abs(float64(all[i] - all[i-1])); step > 1.6*steepest {
			t.Fatalf("a step of %v at frame %d (chunk %d), expected at most %v", step, i, i/160, steepest)
		}
	}
	if dsp.Peak(all[45*160:55*160]) < 0.3 || dsp.Peak(all[41*160:43*160]) > 0.45 {
		t.Error("the gate did not close, or did not open again")
	}
}

// TestConvertersFade: from one gain to another the level goes along, whole and without a step.
func TestConvertersFade(t *testing.T) {
	loud, quiet := newUpsampler(16000, 24000, 5), newUpsampler(16000, 24000, 5)
	quiet.gain = 0.25
	s := stream.NewConversion(loud, "model")
	tone := streamtest.Tone{SampleRate: 16000, Hz: 200, Amplitude: 0.8, Length: 16000}
	var c stream.Chunk
	var all []float32
	var free <-chan stream.Converter
	for i := 0; tone.Read(t.Context(), &c) == nil; i++ {
		if i == 20 {
			free = must(s.Swap(quiet, "model"))
		}
		if err := s.Process(&c); err != nil {
			t.Fatal(err)
		}
		all = append(all, c.Samples...)
	}
	if <-free != stream.Converter(loud) {
		t.Error("the first converter was not given back")
	}
	const chunk = 240
	if before, after := dsp.Peak(all[19*chunk:20*chunk]), dsp.Peak(all[24*chunk:25*chunk]); before < 0.75 || after > 0.21 {
		t.Errorf("level %v before and %v 40 ms after, expected 0.8 and 0.2", before, after)
	}
	if soon := dsp.Peak(all[22*chunk : 23*chunk]); soon > 0.79 || soon < 0.21 {
		t.Errorf("level %v in the middle of the fade", soon)
	}
	steepest := 0.8 * 2 * math.Pi * 200 / 16000 // the upsampler repeats samples
	for i := 1; i < len(all); i++ {
		if step := math.Abs(float64(all[i] - all[i-1])); step > 1.2*steepest {
			t.Fatalf("a step of %v at frame %d, expected at most %v", step, i, steepest)
		}
	}
}

// TestChangesDoNotAllocate: what is new was made by who asked for it.
func TestChangesDoNotAllocate(t *testing.T) {
	conversion := stream.NewConversion(newUpsampler(16000, 24000, 5), "model")
	separation := must(stream.NewSeparation(16000, stream.DefaultSeparationConfig()))
	mixing := must(stream.NewMixing(16000, 24000, 0, stream.DefaultMixingConfig()))
	chunk := func() *stream.Chunk {
		return &stream.Chunk{Samples: make([]float32, 160, 480), Dry: make([]float32, 160), Rate: 16000, DryRate: 16000, F0: make([]float32, 1)}
	}
	process := func(c *stream.Chunk) {
		for _, s := range []stream.Stage{separation, conversion, mixing} {
			if err := s.Process(c); err != nil {
				t.Error(err)
			}
		}
	}
	process(chunk())
	for i := range 5 {
		cfg, mix := stream.DefaultSeparationConfig(), stream.DefaultMixingConfig()
		cfg.NoGate, mix.Mute, mix.CeilingDB = i%2 == 0, i%2 == 0, float64(-i)
		must(conversion.Swap(newUpsampler(16000, 24000, 5), "model"))
		if err := errors.Join(separation.Set(cfg), mixing.Set(mix)); err != nil {
			t.Fatal(err)
		}
		var chunks []*stream.Chunk
		for range 10 {
			chunks = append(chunks, chunk())
		}
		n := -1 // the first call is not counted, and the first chunk is what counts
		step := func() {
			if n++; n > 0 {
				process(chunks[n-1])
			}
		}
		if allocs := testing.AllocsPerRun(8, step); allocs != 0 {
			t.Errorf("change %d: %v allocations a chunk", i, allocs)
		}
	}
}

func TestConverterIsSwappedBetweenChunks(t *testing.T) {
	first, next, last := newUpsampler(16000, 24000, 5), newUpsampler(16000, 24000, 5), newUpsampler(16000, 24000, 5)
	last.gain = 0.25
	s := stream.NewConversion(first, "model")
	free1, err1 := s.Swap(next, "model")
	free2, err2 := s.Swap(last, "other")
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	select {
	case <-free1:
		t.Fatal("released before the stage knew")
	default:
	}
	got := play(t, 16000, 24000, &streamtest.Tone{SampleRate: 16000, Hz: 100, Amplitude: 0.8, Length: 3200}, s)
	if peak := dsp.Peak(got[24000*40/1000:]); math.Abs(float64(peak)-0.2) > 0.001 || s.Mode() != "other" {
		t.Errorf("peak %v in mode %s: the last converter did not speak", peak, s.Mode())
	}
	if dsp.Peak(got[:24000*10/1000]) < 0.7 {
		t.Error("the first converter was cut off")
	}
	if a, b := <-free1, <-free2; a != stream.Converter(first) || b != stream.Converter(next) {
		t.Error("the replaced converters were not released in order")
	}
	if _, err := s.Swap(newUpsampler(16000, 48000, 5), "model"); err == nil || !strings.Contains(err.Error(), "48000 Hz") {
		t.Errorf("a converter of another rate: %v", err)
	}
}

func TestEdgesKeepTheContract(t *testing.T) {
	full := func() *stream.RingSource {
		s := stream.NewRingSource(48000, 48000, 480, nil)
		tone := streamtest.Tone{SampleRate: 48000, Hz: 440, Amplitude: 0.3, Length: 5000}
		var c stream.Chunk
		at := time.Second
		for tone.Read(t.Context(), &c) == nil {
			s.Capture(c.Samples, at)
			at += 10 * time.Millisecond
		}
		return s
	}
	t.Run("ring source", func(t *testing.T) {
		streamtest.CheckSource(t, streamtest.SourceCase{
			Open: func() stream.Source {
				s := full()
				_ = s.Close()
				return s
			},
			Waiting: func() stream.Source { return stream.NewRingSource(48000, 4800, 480, nil) },
		})
	})
	t.Run("file source and sink", func(t *testing.T) {
		path := t.TempDir() + "/x.wav"
		streamtest.CheckSink(t, streamtest.SinkCase{
			Open: func() (stream.Sink, func() []float32) {
				return must(stream.CreateWAV(path, 44100, dsp.F32LE)), nil
			},
		})
		streamtest.CheckSource(t, streamtest.SourceCase{
			Open: func() stream.Source { return must(stream.OpenFile(path)) },
		})
	})
	t.Run("ring sink", func(t *testing.T) {
		for _, drift := range []bool{false, true} {
			stop := make(chan struct{})
			var played []float32
			done := make(chan struct{})
			streamtest.CheckSink(t, streamtest.SinkCase{
				Open: func() (stream.Sink, func() []float32) {
					s := must(stream.NewRingSink(stream.RingSinkConfig{
						Rate: 48000, DeviceRate: 48000, Capacity: 48000, Target: 960, Drift: drift, CatchUp: drift,
					}))
					go func() { // the device
						defer close(done)
						dst := make([]float32, 256)
						for {
							select {
							case <-stop:
								return
							case <-time.After(200 * time.Microsecond):
								n := s.Play(dst)
								played = append(played, dst[:n]...)
							}
						}
					}()
					if drift {
						return s, nil
					}
					return s, func() []float32 {
						close(stop)
						<-done
						return played
					}
				},
			})
			if drift {
				close(stop)
				<-done
			}
		}
	})
}

// The model's share of the signal fades in and out over a chunk, in time with what it was, whichever mode is on.
func TestSeparationModelComesAndGoes(t *testing.T) {
	on := stream.SeparationConfig{Mode: stream.ModeModel, NoGate: true}
	on.OpenDB, on.CloseDB, on.RangeDB = -50, -56, -60
	off := on
	off.Mode = stream.ModeBypass
	s := must(stream.NewModelSeparation(16000, on, newHalver(16000, 40)))
	if s.Latency() != dsp.Samples(40, 16000) {
		t.Errorf("latency %v, expected that of the model", s.Latency())
	}
	at := 0
	next := func() []float32 {
		c := &stream.Chunk{Rate: 16000, Samples: make([]float32, 160)}
		for i := range c.Samples {
			c.Samples[i] = float32(at + i)
		}
		at += 160
		if err := s.Process(c); err != nil {
			t.Fatal(err)
		}
		return c.Samples
	}
	share := func(x []float32, i int) float32 { return x[i] / float32(at-160+i-40) }
	next()
	if x := next(); share(x, 5) != 0.5 || share(x, 150) != 0.5 {
		t.Errorf("with the model %g and %g of the signal, expected half", share(x, 5), share(x, 150))
	}
	if err := s.Set(off); err != nil {
		t.Fatal(err)
	}
	x := next()
	for i := 1; i < len(x); i++ {
		if share(x, i) < share(x, i-1)-1e-5 {
			t.Fatalf("sample %d: the share falls while the model leaves", i)
		}
	}
	if x := next(); share(x, 5) != 1 {
		t.Errorf("without the model %g of the signal, expected all of it", share(x, 5))
	}
	for want, err := range map[string]error{
		"there is no model": must(stream.NewSeparation(16000, off)).Set(on),
		"one at 48000 Hz":   func() error { _, err := stream.NewModelSeparation(48000, on, newHalver(16000, 1)); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, expected %q", err, want)
		}
	}
}
