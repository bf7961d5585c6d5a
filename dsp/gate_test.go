package dsp

import (
	"math"
	"strings"
	"testing"
	"time"
)

// burst is a tone that starts at full strength in a quiet hiss.
func burst(rate int, hz, level, hiss, before, length, after float64) []float32 {
	x := make([]float32, int((before+length+after)*float64(rate)))
	NewNoise(5).Normal(x)
	for i := range x {
		x[i] *= float32(Amplitude(hiss))
		if t := float64(i)/float64(rate) - before; t >= 0 && t < length {
			x[i] += float32(Amplitude(level) * math.Sin(2*math.Pi*hz*t))
		}
	}
	return x
}

func gated(cfg GateConfig, x []float32) []float32 {
	y := append([]float32(nil), x...)
	NewGate(cfg).Process(y)
	return y
}

func TestGateRangeAndTransparency(t *testing.T) {
	for _, rate := range []int{16000, 48000} {
		cfg := DefaultGateConfig(rate)
		x := burst(rate, 200, -20, -80, 0.5, 0.5, 1)
		y := gated(cfg, x)
		at := func(s float64) int { return int(s * float64(rate)) }
		closed := Decibels(float64(RMS(y[:at(0.49)])) / float64(RMS(x[:at(0.49)])))
		if math.Abs(closed-cfg.RangeDB) > 0.01 {
			t.Errorf("%d Hz: closed gate gives %.3f dB, want %g", rate, closed, cfg.RangeDB)
		}
		again := Decibels(float64(RMS(y[at(1.5):])) / float64(RMS(x[at(1.5):])))
		if math.Abs(again-cfg.RangeDB) > 0.01 {
			t.Errorf("%d Hz: gate closed again gives %.3f dB, want %g", rate, again, cfg.RangeDB)
		}
		// Open: from Attack after the crossing, to Hold after the end.
		for i := at(0.503); i < at(1.19); i++ {
			if x[i] != y[i] {
				t.Fatalf("%d Hz: open gate changed sample %d from %g to %g", rate, i, x[i], y[i])
			}
		}
	}
}

// Word starts: a plosive, a vowel, a soft one that swells, each 6 dB or more over the threshold.
func TestGateKeepsWordStarts(t *testing.T) {
	for _, rate := range []int{16000, 48000} {
		for _, hz := range []float64{90, 200, 1000, 5000} {
			for _, level := range []float64{-44, -20} {
				x := burst(rate, hz, level, -90, 0.3, 0.03, 0.3)
				from, to := int(0.3*float64(rate)), int(0.33*float64(rate))
				y := gated(DefaultGateConfig(rate), x)
				if lost := Decibels(float64(RMS(x[from:to])) / float64(RMS(y[from:to]))); lost > 0.7 {
					t.Errorf("%d Hz: a 30 ms burst of %g Hz at %g dB loses %.2f dB", rate, hz, level, lost)
				}

				ahead := DefaultGateConfig(rate)
				ahead.LookAhead = 8 * time.Millisecond
				g := NewGate(ahead)
				late := int(0.008 * float64(rate))
				if g.Latency() != ahead.LookAhead {
					t.Fatalf("latency is %v, want %v", g.Latency(), ahead.LookAhead)
				}
				z := append(append([]float32(nil), x...), make([]float32, late)...)
				g.Process(z)
				for i := from; i < to; i++ {
					if z[i+late] != x[i] {
						t.Fatalf("%d Hz, look-ahead: sample %d of a %g Hz burst at %g dB changed from %g to %g",
							rate, i-from, hz, level, x[i], z[i+late])
					}
				}
			}
		}
	}
}

