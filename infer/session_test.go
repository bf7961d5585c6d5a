package infer

import (
	"math"
	"sync"
	"testing"
	"time"
)

const tinyHops = 120

func TestSameInputSameBytes(t *testing.T) {
	e := load(t, tinyVoice)
	samples, f0 := speech(tinyHops)
	first := convert(t, open(t, e, "tiny-low", SessionOptions{}), samples, f0, 1)
	again := convert(t, open(t, e, "tiny-low", SessionOptions{}), samples, f0, 1)
	if !same(first, again) {
		t.Error("the same input gave other bytes in a second session")
	}
	other := load(t, tinyVoice)
	if !same(first, convert(t, open(t, other, "tiny-low", SessionOptions{}), samples, f0, 1)) {
		t.Error("the same input gave other bytes in a second engine")
	}
	if same(first, convert(t, open(t, e, "tiny-low", SessionOptions{Seed: 1}), samples, f0, 1)) {
		t.Error("the seed of the noise changes nothing: the noise is not used")
	}
	if e, a := energy(first), 0.0; e <= a {
		t.Error("silence came out")
	}
}

func energy(x []float32) (sum float64) {
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum
}

func TestCutIndependence(t *testing.T) {
	e := load(t, tinyVoice)
	samples, f0 := speech(tinyHops)
	whole := convert(t, open(t, e, "tiny-high", SessionOptions{}), samples, f0, tinyHops)
	for _, hops := range []int{1, 2, 7} {
		if !same(whole, convert(t, open(t, e, "tiny-high", SessionOptions{}), samples, f0, hops)) {
			t.Errorf("%d hops a call gave other bytes than all at once", hops)
		}
	}
}

// Two sessions of one engine, hop by hop in turns, hear nothing of each other.
func TestSessionsAreIndependent(t *testing.T) {
	e := load(t, tinyVoice)
	samples, f0 := speech(tinyHops)
	low := convert(t, open(t, e, "tiny-low", SessionOptions{}), samples, f0, 1)
	high := convert(t, open(t, e, "tiny-high", SessionOptions{}), samples, f0, 1)
	if same(low, high) {
		t.Fatal("both voices sound the same: the speaker is not used")
	}
	a, b := open(t, e, "tiny-low", SessionOptions{}), open(t, e, "tiny-high", SessionOptions{})
	for h := range tinyHops {
		in, out := samples[h*160:(h+1)*160], make([]float32, 240)
		for _, turn := range []struct {
			c    Converter
			want []float32
		}{{a, low}, {b, high}} {
			check(t, turn.c.Convert(out, in, f0[h:h+1]))
			if !same(out, turn.want[h*240:(h+1)*240]) {
				t.Fatalf("hop %d: interleaved gave other bytes than alone", h)
			}
		}
	}
}

// What may be called from any goroutine is, while another converts.
func TestSettingsFromOtherGoroutines(t *testing.T) {
	v, ok := open(t, load(t, tinyVoice), "tiny-low", SessionOptions{}).(*Voice)
	if !ok {
		t.Fatal("not a voice")
	}
	samples, f0 := speech(tinyHops)
	done := make(chan struct{})
	var other sync.WaitGroup
	other.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			check(t, v.SetShift(Shift{Auto: i%2 == 0, Semitones: float64(i % 24)}))
			check(t, v.SetVoice([]string{"tiny-low", "tiny-high"}[i%2]))
			if s := v.Shift(); math.Abs(s) > MaxShift {
				t.Errorf("shift %g", s)
			}
			if v.VoiceName() == "" || v.Faults() != (Faults{}) {
				t.Error("no name, or faults")
			}
		}
	})
	if !finite(convert(t, v, samples, f0, 1)) {
		t.Error("NaN came out")
	}
	close(done)
	other.Wait()
}

// Sessions of one engine run at the same time on their own goroutines.
func TestSessionsRunConcurrently(t *testing.T) {
	e := load(t, tinyVoice)
	samples, f0 := speech(tinyHops)
	want := convert(t, open(t, e, "tiny-low", SessionOptions{}), samples, f0, 1)
	var all sync.WaitGroup
	for range 4 {
		c := open(t, e, "tiny-low", SessionOptions{})
		all.Go(func() {
			if !same(want, convert(t, c, samples, f0, 3)) {
				t.Error("other bytes than alone")
			}
		})
	}
	all.Wait()
}

