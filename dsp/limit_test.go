package dsp

import (
	"math"
	"strings"
	"testing"
	"time"
)

// slowLimiter is the limiter by its description: least request of the look-ahead, released,
// averaged twice, in floating point, with whole slices.
func slowLimiter(cfg LimiterConfig, x []float32) []float64 {
	n := int(math.Round(cfg.LookAhead.Seconds() * float64(cfg.Rate)))
	at := func(s []float64, i int) float64 {
		if i < 0 {
			return 1
		}
		return s[i]
	}
	request, released := make([]float64, len(x)), make([]float64, len(x))
	ceiling := Amplitude(cfg.CeilingDB)
	gain := 1.0
	for i, v := range x {
		request[i] = min(1, ceiling/math.Abs(float64(v)))
		least := 1.0
		for k := range n + 1 {
			least = min(least, at(request, i-k))
		}
		gain = min(least, gain+(least-gain)*(1-math.Exp(-1/(cfg.Release.Seconds()*float64(cfg.Rate)))))
		released[i] = gain
	}
	average := func(s []float64, n int) []float64 {
		d := make([]float64, len(s))
		for i := range s {
			for k := range n {
				d[i] += at(s, i-k) / float64(n)
			}
		}
		return d
	}
	gains := average(average(released, n/2+1), n-n/2+1)
	y := make([]float64, len(x))
	for i := n; i < len(x); i++ {
		y[i] = float64(x[i-n]) * gains[i]
	}
	return y
}

func TestLimiterAgainstSlowTwin(t *testing.T) {
	for _, cfg := range []LimiterConfig{
		DefaultLimiterConfig(16000),
		{Rate: 8000, CeilingDB: -12, LookAhead: 5 * time.Millisecond, Release: 20 * time.Millisecond},
		{Rate: 24000, CeilingDB: -3, LookAhead: 0, Release: 5 * time.Millisecond},
	} {
		x := make([]float32, 8000)
		NewNoise(9).Normal(x)
		for i := range x { // from well below to well above the ceiling and back
			x[i] *= float32(1 - math.Cos(2*math.Pi*float64(i)/4000))
		}
		want := slowLimiter(cfg, x)
		NewLimiter(cfg).Process(x)
		for i := range x {
			if d := math.Abs(float64(x[i]) - want[i]); d > 1e-6 {
				t.Fatalf("%+v: sample %d is off by %g", cfg, i, d)
			}
		}
	}
}

func TestLimiterNeverExceedsCeiling(t *testing.T) {
	noise := NewNoise(3)
	inputs := map[string]func(i int, r float32) float32{
		"noise":         func(_ int, r float32) float32 { return 4 * r },
		"single peaks":  func(i int, r float32) float32 { return 0.01*r + float32(10*boolTo(i%977 == 0)) },
		"square":        func(i int, _ float32) float32 { return float32(3 - 6*(i/50%2)) },
		"step":          func(i int, _ float32) float32 { return float32(5 * boolTo(i > 3000)) },
		"alternating":   func(i int, _ float32) float32 { return float32(2 - 4*(i%2)) },
		"growing":       func(i int, r float32) float32 { return r * float32(math.Exp(float64(i)/200)) },
		"broken":        func(i int, r float32) float32 { return []float32{r, float32(math.NaN()), float32(math.Inf(1))}[i%3] },
		"greatest":      func(i int, _ float32) float32 { return math.MaxFloat32 * float32(1-2*(i%2)) },
		"just above":    func(_ int, r float32) float32 { return float32(Amplitude(-1)) * (1 + 1e-6*r) },
		"near distance": func(i int, _ float32) float32 { return float32(3*boolTo(i%25 == 0)) + float32(7*boolTo(i%24 == 3)) },
	}
	for name, input := range inputs {
		for _, cfg := range []LimiterConfig{
			DefaultLimiterConfig(16000), DefaultLimiterConfig(48000),
			{Rate: 48000, CeilingDB: -20, LookAhead: 0, Release: time.Millisecond},
			{Rate: 8000, CeilingDB: 0, LookAhead: 20 * time.Millisecond, Release: time.Second},
		} {
			x := make([]float32, 12000)
			noise.Normal(x)
			for i := range x {
				x[i] = input(i, x[i])
			}
			l := NewLimiter(cfg)
			for at := 0; at < len(x); at += 160 {
				l.Process(x[at : at+min(160, len(x)-at)])
			}
			ceiling := float32(Amplitude(cfg.CeilingDB))
			for i, v := range x {
				if !(v <= ceiling && v >= -ceiling) {
					t.Fatalf("%s, %+v: sample %d is %g, ceiling %g", name, cfg, i, v, ceiling)
				}
			}
		}
	}
}

