package dsp

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

var usualRates = []int{8000, 16000, 22050, 24000, 32000, 40000, 44100, 48000}

// everyPair calls f for each pair of usual rates, equal ones too, and for odd ones.
func everyPair(f func(in, out int)) {
	for _, in := range usualRates {
		for _, out := range usualRates {
			f(in, out)
		}
	}
	f(8000, 192000)
	f(192000, 8000)
	f(44099, 48000) // 48000 phases: interpolated
	f(11025, 96000)
}

var planned = map[[2]int]*Resampler{}

// resampler gives a fresh plan, made once for all tests.
func resampler(in, out int) *Resampler {
	r := planned[[2]int{in, out}]
	if r == nil {
		r = NewResampler(in, out)
		planned[[2]int{in, out}] = r
	}
	r.Reset()
	r.SetRatio(1)
	return r
}

func testTone(n int, hz, rate float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Sin(2*math.Pi*hz*float64(i)/rate + 0.3))
	}
	return x
}

// resampleAll sends x through whole.
func resampleAll(r *Resampler, x []float32) []float32 {
	y := make([]float32, r.MaxOut(len(x))+r.MaxOut(r.Lookahead()))
	n := r.Process(y, x)
	n += r.Flush(y[n:])
	return y[:n]
}

// fitTone takes the best sine of a known frequency out of y in place and returns its amplitude.
func fitTone(y []float64, hz, rate float64) float64 {
	var cc, ss, cs, yc, ys float64
	w := 2 * math.Pi * hz / rate
	for i, v := range y {
		s, c := math.Sincos(w * float64(i))
		cc, ss, cs, yc, ys = cc+c*c, ss+s*s, cs+c*s, yc+v*c, ys+v*s
	}
	det := cc*ss - cs*cs
	a, b := (yc*ss-ys*cs)/det, (ys*cc-yc*cs)/det
	for i := range y {
		s, c := math.Sincos(w * float64(i))
		y[i] -= a*c + b*s
	}
	return math.Hypot(a, b)
}

// largestLine is the amplitude of the strongest line in y, seen through a window whose side lobes are
// below −150 dB.
func largestLine(y []float64) float64 {
	fft := NewFFT(len(y))
	x, spec := make([]float32, len(y)), make([]complex128, fft.Bins())
	var sum float64
	for i, v := range y {
		t := 2 * math.Pi * float64(i) / float64(len(y))
		w := 0.27122 - 0.43344*math.Cos(t) + 0.21800*math.Cos(2*t) - 0.06578*math.Cos(3*t) + 0.01076*math.Cos(4*t) - 0.00077*math.Cos(5*t)
		sum += w
		x[i] = float32(v * w)
	}
	fft.Forward(spec, x)
	var peak float64
	for _, c := range spec[6:] {
		peak = max(peak, math.Hypot(real(c), imag(c)))
	}
	return 2 * peak / sum
}

func middleOf(y []float32, n int) []float64 {
	from := (len(y) - n) / 2
	mid := make([]float64, n)
	for i := range mid {
		mid[i] = float64(y[from+i])
	}
	return mid
}

func inDB(a float64) float64 { return 20 * math.Log10(max(a, 1e-12)) }

// Theory, all pairs: a tone below 0.9 of the lower Nyquist frequency passes within 0.1 dB; whatever
// else appears beside a tone (images, aliases, rounding) stays 90 dB down, line by line; a tone above
// the lower Nyquist frequency comes out nowhere louder than −90 dB.
func TestResamplerTones(t *testing.T) {
	everyPair(func(in, out int) {
		r := resampler(in, out)
		low := float64(min(in, out)) / 2
		n := 2048 * in / min(in, out)
		n += 2 * in / out * 100
		size := 1024
		pass := []float64{0.011, 0.13, 0.5, 0.77, 0.9, 0.951, 0.997}
		if testing.Short() {
			pass = []float64{0.13, 0.9, 0.997}
		}
		for _, part := range pass {
			hz := part * low
			y := middleOf(resampleAll(r, testTone(n, hz, float64(in))), size)
			gain := inDB(fitTone(y, hz, float64(out)))
			if part <= 0.9 && math.Abs(gain) > 0.1 {
				t.Errorf("%d to %d Hz: %.1f Hz passes with %.3f dB, want 0 ± 0.1", in, out, hz, gain)
			}
			if rest := inDB(largestLine(y)); rest > -90 {
				t.Errorf("%d to %d Hz: beside %.1f Hz a line at %.1f dB, want below -90", in, out, hz, rest)
			}
		}
		for hz := low * 1.003; hz < float64(in)/2; hz *= 1.1 {
			if got := inDB(largestLine(middleOf(resampleAll(r, testTone(n, hz, float64(in))), size))); got > -90 {
				t.Errorf("%d to %d Hz: %.1f Hz comes through at %.1f dB, want below -90", in, out, hz, got)
			}
		}
	})
}

