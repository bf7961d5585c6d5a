package stream

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Config is the stream section of the configuration.
type Config struct {
	// Queue is how many chunks wait between two stages at most. More rides out longer hiccups of
	// one stage; each may add a chunk of delay before backpressure reaches the capture ring.
	Queue int `yaml:"queue" json:"queue"`
}

// MaxQueue bounds Config.Queue.
const MaxQueue = 64

// DefaultConfig returns the values that the daemon starts with.
func DefaultConfig() Config { return Config{Queue: 2} }

// Validate says which key is out of range.
func (c Config) Validate() error {
	if c.Queue < 1 || c.Queue > MaxQueue {
		return fmt.Errorf("queue: %d is out of range, allowed: 1 to %d chunks", c.Queue, MaxQueue)
	}
	return nil
}

// Options say what a Pipeline is made of.
type Options struct {
	Source Source
	Stages []Stage // in order; at most 8
	Sink   Sink

	InRate  int // Hz that the first stage takes; a source of another rate is resampled
	OutRate int // Hz that the last stage gives; a sink of another rate is resampled to
	Hop     int // frames at InRate of each chunk; 0: 10 ms

	Queue int // chunks a queue holds; 0: the default
	// Inline runs everything in one goroutine, a chunk at a time from source to sink. A machine that serves many pipelines
	// has no use for more of them each, and every queue between two goroutines costs two wake-ups a chunk.
	Inline bool
	Clock  Clock   // nil: the machine's
	Ledger *Ledger // nil: the source's or sink's own, else a new one

	Tap *Tap // hears what is delivered; may be nil

	Profile        ProfilingFunc
	OnProfileFault func(error) // hears, at most once a second, that Profile panicked; may be nil
}

// StageError is a stage's failure or panic; it ended the Run.
type StageError struct {
	Stage string
	Err   error
}

func (e *StageError) Error() string { return "stage " + e.Stage + ": " + e.Err.Error() }

// Unwrap is the stage's own error.
func (e *StageError) Unwrap() error { return e.Err }

// Pipeline moves chunks from a Source through stages to a Sink, one goroutine each, with bounded
// blocking queues between. It runs once.
//
// Time is kept exactly: the stages' latency, in output frames rounded to the nearest, is dropped
// at the start and made up with silence at the end, so output frame n stands for the input at time
// n/rate, and n input frames give n·out/in output frames rounded to the nearest, halves up,
// however the source cuts them. Frames lost before they were read shorten both sides alike.
type Pipeline struct {
	opt      Options
	clock    Clock
	ledger   *Ledger
	stats    Stats
	profiler *profiler
	latency  time.Duration
	intake   *intake
	outlet   *outlet

	queues []chan *Chunk // queues[i] leads to stage i, the last to the outlet
	pool   chan *Chunk
	inside int // inline: the stage that works now, or -1
	ran    atomic.Bool
}

// New checks the options and builds the pipeline. It starts nothing.
func New(opt Options) (*Pipeline, error) {
	if opt.Hop == 0 {
		opt.Hop = opt.InRate / 100
	}
	if opt.Queue == 0 {
		opt.Queue = DefaultConfig().Queue
	}
	if opt.Clock == nil {
		opt.Clock = NewClock()
	}
	if err := opt.validate(); err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	p := &Pipeline{opt: opt, clock: opt.Clock, inside: -1}
	if err := p.chooseLedger(); err != nil {
		return nil, fmt.Errorf("pipeline: %w", err)
	}
	names := make([]string, len(opt.Stages))
	for i, s := range opt.Stages {
		names[i] = s.Name()
		p.latency += s.Latency()
	}
	p.stats.stages = make([]stageStats, len(opt.Stages))
	p.profiler = newProfiler(opt.Profile, opt.OnProfileFault, names)
	p.intake, p.outlet = newIntake(p), newOutlet(p)

	queues := len(opt.Stages) + 1
	for range queues {
		p.queues = append(p.queues, make(chan *Chunk, opt.Queue))
	}
	// Every queue full and every goroutine with one in hand: the intake never waits for the pool.
	chunks := queues*opt.Queue + queues + 1
	p.pool = make(chan *Chunk, chunks)
	for range chunks {
		p.pool <- new(Chunk)
	}
	return p, nil
}

func (o *Options) validate() error {
	switch {
	case o.Source == nil || o.Sink == nil:
		return errors.New("a source and a sink are needed")
	case len(o.Stages) > maxStages:
		return fmt.Errorf("%d stages, at most %d are possible", len(o.Stages), maxStages)
	case o.Hop < 1:
		return fmt.Errorf("hop of %d frames, at least 1 is needed", o.Hop)
	}
	names := [...]string{"source", "input", "output", "sink"}
	for i, rate := range [...]int{o.Source.Rate(), o.InRate, o.OutRate, o.Sink.Rate()} {
		if rate < MinRate || rate > MaxRate {
			return fmt.Errorf("%s rate of %d Hz, allowed: %d to %d", names[i], rate, MinRate, MaxRate)
		}
	}
	return Config{Queue: o.Queue}.Validate()
}

// chooseLedger finds the one ledger that everybody books in.
func (p *Pipeline) chooseLedger() error {
	p.ledger = p.opt.Ledger
	for _, edge := range []any{p.opt.Source, p.opt.Sink} {
		a, ok := edge.(Accountant)
		if !ok || a.Ledger() == nil {
			continue
		}
		if p.ledger == nil {
			p.ledger = a.Ledger()
		}
		if p.ledger != a.Ledger() {
			return fmt.Errorf("%T books in another ledger than the pipeline", edge)
		}
	}
	if p.ledger == nil {
		p.ledger = new(Ledger)
	}
	return nil
}

