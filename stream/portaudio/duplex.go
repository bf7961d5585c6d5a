package portaudio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/autovoiced/autovoiced/stream"
)

// ErrRateChanged ends the Source of a Duplex whose device came back at another sample rate: open a
// new Duplex and pipeline.
var ErrRateChanged = errors.New("the sound device came back at another sample rate")

// State is what a Duplex is doing.
type State string

// The states.
const (
	Running State = "running"
	Lost    State = "lost"   // trying to open the device again
	Hung    State = "hung"   // the same, but a call into PortAudio has not come back
	Failed  State = "failed" // see ErrRateChanged
	Closed  State = "closed"
)

// Options are what the rest of the program gives a Duplex.
type Options struct {
	Clock  stream.Clock   // of the pipeline; nil: one of its own
	Chunk  time.Duration  // length of the chunks that the pipeline moves; 0: 10 ms
	Ledger *stream.Ledger // nil: one of its own, which both edges report
	// Notify hears of each change of state, and why. It is called from one goroutine at a time, not
	// from the callback; a slow one delays reconnection only.
	Notify func(State, error)
}

// Duplex is the sound card: a Source of what it captures and a Sink for what it plays, both mono
// and at the device's rate. It lives through the loss of the device. To stop without losing the
// tail, close the Source, let the pipeline drain, then close the Duplex.
type Duplex struct {
	cfg    Config
	opt    Options
	offset time.Duration // opt.Clock minus CLOCK_MONOTONIC
	edges  edges
	quit   context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex // guards what follows; never held during a call into PortAudio
	link   *link      // nil while lost
	state  State
	fault  error
	first  Opening // of the latest link
	past   tally   // of links that have ended
	losses uint64
	back   uint64
}

// Open opens and starts the devices that cfg names. It returns when audio flows.
func Open(ctx context.Context, cfg Config, opt Options) (*Duplex, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("sound: %w", err)
	}
	if opt.Clock == nil {
		opt.Clock = stream.NewClock()
	}
	if opt.Chunk == 0 {
		opt.Chunk = 10 * time.Millisecond
	}
	if opt.Ledger == nil {
		opt.Ledger = new(stream.Ledger)
	}
	d := &Duplex{cfg: cfg, opt: opt, offset: clockOffset(opt.Clock), done: make(chan struct{}), state: Running}
	l, err := d.connect(d.build)
	if err != nil {
		return nil, fmt.Errorf("sound: %w", err)
	}
	d.link, d.first = l, l.opening
	if err := d.flows(ctx); err != nil {
		return nil, fmt.Errorf("sound: %w", errors.Join(err, d.disconnect()))
	}
	run, quit := context.WithCancel(context.Background())
	d.quit = quit
	go d.supervise(run)
	return d, nil
}

// build makes the edges for what is about to be opened.
func (d *Duplex) build(o Opening) (edges, error) {
	var e edges
	rate, chunk := o.Rate, stream.TimeToFrames(d.opt.Chunk, o.Rate)
	capacity := max(stream.TimeToFrames(d.cfg.Buffer, rate), 4*chunk)
	if o.Input != nil {
		e.source = stream.NewRingSource(rate, capacity, chunk, d.opt.Ledger)
	}
	if o.Output != nil {
		target := chunk + stream.TimeToFrames(d.cfg.Slack, rate)
		sink, err := stream.NewRingSink(stream.RingSinkConfig{
			Rate: rate, DeviceRate: rate, Capacity: capacity + target, Target: target, Chunk: chunk,
			Drift: !o.Duplex, CatchUp: true, Ledger: d.opt.Ledger,
		})
		if err != nil {
			return e, err
		}
		e.sink = sink
	}
	d.edges = e
	return e, nil
}

// reuse gives the edges to a device that has come back.
func (d *Duplex) reuse(o Opening) (edges, error) {
	if o.Rate != d.first.Rate {
		return edges{}, fmt.Errorf("%w: %d Hz, was %d Hz", ErrRateChanged, o.Rate, d.first.Rate)
	}
	if d.edges.source != nil {
		d.edges.source.MarkGap() // no callback runs now
	}
	return d.edges, nil
}

// connect opens a link in the lane; one that comes too late is ended there.
func (d *Duplex) connect(attach func(Opening) (edges, error)) (*link, error) {
	return enter(paLane, d.cfg.Deadline, func(step func(string)) (*link, error) {
		if err := acquire(step); err != nil {
			return nil, err
		}
		l, err := openLink(step, d.cfg, d.offset, attach)
		if err != nil {
			release(step)
			return nil, err
		}
		return l, nil
	}, func(l *link) {
		l.end(noStep)
		release(noStep)
	})
}

func noStep(string) {}

// disconnect ends the link, if there is one. The error says that the device has not let go yet.
func (d *Duplex) disconnect() error {
	d.mu.Lock()
	l := d.link
	d.link = nil // from here on nobody reads its counters
	if l != nil {
		d.past.add(l)
	}
	d.mu.Unlock()
	if l == nil {
		return paLane.quarantine() // perhaps with what was ours still inside
	}
	_, err := enter(paLane, d.cfg.Deadline, func(step func(string)) (struct{}, error) {
		l.end(step)
		release(step)
		return struct{}{}, nil
	}, nil)
	return err
}

// flows waits until callbacks come, and sets the playout's level by their size.
func (d *Duplex) flows(ctx context.Context) error {
	const enough = 3
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	limit := time.NewTimer(d.cfg.Deadline)
	defer limit.Stop()
	for {
		d.mu.Lock()
		least, period := d.link.progress()
		d.mu.Unlock()
		if least >= enough {
			if sink := d.edges.sink; sink != nil {
				rate := d.first.Rate
				sink.SetTarget(stream.TimeToFrames(d.opt.Chunk+d.cfg.Slack, rate) + period)
			}
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return fmt.Errorf("%s opened, but did not call back within %s", d.first, d.cfg.Deadline)
		}
	}
}

// Source is what the device captures; nil without an input.
func (d *Duplex) Source() stream.Source {
	if d.edges.source == nil {
		return nil
	}
	return &source{d.edges.source, d}
}

// Sink is what the device plays; nil without an output.
func (d *Duplex) Sink() stream.Sink {
	if d.edges.sink == nil {
		return nil
	}
	return d.edges.sink
}

// Opening says what is open, or was when the device was lost.
func (d *Duplex) Opening() Opening {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.first
}

// Close stops the devices and ends the Source. It waits for PortAudio at most twice the deadline;
// the error says that a call into it has not come back. It may be called twice.
func (d *Duplex) Close() error {
	d.quit()
	<-d.done
	d.closeEdges()
	err := d.disconnect()
	d.set(Closed, err)
	return err
}

func (d *Duplex) closeEdges() {
	if d.edges.source != nil {
		d.edges.source.Close()
	}
	if d.edges.sink != nil {
		d.edges.sink.Close()
	}
}

// source ends with the reason why its device is not coming back.
type source struct {
	*stream.RingSource
	d *Duplex
}

// Read implements stream.Source.
func (s *source) Read(ctx context.Context, c *stream.Chunk) error {
	err := s.RingSource.Read(ctx, c)
	if errors.Is(err, io.EOF) {
		s.d.mu.Lock()
		defer s.d.mu.Unlock()
		if s.d.state == Failed {
			return s.d.fault
		}
	}
	return err
}
