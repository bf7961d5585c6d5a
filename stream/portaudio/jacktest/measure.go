//go:build e2e

package jacktest

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Report is what a recording says about the way that the sound took.
type Report struct {
	Segments int // pieces of the signal that were looked for
	Lost     int // of these, not found within the longest delay
	Delays   []time.Duration
	P50, P99 time.Duration // of the delay from sound to sound
	Max, Min time.Duration
	Steps    int // times that the delay changed by more than a tenth of a millisecond
	Gaps     int // runs of digital silence of a millisecond or more, after the first sound
	Silence  time.Duration
	Skipped  int
	Xruns    int
}

func (r Report) String() string {
	return fmt.Sprintf("sound to sound p50 %.2f ms, p99 %.2f ms, max %.2f ms, p99-p50 %.2f ms; %d of %d segments lost, "+
		"%d changes of delay, %d gaps (%.1f ms), %d frames skipped by JACK, %d xruns",
		ms(r.P50), ms(r.P99), ms(r.Max), ms(r.P99-r.P50), r.Lost, r.Segments, r.Steps, r.Gaps, ms(r.Silence), r.Skipped, r.Xruns)
}

// Unexcused is how many segments were lost beyond what the server's own xruns explain: without real-time
// priority, on a machine that is busy with something else, jackd drops cycles that no client can save. Each
// of its xruns excuses one segment.
func (r Report) Unexcused() int { return max(0, r.Lost-r.Xruns) }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Within measures until a report is within the bar, three times at most, and returns the last. A
// machine that is busy with something else only ever adds to a delay: what was reached once is what
// the converter can do.
func Within(bar func(Report) bool, measure func() (Report, error)) (Report, error) {
	const tries = 3
	for try := 1; ; try++ {
		r, err := measure()
		if err != nil || bar(r) || try == tries {
			return r, err
		}
	}
}

// Noise is white noise of RMS -20 dBFS, the same for the same seed, and never digital silence: for
// a way that changes no samples.
func Noise(frames int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 7))
	x := make([]float32, frames)
	for i := range x {
		for x[i] == 0 {
			x[i] = float32(0.1 * r.NormFloat64())
		}
	}
	return x
}

// Exact measures a way that leaves samples as they are, up to its gain: each segment of sent is
// found again by correlation, to the sample. warmUp is passed over at both ends.
func Exact(sent []float32, rec Recording, warmUp, segment, longest time.Duration) (Report, error) {
	if err := audible(rec); err != nil {
		return Report{}, err
	}
	frames := func(d time.Duration) int { return int(d * time.Duration(rec.Rate) / time.Second) }
	size, reach := frames(segment), frames(longest)
	var delays []int
	r := Report{Skipped: rec.Skipped, Xruns: rec.Xruns}
	last := 0
	for at := frames(warmUp); at+size+reach <= min(len(sent), len(rec.Samples)); at += size {
		r.Segments++
		piece := sent[at : at+size]
		lag, ok := last, same(piece, rec.Samples[at+last:])
		for k := 0; !ok && k <= reach; k++ {
			lag, ok = k, same(piece, rec.Samples[at+k:])
		}
		if !ok {
			r.Lost++
			continue
		}
		if len(delays) > 0 && abs(lag-last) > rec.Rate/10000 {
			r.Steps++
		}
		last = lag
		delays = append(delays, lag)
	}
	r.take(delays, rec.Rate)
	r.Gaps, r.Silence = silences(rec.Samples[frames(warmUp):min(len(sent), len(rec.Samples))], rec.Rate)
	if len(delays) == 0 {
		return r, fmt.Errorf("none of %d segments came back within %s", r.Segments, longest)
	}
	return r, nil
}

// same says whether y begins with x, up to a gain: normalised correlation of 0.95.
func same(x, y []float32) bool {
	var xx, yy, xy float64
	for i, v := range x {
		a, b := float64(v), float64(y[i])
		xx += a * a
		yy += b * b
		xy += a * b
		if i == 63 && xy < 0.3*math.Sqrt(xx*yy) {
			return false // soon enough for nearly all wrong places
		}
	}
	return yy > 0 && xy > 0.95*math.Sqrt(xx*yy)
}

func silences(x []float32, rate int) (gaps int, total time.Duration) {
	run := 0
	end := func() {
		if run >= rate/1000 {
			gaps++
			total += time.Duration(run) * time.Second / time.Duration(rate)
		}
		run = 0
	}
	for _, v := range x {
		if v == 0 {
			run++
			continue
		}
		end()
	}
	end()
	return gaps, total
}

