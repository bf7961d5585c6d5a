package daemon

import (
	"errors"

	"github.com/gorilla/websocket"

	"github.com/autovoiced/autovoiced/client/wire"
)

const (
	// replayMessages and replayBytes bound what is kept of what was sent, for a client that returns: more than
	// can be on its way, and a second of the largest audio.
	replayMessages, replayBytes = 256, 256 << 10
)

// replay is what was sent last, in order.
type replay struct {
	ring  [replayMessages]reply
	first int // the oldest's place
	held  int
	bytes int
	count uint64 // of all that was ever sent
}

// add keeps one more; buffers of audio that have to go for it are appended to free.
func (p *replay) add(r reply, free [][]byte) [][]byte {
	for p.held == len(p.ring) || p.held > 0 && p.bytes+len(r.data) > replayBytes {
		oldest := &p.ring[p.first]
		if oldest.kind == websocket.BinaryMessage {
			free = append(free, oldest.data)
		}
		p.bytes -= len(oldest.data)
		*oldest = reply{}
		p.first = (p.first + 1) % len(p.ring)
		p.held--
	}
	p.ring[(p.first+p.held)%len(p.ring)] = r
	p.held++
	p.bytes += len(r.data)
	p.count++
	return free
}

// after gives what was sent after so many messages, oldest first, and how many of them are not held any more.
func (p *replay) after(received uint64) (again []*reply, lost uint64) {
	oldest := p.count - uint64(p.held)
	if received < oldest {
		lost, received = oldest-received, oldest
	}
	for n := received; n < p.count; n++ {
		again = append(again, &p.ring[(p.first+int(n-oldest))%len(p.ring)])
	}
	return again, lost
}

// homecoming is a client that has returned on another connection.
type homecoming struct {
	conn *websocket.Conn
	// received is how many messages it has got; nil: it does not want any again.
	received *uint64
	// ready is what to say first, given how many messages are lost.
	ready func(lost uint64) *wire.Ready
}

// returned tells the writer that the client is there again.
func (o *outbox) returned(h *homecoming) {
	o.mu.Lock()
	o.home = h
	o.mu.Unlock()
	signal(o.wake)
}

func (o *outbox) comeHome() *homecoming {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.home
	o.home = nil
	return h
}

// waitForReturn gives up the connection and waits until the client is there again on another. One that is there
// and does not read is not waited for.
func (o *outbox) waitForReturn() bool {
	if errors.Is(o.err, errStalled) {
		return false
	}
	o.line.lose(o.conn)
	for {
		o.mu.Lock()
		home := o.home != nil
		o.mu.Unlock()
		if home {
			o.err = nil
			return true
		}
		select {
		case <-o.wake:
		case <-o.line.over:
			return false
		}
	}
}

// welcome says ready and sends again what the client has not got.
func (o *outbox) welcome(h *homecoming) error {
	o.conn = h.conn
	var again []*reply
	var lost uint64
	if h.received != nil {
		again, lost = o.sent.after(*h.received)
	}
	data, err := wire.Encode(h.ready(lost))
	if err != nil {
		return err
	}
	if err := o.transmit(websocket.TextMessage, data); err != nil {
		return err
	}
	for i, r := range again {
		if i == 0 && lost > 0 && r.header {
			r.data[1] |= byte(wire.FlagDiscontinuity)
		}
		if err := o.transmit(r.kind, r.data); err != nil {
			return err
		}
	}
	return nil
}