func boolTo(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestLimiterIsADelayBelowTheCeiling(t *testing.T) {
	for _, rate := range []int{16000, 24000, 44100, 48000} {
		l := NewLimiter(DefaultLimiterConfig(rate))
		late := int(math.Round(l.Latency().Seconds() * float64(rate)))
		if want := int(math.Round(0.0015 * float64(rate))); late != want {
			t.Fatalf("%d Hz: latency is %d samples, want %d", rate, late, want)
		}
		x := make([]float32, rate)
		NewNoise(4).Uniform(x)
		y := make([]float32, rate)
		for i := range x {
			x[i] *= float32(Amplitude(-1))
		}
		// A loud start first: the gain must come back to exactly 1.
		loud := sine(rate, 100, 4, 0.1)
		l.Process(loud)
		quiet := make([]float32, 2*rate)
		l.Process(quiet)
		if l.Reduction() != 0 {
			t.Errorf("%d Hz: reduction is %g dB after 2 s of silence", rate, l.Reduction())
		}
		copy(y, x)
		l.Process(y)
		for i := late; i < len(x); i++ {
			if y[i] != x[i-late] {
				t.Fatalf("%d Hz: sample %d is %g, want %g", rate, i, y[i], x[i-late])
			}
		}
	}
}

// A click needs a step in the gain. Over 1.5 ms the gain of a 12 dB peak comes down with no step
// above a tenth of the way.
func TestLimiterGainIsSmooth(t *testing.T) {
	l := NewLimiter(DefaultLimiterConfig(48000))
	x := make([]float32, 9600)
	for i := range x {
		x[i] = 0.001
	}
	x[4800] = 4
	l.Process(x)
	var most, low float64 = 0, 1
	for i := 200; i < len(x); i++ {
		g := float64(x[i]) / 0.001
		if i == 4800+72 {
			continue // the peak itself
		}
		low = min(low, g)
		if i > 200 && i != 4800+73 {
			most = max(most, math.Abs(g-float64(x[i-1])/0.001))
		}
	}
	if low > 0.3 || most > 0.1*(1-low) {
		t.Errorf("gain goes down to %.3f with steps up to %.4f", low, most)
	}
}

func TestLimiterConfigValidate(t *testing.T) {
	for want, edit := range map[string]func(*LimiterConfig){
		"'rate' is 3":                         func(c *LimiterConfig) { c.Rate = 3 },
		"'ceiling_db' is 1, must be -60 to 0": func(c *LimiterConfig) { c.CeilingDB = 1 },
		"'look_ahead' is 1s":                  func(c *LimiterConfig) { c.LookAhead = time.Second },
		"'release' is 0s, must be 1ms to 2s":  func(c *LimiterConfig) { c.Release = 0 },
	} {
		c := DefaultLimiterConfig(16000)
		edit(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func BenchmarkLimiter(b *testing.B) {
	for name, gain := range map[string]float32{"below": 0.1, "above": 3} {
		b.Run(name, func(b *testing.B) {
			l := NewLimiter(DefaultLimiterConfig(48000))
			x, y := make([]float32, 480), make([]float32, 480)
			NewNoise(1).Uniform(x)
			for i := range x {
				x[i] *= gain
			}
			b.ReportAllocs()
			for b.Loop() {
				copy(y, x)
				l.Process(y)
			}
		})
	}
}

// TestLinkedLimiterTurnsAllDownTogether: the loudest channel decides, for all.
func TestLinkedLimiterTurnsAllDownTogether(t *testing.T) {
	cfg := DefaultLimiterConfig(16000)
	left, right, twin := make([]float32, 8000), make([]float32, 8000), make([]float32, 8000)
	NewNoise(9).Normal(left)
	for i := range left {
		left[i] *= float32(1 - math.Cos(2*math.Pi*float64(i)/4000))
		right[i] = left[i] / -4
	}
	copy(twin, left)
	l, alone := NewLinkedLimiter(cfg, 2), NewLimiter(cfg)
	l.Process([][]float32{left[:4000], right[:4000]})
	l.Reset()
	l.Process([][]float32{left[4000:], right[4000:]})
	alone.Process(twin[:4000])
	alone.Reset()
	alone.Process(twin[4000:])
	loudest := float32(0)
	for i := range left {
		if left[i] != twin[i] {
			t.Fatalf("sample %d of the loudest channel is %v, alone it is %v", i, left[i], twin[i])
		}
		if d := right[i] + left[i]/4; d > 1e-6 || d < -1e-6 {
			t.Fatalf("sample %d: %v beside %v, want a quarter of it", i, right[i], left[i])
		}
		loudest = max(loudest, left[i], -left[i])
	}
	if ceiling := float32(Amplitude(cfg.CeilingDB)); loudest > ceiling || loudest < ceiling/2 {
		t.Errorf("the peak is %v, want nearly %v", loudest, ceiling)
	}
	if l.Latency() != alone.Latency() {
		t.Errorf("late by %v, alone by %v", l.Latency(), alone.Latency())
	}
	quiet := [][]float32{{0.1, 0.2, 0.3}, {float32(math.NaN()), 0, 0}}
	l = NewLinkedLimiter(LimiterConfig{Rate: 16000, LookAhead: 0, Release: time.Millisecond}, 2)
	if l.Process(quiet); quiet[0][2] != 0.3 || quiet[1][0] != 0 {
		t.Errorf("what is below the ceiling came out as %v", quiet)
	}
}
