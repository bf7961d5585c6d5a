package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/autovoiced/autovoiced/client/wire"
)

const (
	// retryFirst and retryMost are the pauses between two attempts to come back.
	retryFirst, retryMost = 20 * time.Millisecond, 500 * time.Millisecond
	// backlogBytes bounds what is kept of what was sent: more than the buffers of a connection hold.
	backlogBytes = 8 << 20
)

// resumable says whether the daemon waits for us when the connection is lost.
func (s *Stream) resumable() bool {
	ready := s.ready.Load()
	return !s.opts.NoResume && ready != nil && ready.ResumeSeconds > 0 && !s.closed.Load()
}

// lostError is a connection that broke, rather than one that was closed.
type lostError struct{ error }

func (e *lostError) Unwrap() error { return e.error }

func isLost(err error) bool {
	var lost *lostError
	return errors.As(err, &lost)
}

// link is the connection that is used now, and who waits for another one.
type link struct {
	mu     sync.Mutex
	conn   *websocket.Conn
	change chan struct{} // closed when there is another, or when there will be none
	err    error         // why there will be none
}

func (l *link) get() (*websocket.Conn, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn, l.change
}

func (l *link) set(conn *websocket.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.change != nil {
		close(l.change)
	}
	l.conn, l.change = conn, make(chan struct{})
}

// fail says that there will be no other connection; nil says nothing.
func (l *link) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && l.err == nil {
		l.err = err
		close(l.change)
		l.change = make(chan struct{})
	}
}

func (l *link) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// awaitReturn waits until Recv has made the connection again: only who receives knows what has come.
func (s *Stream) awaitReturn(ctx context.Context, failed *websocket.Conn, why error) error {
	if !s.resumable() {
		return why
	}
	patience := time.NewTimer(s.patience())
	defer patience.Stop()
	for {
		conn, change := s.link.get()
		if conn != failed {
			return nil
		}
		if s.link.failure() != nil {
			return why
		}
		select {
		case <-change:
		case <-patience.C:
			return why
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *Stream) patience() time.Duration {
	return time.Duration(s.ready.Load().ResumeSeconds * float64(time.Second))
}

// comeBack makes the connection again, and sends again what the daemon has not got.
func (s *Stream) comeBack(ctx context.Context, failed *websocket.Conn, why error) (*wire.Ready, error) {
	_ = failed.Close() // ends a send that hangs
	before, wait := s.ready.Load(), s.patience()
	patience, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for pause := retryFirst; ; pause = min(2*pause, retryMost) {
		conn, ready, err := s.attempt(patience, before)
		if err == nil {
			return ready, s.goOn(ctx, conn, ready)
		}
		var refused *wire.Error
		if errors.As(err, &refused) && !refused.Retryable {
			return nil, fmt.Errorf("client: come back: %w (%w)", refused, why)
		}
		select {
		case <-time.After(pause):
		case <-patience.Done():
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, fmt.Errorf("client: not back within %v: %w (%w)", wait, err, why)
		}
	}
}

func (s *Stream) attempt(ctx context.Context, before *wire.Ready) (*websocket.Conn, *wire.Ready, error) {
	conn, err := openStream(ctx, s.server, s.opts)
	if err != nil {
		return nil, nil, err
	}
	received := s.received
	ready, err := begin(ctx, conn, wire.Start{Resume: before.Session, Received: &received})
	if err == nil && ready.Resumed == nil {
		err = wire.Errorf(wire.CodeUnknownSession, "resume", "the daemon began another stream")
	}
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return conn, ready, nil
}

// goOn uses a connection from now on. What did not arrive is sent again from a goroutine of its own, because the replies
// to it must be read meanwhile; until that is done, nobody else has the turn.
func (s *Stream) goOn(ctx context.Context, conn *websocket.Conn, ready *wire.Ready) error {
	if err := s.take(ctx); err != nil {
		_ = conn.Close()
		return err
	}
	again, gap := s.sent.after(ready.Resumed.Accepted)
	if gap > 0 && !s.opts.Raw {
		for _, m := range again {
			if m.kind == websocket.BinaryMessage {
				m.data[1] |= byte(wire.FlagDiscontinuity)
				break
			}
		}
	}
	s.ready.Store(ready)
	s.link.set(conn)
	if s.closed.Load() {
		_ = conn.Close()
	}
	s.stats.returns.Add(1)
	go func() {
		defer s.give()
		for _, m := range again {
			if conn.WriteMessage(m.kind, m.data) != nil {
				return // Recv notices
			}
		}
	}()
	return nil
}

// message is one that was sent.
type message struct {
	kind int
	data []byte
}

// backlog is what was sent last, in order.
type backlog struct {
	list  []message
	bytes int
	count uint64 // of all that was ever sent
	free  [][]byte
}

func (b *backlog) add(kind int, data []byte) {
	for len(b.list) > 0 && b.bytes+len(data) > backlogBytes {
		b.bytes -= len(b.list[0].data)
		b.free = append(b.free, b.list[0].data)
		b.list = b.list[1:]
	}
	var kept []byte
	if n := len(b.free); n > 0 {
		kept, b.free = b.free[n-1][:0], b.free[:n-1]
	}
	b.list = append(b.list, message{kind, append(kept, data...)})
	b.bytes += len(data)
	b.count++
}

// after gives what was sent after so many messages, and how many of those are not kept any more.
func (b *backlog) after(accepted uint64) (again []message, gap uint64) {
	oldest := b.count - uint64(len(b.list))
	if accepted < oldest {
		gap, accepted = oldest-accepted, oldest
	}
	return b.list[min(accepted, b.count)-oldest:], gap
}
