package streamtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/autovoiced/autovoiced/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// complaints is a TB that remembers.
type complaints []string

func (c *complaints) Helper() {}
func (c *complaints) Errorf(format string, args ...any) {
	*c = append(*c, fmt.Sprintf(format, args...))
}

func (c *complaints) expect(t *testing.T, want string) {
	t.Helper()
	for _, line := range *c {
		if strings.Contains(line, want) {
			return
		}
	}
	t.Errorf("complaints %q, expected one with %q", *c, want)
}

// echo adds a fifth of the signal a hundred frames before: a good stage, and the base of bad ones.
type echo struct {
	name    string
	latency time.Duration
	past    [100]float32
	calls   int
	// The faults.
	keeps   []float32
	process func(e *echo, c *stream.Chunk)
	reset   func(e *echo)
}

func (e *echo) Name() string           { return e.name }
func (e *echo) Mode() string           { return "echo" }
func (e *echo) Latency() time.Duration { return e.latency }

func (e *echo) Reset() {
	if e.reset != nil {
		e.reset(e)
		return
	}
	e.past, e.calls = [100]float32{}, 0
}

func (e *echo) Process(c *stream.Chunk) error {
	e.calls++
	for i, v := range c.Samples {
		k := i % len(e.past)
		c.Samples[i] = v + 0.2*e.past[k]
		e.past[k] = v
	}
	if e.process != nil {
		e.process(e, c)
	}
	return nil
}

var sinkhole []float32

func TestCheckStageCatchesEveryFault(t *testing.T) {
	for _, c := range []struct {
		want  string
		fault func(e *echo)
	}{
		{"", func(*echo) {}},
		{"neither may be empty", func(e *echo) { e.name = "" }},
		{"latency of -1ms", func(e *echo) { e.latency = -time.Millisecond }},
		{"name or latency changed", func(e *echo) {
			e.process = func(e *echo, _ *stream.Chunk) { e.latency = time.Duration(e.calls) }
			e.reset = func(e *echo) { e.past = [100]float32{} }
		}},
		{"frames, expected", func(e *echo) { e.process = func(_ *echo, c *stream.Chunk) { c.Samples = c.Samples[1:] } }},
		{"rate of 8000 Hz", func(e *echo) { e.process = func(_ *echo, c *stream.Chunk) { c.Rate = 8000 } }},
		{"is NaN", func(e *echo) {
			e.process = func(_ *echo, c *stream.Chunk) { c.Samples[3] = float32(math.NaN()) }
		}},
		{"a field other than", func(e *echo) { e.process = func(_ *echo, c *stream.Chunk) { c.Seq++ } }},
		{"Dry was changed", func(e *echo) { e.process = func(_ *echo, c *stream.Chunk) { c.Dry[5] = 0 } }},
		{"keeps a slice", func(e *echo) {
			e.process = func(e *echo, c *stream.Chunk) {
				if e.keeps != nil {
					c.Samples[0] += e.keeps[1]
				}
				e.keeps = c.Samples
			}
		}},
		{"two hops in a chunk", func(e *echo) {
			e.process = func(_ *echo, c *stream.Chunk) { c.Samples[0] = 0 }
		}},
		{"the past is not forgotten", func(e *echo) { e.reset = func(*echo) {} }},
		{"allocations a chunk", func(e *echo) {
			e.process = func(_ *echo, c *stream.Chunk) { sinkhole = append([]float32(nil), c.Samples...) }
		}},
		{"same input", func() func(e *echo) {
			made := 0
			return func(e *echo) {
				made++
				gain := 1 + float32(made)/100
				e.process = func(_ *echo, c *stream.Chunk) { c.Samples[0] *= gain }
			}
		}()},
	} {
		var got complaints
		CheckStage(&got, StageCase{InRate: 16000, Hop: 100, New: func() stream.Stage {
			e := &echo{name: "echo"}
			c.fault(e)
			return e
		}})
		if c.want == "" {
			if len(got) > 0 {
				t.Errorf("a good stage: %q", got)
			}
			continue
		}
		got.expect(t, c.want)
	}
	var got complaints
	CheckStage(&got, StageCase{InRate: 16000, Hop: 100, Transparent: true, New: func() stream.Stage { return &echo{name: "echo"} }})
	got.expect(t, "(its Latency)")
}

