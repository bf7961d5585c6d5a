package dsp

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// hill is a smooth gain in dB over the bins of a transform at 24 kHz: a step down at 500 Hz and a hump at 3 kHz.
func hill(bins int) []float64 {
	db := make([]float64, bins)
	for k := range db {
		octaves := math.Log2(max(float64(k)*12000/float64(bins-1), 20) / 500)
		up := octaves - 2.6
		db[k] = 3 - 6/(1+math.Exp(-2*octaves)) + 8*math.Exp(-2*up*up)
	}
	return db
}

func TestMinimumPhaseHasTheGainAskedFor(t *testing.T) {
	db := hill(1025)
	taps := MinimumPhase(make([]float32, 256), db)
	f := NewFIR(256)
	for k := 10; k < 1000; k += 45 {
		hz := float64(k) * 12000 / 1024
		f.Reset()
		if got := measured(func(x []float32) { f.Process(x, taps) }, 24000, hz); math.Abs(got-db[k]) > 0.1 {
			t.Errorf("%.0f Hz: %.2f dB, want %.2f", hz, got, db[k])
		}
	}
}

// A filter of minimum phase has more of its energy at the front than any other of the same gain: here nearly all within 1 ms. Only
// such a filter has an inverse, which is that of the opposite gain.
func TestMinimumPhaseIsAtTheFront(t *testing.T) {
	db := hill(1025)
	taps := MinimumPhase(make([]float32, 256), db)
	if share := energyOf(taps[:24]) / energyOf(taps); share < 0.99 {
		t.Errorf("%.4f of the energy within 1 ms", share)
	}
	for k := range db {
		db[k] = -db[k]
	}
	x := make([]float32, 2000)
	x[0] = 1
	NewFIR(256).Process(x, taps)
	NewFIR(256).Process(x, MinimumPhase(make([]float32, 256), db))
	x[0]--
	if left := 10 * math.Log10(energyOf(x)); left > -50 {
		t.Errorf("through the filter and its inverse an impulse is %.0f dB away from itself", left)
	}
	flat := MinimumPhase(make([]float32, 64), make([]float64, 129))
	if flat[0] != 1 || energyOf(flat[1:]) != 0 {
		t.Errorf("flat: %v", flat)
	}
}

func energyOf(x []float32) (sum float64) {
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum
}

func TestFIRAgainstSlowTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	x := testNoise(rng, 1500)
	for _, n := range []int{1, 2, 63, 256} {
		taps := testNoise(rng, n)
		want := make([]float64, len(x))
		for i := range want {
			for k := range min(n, i+1) {
				want[i] += float64(taps[k]) * float64(x[i-k])
			}
		}
		whole := slices.Clone(x)
		NewFIR(256).Process(whole, taps)
		for i, v := range whole {
			if math.Abs(float64(v)-want[i]) > 1e-4 {
				t.Fatalf("%d taps: sample %d is %g, want %g", n, i, v, want[i])
			}
		}
		for _, cut := range []int{1, 3, 160, 240, 257, 1000} {
			f, got := NewFIR(256), slices.Clone(x)
			for at := 0; at < len(got); at += cut {
				f.Process(got[at:min(at+cut, len(got))], taps)
			}
			if !slices.Equal(got, whole) {
				t.Errorf("%d taps: in pieces of %d other bits than at once", n, cut)
			}
		}
	}
}

// Where taps change in a tone, it goes over from one level to the other without a step; without taps, it is the tone bit for bit.
func TestFIRChangesWithoutAClick(t *testing.T) {
	const hop = 240
	quiet, loud := MinimumPhase(make([]float32, 256), slices.Repeat([]float64{-6}, 513)), MinimumPhase(make([]float32, 256), hill(1025))
	x := testTone(20*hop, 1000, 24000)
	for i, c := range [][2][]float32{{quiet, loud}, {nil, loud}, {loud, nil}, {nil, quiet}} {
		f := NewFIR(256)
		got := slices.Clone(x)
		for h := range 20 {
			f.Process(got[h*hop:(h+1)*hop], c[h/10])
		}
		before, after := NewFIR(256), NewFIR(256)
		first, second := slices.Clone(x), slices.Clone(x)
		before.Process(first, c[0])
		after.Process(second, c[1])
		if !slices.Equal(got[:10*hop], first[:10*hop]) || !slices.Equal(got[11*hop:], second[11*hop:]) {
			t.Errorf("change %d: before or after the fade it is not the one or the other filter", i)
		}
		if most := bend(got[9*hop : 12*hop]); most > 1.1*max(bend(first[9*hop:]), bend(second[9*hop:])) {
			t.Errorf("change %d: bends by %g", i, most)
		}
		f.Reset()
		again := slices.Clone(x)
		f.Process(again, c[0])
		if !slices.Equal(again, first) {
			t.Errorf("change %d: after Reset it is not as new", i)
		}
	}
}

// bend is the largest second difference.
func bend(x []float32) (most float64) {
	for i := 2; i < len(x); i++ {
		most = max(most, math.Abs(float64(x[i])-2*float64(x[i-1])+float64(x[i-2])))
	}
	return most
}

func TestFIRSucceedsAndKeepsSilence(t *testing.T) {
	taps := MinimumPhase(make([]float32, 256), hill(1025))
	x := testTone(2000, 1000, 24000)
	want := slices.Clone(x)
	NewFIR(256).Process(want, taps)
	first, second := NewFIR(256), NewFIR(256)
	first.Process(x[:1000], taps)
	second.Succeed(first)
	second.Process(x[1000:], taps)
	if !slices.Equal(x, want) {
		t.Error("other samples than without a change")
	}
	silence := make([]float32, 1000)
	second.Process(silence, taps)
	if energyOf(silence[:255]) == 0 || energyOf(silence[255:]) != 0 {
		t.Error("it does not end with its taps, or does not end")
	}
}

func TestFIRMisuse(t *testing.T) {
	mustPanic(t, "no taps", func() { NewFIR(0) })
	mustPanic(t, "too many taps", func() { NewFIR(8).Process(make([]float32, 4), make([]float32, 9)) })
	mustPanic(t, "another length", func() { NewFIR(8).Succeed(NewFIR(9)) })
	mustPanic(t, "short transform", func() { MinimumPhase(make([]float32, 64), make([]float64, 64)) })
}

// What 10 ms of a voice cost.
func BenchmarkFIR(b *testing.B) {
	for _, n := range []int{0, 128, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f, x, taps := NewFIR(256), make([]float32, 240), make([]float32, n)
			b.ReportAllocs()
			for b.Loop() {
				f.Process(x, taps)
			}
		})
	}
}

func BenchmarkMinimumPhase(b *testing.B) {
	db, taps := hill(1025), make([]float32, 256)
	for b.Loop() {
		MinimumPhase(taps, db)
	}
}
