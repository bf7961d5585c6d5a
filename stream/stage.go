package stream

import (
	"context"
	"time"
)

// The four stages, in order, and the name under which their sum is reported. The names are part
// of the protocol and of every report.
const (
	StageSeparation   = "separation"
	StageF0Extraction = "f0_extraction"
	StageConversion   = "conversion"
	StageMixing       = "mixing"
	StageTotal        = "total"
)

// Stage is one step of the pipeline. Process works on the chunk in place; it may replace
// Samples' contents, length and Rate, and must not keep a reference to the chunk or its slices
// after it returns. It is called from one goroutine, with chunks in order, and allocates nothing
// once warm. Reset is called before a discontinuous chunk: the stage forgets the past signal.
// A returned error ends the session that the stage belongs to.
type Stage interface {
	Name() string
	Process(c *Chunk) error
	Reset()
	// Latency is how far the stage's output lags behind its input, in signal time.
	Latency() time.Duration
	// Mode says what the stage really does: "gate", "model", "yin", "bypass", ...
	Mode() string
}

// Source fills chunks with captured audio at its rate. Read blocks until a whole chunk is there;
// it sets Samples (len Hop at Rate), Frames, Captured and Discontinuous. It returns io.EOF after
// the last chunk and ctx.Err() when the context ends. One goroutine reads.
type Source interface {
	Rate() int
	Read(ctx context.Context, c *Chunk) error
	Close() error
}

// Sink takes converted chunks. Write may block (files, bounded queues) or never block (live
// edges, which drop the oldest and count it); it must not keep the chunk. One goroutine writes.
// Drain returns when what was written has been played or flushed.
type Sink interface {
	Rate() int
	Write(ctx context.Context, c *Chunk) error
	Drain(ctx context.Context) error
	Close() error
}

// Converter is what the conversion stage needs of a voice: one call per chunk. src holds a whole
// number of hops at the input rate, f0 one value in Hz a hop (0 = unvoiced), dst exactly as many
// hops at the output rate. It allocates nothing once warm; one goroutine calls it.
// Implemented by infer.Voice and infer.Passthrough sessions.
type Converter interface {
	InRate() int
	OutRate() int
	Latency() time.Duration
	Convert(dst, src, f0 []float32) error
	Reset()
}