func TestReset(t *testing.T) {
	e := load(t, tinyVoice)
	samples, f0 := speech(tinyHops)
	c := open(t, e, "tiny-low", SessionOptions{})
	first := convert(t, c, samples, f0, 1)
	if same(first, convert(t, c, samples, f0, 1)) {
		t.Error("the state is not carried: a second pass sounds like the first")
	}
	c.Reset()
	if !same(first, convert(t, c, samples, f0, 1)) {
		t.Error("after Reset the session is not as new")
	}
}

func TestSetVoice(t *testing.T) {
	e := load(t, tinyVoice)
	samples, f0 := speech(tinyHops)
	high := convert(t, open(t, e, "tiny-high", SessionOptions{}), samples, f0, 1)
	c := open(t, e, "tiny-low", SessionOptions{})
	v, ok := c.(*Voice)
	if !ok {
		t.Fatalf("a %T, expected a voice", c)
	}
	wantError(t, v.SetVoice("nobody"), "nobody", "tiny-low, tiny-high")
	check(t, v.SetVoice("tiny-high"))
	if v.VoiceName() != "tiny-high" || !same(high, convert(t, c, samples, f0, 1)) {
		t.Error("it does not sound like the voice it was set to")
	}
}

// A model that gives NaN gives silence to its user, is counted, and recovers with a fresh state.
func TestOutputThatIsNoNumber(t *testing.T) {
	e := load(t, broken("nan-above-900"))
	c := open(t, e, "tiny-low", SessionOptions{})
	samples, f0 := speech(tinyHops)
	for i := range f0 {
		f0[i] = 150
	}
	f0[10], f0[11] = 950, 950
	delay := int(e.Contract().F0DelayMS / 10)
	out := convert(t, c, samples, f0, 1)
	if !finite(out) {
		t.Fatal("NaN came out")
	}
	if got := c.Faults(); got != (Faults{Output: 2}) {
		t.Errorf("faults %+v, expected 2 of output", got)
	}
	for h := range tinyHops {
		hop, silent := out[h*240:(h+1)*240], h == 10+delay || h == 11+delay
		if (energy(hop) == 0) != silent {
			t.Errorf("hop %d: energy %g, expected silence: %v", h, energy(hop), silent)
		}
	}
}

// A run that fails is an error with the names in it, and silence; the session can go on.
func TestARunThatFails(t *testing.T) {
	c := open(t, load(t, broken("fails-above-900")), "tiny-low", SessionOptions{F0Delay: 20 * time.Millisecond})
	samples, f0 := speech(3)
	out := []float32{7}
	out = append(out, make([]float32, 3*240-1)...)
	f0[1] = 950
	out[700] = 7
	err := c.Convert(out, samples, f0)
	wantError(t, err, "fails-above-900.onnx", "tiny-low", "out of data bounds")
	if out[0] == 7 || energy(out[240:]) != 0 {
		t.Error("what was not converted is not silence")
	}
	f0[1] = 0
	check(t, c.Convert(out, samples, f0))
}

func TestInputThatIsNoNumber(t *testing.T) {
	e := load(t, tinyVoice)
	samples, f0 := speech(tinyHops)
	quiet := append([]float32(nil), samples...)
	clear(quiet[20*160 : 22*160])
	want := convert(t, open(t, e, "tiny-low", SessionOptions{}), quiet, f0, 1)

	samples[20*160+7], samples[21*160] = float32(math.NaN()), float32(math.Inf(-1))
	c := open(t, e, "tiny-low", SessionOptions{})
	if !same(want, convert(t, c, samples, f0, 1)) {
		t.Error("hops that are not numbers are not heard as silence")
	}
	if got := c.Faults(); got != (Faults{Input: 2}) {
		t.Errorf("faults %+v, expected 2 of input", got)
	}
	for i := range f0 {
		f0[i] = float32(math.NaN())
	}
	f0[3], f0[4] = float32(math.Inf(1)), -100
	c = open(t, e, "tiny-low", SessionOptions{Shift: Shift{Auto: true}})
	if out := convert(t, c, samples, f0, 1); !finite(out) || c.Faults().Output != 0 {
		t.Error("f0 that is no number reached the model")
	}
}

