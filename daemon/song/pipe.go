package song

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"golang.org/x/sync/errgroup"
)

// block is a piece of a signal: as many frames of each channel.
type block struct{ channels [][]float32 }

func (b *block) frames() int { return len(b.channels[0]) }

// resize makes room for so many frames; what they hold is not defined.
func (b *block) resize(channels, frames int) {
	for len(b.channels) < channels {
		b.channels = append(b.channels, nil)
	}
	for c := range b.channels {
		if cap(b.channels[c]) < frames {
			b.channels[c] = make([]float32, frames)
		}
		b.channels[c] = b.channels[c][:frames]
	}
}

// pipeBlocks is how many blocks there are in a pipe: so far may its writer be ahead.
const pipeBlocks = 4

// pipe carries blocks from one stage to another. A block belongs to the writer from take to send, and to the reader from
// next to give. Who must wait is not busy until the other has made it possible to go on, by the clock.
type pipe struct {
	clock  *clock
	mu     sync.Mutex
	full   []*block
	closed bool
	empty  []*block
	writer pipeEnd
	reader pipeEnd
}

// pipeEnd is who writes or reads.
type pipeEnd struct {
	stage stage
	waits bool
	wake  chan struct{}
}

func (j *job) newPipe(from, to stage) *pipe {
	p := &pipe{
		clock:  j.clock,
		writer: pipeEnd{stage: from, wake: make(chan struct{}, 1)}, reader: pipeEnd{stage: to, wake: make(chan struct{}, 1)},
	}
	for range pipeBlocks {
		p.empty = append(p.empty, new(block))
	}
	return p
}

// take is a block to fill; nil when the context has ended.
func (p *pipe) take(ctx context.Context) *block {
	for {
		p.mu.Lock()
		if n := len(p.empty); n > 0 {
			b := p.empty[n-1]
			p.empty = p.empty[:n-1]
			p.mu.Unlock()
			return b
		}
		p.rest(&p.writer)
		p.mu.Unlock()
		if !p.writer.wait(ctx) {
			return nil
		}
	}
}

// send gives the block to the reader.
func (p *pipe) send(b *block) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.full = append(p.full, b)
	p.rouse(&p.reader)
}

// close says that no more follows. The writer calls it, once.
func (p *pipe) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.rouse(&p.reader)
}

// next is the next block; nil after the last and when the context has ended.
func (p *pipe) next(ctx context.Context) *block {
	for ctx.Err() == nil {
		p.mu.Lock()
		if len(p.full) > 0 {
			b := p.full[0]
			p.full = p.full[:copy(p.full, p.full[1:])]
			p.mu.Unlock()
			return b
		}
		if p.closed {
			p.mu.Unlock()
			return nil
		}
		p.rest(&p.reader)
		p.mu.Unlock()
		p.reader.wait(ctx)
	}
	return nil
}

// give returns a block to the writer.
func (p *pipe) give(b *block) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.empty = append(p.empty, b)
	p.rouse(&p.writer)
}

func (p *pipe) rest(e *pipeEnd) {
	e.waits = true
	p.clock.leave(e.stage)
}

func (p *pipe) rouse(e *pipeEnd) {
	if !e.waits {
		return
	}
	e.waits = false
	p.clock.enter(e.stage)
	e.wake <- struct{}{} // holds one, and nobody waits for more
}

func (e *pipeEnd) wait(ctx context.Context) bool {
	select {
	case <-e.wake:
		return true
	case <-ctx.Done():
		return false
	}
}

// actor is what one goroutine does, on behalf of a stage.
type actor struct {
	stage stage
	do    func(context.Context) error
}

// together runs all at the same time; the first error, or panic, ends the others and is what it returns.
func (j *job) together(ctx context.Context, actors ...actor) error {
	group, inner := errgroup.WithContext(ctx)
	for _, a := range actors {
		j.clock.enter(a.stage)
		group.Go(func() (err error) {
			defer func() {
				if fault := recover(); fault != nil {
					err = fmt.Errorf("panic: %v\n%s", fault, debug.Stack())
				}
				j.clock.leave(a.stage)
			}()
			return a.do(inner)
		})
	}
	err := group.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
