package stream

import (
	"context"
	"io"
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

func benchPipeline(b *testing.B, paced bool, stages []Stage, call ProfilingFunc) {
	b.ReportAllocs()
	p, err := New(Options{
		Source: &benchSource{n: b.N, paced: paced, hop: noise(480)}, Sink: nullSink{},
		InRate: 48000, OutRate: 48000, Stages: stages, Profile: call,
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

func BenchmarkPipelineHops(b *testing.B)      { benchPipeline(b, false, emptyStages(), nil) }
func BenchmarkPipelineHopsPaced(b *testing.B) { benchPipeline(b, true, emptyStages(), nil) }
func BenchmarkPipelineHopsProfiled(b *testing.B) {
	benchPipeline(b, false, emptyStages(), func(string, time.Duration) {})
}
