package daemon

import (
	"bytes"
	"io"
	"sync/atomic"
)

// lineQueue is a writer that never waits for the one behind it: a goroutine writes, and when too
// many lines are queued for it the oldest are dropped and counted. (zerolog's diode is the same
// with a poll every few milliseconds, and forgets a line that comes right before its Close.)
type lineQueue struct {
	lines   chan []byte
	dropped atomic.Uint64
	stop    chan struct{}
	done    chan struct{}
}

func newLineQueue(w io.Writer, size int) *lineQueue {
	q := &lineQueue{lines: make(chan []byte, size), stop: make(chan struct{}), done: make(chan struct{})}
	go q.run(w)
	return q
}

// Write queues a copy of a line. Any goroutine may write; after Close nothing comes out any more.
func (q *lineQueue) Write(line []byte) (int, error) {
	kept := bytes.Clone(line)
	for {
		select {
		case q.lines <- kept:
			return len(line), nil
		default:
		}
		select {
		case <-q.lines:
			q.dropped.Add(1)
		default:
		}
	}
}

// Close returns when all that was queued is written. It is called once.
func (q *lineQueue) Close() error {
	close(q.stop)
	<-q.done
	return nil
}

func (q *lineQueue) run(w io.Writer) {
	defer close(q.done)
	stop := q.stop
	for stop != nil || len(q.lines) > 0 {
		select {
		case line := <-q.lines:
			_, _ = w.Write(line) // where would one tell that the log fails?
		case <-stop:
			stop = nil // what is queued is still written
		}
	}
}
