package infer

import (
	"math"
	"slices"
	"testing"

	"github.com/autovoiced/autovoiced/dsp"
)

// slope is a tone that goes from one level to another.
func slope(low, high float32) []float32 {
	tone := make([]float32, ToneBands)
	for b := range tone {
		tone[b] = low + (high-low)*float32(b)/(ToneBands-1)
	}
	return tone
}

// toned is a voice of the tiny pack with a tone.
func toned(t testing.TB, e *Engine, voice string, tone []float32, o SessionOptions) *Voice {
	t.Helper()
	who, err := e.Target(voice)
	check(t, err)
	who.Tone = tone
	c, err := e.NewTargetSession(who, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, c.Close()) })
	return c.(*Voice)
}

// coloured is what the voice says, put through the filter of a tone afterwards.
func coloured(x, tone []float32) []float32 {
	y := slices.Clone(x)
	dsp.NewFIR(toneTaps).Process(y, toneFilter(tone, 24000))
	return y
}

func TestToneFilterHasTheGains(t *testing.T) {
	hump := make([]float32, ToneBands)
	for b := range hump {
		hump[b] = float32(6 * math.Sin(float64(b)/2.5))
	}
	for _, rate := range []int{16000, 24000, 48000} {
		for _, tone := range [][]float32{slope(-6, 6), slope(5, -8), hump} {
			taps := toneFilter(tone, rate)
			for b := range tone {
				hz, within := ToneHz(b), 0.3
				if hz < 300*float64(rate)/24000 {
					within = 1.5
				}
				if hz > 0.45*float64(rate) {
					continue
				}
				if got := gainOf(taps, hz/float64(rate)); math.Abs(got-float64(tone[b])) > within {
					t.Errorf("%d Hz: %.2f dB at %.0f Hz, want %.2f", rate, got, hz, tone[b])
				}
			}
			if low := gainOf(taps, 20/float64(rate)); math.Abs(low-float64(tone[0])) > 1.5 {
				t.Errorf("%d Hz: %.2f dB at 20 Hz, want about %.2f as at 100", rate, low, tone[0])
			}
		}
		if toneFilter(nil, rate) != nil || toneFilter(make([]float32, ToneBands), rate) != nil {
			t.Error("a flat tone has a filter")
		}
	}
}

// gainOf is the gain of taps in dB at a frequency in cycles a sample.
func gainOf(taps []float32, frequency float64) float64 {
	var re, im float64
	for i, v := range taps {
		sin, cos := math.Sincos(2 * math.Pi * frequency * float64(i))
		re, im = re+float64(v)*cos, im+float64(v)*sin
	}
	return 10 * math.Log10(re*re+im*im)
}

// However a conversation is cut, run and shared, it is the plain voice through the filter, bit for bit, with no delay of its own.
func TestAToneColoursTheVoice(t *testing.T) {
	samples, f0 := speech(tinyHops)
	e, tone := load(t, tinyWithHops), slope(-5, 5)
	plain := convert(t, open(t, e, "tiny-low", SessionOptions{}), samples, f0, 1)
	want := coloured(plain, tone)
	for _, hops := range []int{1, 8} {
		for _, call := range []int{1, 3, 11, tinyHops} {
			v := toned(t, e, "tiny-low", tone, SessionOptions{Hops: hops})
			if !same(want, convert(t, v, samples, f0, call)) {
				t.Errorf("for %d hops, %d a call: other bytes than the voice through the filter", hops, call)
			}
			v.Reset()
			if !same(want, convert(t, v, samples, f0, call)) {
				t.Errorf("for %d hops, %d a call: after Reset the session is not as new", hops, call)
			}
		}
	}
	if !same(plain, convert(t, toned(t, e, "tiny-low", make([]float32, ToneBands), SessionOptions{}), samples, f0, 3)) {
		t.Error("a flat tone changes bytes")
	}
}

