package dsp

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

// Cut in any way, in large pieces and small ones, on any number of processors and at any ratio, all processors give what one does.
func TestAppendManyIsAppend(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	signal := testNoise(rand.New(rand.NewPCG(9, 9)), 200_000)
	for _, processors := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(processors)
		for _, rates := range [][2]int{{44100, 16000}, {24000, 44100}, {48000, 16000}, {44100, 48000}, {8000, 192000}, {192000, 8000}} {
			for _, ratio := range []float64{1, 1.0003} {
				one, many := NewFineResampler(rates[0], rates[1]), NewFineResampler(rates[0], rates[1])
				one.SetRatio(ratio)
				many.SetRatio(ratio)
				var want, got []float32
				for at, n := 0, 70_000; at < len(signal); at, n = at+n, 65536-n/2 {
					piece := signal[at:min(len(signal), at+n)]
					want, got = one.Append(want, piece), many.AppendMany(got, piece)
				}
				if one.Pending() != many.Pending() {
					t.Fatalf("%v: %d frames pending, expected %d", rates, many.Pending(), one.Pending())
				}
				rest, more := make([]float32, one.Pending()), make([]float32, one.Pending())
				one.Flush(rest)
				many.Flush(more)
				if !slices.Equal(append(want, rest...), append(got, more...)) {
					t.Errorf("%d processors, %v, ratio %v: other samples", processors, rates, ratio)
				}
			}
		}
	}
}
