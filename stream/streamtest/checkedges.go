package streamtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/autovoiced/autovoiced/stream"
)

// prompt is what "promptly" means to the checks.
const prompt = time.Second

// SourceCase says how to check a source.
type SourceCase struct {
	// Open gives a source that ends by itself after a few chunks; the same signal each time.
	Open func() stream.Source
	// Waiting gives a source whose next Read has to wait; nil for those that never wait.
	Waiting func() stream.Source
}

// CheckSource holds a source to its contract: whole, consistent chunks with times that do not go
// back, nothing kept of a chunk, io.EOF after the last and ever after, a prompt end when the
// context ends or Close comes, a second Close without error.
func CheckSource(t TB, c SourceCase) {
	t.Helper()
	plain, ok := readSource(t, c.Open(), false)
	if !ok {
		return
	}
	if len(plain) == 0 {
		t.Errorf("source: not a single frame; the check needs some")
		return
	}
	poisoned, _ := readSource(t, c.Open(), true)
	if at := firstDifference(plain, poisoned); at >= 0 {
		t.Errorf("source: frame %d changes when chunks are overwritten after Read: it keeps a slice or is not repeatable", at)
	}

	done, cancel := context.WithCancel(context.Background())
	cancel()
	s := c.Open()
	if err, returned := within(func() error { return s.Read(done, new(stream.Chunk)) }); !returned || !errors.Is(err, context.Canceled) {
		t.Errorf("source: Read in a context that has ended: %v (returned: %v), expected its error", err, returned)
	}
	closeTwice(t, "source", s.Close)
	if c.Waiting == nil {
		return
	}
	waiting := c.Waiting()
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err, returned := within(func() error { return waiting.Read(ctx, new(stream.Chunk)) }); !returned || !errors.Is(err, context.Canceled) {
		t.Errorf("source: a waiting Read whose context ends: %v (returned: %v), expected its error", err, returned)
	}
	closeTwice(t, "source", waiting.Close)
	closed := c.Waiting() // variables of their own: a Read that has not returned still holds the one before
	time.AfterFunc(20*time.Millisecond, func() {
		if err := closed.Close(); err != nil {
			t.Errorf("source: Close: %v", err)
		}
	})
	if err, returned := within(func() error { return closed.Read(context.Background(), new(stream.Chunk)) }); !returned || !errors.Is(err, io.EOF) {
		t.Errorf("source: a waiting Read at Close: %v (returned: %v), expected io.EOF", err, returned)
	}
}

func readSource(t TB, s stream.Source, poison bool) (all []float32, ok bool) {
	t.Helper()
	rate := s.Rate()
	if rate < stream.MinRate || rate > stream.MaxRate {
		t.Errorf("source: rate of %d Hz", rate)
		return nil, false
	}
	var chunks [2]stream.Chunk
	last := time.Duration(-1)
	for i := 0; ; i++ {
		c := &chunks[i%2]
		c.Captured = time.Duration(i) * time.Hour // a source that knows no better leaves it
		err := s.Read(context.Background(), c)
		if errors.Is(err, io.EOF) {
			break
		}
		complaint := ""
		switch {
		case err != nil:
			complaint = fmt.Sprintf("Read: %v", err)
		case i > 100_000:
			complaint = "it does not end"
		case len(c.Samples) == 0 || c.Frames <= 0:
			complaint = fmt.Sprintf("%d samples for %d frames", len(c.Samples), c.Frames)
		case c.Rate != rate || s.Rate() != rate:
			complaint = fmt.Sprintf("rate of %d Hz from a source of %d Hz", c.Rate, s.Rate())
		case c.Captured < last:
			complaint = fmt.Sprintf("captured at %v, after one at %v", c.Captured, last)
		}
		if complaint != "" {
			t.Errorf("source: chunk %d: %s", i, complaint)
			closeTwice(t, "source", s.Close)
			return nil, false
		}
		last = c.Captured
		all = append(all, c.Samples...)
		if poison {
			for k := range c.Samples[:cap(c.Samples)] {
				c.Samples[:cap(c.Samples)][k] = 1e6
			}
		}
	}
	if err := s.Read(context.Background(), &chunks[0]); !errors.Is(err, io.EOF) {
		t.Errorf("source: Read after io.EOF: %v, expected io.EOF again", err)
	}
	closeTwice(t, "source", s.Close)
	return all, true
}

// SinkCase says how to check a sink.
type SinkCase struct {
	// Open gives a sink, and if it can be known a function that tells what it has taken; else nil.
	Open func() (s stream.Sink, taken func() []float32)
	// Waiting gives a sink whose Write, sooner or later, has to wait; nil for those that never wait.
	Waiting func() stream.Sink
	// Tolerance is for sinks that round the samples.
	Tolerance float64
}