// Ledger is where the session's frames are booked.
func (p *Pipeline) Ledger() *Ledger { return p.ledger }

// Latency is how far the stages' output lags behind their input: the algorithmic delay, without
// the resamplers' look-ahead and the length of a hop.
func (p *Pipeline) Latency() time.Duration { return p.latency }

// Run moves audio until the source ends, all of it is through and the sink has drained; or until
// ctx ends, which abandons what is on its way (booked as Aborted) and is returned as ctx's error;
// or until something fails or panics: the first error is returned, a stage's as a *StageError.
// No goroutine outlives it. It closes neither source nor sink; after an error they are not to be
// used again, because what they hold has been booked as Aborted.
func (p *Pipeline) Run(ctx context.Context) error {
	if p.ran.Swap(true) {
		return errors.New("pipeline: Run was called before; a pipeline runs once")
	}
	run, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.profiler.start()

	if p.opt.Inline {
		if err := guard(func() error { return p.runInline(run) }); err != nil {
			if p.inside >= 0 {
				err = &StageError{Stage: p.opt.Stages[p.inside].Name(), Err: err}
			}
			cancel(err)
		}
	} else {
		p.runStages(run, cancel)
	}
	p.profiler.stop()

	err := ctx.Err()
	if err == nil {
		err = context.Cause(run)
	}
	if err != nil {
		p.ledger.Settle(Aborted)
	}
	return err
}

// runStages is a goroutine for each stage.
func (p *Pipeline) runStages(run context.Context, cancel context.CancelCauseFunc) {
	var all sync.WaitGroup
	actor := func(name string, body func() error) {
		all.Go(func() {
			if err := guard(body); err != nil {
				if name != "" {
					err = &StageError{Stage: name, Err: err}
				}
				cancel(err) // the first one's counts
			}
		})
	}
	actor("", func() error {
		defer close(p.queues[0])
		return p.intake.run(run)
	})
	for i, stage := range p.opt.Stages {
		actor(stage.Name(), func() error {
			defer close(p.queues[i+1])
			return p.work(run, i, stage)
		})
	}
	actor("", func() error { return p.outlet.run(run, p.queues[len(p.opt.Stages)]) })
	all.Wait()
}

// runInline is one goroutine for all.
func (p *Pipeline) runInline(ctx context.Context) error {
	if err := p.intake.run(ctx); err != nil {
		return err
	}
	return p.outlet.finish(ctx)
}

// pass gives a chunk to the stages.
func (p *Pipeline) pass(ctx context.Context, c *Chunk) error {
	if !p.opt.Inline {
		return send(ctx, p.queues[0], c)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for i, stage := range p.opt.Stages {
		p.inside = i
		if err := p.process(i, stage, c); err != nil {
			return err
		}
	}
	p.inside = -1
	return p.outlet.take(ctx, c)
}

// process is what a stage does to a chunk, with its marks.
func (p *Pipeline) process(i int, stage Stage, c *Chunk) error {
	at := &c.marks.stages[i]
	at.take = p.clock.Now()
	if c.Discontinuous {
		stage.Reset()
	}
	if err := stage.Process(c); err != nil {
		return err
	}
	at.done = p.clock.Now()
	return nil
}

// work is the life of stage i's goroutine.
func (p *Pipeline) work(ctx context.Context, i int, stage Stage) error {
	in, out := p.queues[i], p.queues[i+1]
	for c := range in {
		if ctx.Err() != nil {
			return nil
		}
		if err := p.process(i, stage, c); err != nil {
			return err
		}
		if err := send(ctx, out, c); err != nil {
			return nil
		}
	}
	return nil
}

// send gives a chunk away, or gives up when the context ends.
func send(ctx context.Context, to chan<- *Chunk, c *Chunk) error {
	select { // cheaper than the select on two channels, and nearly always enough
	case to <- c:
		return nil
	default:
	}
	select {
	case to <- c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Pipeline) take(ctx context.Context) (*Chunk, error) {
	select {
	case c := <-p.pool:
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *Pipeline) give(c *Chunk) { p.pool <- c }

// guard turns a panic into an error.
func guard(body func() error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("panic: %v\n%s", fault, debug.Stack())
		}
	}()
	return body()
}

// Snapshot is the pipeline's state now. Any goroutine may ask at any time; audio never waits.
func (p *Pipeline) Snapshot() Snapshot {
	s := Snapshot{
		Stages:  make([]StageSnapshot, len(p.opt.Stages)),
		Latency: p.latency, QueueCap: p.opt.Queue, SinkQueue: len(p.queues[len(p.opt.Stages)]),
		Ledger: p.ledger.Snapshot(), Profiling: p.profiler.snapshot(),
	}
	for i, stage := range p.opt.Stages {
		s.Stages[i] = StageSnapshot{
			Name: stage.Name(), Mode: stage.Mode(), Latency: stage.Latency(), Queue: len(p.queues[i]),
		}
	}
	p.stats.fill(&s, p.clock.Now())
	s.Source, s.Sink = edgeOf(p.opt.Source), edgeOf(p.opt.Sink)
	return s
}

func edgeOf(edge any) *EdgeSnapshot {
	r, ok := edge.(EdgeReporter)
	if !ok {
		return nil
	}
	s := r.Edge()
	return &s
}
