package dsp

import (
	"math"
	"sync"
	"testing"
)

func sine(rate int, hz, amplitude, seconds float64) []float32 {
	x := make([]float32, int(seconds*float64(rate)))
	for i := range x {
		x[i] = float32(amplitude * math.Sin(2*math.Pi*hz*float64(i)/float64(rate)))
	}
	return x
}

func TestLevelsOfKnownSignals(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, c := range []struct {
		name      string
		x         []float32
		rms, peak float64
	}{
		{"sine", sine(48000, 1000, 0.5, 1), 0.5 / math.Sqrt2, 0.5},
		{"square", []float32{0.25, -0.25, -0.25, 0.25}, 0.25, 0.25},
		{"nothing", nil, 0, 0},
		{"broken", []float32{nan, inf, 0.5, -0.5}, 0.5 / math.Sqrt2, 0.5},
	} {
		if r, p := float64(RMS(c.x)), float64(Peak(c.x)); math.Abs(r-c.rms) > 1e-6 || math.Abs(p-c.peak) > 1e-6 {
			t.Errorf("%s: RMS %g, peak %g, want %g, %g", c.name, r, p, c.rms, c.peak)
		}
	}
	if d := Decibels(Amplitude(-37.5)); math.Abs(d+37.5) > 1e-9 || Decibels(0) != Silent || Decibels(math.NaN()) != Silent {
		t.Errorf("decibels: %g", d)
	}
}

func TestMeterBallistics(t *testing.T) {
	near := func(what string, got, want, within float64) {
		t.Helper()
		if math.Abs(got-want) > within {
			t.Errorf("%s is %.2f dB, want %.2f", what, got, want)
		}
	}
	for _, rate := range []int{8000, 48000} {
		m := NewMeter(rate)
		near("RMS of nothing", m.Level().RMS, Silent, 0)
		m.Process(sine(rate, 1000, 0.5, 3))
		l := m.Level()
		near("RMS of a sine", l.RMS, -9.03, 0.05)
		near("peak", l.Peak, -6.02, 0.25)
		near("hold", l.Hold, -6.02, 0.01)
		m.Process(make([]float32, rate)) // 1 s: 20 dB of fall, 1 / 0.3 time constants
		l = m.Level()
		near("peak after 1 s", l.Peak, -26.02, 0.25)
		near("hold after 1 s", l.Hold, -6.02, 0.01)
		near("RMS after 1 s", l.RMS, -9.03-10*math.Log10(math.E)/0.3, 0.05)
		m.Process(make([]float32, rate))
		near("hold after 2 s", m.Level().Hold, -36, 0.5)
		m.Process(make([]float32, 20*rate))
		near("peak at last", m.Level().Peak, Silent, 0)
		m.Process([]float32{1, -2, float32(math.NaN()), float32(math.Inf(1)), 0.99})
		if c := m.Level().Clips; c != 4 {
			t.Errorf("%d clips, want 4", c)
		}
		near("peak of clipped", m.Level().Peak, 6.02, 0.01)
		m.Reset()
		if m.Level() != (Level{RMS: Silent, Peak: Silent, Hold: Silent}) {
			t.Errorf("after Reset: %+v", m.Level())
		}
	}
}

// A reader sees all fields of one moment: here, of a level that jumps between two values.
func TestMeterSnapshotIsWhole(t *testing.T) {
	m := NewMeter(8000)
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		loud := []float32{0.5}
		for range 20000 {
			m.Reset()
			m.Process(loud)
		}
	}()
	for range 20000 {
		if l := m.Level(); (l.Peak == Silent) != (l.Hold == Silent) || (l.Peak == Silent) != (l.RMS == Silent) {
			t.Errorf("torn level %+v", l)
			break
		}
	}
	wg.Wait()
}

func TestLoudnessFilterIsTheStandards(t *testing.T) {
	for _, c := range []struct {
		f    Biquad
		want [5]float64 // BS.1770-5, tables 1 and 2: b0, b1, b2, a1, a2 at 48 kHz
	}{
		{kShelf(48000), [5]float64{1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585}},
		{kHighPass(48000), [5]float64{1, -2, 1, -1.99004745483398, 0.99007225036621}},
	} {
		for i, got := range []float64{c.f.b0, c.f.b1, c.f.b2, c.f.a1, c.f.a2} {
			if math.Abs(got-c.want[i]) > 1e-9 {
				t.Errorf("coefficient %d is %.12f, want %.12f", i, got, c.want[i])
			}
		}
	}
}

func TestLoudnessReferenceLevels(t *testing.T) {
	for _, rate := range []int{8000, 16000, 22050, 24000, 32000, 40000, 44100, 48000, 96000} {
		l := NewLoudness(rate)
		x := sine(rate, 997, 1, 3.2)
		for len(x) > 0 { // in pieces that do not fit the blocks
			n := min(len(x), 777)
			l.Process(x[:n])
			x = x[n:]
		}
		m, s := l.Read()
		if math.Abs(m+3.01) > 0.05 || math.Abs(s+3.01) > 0.05 {
			t.Errorf("%d Hz: 997 Hz at full scale is %.3f and %.3f LUFS, want -3.01", rate, m, s)
		}
	}
	// EBU Tech 3341: 1 kHz at -23 dBFS in two channels is -23 LUFS, so -26.01 in one.
	l := NewLoudness(48000)
	l.Process(sine(48000, 1000, Amplitude(-23), 3.2))
	if m, _ := l.Read(); math.Abs(m+26.01) > 0.05 {
		t.Errorf("1 kHz at -23 dBFS is %.3f LUFS in one channel, want -26.01", m)
	}
	// Half a second of tone after silence: momentary has all of it, short-term a sixth.
	l.Reset()
	l.Process(sine(48000, 997, 1, 0.5))
	if m, s := l.Read(); math.Abs(m+3.01) > 0.05 || math.Abs(s+3.01-10*math.Log10(0.5/3)) > 0.05 {
		t.Errorf("half a second: %.3f and %.3f LUFS", m, s)
	}
	l.Process(make([]float32, 48000))
	if m, _ := l.Read(); m > -100 {
		t.Errorf("momentary loudness of silence is %g", m)
	}
}

func TestLevelsDoNotAllocate(t *testing.T) {
	x := sine(48000, 440, 0.3, 0.01)
	m, l, f := NewMeter(48000), NewLoudness(48000), NewLowPass(48000, 100, 0.7)
	if n := testing.AllocsPerRun(50, func() {
		m.Process(x)
		l.Process(x)
		f.Process(x)
		_ = m.Level()
		_, _ = l.Read()
		_ = RMS(x) + Peak(x)
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func BenchmarkMeter(b *testing.B) {
	m, x := NewMeter(48000), sine(48000, 440, 0.3, 0.01)
	b.ReportAllocs()
	for b.Loop() {
		m.Process(x)
	}
}

func BenchmarkLoudness(b *testing.B) {
	l, x := NewLoudness(48000), sine(48000, 440, 0.3, 0.01)
	b.ReportAllocs()
	for b.Loop() {
		l.Process(x)
	}
}