func TestTonesInSharedRuns(t *testing.T) {
	e := load(t, tinyBatch)
	voices, tone := crowd(t, e, 5), slope(4, -6)
	for _, v := range voices[1:] {
		who := v.speaker.Load().Target
		who.Tone = tone
		check(t, v.SetTarget(who))
	}
	samples, f0 := speech(tinyHops)
	said, errs := speakAtOnce(t, voices, tinyHops, func(int) (x, pitch []float32) { return samples, f0 })
	for i, v := range voices {
		want := alone(t, e, v, samples, f0)
		if i > 0 {
			want = coloured(want, tone)
		}
		if errs[i] != nil || !same(want, said[i]) {
			t.Errorf("voice %d: other bytes than alone (%v)", i, errs[i])
		}
	}
}

// From none to one, to another and back: over one hop, along the way from the one filter's output to the other's.
func TestAToneChangesWithoutAClick(t *testing.T) {
	samples, f0 := speech(80)
	e := load(t, tinyVoice)
	plain := convert(t, open(t, e, "tiny-low", SessionOptions{}), samples, f0, 1)
	v := toned(t, e, "tiny-low", nil, SessionOptions{})
	who := v.speaker.Load().Target
	tones := [][]float32{nil, slope(-9, 9), slope(6, -6), nil}
	var got []float32
	for i, tone := range tones {
		who.Tone = tone
		check(t, v.SetTarget(who))
		got = append(got, convert(t, v, samples[i*20*160:(i+1)*20*160], f0[i*20:(i+1)*20], 4)...)
	}
	const part, hop = 20 * 240, 240
	for i := range tones {
		now := coloured(plain, tones[i])
		if at := i * part; i == 0 {
			if !same(got[:part], now[:part]) {
				t.Error("before the first change it is not the voice")
			}
			continue
		} else if !same(got[at+hop:at+part], now[at+hop:at+part]) {
			t.Errorf("one hop after change %d it is not what it would have been all along", i)
		}
		before := coloured(plain, tones[i-1])
		last := 1.0
		for k := range hop {
			at := i*part + k
			apart := float64(now[at]) - float64(before[at])
			if math.Abs(apart) < 1e-4 {
				continue
			}
			share := (float64(now[at]) - float64(got[at])) / apart // of the tone before
			if share > last+0.01 || last-share > 0.1 {
				t.Fatalf("change %d, sample %d: a share of %.3f after %.3f", i, k, share, last)
			}
			last = share
		}
	}
}

func TestAToneIsTakenOver(t *testing.T) {
	samples, f0 := speech(60)
	e, tone := load(t, tinyVoice), slope(-5, 5)
	want := coloured(convert(t, open(t, e, "tiny-low", SessionOptions{}), samples, f0, 1), tone)
	first, second := toned(t, e, "tiny-low", tone, SessionOptions{}), toned(t, e, "tiny-low", tone, SessionOptions{})
	const half = 30
	got := convert(t, first, samples[:half*160], f0[:half], 1)
	if !second.Succeed(first) {
		t.Fatal("it does not take over")
	}
	if got = append(got, convert(t, second, samples[half*160:], f0[half:], 1)...); !same(want, got) {
		t.Error("other samples than without a change")
	}
}

func TestAToneCostsNoAllocation(t *testing.T) {
	samples, f0 := speech(8 + 2)
	v := toned(t, load(t, tinyWithHops), "tiny-low", slope(-5, 5), SessionOptions{Hops: 8})
	out := make([]float32, len(f0)*240)
	if n := testing.AllocsPerRun(200, func() { check(t, v.Convert(out, samples, f0)) }); n != 0 {
		t.Errorf("%v allocations a run", n)
	}
}

// What comes out is finite even where the voice is next to infinity and the tone lifts it.
func TestAToneKeepsToNumbers(t *testing.T) {
	v := toned(t, load(t, tinyVoice), "tiny-low", slope(12, 12), SessionOptions{})
	samples, f0 := speech(4)
	convert(t, v, samples, f0, 1)
	hop := slices.Repeat([]float32{3e38}, 240)
	v.colour(hop)
	if energy(hop) != 0 || v.Faults() != (Faults{Output: 1}) {
		t.Errorf("%g, %+v", hop[0], v.Faults())
	}
}