func TestGateHysteresisKeepsItStill(t *testing.T) {
	cfg := DefaultGateConfig(16000)
	cfg.Hold = 10 * time.Millisecond
	toggles := func(cfg GateConfig) (n int) {
		g, was := NewGate(cfg), false
		for i := range 32000 { // a tone that wavers by 4 dB about the threshold
			db := -50 + 2*math.Sin(2*math.Pi*5*float64(i)/16000)
			g.Process([]float32{float32(Amplitude(db) * math.Sin(0.2*float64(i)))})
			if g.IsOpen() != was {
				n, was = n+1, !was
			}
		}
		return n
	}
	if n := toggles(cfg); n != 1 {
		t.Errorf("with hysteresis the gate moved %d times, want once", n)
	}
	cfg.CloseDB = cfg.OpenDB
	if n := toggles(cfg); n < 10 {
		t.Errorf("without hysteresis the gate moved %d times: the test shows nothing", n)
	}
}

func TestGateAdaptsToNoise(t *testing.T) {
	cfg := DefaultGateConfig(16000)
	x := burst(16000, 200, -15, -45, 4, 0.5, 2)
	open := func(cfg GateConfig) (noise, voice bool) {
		g := NewGate(cfg)
		g.Process(append([]float32(nil), x[:4*16000]...))
		noise = g.IsOpen()
		g.Process(append([]float32(nil), x[4*16000:4*16000+8000]...))
		return noise, g.IsOpen()
	}
	if noise, _ := open(cfg); !noise {
		t.Error("noise at -45 dB leaves a fixed gate at -50 dB closed: the test shows nothing")
	}
	cfg.Adaptive = true
	if noise, voice := open(cfg); noise || !voice {
		t.Errorf("adaptive gate open: in noise %v, with a voice %v; want false, true", noise, voice)
	}
}

func TestGateSurvivesBrokenSamples(t *testing.T) {
	cfg := DefaultGateConfig(16000)
	cfg.Adaptive = true
	g := NewGate(cfg)
	x := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))}
	g.Process(x)
	if x[0] != 0 || x[1] != 0 || x[2] != 0 || g.IsOpen() {
		t.Errorf("broken samples became %v, open %v; want silence, closed", x, g.IsOpen())
	}
}

func TestGateCutsMakeNoDifference(t *testing.T) {
	cfg := DefaultGateConfig(16000)
	cfg.Adaptive, cfg.LookAhead = true, 2*time.Millisecond
	x := burst(16000, 300, -20, -60, 0.2, 0.3, 0.5)
	whole := gated(cfg, x)
	g := NewGate(cfg)
	for from, n := 0, 1; from < len(x); n = n*5%211 + 1 {
		to := min(len(x), from+n)
		g.Process(x[from:to])
		from = to
	}
	for i := range x {
		if x[i] != whole[i] {
			t.Fatalf("sample %d: %g cut, %g whole", i, x[i], whole[i])
		}
	}
}

func TestGateConfigValidate(t *testing.T) {
	for want, edit := range map[string]func(*GateConfig){
		"'rate' is 0":                 func(c *GateConfig) { c.Rate = 0 },
		"'open_db' is 3, must be":     func(c *GateConfig) { c.OpenDB = 3 },
		"to open_db (-50)":            func(c *GateConfig) { c.CloseDB = -40 },
		"'range_db' is NaN":           func(c *GateConfig) { c.RangeDB = math.NaN() },
		"'hold' is 1h0m0s, must be 0": func(c *GateConfig) { c.Hold = time.Hour },
		"'margin_db' is 0":            func(c *GateConfig) { c.MarginDB = 0 },
	} {
		c := DefaultGateConfig(16000)
		edit(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestDynamicsDoNotAllocate(t *testing.T) {
	x := burst(48000, 300, -3, -60, 0, 0.01, 0)
	cfg := DefaultGateConfig(48000)
	cfg.Adaptive, cfg.LookAhead = true, time.Millisecond
	g, l, n := NewGate(cfg), NewLimiter(DefaultLimiterConfig(48000)), NewNoise(1)
	if a := testing.AllocsPerRun(50, func() {
		g.Process(x)
		l.Process(x)
		n.Normal(x)
		n.Uniform(x)
	}); a != 0 {
		t.Errorf("%g allocations", a)
	}
}

func BenchmarkGate(b *testing.B) {
	g, x := NewGate(DefaultGateConfig(48000)), burst(48000, 300, -20, -60, 0, 0.01, 0)
	b.ReportAllocs()
	for b.Loop() {
		g.Process(x)
	}
}
