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
// A returned error ends the session that the stage belongs to; so does a panic. Name, Latency and
// Mode may be called from any goroutine at any time; Latency stays the same while a pipeline runs.
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
// it sets Samples (any number from 1; the pipeline cuts its own hops), Rate, Frames (the input
// frames that Samples stand for), Captured and Discontinuous, and keeps no reference to them. A
// Source that does not know when its audio was captured leaves Captured as it finds it: the moment
// of the call. It returns io.EOF after the last chunk, again at every later call, and ctx.Err()
// promptly when the context ends. One goroutine reads. Close may come from another goroutine and
// more than once: what is captured can still be read, then Read returns io.EOF.
type Source interface {
	Rate() int
	Read(ctx context.Context, c *Chunk) error
	Close() error
}

// Wanter is a live Source that gives as much as the pipeline lacks for its next hop. A resampler
// needs frames beyond a hop before it can complete it: in whole chunks, each hop would wait for all
// of the next chunk because of the few frames of it that it needs. The reader calls Want before Read.
type Wanter interface {
	Want(frames int)
}

// Sink takes converted chunks. Write may block (files, bounded queues) or never block (live
// edges, which drop and count it); it must not keep or change the chunk or its slices. It returns
// ctx.Err() promptly when the context ends while it blocks. One goroutine writes.
// Drain returns when what was written has been played or flushed. Close may be called twice.
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

// Accountant is a Source or Sink that books its frames in a Ledger itself, because it knows better
// than the pipeline when they come in or go out. A Source books frames in and what it loses; a
// Sink books out or drops exactly Chunk.Frames for each chunk it is given.
type Accountant interface {
	Ledger() *Ledger
}

// EdgeReporter is a Source or Sink with a queue and faults of its own to report. Edge may be
// called from any goroutine and delays nobody.
type EdgeReporter interface {
	Edge() EdgeSnapshot
}

// EdgeSnapshot is the state of a live edge. Fields that do not apply are 0.
type EdgeSnapshot struct {
	Rate       int     `json:"rate"`
	Queued     int     `json:"queued_frames"` // held now, at Rate
	Target     int     `json:"target_frames"` // level that playout aims at
	Capacity   int     `json:"capacity_frames"`
	Lost       uint64  `json:"lost_frames"` // overwritten before they were read
	Gaps       uint64  `json:"gaps"`        // overruns and other breaks in the captured signal
	Underruns  uint64  `json:"underruns"`   // times that playout ran dry
	Silence    uint64  `json:"silence_frames"`
	CatchUps   uint64  `json:"catch_ups"`
	CaughtUp   uint64  `json:"caught_up_frames"`
	DriftPPM   float64 `json:"drift_ppm"`
	BadSamples uint64  `json:"bad_samples"`
}