// badSource is a Tone with faults.
type badSource struct {
	Tone
	read  func(s *badSource, ctx context.Context, c *stream.Chunk) error
	shut  func(s *badSource) error
	keeps []float32
	reads int
	open  chan struct{} // closed: nothing waits any more
}

func (s *badSource) Read(ctx context.Context, c *stream.Chunk) error {
	s.reads++
	return s.read(s, ctx, c)
}

func (s *badSource) Close() error {
	if s.shut != nil {
		return s.shut(s)
	}
	return s.Tone.Close()
}

func TestCheckSourceCatchesEveryFault(t *testing.T) {
	type read = func(s *badSource, ctx context.Context, c *stream.Chunk) error
	after := func(change func(s *badSource, c *stream.Chunk)) read {
		return func(s *badSource, ctx context.Context, c *stream.Chunk) error {
			err := s.Tone.Read(ctx, c)
			if err == nil {
				change(s, c)
			}
			return err
		}
	}
	for _, c := range []struct {
		want string
		read read
		shut func(s *badSource) error
	}{
		{want: "", read: after(func(*badSource, *stream.Chunk) {})},
		{want: "0 samples", read: after(func(_ *badSource, c *stream.Chunk) { c.Samples = c.Samples[:0] })},
		{want: "for 0 frames", read: after(func(_ *badSource, c *stream.Chunk) { c.Frames = 0 })},
		{want: "rate of 1 Hz", read: after(func(_ *badSource, c *stream.Chunk) { c.Rate = 1 })},
		{want: "captured at", read: after(func(s *badSource, c *stream.Chunk) { c.Captured = time.Duration(-s.reads) + 9 })},
		{want: "keeps a slice", read: after(func(s *badSource, c *stream.Chunk) {
			if s.keeps != nil {
				c.Samples[0] = s.keeps[0]
			}
			s.keeps = c.Samples
		})},
		{want: "Read after io.EOF", read: func(s *badSource, ctx context.Context, c *stream.Chunk) error {
			err := s.Tone.Read(ctx, c)
			if errors.Is(err, io.EOF) && s.closed.Swap(true) {
				return errors.New("read after the end")
			}
			return err
		}},
		{want: "context that has ended", read: func(s *badSource, _ context.Context, c *stream.Chunk) error {
			return s.Tone.Read(context.Background(), c)
		}},
		{want: "a second Close", read: after(func(*badSource, *stream.Chunk) {}), shut: func(s *badSource) error {
			if s.closed.Swap(true) {
				return errors.New("already closed")
			}
			return nil
		}},
		{want: "not a single frame", read: func(*badSource, context.Context, *stream.Chunk) error { return io.EOF }},
	} {
		var got complaints
		CheckSource(&got, SourceCase{Open: func() stream.Source {
			return &badSource{Tone: Tone{SampleRate: 16000, Hz: 440, Amplitude: 0.5, Length: 1000}, read: c.read, shut: c.shut}
		}})
		if c.want == "" {
			if len(got) > 0 {
				t.Errorf("a good source: %q", got)
			}
			continue
		}
		got.expect(t, c.want)
	}
}

func TestCheckSourceCatchesAReadThatDoesNotWake(t *testing.T) {
	open := make(chan struct{})
	defer close(open)
	var got complaints
	CheckSource(&got, SourceCase{
		Open: func() stream.Source { return &Tone{SampleRate: 16000, Hz: 440, Amplitude: 0.5, Length: 1000} },
		Waiting: func() stream.Source {
			return &badSource{Tone: Tone{SampleRate: 16000}, open: open, read: func(s *badSource, _ context.Context, _ *stream.Chunk) error {
				<-s.open
				return io.EOF
			}}
		},
	})
	got.expect(t, "a waiting Read whose context ends")
	got.expect(t, "a waiting Read at Close")
}

