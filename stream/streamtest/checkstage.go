package streamtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/stream"
)

// TB is what the checks need of a *testing.T.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
}

// StageCase says how to check a stage.
type StageCase struct {
	New     func() stream.Stage // a fresh one each time, all alike
	InRate  int
	OutRate int // 0: InRate
	Hop     int // frames at InRate; 0: 10 ms
	// F0 fills in a pitch before each Process, for stages after the pitch tracker.
	F0 bool
	// Transparent stages give their input back, Latency later, within Tolerance.
	Transparent bool
	Tolerance   float64
}

const stageHops = 40

// CheckStage holds a stage to its contract: names and latency that stay, chunks of the right
// length and rate, finite samples, only Samples, Rate and F0 changed, the same output from the
// same input, whether hops come one or two a chunk, nothing kept of a chunk, a Reset that forgets
// all, no allocation once warm.
func CheckStage(t TB, c StageCase) {
	t.Helper()
	if c.Hop == 0 {
		c.Hop = c.InRate / 100
	}
	if c.OutRate == 0 {
		c.OutRate = c.InRate
	}
	signal := voiceLike(stageHops*c.Hop, c.InRate, 1)
	plain, ok := c.run(t, c.New(), signal, 1, false)
	if !ok {
		return // the rest would only repeat it
	}
	c.checkWords(t)
	c.compare(t, "a second stage with the same input", plain, c.mustRun(t, c.New(), signal, 1, false), 0)
	c.compare(t, "overwriting a chunk after Process (the stage keeps a slice)", plain, c.mustRun(t, c.New(), signal, 1, true), 0)
	c.compare(t, "two hops in a chunk", plain, c.mustRun(t, c.New(), signal, 2, false), 1e-5)

	used := c.New()
	c.mustRun(t, used, voiceLike(stageHops*c.Hop, c.InRate, 2), 1, false)
	used.Reset()
	c.compare(t, "Reset (the past is not forgotten)", plain, c.mustRun(t, used, signal, 1, false), 1e-6)

	c.checkAllocations(t)
	if c.Transparent {
		c.checkTransparent(t, signal, plain)
	}
}

func (c StageCase) checkWords(t TB) {
	t.Helper()
	s := c.New()
	name, mode, latency := s.Name(), s.Mode(), s.Latency()
	if name == "" || mode == "" {
		t.Errorf("stage: name %q, mode %q: neither may be empty", name, mode)
	}
	if latency < 0 || latency > time.Second {
		t.Errorf("stage %s: latency of %v", name, latency)
	}
	c.mustRun(t, s, voiceLike(10*c.Hop, c.InRate, 3), 1, false)
	s.Reset()
	if s.Name() != name || s.Latency() != latency {
		t.Errorf("stage %s: name or latency changed to %q, %v while it ran", name, s.Name(), s.Latency())
	}
}

// run feeds signal in chunks of so many hops and returns the output. With poison, every chunk's
// slices are overwritten after the stage has returned it.
func (c StageCase) run(t TB, s stream.Stage, signal []float32, hops int, poison bool) (out []float32, ok bool) {
	t.Helper()
	size := c.Hop * hops
	var chunks [2]stream.Chunk
	for i := 0; i*size < len(signal); i++ {
		chunk := &chunks[i%2]
		part := signal[i*size : (i+1)*size]
		c.fill(chunk, part, i, hops)
		before := *chunk
		if err := s.Process(chunk); err != nil {
			t.Errorf("stage %s: Process: %v", s.Name(), err)
			return nil, false
		}
		if complaint := c.complaint(chunk, &before, part); complaint != "" {
			t.Errorf("stage %s: chunk %d: %s", s.Name(), i, complaint)
			return nil, false
		}
		out = append(out, chunk.Samples...)
		if poison {
			for _, x := range [][]float32{chunk.Samples, chunk.Dry, chunk.F0} {
				for k := range x[:cap(x)] {
					x[:cap(x)][k] = 1e6
				}
			}
		}
	}
	return out, true
}

