package stream

import (
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/dsp"
)

func spin(d time.Duration) func(*Chunk) error {
	return func(*Chunk) error {
		for end := time.Now().Add(d); time.Now().Before(end); {
		}
		return nil
	}
}

func TestComputeAndWaitsAddUpToTheTotal(t *testing.T) {
	const chunks = 5000
	p, err := New(Options{
		Source: &sliceSource{rate: 48000, signal: noise(chunks * 480), cut: fixed(480)},
		Sink:   &memorySink{rate: 48000}, InRate: 48000, OutRate: 48000,
		Stages: []Stage{
			&delayStage{name: "a", process: spin(20 * time.Microsecond)}, &delayStage{name: "b", frames: 100},
			&delayStage{name: "c", process: spin(50 * time.Microsecond)}, &delayStage{name: "d"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var reader sync.WaitGroup
	stop := make(chan struct{})
	reader.Go(func() { // reports are taken while audio runs
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				if l := p.Snapshot().Ledger; l.In != l.Out+l.Dropped.Sum()+l.InFlight {
					t.Errorf("ledger %+v", l)
				}
			}
		}
	})
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(stop)
	reader.Wait()

	s := p.Snapshot()
	if s.Chunks != chunks || s.Total.Count != chunks {
		t.Errorf("%d chunks measured, expected %d", s.Chunks, chunks)
	}
	sum := s.CaptureWait.Sum + s.SinkWait.Sum + s.Delivery.Sum
	var compute time.Duration
	for _, stage := range s.Stages {
		sum += stage.Compute.Sum + stage.Wait.Sum
		compute += stage.Compute.Sum
	}
	if off := float64(sum)/float64(s.Total.Sum) - 1; off > 0.02 || off < -0.02 {
		t.Errorf("computing and waiting take %v, the total is %v", sum, s.Total.Sum)
	}
	if sum != s.Total.Sum || compute != s.Compute.Sum {
		t.Errorf("%v and %v, expected exactly %v and %v", sum, compute, s.Total.Sum, s.Compute.Sum)
	}
	if c := s.Stages[2].Compute; c.P50 < 50*time.Microsecond || c.Count != chunks {
		t.Errorf("stage c spun 50 µs, measured %+v", c)
	}
	if s.RTF < 0.007 || s.Load.Mean < 0.7 {
		t.Errorf("RTF %v, load %+v: expected at least 70 µs of 10 ms", s.RTF, s.Load)
	}
	if s.Levels.InPeak > -5.9 || s.Levels.InPeak < -6.5 || s.Levels.OutRMS > -10 || s.Levels.OutRMS < -12 {
		t.Errorf("levels %+v of noise between ±0.5", s.Levels)
	}
}

func TestOverloadsAreCountedInRuns(t *testing.T) {
	var s Stats
	for _, percent := range []float64{50, 120, 130, 20, 101, 102, 103} {
		s.recordLoad(percent)
	}
	if s.overloads.Load() != 5 || s.overloadRun.Load() != 3 {
		t.Errorf("%d overloads, %d in a row", s.overloads.Load(), s.overloadRun.Load())
	}
}

func profiled(t *testing.T, chunks int, call ProfilingFunc, onFault func(error)) Snapshot {
	t.Helper()
	return mustRun(t, Options{
		Source: &sliceSource{rate: 48000, signal: noise(chunks * 480), cut: fixed(480)},
		Sink: &memorySink{rate: 48000, onWrite: func(*Chunk) error {
			time.Sleep(50 * time.Microsecond)
			return nil
		}}, InRate: 48000, OutRate: 48000,
		Stages:  []Stage{&delayStage{name: StageSeparation, process: spin(10 * time.Microsecond)}, &delayStage{name: StageMixing}},
		Profile: call, OnProfileFault: onFault,
	}).Snapshot()
}

func TestProfilingToldEveryStageOfEveryChunk(t *testing.T) {
	times := map[string]time.Duration{}
	calls := map[string]int{}
	s := profiled(t, 50, func(stage string, d time.Duration) {
		times[stage] += d
		calls[stage]++
	}, nil)
	for _, name := range []string{StageSeparation, StageMixing, StageTotal} {
		if calls[name] != 50 {
			t.Errorf("%s: %d calls, expected 50", name, calls[name])
		}
	}
	if times[StageSeparation] != s.Stages[0].Compute.Sum || times[StageTotal] != s.Total.Sum {
		t.Errorf("told %v and %v, measured %v and %v", times[StageSeparation], times[StageTotal], s.Stages[0].Compute.Sum, s.Total.Sum)
	}
}

func TestPanickingProfilerIsIsolatedAndFolded(t *testing.T) {
	var faults []error
	s := profiled(t, 50, func(string, time.Duration) { panic("mine") }, func(err error) { faults = append(faults, err) })
	if s.Chunks != 50 || s.Profiling.Panics != 150 || s.Profiling.Calls != 150 {
		t.Errorf("%d chunks, %+v", s.Chunks, s.Profiling)
	}
	if len(faults) != 1 {
		t.Errorf("%d reports of 150 panics within a second: %v", len(faults), faults)
	}
}

func TestSlowProfilerLosesCallsNotAudio(t *testing.T) {
	release := make(chan struct{})
	delivered := make(chan Snapshot, 1)
	s := profiled(t, 200, func(string, time.Duration) { <-release }, func(error) { close(release) })
	delivered <- s
	if s.Chunks != 200 || s.Profiling.Dropped < 200-profileQueue-2 {
		t.Errorf("%d chunks, %+v", s.Chunks, s.Profiling)
	}
}

// One absurd sample would stay for good in a filter, an average or a model's state.
func TestInspectLetsNothingAbsurdIn(t *testing.T) {
	huge, nan := float32(math.MaxFloat32), float32(math.NaN())
	x := []float32{0.5, huge, nan, -0.75, -huge, float32(math.Inf(1)), 2 * dsp.MaxSample, dsp.MaxSample / 1e7}
	bad, rms, peak := inspect(x)
	if want := []float32{0.5, 0, 0, -0.75, 0, 0, 0, 0.1}; bad != 5 || peak != 0.75 || rms > 0.5 || !slices.Equal(x, want) {
		t.Errorf("%d bad, rms %g, peak %g, left %v", bad, rms, peak, x)
	}
}
