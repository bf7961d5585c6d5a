package song

import (
	"context"
	"errors"
	"io"
)

// feed is a signal on its way into the mixer: at the result's rate, as much of it as is asked for, with silence after its end.
type feed struct {
	j      *job
	source puller
	rails  []rail
	queues []queue
	ended  bool
}

// puller gives a signal piece by piece: nil after the last, valid until the next pull.
type puller interface {
	pull(ctx context.Context) ([][]float32, error)
	close() error
}

func newFeed(j *job, source puller, channels, from, to int) *feed {
	return &feed{j: j, source: source, rails: newRails(channels, from, to), queues: make([]queue, channels)}
}

// fill waits until there are n frames.
func (f *feed) fill(ctx context.Context, n int) error {
	for !f.ended && f.queues[0].len() < n {
		piece, err := f.source.pull(ctx)
		if err != nil {
			return err
		}
		for c := range f.queues {
			q := &f.queues[c]
			if piece == nil {
				q.set(f.rails[c].finish(q.tail()))
			} else {
				q.set(f.rails[c].carry(q.tail(), piece[c]))
			}
		}
		f.ended = piece == nil
	}
	for c := range f.queues {
		q := &f.queues[c]
		if lacks := n - q.len(); lacks > 0 {
			q.set(append(q.tail(), make([]float32, lacks)...))
		}
	}
	return nil
}

// exhaust waits for the signal's end and forgets what comes until then.
func (f *feed) exhaust(ctx context.Context) error {
	for !f.ended {
		piece, err := f.source.pull(ctx)
		if err != nil {
			return err
		}
		f.ended = piece == nil
	}
	return nil
}

func (f *feed) drop(n int) {
	for c := range f.queues {
		f.queues[c].drop(n)
	}
}

// fromRecording pulls from a recording.
type fromRecording struct {
	j *job
	recording
	block block
}

func (p *fromRecording) pull(ctx context.Context) ([][]float32, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.block.resize(p.j.channels, p.j.piece)
	n, err := p.read(p.block.channels)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p.block.resize(p.j.channels, n)
	return p.block.channels, nil
}

// fromPipe pulls what another goroutine makes.
type fromPipe struct {
	*pipe
	held *block
}

func (p *fromPipe) pull(ctx context.Context) ([][]float32, error) {
	if p.held != nil {
		p.give(p.held)
	}
	if p.held = p.next(ctx); p.held == nil {
		return nil, ctx.Err()
	}
	return p.held.channels, nil
}

func (p *fromPipe) close() error { return nil }

// fromNothing is a signal of silence.
type fromNothing struct{}

func (fromNothing) pull(context.Context) ([][]float32, error) { return nil, nil }
func (fromNothing) close() error                              { return nil }
