package stream

import (
	"context"
	"errors"
	"io"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// benchSource gives n chunks; paced, one every 10 ms as a device would.
type benchSource struct {
	n     int
	paced bool
	hop   []float32
	next  time.Time
}

func (s *benchSource) Rate() int    { return 48000 }
func (s *benchSource) Close() error { return nil }
func (s *benchSource) Read(_ context.Context, c *Chunk) error {
	if s.n--; s.n < 0 {
		return io.EOF
	}
	if s.paced {
		if s.next.IsZero() {
			s.next = time.Now()
		}
		s.next = s.next.Add(10 * time.Millisecond)
		time.Sleep(time.Until(s.next))
	}
	c.Samples, c.Frames = append(c.Samples, s.hop...), len(s.hop)
	return nil
}

type nullSink struct{}

func (nullSink) Rate() int                           { return 48000 }
func (nullSink) Close() error                        { return nil }
func (nullSink) Drain(context.Context) error         { return nil }
func (nullSink) Write(context.Context, *Chunk) error { return nil }

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchPipeline(b *testing.B, paced bool, stages []Stage, call ProfilingFunc, inline ...bool) {
	b.ReportAllocs()
	p, err := New(Options{
		Source: &benchSource{n: b.N, paced: paced, hop: noise(480)}, Sink: nullSink{},
		InRate: 48000, OutRate: 48000, Stages: stages, Profile: call, Inline: len(inline) > 0,
	})
	if err != nil {
		b.Fatal(err)
	}
	start := cpuTime()
	b.ResetTimer()
	if err := p.Run(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64((cpuTime()-start).Microseconds())/float64(b.N), "cpu-µs/chunk")
}

func emptyStages() []Stage {
	var stages []Stage
	for _, name := range []string{StageSeparation, StageF0Extraction, StageConversion, StageMixing} {
		stages = append(stages, &delayStage{name: name, process: func(*Chunk) error { return nil }})
	}
	return stages
}

func BenchmarkPipelineHops(b *testing.B)        { benchPipeline(b, false, emptyStages(), nil) }
func BenchmarkPipelineHopsPaced(b *testing.B)   { benchPipeline(b, true, emptyStages(), nil) }
func BenchmarkPipelineInline(b *testing.B)      { benchPipeline(b, false, emptyStages(), nil, true) }
func BenchmarkPipelineInlinePaced(b *testing.B) { benchPipeline(b, true, emptyStages(), nil, true) }
func BenchmarkPipelineHopsProfiled(b *testing.B) {
	benchPipeline(b, false, emptyStages(), func(string, time.Duration) {})
}

// copier is a Converter that only copies.
type copier struct{}

func (copier) InRate() int                         { return 48000 }
func (copier) OutRate() int                        { return 48000 }
func (copier) Latency() time.Duration              { return 0 }
func (copier) Reset()                              {}
func (copier) Convert(dst, src, _ []float32) error { copy(dst, src); return nil }

func allStages(b *testing.B) []Stage {
	separation, err1 := NewSeparation(48000, DefaultSeparationConfig())
	f0, err2 := NewF0Extraction(48000, DefaultF0Config())
	mixing, err3 := NewMixing(48000, 48000, 0, DefaultMixingConfig())
	if err := errors.Join(err1, err2, err3); err != nil {
		b.Fatal(err)
	}
	return []Stage{separation, f0, NewConversion(copier{}, "copy"), mixing}
}

func BenchmarkPipelineAllStages(b *testing.B) { benchPipeline(b, false, allStages(b), nil) }

func BenchmarkStages(b *testing.B) {
	for _, s := range allStages(b) {
		b.Run(s.Name(), func(b *testing.B) {
			b.ReportAllocs()
			x := noise(480)
			c := Chunk{Rate: 48000, DryRate: 48000, Dry: x}
			for b.Loop() {
				c.Samples = append(c.Samples[:0], x...)
				if err := s.Process(&c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// mallocs is how many allocations a run of n chunks through all stages takes.
func mallocs(t *testing.T, n int, call ProfilingFunc) float64 {
	t.Helper()
	p, err := New(Options{
		Source: &benchSource{n: n, hop: noise(480)}, Sink: nullSink{},
		InRate: 48000, OutRate: 48000, Stages: emptyStages(), Profile: call,
	})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs - before.Mallocs)
}

func TestAWarmPipelineAllocatesNothing(t *testing.T) {
	for name, call := range map[string]ProfilingFunc{"not profiled": nil, "profiled": func(string, time.Duration) {}} {
		const more = 5000
		if n := (mallocs(t, 200+more, call) - mallocs(t, 200, call)) / more; n > 0.2 { // the scheduler has a few of its own
			t.Errorf("%s: %.3f allocations a chunk", name, n)
		}
	}
}