func (c StageCase) mustRun(t TB, s stream.Stage, signal []float32, hops int, poison bool) []float32 {
	t.Helper()
	out, _ := c.run(t, s, signal, hops, poison)
	return out
}

func (c StageCase) fill(chunk *stream.Chunk, part []float32, i, hops int) {
	chunk.Seq, chunk.Pos = uint64(i), uint64(i*len(part))
	chunk.Rate, chunk.DryRate, chunk.Frames = c.InRate, c.InRate, len(part)
	chunk.Captured = time.Duration(i) * time.Second
	chunk.Samples = append(chunk.Samples[:0], part...)
	chunk.Dry = append(chunk.Dry[:0], part...)
	chunk.F0 = chunk.F0[:0]
	if c.F0 {
		for range hops {
			chunk.F0 = append(chunk.F0, 120)
		}
	}
}

func (c StageCase) complaint(after, before *stream.Chunk, part []float32) string {
	if after.Rate != c.OutRate {
		return fmt.Sprintf("rate of %d Hz, expected %d", after.Rate, c.OutRate)
	}
	if want := len(part) * c.OutRate / c.InRate; len(after.Samples) != want {
		return fmt.Sprintf("%d frames, expected %d", len(after.Samples), want)
	}
	for i, v := range after.Samples {
		if v-v != 0 {
			return fmt.Sprintf("frame %d is %v", i, v)
		}
	}
	if after.Seq != before.Seq || after.Pos != before.Pos || after.Captured != before.Captured ||
		after.Frames != before.Frames || after.Discontinuous != before.Discontinuous || after.DryRate != before.DryRate {
		return "a field other than Samples, Rate and F0 was changed"
	}
	if len(after.Dry) != len(part) {
		return "Dry was changed"
	}
	for i, v := range part {
		if after.Dry[i] != v {
			return "Dry was changed"
		}
	}
	return ""
}

func (c StageCase) compare(t TB, what string, want, got []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("stage: %s changed the length from %d to %d frames", what, len(want), len(got))
		return
	}
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > tolerance {
			t.Errorf("stage: %s changed frame %d from %v to %v", what, i, want[i], got[i])
			return
		}
	}
}

func (c StageCase) checkAllocations(t TB) {
	t.Helper()
	s := c.New()
	part := voiceLike(c.Hop, c.InRate, 4)
	var chunk stream.Chunk
	i := 0
	step := func() {
		c.fill(&chunk, part, i, 1)
		i++
		if err := s.Process(&chunk); err != nil {
			t.Errorf("stage %s: Process: %v", s.Name(), err)
		}
	}
	for range 50 {
		step()
	}
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("stage %s: %v allocations a chunk once warm", s.Name(), n)
	}
}

func (c StageCase) checkTransparent(t TB, in, out []float32) {
	t.Helper()
	if c.InRate != c.OutRate {
		t.Errorf("stage: a transparent one keeps the rate, %d to %d Hz does not", c.InRate, c.OutRate)
		return
	}
	lag := stream.TimeToFrames(c.New().Latency(), c.InRate)
	for i := lag; i < len(out); i++ {
		if math.Abs(float64(out[i]-in[i-lag])) > c.Tolerance {
			t.Errorf("stage: frame %d is %v, expected %v from %d frames before (its Latency)", i, out[i], in[i-lag], lag)
			return
		}
	}
}

// voiceLike is a buzz with noise, loud enough for gates and pitched for trackers.
func voiceLike(n, rate int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 9))
	hz := 100 + 20*float64(seed)
	x := make([]float32, n)
	for i := range x {
		at := 2 * math.Pi * hz * float64(i) / float64(rate)
		x[i] = float32(0.2*math.Sin(at) + 0.1*math.Sin(2*at) + 0.1*math.Sin(5*at) + 0.02*(r.Float64()-0.5))
	}
	return x
}
