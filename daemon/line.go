package daemon

import (
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// line is a client's connection, which may be lost and come back within a while. Its reader and its writer
// each hold on to the connection that they know, and come here when it fails.
type line struct {
	mu       sync.Mutex
	conn     *websocket.Conn // the newest
	patience time.Duration   // how long the client may be away; 0: not at all
	away     *time.Timer     // ends the line; nil while the client is there
	change   chan struct{}   // closed when a connection comes
	over     chan struct{}   // closed when none will come any more
	accepted uint64          // messages of the client that were taken in
	ended    bool
}

func newLine(conn *websocket.Conn) *line {
	return &line{conn: conn, change: make(chan struct{}), over: make(chan struct{})}
}

// begin lets the client return within so long from now on, and counts its messages.
func (l *line) begin(patience time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.patience, l.accepted = patience, 0
}

// newest is the connection to be used now.
func (l *line) newest() *websocket.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn
}

// isAway says whether the client is waited for.
func (l *line) isAway() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.away != nil
}

// accept counts a message that was read from a connection, unless the client has returned on another: then
// it was told already what had been taken in.
func (l *line) accept(conn *websocket.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if conn != l.conn {
		return false
	}
	l.accepted++
	return true
}

// lose tells that a connection has failed. It is closed, so that its other user notices.
func (l *line) lose(conn *websocket.Conn) {
	_ = conn.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	if conn != l.conn || l.away != nil || l.ended {
		return
	}
	if l.patience == 0 {
		l.endLocked()
		return
	}
	l.away = time.AfterFunc(l.patience, l.end)
}

// next waits for another connection than the one that has failed; nil when none comes.
func (l *line) next(failed *websocket.Conn) *websocket.Conn {
	l.lose(failed)
	for {
		l.mu.Lock()
		conn, change := l.conn, l.change
		l.mu.Unlock()
		if conn != failed {
			return conn
		}
		select {
		case <-change:
		case <-l.over:
			return nil
		}
	}
}

// take lets the client return on a new connection, also while the old one seems to be alive. It says how many
// of the client's messages were taken in until then.
func (l *line) take(conn *websocket.Conn) (accepted uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended || l.patience == 0 {
		return 0, false
	}
	if l.away != nil {
		if !l.away.Stop() {
			return 0, false // a moment too late
		}
		l.away = nil
	}
	_ = l.conn.Close()
	l.conn = conn
	close(l.change)
	l.change = make(chan struct{})
	return l.accepted, true
}

// end gives up waiting, now and for good. The connection stays as it is.
func (l *line) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endLocked()
}

func (l *line) endLocked() {
	if !l.ended {
		l.ended = true
		close(l.over)
	}
}
