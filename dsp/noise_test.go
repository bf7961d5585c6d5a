package dsp

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
	"testing"
)

// The reference implementation's first outputs from the state 1, 2, 3, 4.
func TestNoiseIsXoshiro(t *testing.T) {
	n := &Noise{s: [4]uint64{1, 2, 3, 4}}
	for i, want := range []uint64{
		41943041, 58720359, 3588806011781223, 3591011842654386, 9228616714210784205,
		9973669472204895162, 14011001112246962877, 12406186145184390807, 15849039046786891736, 10450023813501588000,
	} {
		if got := n.Uint64(); got != want {
			t.Fatalf("output %d is %d, want %d", i, got, want)
		}
	}
}

func TestNoiseIsTheSameEverywhere(t *testing.T) {
	x := make([]float32, 100000)
	h := sha256.New()
	n := NewNoise(42)
	for _, fill := range []func([]float32){n.Normal, n.Uniform} {
		fill(x)
		if err := binary.Write(h, binary.LittleEndian, x); err != nil {
			t.Fatal(err)
		}
	}
	const want = "592d47427f0b6981"
	if got := hex.EncodeToString(h.Sum(nil)[:8]); got != want {
		t.Errorf("noise of seed 42 hashes to %s, want %s", got, want)
	}
	again := make([]float32, 7)
	n.Seed(42)
	n.Normal(again[:3])
	n.Normal(again[3:])
	other := make([]float32, 7)
	NewNoise(42).Normal(other)
	if !slices.Equal(again, other) {
		t.Errorf("cut noise %v, whole %v", again, other)
	}
}

func TestNormalNoiseAgainstTheory(t *testing.T) {
	x := make([]float32, 1_000_000)
	NewNoise(7).Normal(x)
	var m [5]float64
	var lag float64
	for i, v := range x {
		p := 1.0
		for k := range m {
			m[k] += p / float64(len(x))
			p *= float64(v)
		}
		if i > 0 {
			lag += float64(v) * float64(x[i-1]) / float64(len(x))
		}
	}
	// Six standard errors of each moment.
	for k, want := range []float64{1, 0, 1, 0, 3} {
		if e := math.Abs(m[k] - want); e > []float64{1e-9, 0.006, 0.0085, 0.0233, 0.059}[k] {
			t.Errorf("moment %d is %.5f, want %g", k, m[k], want)
		}
	}
	if math.Abs(lag) > 0.006 {
		t.Errorf("neighbours correlate by %g", lag)
	}
	// Kolmogorov and Smirnov: the greatest distance to the distribution, at a risk of 1e-6.
	slices.Sort(x)
	var far float64
	for i, v := range x {
		far = max(far, math.Abs(0.5*math.Erfc(-float64(v)/math.Sqrt2)-(float64(i)+0.5)/float64(len(x))))
	}
	if limit := 2.7 / math.Sqrt(float64(len(x))); far > limit {
		t.Errorf("distance to the normal distribution is %g, want below %g", far, limit)
	}
	if x[0] > -4.4 || x[len(x)-1] < 4.4 {
		t.Errorf("a million normal numbers reach from %g to %g", x[0], x[len(x)-1])
	}
}

func TestNormalQuantilesAreFineEnough(t *testing.T) {
	for k := range 30 {
		for i := range noiseSteps {
			middle := float64(normalQuantiles[k][i]+normalQuantiles[k][i+1]) / 2 / noiseScale
			p := math.Ldexp(1+(float64(i)+0.5)/noiseSteps, -k-2)
			if d := math.Abs(middle - math.Sqrt2*math.Erfcinv(2*p)); d > 2e-4 {
				t.Fatalf("octave %d, step %d: the line is off by %g", k, i, d)
			}
		}
	}
}

func TestUniformNoise(t *testing.T) {
	x := make([]float32, 1_000_000)
	NewNoise(8).Uniform(x)
	var mean, square float64
	for _, v := range x {
		if v < -1 || v >= 1 {
			t.Fatalf("%g is outside [-1, 1)", v)
		}
		mean += float64(v) / float64(len(x))
		square += float64(v) * float64(v) / float64(len(x))
	}
	if math.Abs(mean) > 0.0035 || math.Abs(square-1.0/3) > 0.002 {
		t.Errorf("mean %g, mean square %g, want 0, 1/3", mean, square)
	}
}

func BenchmarkNormalNoise(b *testing.B) {
	n, x := NewNoise(1), make([]float32, 240)
	b.ReportAllocs()
	for b.Loop() {
		n.Normal(x)
	}
}
