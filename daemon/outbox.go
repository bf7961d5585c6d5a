package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/autovoiced/autovoiced/client/wire"
)

const (
	// replyQueue is how many audio replies wait for the network before the oldest is dropped, or
	// conversion waits: half a second of chunks.
	replyQueue = 50
	// sendBuffer is the kernel's share of that: without a bound it would hide seconds of stale audio.
	sendBuffer = 128 << 10
	pingEvery  = 10 * time.Second
	// lossEvery is how often a client is told of dropped replies: told of each, it would get nothing else.
	lossEvery = time.Second
)

// Why a connection cannot be written to any more.
var (
	errStalled    = errors.New("the client does not read")
	errUnwritable = errors.New("the client cannot be reached")
)

// outbox is everything on its way to one client. Its writer goroutine is the only one that writes to the
// connection. Text waits for its turn and is never dropped; audio is bounded, and what happens when it is
// full is the caller's choice with each put; of timings only the latest is kept.
type outbox struct {
	conn  *websocket.Conn // the writer's
	line  *line
	stall time.Duration
	sent  replay // the writer's

	// Frames of input that replies stood for: written, dropped for a slow client, left when it went.
	delivered, dropped, abandoned atomic.Uint64

	mu      sync.Mutex
	queue   []reply
	audio   int    // audio in queue, and in the writer's hand
	lost    uint64 // since the client was told
	told    time.Time
	timing  []byte
	home    *homecoming // of a client that was away
	free    [][]byte
	closing bool

	wake chan struct{} // something to write
	room chan struct{} // something was written
	dead chan struct{} // the writer has returned
	err  error         // why, to be read once dead is closed
}

// reply is one message: audio that stands for frames of input, or text, or the close frame.
type reply struct {
	kind   int // of the socket library
	data   []byte
	frames int
	header bool // data begins with an audio header
	counts bool // among the messages that a client says it has received
}