// The slow twin sums input × prototype in double precision at the output's exact time, with no phases,
// no table and no buffer. Tolerance: 3e-6, float32 sums and −106 dB of interpolation.
func TestResamplerAgainstSlowTwin(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	everyPair(func(in, out int) {
		stretch := float64(in) / float64(min(in, out))
		x := testNoise(rng, 700)
		y := resampleAll(resampler(in, out), x)
		if want := (len(x)*out + in - 1) / in; len(y) != want {
			t.Fatalf("%d to %d Hz: %d frames, want %d", in, out, len(y), want)
		}
		for k := 0; k < len(y); k += 1 + len(y)/23 {
			at := float64(k) * float64(in) / float64(out)
			var want float64
			for i, v := range x {
				d := (at - float64(i)) / stretch
				if math.Abs(d) >= sincHalf {
					continue
				}
				for j, c := range sincCosines {
					want += float64(v) * c * math.Cos(math.Pi*float64(j)*d/sincHalf) / stretch
				}
			}
			if math.Abs(float64(y[k])-want) > 3e-6 {
				t.Fatalf("%d to %d Hz, frame %d: got %.8f, want %.8f", in, out, k, y[k], want)
			}
		}
	})
}

// However the input is cut, the bits are the same; Out and Pending tell the counts beforehand.
func TestResamplerIgnoresCuts(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	everyPair(func(in, out int) {
		x := testNoise(rng, 2500)
		r := resampler(in, out)
		for _, ratio := range []float64{1, 1.0007} {
			r.SetRatio(ratio)
			whole := resampleAll(r, x)
			var cut []float32
			for rest := x; len(rest) > 0; {
				n := min(1+rng.IntN(1+rng.IntN(600)), len(rest))
				dst := make([]float32, r.Out(n))
				if got := r.Process(dst, rest[:n]); got != len(dst) || got > r.MaxOut(n) {
					t.Fatalf("%d to %d Hz: wrote %d, Out said %d, MaxOut %d", in, out, got, len(dst), r.MaxOut(n))
				}
				cut, rest = append(cut, dst...), rest[n:]
			}
			tail := make([]float32, r.Pending())
			if got := r.Flush(tail); got != len(tail) {
				t.Fatalf("%d to %d Hz: flushed %d, Pending said %d", in, out, got, len(tail))
			}
			cut = append(cut, tail...)
			if len(cut) != len(whole) {
				t.Fatalf("%d to %d Hz: %d frames when cut, %d whole", in, out, len(cut), len(whole))
			}
			for i := range cut {
				if cut[i] != whole[i] {
					t.Fatalf("%d to %d Hz: frame %d is %g when cut, %g whole", in, out, i, cut[i], whole[i])
				}
			}
		}
	})
}

// The same holds while the ratio moves, as long as it moves at the same input frames.
func TestResamplerIgnoresCutsWhileRatioMoves(t *testing.T) {
	rng := rand.New(rand.NewPCG(25, 26))
	for _, pair := range [][2]int{{48000, 48000}, {44100, 16000}, {24000, 44100}} {
		r := resampler(pair[0], pair[1])
		x := testNoise(rng, 9600)
		run := func(most int) (y []float32) {
			r.Reset()
			dst := make([]float32, r.MaxOut(480))
			for at, end := 0, 0; at < len(x); at = end {
				if at%480 == 0 {
					r.SetRatioPPM(5000 * math.Sin(float64(at)))
				}
				end = min(at+1+rng.IntN(most), at-at%480+480)
				y = append(y, dst[:r.Process(dst, x[at:end])]...)
			}
			return y
		}
		whole, cut := run(1<<20), run(100)
		if len(whole) != len(cut) || len(whole) < 1000 {
			t.Fatalf("%v: %d frames whole, %d cut", pair, len(whole), len(cut))
		}
		for i := range cut {
			if cut[i] != whole[i] {
				t.Fatalf("%v: frame %d is %g when cut, %g whole", pair, i, cut[i], whole[i])
			}
		}
	}
}

// While the ratio swings over its whole range in steps of 10 ms, each output must still be the tone at
// the time that the steps add up to: any click or jump of phase would show. Tolerance: −90 dB of the
// tone's peak, after the filter's constant gain at that frequency.
func TestResamplerSweptRatioIsPure(t *testing.T) {
	for _, pair := range [][2]int{{48000, 48000}, {48000, 16000}, {24000, 48000}, {44100, 48000}} {
		in, out := pair[0], pair[1]
		r := resampler(in, out)
		const hz = 1000.0
		x := testTone(in, hz, float64(in))
		dst := make([]float32, r.MaxOut(in/100))
		var got, phases []float64
		at := 0.0
		for c := range 100 {
			r.SetRatio(1 + MaxDrift*math.Sin(float64(c)/4))
			n := r.Process(dst, x[c*in/100:(c+1)*in/100])
			for _, v := range dst[:n] {
				got, phases = append(got, float64(v)), append(phases, at)
				at += float64(in) / float64(out) / r.Ratio()
			}
		}
		var worst float64
		gain := math.Inf(1)
		for pass := range 2 {
			var num, den float64
			for k := 400; k < len(got); k++ {
				want := math.Sin(2*math.Pi*hz*phases[k]/float64(in) + 0.3)
				if pass == 0 {
					num, den = num+got[k]*want, den+want*want
					continue
				}
				worst = max(worst, math.Abs(got[k]-gain*want))
			}
			if pass == 0 {
				gain = num / den
			}
		}
		if inDB(worst) > -90 || math.Abs(inDB(gain)) > 0.1 {
			t.Errorf("%d to %d Hz swept: worst error %.1f dB (want below -90), gain %.3f dB", in, out, inDB(worst), inDB(gain))
		}
	}
}

