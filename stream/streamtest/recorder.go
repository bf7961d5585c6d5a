package streamtest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/autovoiced/autovoiced/stream"
)

// Recorder is a Sink that keeps everything it is given, and never blocks.
type Recorder struct {
	rate   int
	mu     sync.Mutex
	frames []float32
	notes  []Note
	ends   []string
	closed bool
}

// Note is what a Recorder remembers of a chunk besides its samples.
type Note struct {
	Seq           uint64
	Pos           uint64
	Length        int
	Frames        int
	Captured      time.Duration
	Discontinuous bool
}

// NewRecorder returns a sink of the given rate.
func NewRecorder(rate int) *Recorder { return &Recorder{rate: rate} }

// Rate implements stream.Sink.
func (r *Recorder) Rate() int { return r.rate }

// Write implements stream.Sink.
func (r *Recorder) Write(ctx context.Context, c *stream.Chunk) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errors.New("recorder: write after close")
	}
	r.frames = append(r.frames, c.Samples...)
	r.notes = append(r.notes, Note{c.Seq, c.Pos, len(c.Samples), c.Frames, c.Captured, c.Discontinuous})
	return nil
}

// Drain implements stream.Sink.
func (r *Recorder) Drain(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = append(r.ends, "drain")
	return nil
}

// Close implements stream.Sink.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = append(r.ends, "close")
	r.closed = true
	return nil
}

// Samples is a copy of the signal so far.
func (r *Recorder) Samples() []float32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]float32(nil), r.frames...)
}

// Notes is a copy of what was remembered of each chunk.
func (r *Recorder) Notes() []Note {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Note(nil), r.notes...)
}

// Ends is the order in which "drain" and "close" came.
func (r *Recorder) Ends() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.ends...)
}