func newOutbox(l *line, stall time.Duration) *outbox {
	o := &outbox{
		conn: l.newest(), line: l, stall: stall,
		wake: make(chan struct{}, 1), room: make(chan struct{}, 1), dead: make(chan struct{}),
	}
	go o.run()
	return o
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// post queues a message.
func (o *outbox) post(m wire.Message) {
	data, err := wire.Encode(m)
	if err != nil { // a number that is not finite in a message of ours
		data, _ = wire.Encode(wire.Errorf(wire.CodeInternal, "", "%v", err))
	}
	_, ready := m.(*wire.Ready)
	o.mu.Lock()
	if !o.closing {
		o.queue = append(o.queue, reply{kind: websocket.TextMessage, data: data, counts: !ready})
	}
	o.mu.Unlock()
	signal(o.wake)
}

// push replaces the timings that wait.
func (o *outbox) push(m wire.Message) {
	data, err := wire.Encode(m)
	if err != nil {
		return
	}
	o.mu.Lock()
	o.timing = data
	o.mu.Unlock()
	signal(o.wake)
}

// finish queues the close frame, after which nothing is taken any more.
func (o *outbox) finish(code int, reason string) {
	o.mu.Lock()
	if !o.closing {
		o.queue = append(o.queue, reply{kind: websocket.CloseMessage, data: websocket.FormatCloseMessage(code, reason)})
		o.closing = true
	}
	o.mu.Unlock()
	signal(o.wake)
}

// leave ends the writer when it has sent what is queued, and leaves the connection open.
func (o *outbox) leave() {
	o.mu.Lock()
	o.queue = append(o.queue, reply{kind: handOver})
	o.closing = true
	o.mu.Unlock()
	signal(o.wake)
	<-o.dead
}

// put queues audio made by fill, which appends to the buffer it is given. When the queue is full it
// drops the oldest audio, or with wait waits for room.
func (o *outbox) put(ctx context.Context, frames int, header, wait bool, fill func(dst []byte) []byte) error {
	if wait {
		if err := o.await(ctx, replyQueue-1); err != nil {
			return err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing {
		o.abandoned.Add(uint64(frames))
		return nil
	}
	for o.audio >= replyQueue && o.dropOldest() {
	}
	var buf []byte
	if n := len(o.free); n > 0 {
		buf, o.free = o.free[n-1][:0], o.free[:n-1]
	}
	o.queue = append(o.queue, reply{kind: websocket.BinaryMessage, data: fill(buf), frames: frames, header: header, counts: true})
	o.audio++
	signal(o.wake)
	return nil
}

// await waits until at most n audio replies are on their way.
func (o *outbox) await(ctx context.Context, n int) error {
	for {
		select {
		case <-o.dead:
			return o.failure()
		default:
		}
		o.mu.Lock()
		pending := o.audio
		o.mu.Unlock()
		if pending <= n {
			return nil
		}
		select {
		case <-o.room:
		case <-o.dead:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// failure is why the writer has returned.
func (o *outbox) failure() error {
	if o.err != nil {
		return o.err
	}
	return errUnwritable
}

// dropOldest drops the first audio of the queue and marks the next as discontinuous.
func (o *outbox) dropOldest() bool {
	for i, r := range o.queue {
		if r.kind != websocket.BinaryMessage {
			continue
		}
		o.dropped.Add(uint64(r.frames))
		o.free = append(o.free, r.data)
		o.queue = append(o.queue[:i], o.queue[i+1:]...)
		o.audio--
		o.lost++
		for _, next := range o.queue[i:] {
			if next.header {
				next.data[1] |= byte(wire.FlagDiscontinuity)
				break
			}
		}
		return true
	}
	return false // all of it is in the writer's hand
}

// next is what to write now: what was lost first, then timings, then the queue.
func (o *outbox) next() (reply, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lost > 0 && (time.Since(o.told) >= lossEvery || len(o.queue) > 0 && o.queue[0].kind != websocket.BinaryMessage) {
		return o.confess(), true
	}
	if t := o.timing; t != nil && !o.closing {
		o.timing = nil
		return reply{kind: websocket.TextMessage, data: t}, true
	}
	if len(o.queue) == 0 {
		return reply{}, false
	}
	r := o.queue[0]
	o.queue = o.queue[:copy(o.queue, o.queue[1:])]
	return r, true
}

// confess is the notice of what was dropped.
func (o *outbox) confess() reply {
	data, _ := wire.Encode(&wire.Notice{ // nothing in it can fail to encode
		Code: wire.NoticeDroppedOutput, Count: o.lost,
		Message: fmt.Sprintf("the client reads too slowly: %d replies were dropped, oldest first", o.lost),
	})
	o.lost, o.told = 0, time.Now()
	return reply{kind: websocket.TextMessage, data: data, counts: true}
}

// handOver is the kind of a reply that ends the writer and leaves the connection to another.
const handOver = -1

// run is the writer. It ends with the close frame, or when the client cannot be reached and does not return.
func (o *outbox) run() {
	defer o.abandon()
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		if h := o.comeHome(); h != nil {
			if o.err = o.welcome(h); o.err != nil && !o.waitForReturn() {
				return
			}
			continue
		}
		r, ok := o.next()
		if !ok {
			select {
			case <-o.wake:
				continue
			case <-ping.C:
				r = reply{kind: websocket.PingMessage}
			}
		}
		if r.kind == handOver {
			return
		}
		o.err = o.write(r)
		if r.kind == websocket.CloseMessage {
			return
		}
		if o.err != nil {
			o.keep(r)
			if !o.waitForReturn() {
				return
			}
		}
	}
}

// write sends one reply, and books it when it is sent.
func (o *outbox) write(r reply) error {
	if r.kind == websocket.PingMessage || r.kind == websocket.CloseMessage {
		if err := o.conn.WriteControl(r.kind, r.data, time.Now().Add(o.stall)); err != nil {
			return fmt.Errorf("%w: %w", errUnwritable, err)
		}
		return nil
	}
	if err := o.transmit(r.kind, r.data); err != nil {
		return err
	}
	o.settle(r)
	return nil
}

func (o *outbox) transmit(kind int, data []byte) error {
	if err := o.conn.SetWriteDeadline(time.Now().Add(o.stall)); err != nil {
		return fmt.Errorf("%w: %w", errUnwritable, err)
	}
	err := o.conn.WriteMessage(kind, data)
	if isTimeout(err) {
		return fmt.Errorf("%w for %v", errStalled, o.stall)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errUnwritable, err)
	}
	return nil
}

// keep puts a reply that was not sent back to where it was.
func (o *outbox) keep(r reply) {
	if r.kind == websocket.PingMessage {
		return
	}
	o.mu.Lock()
	o.queue = append(o.queue, reply{})
	copy(o.queue[1:], o.queue)
	o.queue[0] = r
	o.mu.Unlock()
}

// settle books a reply that was sent, and keeps it for a while: it may get lost on the way.
func (o *outbox) settle(r reply) {
	if r.kind == websocket.BinaryMessage {
		o.delivered.Add(uint64(r.frames))
	}
	o.mu.Lock()
	if r.counts {
		o.free = o.sent.add(r, o.free)
	}
	if r.kind == websocket.BinaryMessage {
		o.audio--
	}
	o.mu.Unlock()
	signal(o.room)
}

// abandon books what will not be written any more. A connection that broke is closed, so that its reader
// notices.
func (o *outbox) abandon() {
	o.mu.Lock()
	o.closing = true
	for _, r := range o.queue {
		o.abandoned.Add(uint64(r.frames))
	}
	o.queue, o.audio = nil, 0
	o.mu.Unlock()
	close(o.dead) // first: whoever the close below wakes shall find out why
	if o.err != nil {
		o.line.end()
		_ = o.line.newest().Close()
	}
}

// interrupt makes a write that hangs fail now.
func (o *outbox) interrupt() { _ = o.line.newest().NetConn().SetWriteDeadline(time.Unix(1, 0)) }

func isTimeout(err error) bool {
	if err == nil { // before t, which costs an allocation
		return false
	}
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