// The ratio in force counts frames: +5000 ppm for a second gives 0.5 % more.
func TestResamplerRatioCountsFrames(t *testing.T) {
	for _, c := range []struct {
		ppm  float64
		want int
	}{{0, 16000}, {5000, 16080}, {-5000, 15920}, {1e9, 16080}, {-1e9, 15920}, {100, 16002}} {
		r := resampler(48000, 16000)
		r.SetRatioPPM(c.ppm)
		if got := len(resampleAll(r, make([]float32, 48000))); got < c.want-1 || got > c.want+1 {
			t.Errorf("%v ppm: %d frames, want %d ± 1", c.ppm, got, c.want)
		}
	}
}

// An impulse comes out at its own time, once exactly Lookahead frames have followed it.
func TestResamplerLatency(t *testing.T) {
	everyPair(func(in, out int) {
		r := resampler(in, out)
		period := in / gcd(in, out) // input frames from one that meets an output to the next
		at := (200 + period - 1) / period * period
		x := make([]float32, at+1)
		x[at] = 1
		want := at * out / in
		y := make([]float32, r.MaxOut(len(x)))
		n := r.Process(y, x)
		rest := make([]float32, r.MaxOut(r.Lookahead()))
		if n += r.Process(rest, make([]float32, r.Lookahead()-1)); n > want {
			t.Fatalf("%d to %d Hz: %d frames written before the look-ahead is there, want at most %d", in, out, n, want)
		}
		if m := r.Process(rest, make([]float32, 1)); n+m <= want {
			t.Fatalf("%d to %d Hz: frame %d not written after the look-ahead", in, out, want)
		}
		r.Reset()
		y = resampleAll(r, append(x, make([]float32, 3000)...))
		for k := range y {
			if y[k] > y[want] {
				t.Fatalf("%d to %d Hz: impulse at %d, want %d", in, out, k, want)
			}
		}
		low := min(in, out)
		if got, want := ResamplerLatency(in, out), r.Latency(); got != want {
			t.Errorf("%d to %d Hz: ResamplerLatency is %v, the resampler's own %v", in, out, got, want)
		}
		if got, want := r.Latency().Seconds(), 39/float64(low); got < want-1e-9 || got >= want+1/float64(in) {
			t.Errorf("%d to %d Hz: latency %v s, want %v s up to a whole frame", in, out, got, want)
		}
	})
}

func TestResamplerMisuse(t *testing.T) {
	for _, rate := range []int{0, -1, 7999, 500000} {
		mustPanic(t, "in rate", func() { NewResampler(rate, 48000) })
		mustPanic(t, "out rate", func() { NewResampler(48000, rate) })
	}
	r := NewResampler(48000, 16000)
	mustPanic(t, "short dst", func() { r.Process(make([]float32, 300), make([]float32, 4800)) })
	mustPanic(t, "short flush", func() {
		r.Process(make([]float32, 1602), make([]float32, 4800))
		r.Flush(nil)
	})
	mustPanic(t, "ratio", func() { r.SetRatio(math.NaN()) })
}

func BenchmarkResampler(b *testing.B) {
	everyPair(func(in, out int) {
		for _, mode := range []string{"", "/drift"} {
			if mode != "" && in != 48000 && out != 48000 {
				continue
			}
			b.Run(fmt.Sprintf("%d/%d%s", in, out, mode), func(b *testing.B) {
				r := NewResampler(in, out)
				if mode != "" {
					r.SetRatioPPM(37)
				}
				src := testNoise(rand.New(rand.NewPCG(1, 1)), in/100)
				dst := make([]float32, r.MaxOut(len(src)))
				b.ReportAllocs()
				for b.Loop() {
					r.Process(dst, src)
				}
			})
		}
	})
}

func BenchmarkNewResampler(b *testing.B) {
	for b.Loop() {
		NewResampler(44100, 16000)
	}
}

func TestResamplerAllocatesNothing(t *testing.T) {
	r := NewResampler(44100, 16000)
	src, dst := make([]float32, 441), make([]float32, 400)
	if n := testing.AllocsPerRun(50, func() {
		r.SetRatioPPM(3)
		r.Process(dst, src)
		r.Flush(dst)
	}); n != 0 {
		t.Fatalf("%v allocations, want 0", n)
	}
}