// f0 reaches the model as old as it was trained with, whatever the tracker's own delay.
func TestF0Delay(t *testing.T) {
	e := load(t, tinyVoice) // trained with f0 20 ms old
	samples, f0 := speech(tinyHops)
	want := convert(t, open(t, e, "tiny-low", SessionOptions{}), samples, f0, 1)
	late := append(make([]float32, 2), f0...)[:tinyHops]
	if !same(want, convert(t, open(t, e, "tiny-low", SessionOptions{F0Delay: 20 * time.Millisecond}), samples, late, 1)) {
		t.Error("a tracker 20 ms late gives other bytes than one without delay")
	}
	late = append(make([]float32, 1), f0...)[:tinyHops]
	if !same(want, convert(t, open(t, e, "tiny-low", SessionOptions{F0Delay: 12 * time.Millisecond}), samples, late, 1)) {
		t.Error("a tracker 12 ms late is not brought to 20 ms, rounded to hops")
	}
	_, err := e.NewSession("tiny-low", SessionOptions{F0Delay: 40 * time.Millisecond})
	wantError(t, err, tinyVoice, "40ms", "20ms")
}

func TestConvertMisuse(t *testing.T) {
	e := load(t, tinyVoice)
	c := open(t, e, "tiny-low", SessionOptions{})
	wantError(t, c.Convert(make([]float32, 240), make([]float32, 161), make([]float32, 1)), "161", "160", "tiny-low")
	wantError(t, c.Convert(make([]float32, 241), make([]float32, 160), make([]float32, 1)), "241", "240")
	wantError(t, c.Convert(make([]float32, 240), make([]float32, 160), nil), "0 values of f0", "1")
	check(t, c.Convert(nil, nil, nil))

	_, err := e.NewSession("nobody", SessionOptions{})
	wantError(t, err, "nobody", "tiny-low, tiny-high")
	_, err = e.NewSession("tiny-low", SessionOptions{Shift: Shift{Semitones: 25}})
	wantError(t, err, "25", "-24 to 24")
}

// Close may come twice, in any order, and half-built.
func TestClose(t *testing.T) {
	needRuntime(t)
	e, err := Load(tinyVoice, DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	c, err := e.NewSession("tiny-low", SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	check(t, e.Close())
	_, err = e.NewSession("tiny-low", SessionOptions{})
	wantError(t, err, "closed")
	samples, f0 := speech(3)
	convert(t, c, samples, f0, 1) // the session outlives the engine's Close
	check(t, e.Close())
	check(t, c.Close())
	check(t, c.Close())
	if e.nets != nil {
		t.Error("the last session did not give the weights back")
	}
	wantError(t, c.Convert(make([]float32, 240), samples[:160], f0[:1]), "closed")
	check(t, new(binding).close())
}

func TestContractShapes(t *testing.T) {
	e := load(t, tinyVoice)
	c := open(t, e, "tiny-low", SessionOptions{})
	if c.InRate() != 16000 || c.OutRate() != 24000 || c.Latency() != 10*time.Millisecond || e.Hop() != 10*time.Millisecond {
		t.Errorf("%d to %d Hz, %v", c.InRate(), c.OutRate(), c.Latency())
	}
}

func TestConvertAllocatesNothing(t *testing.T) {
	samples, f0 := speech(4)
	e := load(t, tinyVoice)
	voice := open(t, e, "tiny-low", SessionOptions{Shift: Shift{Auto: true}})
	out := make([]float32, 4*240)
	if n := testing.AllocsPerRun(200, func() { check(t, voice.Convert(out, samples, f0)) }); n != 0 {
		t.Errorf("voice: %v allocations a run", n)
	}
	pass := open(t, load(t, passthrough), "passthrough", SessionOptions{})
	in, thru := make([]float32, 480), make([]float32, 480)
	if n := testing.AllocsPerRun(200, func() { check(t, pass.Convert(thru, in, nil)) }); n != 0 {
		t.Errorf("passthrough: %v allocations a run", n)
	}
}