// Bursts repeats a piece of sound every so often with silence between, and says where each
// repetition begins: for a converter whose output is another sound with the same outline. The pause
// varies, so that repetitions meet the converter's chunks at all phases.
func Bursts(sound []float32, pause, jitter, count int, seed uint64) (signal []float32, starts []int) {
	r := rand.New(rand.NewPCG(seed, 11))
	signal = make([]float32, pause)
	for range count {
		starts = append(starts, len(signal))
		signal = append(signal, sound...)
		signal = append(signal, make([]float32, pause+r.IntN(jitter+1))...)
	}
	return signal, starts
}

// Outline measures a way that changes the sound: the outline (RMS over 10 ms, each ms) of each
// burst is found again in the recording by correlation, to half a millisecond or so. skip bursts at
// the start are passed over.
func Outline(sent []float32, starts []int, length int, rec Recording, skip int, longest time.Duration) (Report, error) {
	if err := audible(rec); err != nil {
		return Report{}, err
	}
	step := rec.Rate / 1000
	a, b := outline(sent, rec.Rate), outline(rec.Samples, rec.Rate)
	reach, margin := int(longest/time.Millisecond), 60 // ms of silence on both sides say where it begins
	var delays []float64
	r := Report{Skipped: rec.Skipped, Xruns: rec.Xruns}
	for _, start := range starts[min(skip, len(starts)):] {
		from, to := start/step-margin, (start+length)/step+margin
		if from < 0 || to+reach >= min(len(a), len(b)) {
			continue
		}
		r.Segments++
		best, at := 0.0, 0
		scores := make([]float64, reach+1)
		for lag := range scores {
			scores[lag] = correlation(a[from:to], b[from+lag:to+lag])
			if scores[lag] > best {
				best, at = scores[lag], lag
			}
		}
		if best < 0.6 {
			r.Lost++
			continue
		}
		delays = append(delays, float64(at)+summit(scores, at))
	}
	if len(delays) == 0 {
		return r, fmt.Errorf("none of %d bursts came back within %s", r.Segments, longest)
	}
	frames := make([]int, len(delays))
	for i, d := range delays {
		frames[i] = int(d * float64(rec.Rate) / 1000)
	}
	r.take(frames, rec.Rate)
	return r, nil
}

// summit is where a parabola through three scores has its top, as an offset from the middle one.
func summit(s []float64, at int) float64 {
	if at == 0 || at == len(s)-1 {
		return 0
	}
	l, m, h := s[at-1], s[at], s[at+1]
	if d := l - 2*m + h; d < 0 {
		return 0.5 * (l - h) / d
	}
	return 0
}

// outline is the RMS over 10 ms centred on each ms, compressed as ears do, so that quiet parts of
// a burst count too.
func outline(x []float32, rate int) []float64 {
	step, half := rate/1000, rate/200
	sum := make([]float64, len(x)+1)
	for i, v := range x {
		sum[i+1] = sum[i] + float64(v)*float64(v)
	}
	out := make([]float64, len(x)/step)
	for i := range out {
		lo, hi := max(0, i*step-half), min(len(x), i*step+half)
		out[i] = math.Cbrt(math.Sqrt((sum[hi] - sum[lo]) / float64(hi-lo)))
	}
	return out
}

func correlation(x, y []float64) float64 {
	var mx, my float64
	for i := range x {
		mx += x[i]
		my += y[i]
	}
	mx, my = mx/float64(len(x)), my/float64(len(x))
	var xx, yy, xy float64
	for i := range x {
		a, b := x[i]-mx, y[i]-my
		xx += a * a
		yy += b * b
		xy += a * b
	}
	if xx == 0 || yy == 0 {
		return 0
	}
	return xy / math.Sqrt(xx*yy)
}

var errSilent = errors.New("the recording is silent: is the converter connected and running?")

// audible guards every measurement against the emptiest success.
func audible(rec Recording) error {
	var sum float64
	for _, v := range rec.Samples {
		sum += float64(v) * float64(v)
	}
	if math.Sqrt(sum/float64(max(1, len(rec.Samples)))) < 1e-4 {
		return errSilent
	}
	return nil
}

func (r *Report) take(frames []int, rate int) {
	for _, f := range frames {
		r.Delays = append(r.Delays, time.Duration(f)*time.Second/time.Duration(rate))
	}
	if len(r.Delays) == 0 {
		return
	}
	sorted := slices.Sorted(slices.Values(r.Delays))
	n := len(sorted)
	r.P50, r.P99 = sorted[n/2], sorted[min(n-1, n*99/100)]
	r.Min, r.Max = sorted[0], sorted[n-1]
}

func abs(x int) int { return max(x, -x) }