const sinkChunks = 30

// CheckSink holds a sink to its contract: chunks are taken unchanged and not kept, frames are
// booked once if it books them, Write ends promptly with its context, Drain returns, a second
// Close does no harm and Write after Close is an error.
func CheckSink(t TB, c SinkCase) {
	t.Helper()
	s, taken := c.Open()
	rate := s.Rate()
	if rate < stream.MinRate || rate > stream.MaxRate {
		t.Errorf("sink: rate of %d Hz", rate)
		return
	}
	books, _ := s.(stream.Accountant)
	hop := rate / 100
	signal := voiceLike(sinkChunks*hop, rate, 5)
	var chunk stream.Chunk
	for i := range sinkChunks {
		part := signal[i*hop : (i+1)*hop]
		sinkChunk(&chunk, part, rate, i)
		if books != nil {
			books.Ledger().In(chunk.Frames)
		}
		before := chunk
		if err := s.Write(context.Background(), &chunk); err != nil {
			t.Errorf("sink: Write: %v", err)
			return
		}
		if chunk.Seq != before.Seq || chunk.Pos != before.Pos || chunk.Frames != before.Frames || chunk.Rate != before.Rate ||
			chunk.Captured != before.Captured || firstDifference(chunk.Samples, part) >= 0 {
			t.Errorf("sink: Write changed the chunk")
		}
		for k := range chunk.Samples {
			chunk.Samples[k] = -0.9 // whoever kept the slice will show it
		}
	}
	if err, returned := within(func() error { return s.Drain(context.Background()) }); err != nil || !returned {
		t.Errorf("sink: Drain: %v (returned: %v)", err, returned)
	}
	if books != nil {
		if l := books.Ledger().Snapshot(); l.InFlight != 0 {
			t.Errorf("sink: drained, but its ledger says %+v", l)
		}
	}
	if taken != nil {
		c.compareTaken(t, signal, taken())
	}
	closeTwice(t, "sink", s.Close)
	sinkChunk(&chunk, signal[:hop], rate, sinkChunks)
	if err, returned := within(func() error { return s.Write(context.Background(), &chunk) }); err == nil || !returned {
		t.Errorf("sink: Write after Close: no error (returned: %v)", returned)
	}
	if c.Waiting != nil {
		c.checkWaiting(t)
	}
}

func (c SinkCase) compareTaken(t TB, signal, got []float32) {
	t.Helper()
	if len(got) != len(signal) {
		t.Errorf("sink: %d frames taken of %d", len(got), len(signal))
		return
	}
	for i, v := range signal {
		if d := float64(got[i] - v); d > c.Tolerance || d < -c.Tolerance {
			t.Errorf("sink: frame %d is %v, expected %v: a slice was kept, or the signal changed", i, got[i], v)
			return
		}
	}
}

func (c SinkCase) checkWaiting(t TB) {
	t.Helper()
	s := c.Waiting()
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(20*time.Millisecond, cancel)
	err, returned := within(func() error {
		var chunk stream.Chunk
		part := make([]float32, s.Rate()/100)
		for i := range 100_000 {
			sinkChunk(&chunk, part, s.Rate(), i)
			if err := s.Write(ctx, &chunk); err != nil {
				return err
			}
		}
		return errors.New("it never waited")
	})
	if !returned || !errors.Is(err, context.Canceled) {
		t.Errorf("sink: a waiting Write whose context ends: %v (returned: %v), expected its error", err, returned)
	}
	closeTwice(t, "sink", s.Close)
}

func sinkChunk(c *stream.Chunk, part []float32, rate, i int) {
	c.Seq, c.Pos, c.Rate, c.Frames = uint64(i), uint64(i*len(part)), rate, len(part)
	c.Captured = time.Duration(i) * 10 * time.Millisecond
	c.Samples = append(c.Samples[:0], part...)
}

func closeTwice(t TB, what string, shut func() error) {
	t.Helper()
	for _, which := range []string{"Close", "a second Close"} {
		if err, returned := within(shut); err != nil || !returned {
			t.Errorf("%s: %s: %v (returned: %v)", what, which, err, returned)
		}
	}
}

// within calls f and says what it returned, or that it did not return promptly.
func within(f func() error) (err error, returned bool) { //nolint:revive // the error is f's, not ours
	result := make(chan error, 1)
	go func() { result <- f() }()
	select {
	case err := <-result:
		return err, true
	case <-time.After(prompt):
		return nil, false
	}
}

// firstDifference is the first index at which a and b differ, -1 if they are equal.
func firstDifference(a, b []float32) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	if len(a) != len(b) {
		return min(len(a), len(b))
	}
	return -1
}