// badSink is a Recorder with faults.
type badSink struct {
	*Recorder
	write func(s *badSink, ctx context.Context, c *stream.Chunk) error
	shut  func() error
	keeps [][]float32
	books *stream.Ledger
}

func (s *badSink) Write(ctx context.Context, c *stream.Chunk) error { return s.write(s, ctx, c) }
func (s *badSink) Ledger() *stream.Ledger                           { return s.books }
func (s *badSink) Close() error {
	if s.shut != nil {
		return s.shut()
	}
	return s.Recorder.Close()
}

func (s *badSink) taken() []float32 {
	var all []float32
	for _, part := range s.keeps {
		all = append(all, part...)
	}
	return all
}

func TestCheckSinkCatchesEveryFault(t *testing.T) {
	type write = func(s *badSink, ctx context.Context, c *stream.Chunk) error
	good := func(s *badSink, ctx context.Context, c *stream.Chunk) error {
		s.books.Out(c.Frames)
		s.keeps = append(s.keeps, append([]float32(nil), c.Samples...))
		return s.Recorder.Write(ctx, c)
	}
	closes := 0
	for _, c := range []struct {
		want  string
		write write
		shut  func() error
	}{
		{want: "", write: good},
		{want: "Write changed the chunk", write: func(s *badSink, ctx context.Context, c *stream.Chunk) error {
			defer func() { c.Samples[0] = 7 }()
			return good(s, ctx, c)
		}},
		{want: "a slice was kept", write: func(s *badSink, ctx context.Context, c *stream.Chunk) error {
			err := good(s, ctx, c)
			s.keeps[len(s.keeps)-1] = c.Samples
			return err
		}},
		{want: "frames taken of", write: func(s *badSink, ctx context.Context, c *stream.Chunk) error {
			err := good(s, ctx, c)
			s.keeps = s.keeps[:1]
			return err
		}},
		{want: "its ledger says", write: func(s *badSink, ctx context.Context, c *stream.Chunk) error {
			return s.Recorder.Write(ctx, c)
		}},
		{want: "Write after Close", write: func(s *badSink, ctx context.Context, c *stream.Chunk) error {
			_ = good(s, ctx, c)
			return nil
		}},
		{want: "a second Close", write: good, shut: func() error {
			if closes++; closes%2 == 0 {
				return errors.New("already closed")
			}
			return nil
		}},
	} {
		var got complaints
		CheckSink(&got, SinkCase{Open: func() (stream.Sink, func() []float32) {
			s := &badSink{Recorder: NewRecorder(16000), write: c.write, shut: c.shut, books: new(stream.Ledger)}
			return s, s.taken
		}})
		if c.want == "" {
			if len(got) > 0 {
				t.Errorf("a good sink: %q", got)
			}
			continue
		}
		got.expect(t, c.want)
	}
}

func TestCheckSinkCatchesAWriteThatDoesNotWake(t *testing.T) {
	open := make(chan struct{})
	defer close(open)
	var got complaints
	CheckSink(&got, SinkCase{
		Open: func() (stream.Sink, func() []float32) {
			r := NewRecorder(16000)
			return r, r.Samples
		},
		Waiting: func() stream.Sink {
			return &badSink{Recorder: NewRecorder(16000), write: func(*badSink, context.Context, *stream.Chunk) error {
				<-open
				return nil
			}}
		},
	})
	got.expect(t, "a waiting Write whose context ends")
}

func TestOwnToolsKeepTheirContracts(t *testing.T) {
	CheckSource(t, SourceCase{Open: func() stream.Source {
		return &Tone{SampleRate: 44100, Hz: 440, Amplitude: 0.5, Length: 4000}
	}})
	CheckSink(t, SinkCase{Open: func() (stream.Sink, func() []float32) {
		r := NewRecorder(48000)
		return r, r.Samples
	}})
	var c Clock
	if c.Advance(3*time.Second) != 3*time.Second || c.Now() != 3*time.Second {
		t.Errorf("the clock shows %v after 3 s", c.Now())
	}
}
