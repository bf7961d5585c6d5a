package dsp

import (
	"bufio"
	"math"
	"math/cmplx"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// melSignal is the signal x of testdata/mel_librosa.txt.
func melSignal() []float32 {
	x, v := make([]float32, 4000), uint32(1)
	for n := range x {
		v = v*1664525 + 1013904223
		r := float64(v)/(1<<32) - 0.5
		x[n] = float32(0.1*r + 0.3*math.Sin(2*math.Pi*220*float64(n)/16000) + 0.2*math.Sin(2*math.Pi*3100*float64(n)/16000))
	}
	return x
}

func melFrames(m *Mel, x []float32) [][]float32 {
	cfg := m.Config()
	var frames [][]float32
	for ; len(x) >= cfg.Hop; x = x[cfg.Hop:] {
		dst := make([]float32, cfg.Bands)
		m.Process(dst, x[:cfg.Hop])
		frames = append(frames, dst)
	}
	return frames
}

// Tolerance: weights 1e-6 relative (float32), frames 2e-5 nepers.
func TestMelAgainstLibrosa(t *testing.T) {
	file, err := os.Open("testdata/mel_librosa.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	m := NewMel(DefaultMelConfig())
	frames := melFrames(m, melSignal())
	seen := map[string]int{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		seen[f[0]]++
		v := make([]float64, len(f)-1)
		for i, s := range f[1:] {
			if v[i], err = strconv.ParseFloat(s, 64); err != nil {
				t.Fatal(err)
			}
		}
		switch f[0] {
		case "sum":
			var sum float64
			for _, b := range m.bands {
				for _, w := range b.weights {
					sum += float64(w)
				}
			}
			near(t, "sum of weights", sum, v[0], 1e-6*v[0])
		case "band":
			b := m.bands[int(v[0])]
			k := int(v[1]) - b.first
			if k < 0 || k >= len(b.weights) {
				t.Fatalf("band %v has no bin %v", v[0], v[1])
			}
			near(t, lines.Text(), float64(b.weights[k]), v[2], 1e-6*v[2])
		case "frame":
			for b, want := range v[1:] {
				near(t, f[0]+f[1]+" band "+strconv.Itoa(b), float64(frames[int(v[0])][b]), want, 2e-5)
			}
		}
	}
	if seen["sum"] != 1 || seen["band"] < 40 || seen["frame"] != 5 {
		t.Fatalf("reference file is not whole: %v", seen)
	}
}

func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s: got %.9g, want %.9g ± %.2g", what, got, want, tol)
	}
}

// The slow twin follows the definition in double precision: a transform by its sum, triangles by hand.
// Another rate and size than the default, and a hop that does not divide the window. Tolerance 1e-4.
func TestMelAgainstSlowTwin(t *testing.T) {
	cfg := MelConfig{Rate: 8000, FFT: 128, Window: 100, Hop: 30, Bands: 12, Fmin: 100, Fmax: 3500, Floor: 1e-8}
	x := melSignal()[:600]
	for f, frame := range melFrames(NewMel(cfg), x) {
		power := make([]float64, cfg.FFT/2+1)
		for k := range power {
			var sum complex128
			for i := range cfg.Window {
				n := (f+1)*cfg.Hop - cfg.Window + i
				if n < 0 {
					continue
				}
				s := math.Sin(math.Pi * float64(i) / float64(cfg.Window))
				sum += complex(float64(x[n])*s*s, 0) * cmplx.Rect(1, -2*math.Pi*float64(k*i)/float64(cfg.FFT))
			}
			power[k] = real(sum * cmplx.Conj(sum))
		}
		for b, got := range frame {
			near(t, "band", float64(got), math.Log(max(slowBand(cfg, b, power), cfg.Floor)), 1e-4)
		}
	}
}

func slowBand(cfg MelConfig, b int, power []float64) float64 {
	mel := func(hz float64) float64 {
		if hz < 1000 {
			return 3 * hz / 200
		}
		return 15 + 27*math.Log(hz/1000)/math.Log(6.4)
	}
	// Corners by bisection, so that the inverse of the scale is not taken from the code under test.
	corner := func(i int) float64 {
		want := mel(cfg.Fmin) + (mel(cfg.Fmax)-mel(cfg.Fmin))*float64(i)/float64(cfg.Bands+1)
		lo, hi := 0.0, 10000.0
		for range 80 {
			if mid := (lo + hi) / 2; mel(mid) < want {
				lo = mid
			} else {
				hi = mid
			}
		}
		return lo
	}
	left, mid, right := corner(b), corner(b+1), corner(b+2)
	var sum float64
	for k, p := range power {
		f := float64(k*cfg.Rate) / float64(cfg.FFT)
		switch {
		case f > left && f <= mid:
			sum += p * (f - left) / (mid - left) * 2 / (right - left)
		case f > mid && f < right:
			sum += p * (right - f) / (right - mid) * 2 / (right - left)
		}
	}
	return sum
}

func TestMelSilenceResetAndLatency(t *testing.T) {
	m := NewMel(DefaultMelConfig())
	for _, v := range melFrames(m, make([]float32, 160))[0] {
		near(t, "silence", float64(v), math.Log(1e-10), 1e-5)
	}
	first := melFrames(m, melSignal())
	m.Reset()
	second := melFrames(m, melSignal())
	for i := range first {
		for b := range first[i] {
			if first[i][b] != second[i][b] {
				t.Fatalf("frame %d band %d after Reset: got %g, want %g", i, b, second[i][b], first[i][b])
			}
		}
	}
	if got := m.Latency(); got != 12500*time.Microsecond {
		t.Errorf("latency %v, want 12.5ms", got)
	}
}

func TestMelPanicsOnMisuse(t *testing.T) {
	m := NewMel(DefaultMelConfig())
	mustPanic(t, "short hop", func() { m.Process(make([]float32, 80), make([]float32, 159)) })
	mustPanic(t, "short dst", func() { m.Process(make([]float32, 79), make([]float32, 160)) })
	for name, spoil := range map[string]func(*MelConfig){
		"hop":    func(c *MelConfig) { c.Hop = 401 },
		"window": func(c *MelConfig) { c.Window = 513 },
		"fmax":   func(c *MelConfig) { c.Fmax = 8001 },
		"floor":  func(c *MelConfig) { c.Floor = 0 },
		"bands":  func(c *MelConfig) { c.Bands = 0 },
	} {
		cfg := DefaultMelConfig()
		spoil(&cfg)
		mustPanic(t, name, func() { NewMel(cfg) })
	}
}

func BenchmarkMel(b *testing.B) {
	m := NewMel(DefaultMelConfig())
	dst, hop := make([]float32, 80), melSignal()[:160]
	b.ReportAllocs()
	for b.Loop() {
		m.Process(dst, hop)
	}
	if n := testing.AllocsPerRun(10, func() { m.Process(dst, hop) }); n != 0 {
		b.Fatalf("%v allocations, want 0", n)
	}
}
