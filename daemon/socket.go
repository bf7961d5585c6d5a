package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/stream"
)

const (
	readSlice = 4096 // frames given to the pipeline at once, however long the client's message
	// aheadAllowance is how much sooner than time passes a microphone's audio may come: the jitter of its first
	// message. It is half of what the reply queue holds, so whoever fills that at once is seen to be no microphone.
	aheadAllowance = 250 * time.Millisecond
	paceSlack      = 50 * time.Millisecond
	maxControlRate = 100 // text messages, and audio messages with no audio, a second
)

// ending says why a socketSource has no more to give.
type ending int32

const (
	running ending = iota
	flushed
	stopped
	shutDown
)

// errClientGone is a connection that ended without a stop.
var errClientGone = errors.New("the client has gone")

// socketSource is the reading side of one client. Its Read is the connection's only reader: what the
// pipeline does not take stays in the socket, and the client feels it. Text messages are
// obeyed as they are met, so flush and stop come after the audio that was sent before them.
type socketSource struct {
	line   *line
	conn   *websocket.Conn // the reader's; another only under mu
	clock  stream.Clock
	format wire.Format
	raw    bool
	limit  int // bytes of a message
	idle   time.Duration
	pace   *pace
	marks  *captureMarks
	update func(*wire.Update)
	notice func(*wire.Notice)
	reject func(*wire.Error) // hears of errors that the stream survives

	data    []byte
	samples []float32
	rest    []float32 // of samples
	arrived time.Duration
	broken  bool
	next    uint32 // sequence
	began   bool
	sent    uint64 // frames given in this segment
	control rateLimit

	ended   atomic.Int32
	release func() bool // stops watching the context of this segment
	mu      sync.Mutex
	cut     bool // interrupted: no deadline may be set any more
	stop    bool // by shutdown
}

// Rate is the client's.
func (s *socketSource) Rate() int { return s.format.Rate }

// Close ends the input as a shutdown does: what was read is still converted.
func (s *socketSource) Close() error {
	s.mu.Lock()
	s.stop = true
	s.mu.Unlock()
	s.interrupt()
	return nil
}

// interrupt ends the read that waits, and every later one.
func (s *socketSource) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = true
	s.line.end()
	_ = s.conn.SetReadDeadline(time.Unix(1, 0))
	if s.pace != nil {
		s.pace.cancel()
	}
}

func (s *socketSource) arm(timeout time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		return false
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(timeout))
	return true
}

// prepare makes the source ready for audio, before its first Read.
func (s *socketSource) prepare(format wire.Format, p *pace, marks *captureMarks) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.format, s.pace, s.marks = format, p, marks
}

// Read gives the next part of the client's audio. Errors of the client are *wire.Error.
func (s *socketSource) Read(ctx context.Context, c *stream.Chunk) error {
	if s.release == nil {
		s.release = context.AfterFunc(ctx, s.interrupt)
	}
	err := s.read(ctx, c)
	if err != nil {
		s.release() // a later segment has a context of its own
		s.release = nil
	}
	return err
}

func (s *socketSource) read(ctx context.Context, c *stream.Chunk) error {
	for len(s.rest) == 0 {
		if ending(s.ended.Load()) != running {
			return io.EOF
		}
		if err := s.receive(ctx); err != nil {
			return err
		}
	}
	n := min(len(s.rest), readSlice)
	c.Samples = append(c.Samples[:0], s.rest[:n]...)
	c.Rate, c.Frames = s.format.Rate, n
	c.Discontinuous, s.broken = s.broken, false
	// The message came when its last sample had been captured, at the latest.
	c.Captured = s.arrived - stream.FramesToTime(uint64(len(s.rest)), s.format.Rate)
	s.rest = s.rest[n:]
	s.sent += uint64(n)
	return nil
}

// receive takes one message off the socket.
func (s *socketSource) receive(ctx context.Context) error {
	kind, err := s.message(s.idle)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if s.stopping() {
			s.ended.Store(int32(shutDown))
			return nil
		}
		return err
	}
	if kind == websocket.TextMessage {
		return s.obey()
	}
	return s.take(ctx)
}

func (s *socketSource) stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stop
}

// message reads one message into data, bounded. A client whose connection is lost is waited for, once its
// stream has begun.
func (s *socketSource) message(timeout time.Duration) (int, error) {
	for {
		if !s.arm(timeout) {
			return 0, errClientGone
		}
		kind, r, err := s.conn.NextReader()
		if err == nil {
			s.data, err = readAll(s.data[:0], r, s.limit)
		}
		if err == nil && s.line.accept(s.conn) {
			return kind, nil
		}
		if err != nil && !isLost(err) || !s.follow() {
			return 0, s.fault(err, timeout)
		}
	}
}

// follow goes over to the connection on which the client has returned; false when it does not return.
func (s *socketSource) follow() bool {
	conn := s.line.next(s.conn)
	if conn == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = conn
	return true
}

// isLost says that a connection broke, rather than that its client closed it or does what it may not.
func isLost(err error) bool {
	var refused *wire.Error
	var closed *websocket.CloseError
	switch {
	case errors.As(err, &refused), errors.Is(err, websocket.ErrReadLimit), isTimeout(err):
		return false
	case errors.As(err, &closed):
		return closed.Code == websocket.CloseAbnormalClosure // none was sent
	}
	return true
}

// fault says in the protocol's words why a read failed.
func (s *socketSource) fault(err error, timeout time.Duration) error {
	var tooLarge *wire.Error
	switch {
	case errors.As(err, &tooLarge):
		return tooLarge
	case errors.Is(err, websocket.ErrReadLimit):
		return wire.Errorf(wire.CodeTooLarge, "", "message over the limit of %d bytes", s.limit)
	case isTimeout(err):
		return wire.Errorf(wire.CodeIdleTimeout, "", "nothing was sent for %v", timeout)
	}
	if err == nil {
		return errClientGone
	}
	return fmt.Errorf("%w: %w", errClientGone, err)
}

// readAll appends r to dst, up to limit bytes.
func readAll(dst []byte, r io.Reader, limit int) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):min(cap(dst), limit+1)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > limit:
			return dst, wire.Errorf(wire.CodeTooLarge, "", "message over the limit of %d bytes", limit)
		case errors.Is(err, io.EOF):
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
}

// obey does what a text message says.
func (s *socketSource) obey() error {
	if err := s.control.allow(s.clock.Now()); err != nil {
		return err
	}
	m, ignored, err := wire.DecodeClient(s.data)
	s.tellIgnored(ignored)
	if err == nil {
		switch m := m.(type) {
		case *wire.Flush:
			s.ended.Store(int32(flushed))
		case *wire.Stop:
			s.ended.Store(int32(stopped))
		case *wire.Update:
			s.update(m)
		default:
			err = wire.Errorf(wire.CodeAlreadyStarted, "", "the stream has started; open another connection for another one")
		}
	}
	if err == nil {
		return nil
	}
	if err.Fatal {
		return err
	}
	s.reject(err)
	return nil
}

// tellIgnored makes a misspelt setting visible.
func (s *socketSource) tellIgnored(fields []string) {
	if len(fields) > 0 {
		s.notice(&wire.Notice{Code: wire.NoticeIgnoredFields, Count: uint64(len(fields)), Message: fmt.Sprintf(
			"fields that this server does not know are left out: %s", strings.Join(fields, ", "))})
	}
}

// take decodes an audio message.
func (s *socketSource) take(ctx context.Context) error {
	pcm := s.data
	var h wire.Header
	if !s.raw {
		var err *wire.Error
		if h, pcm, err = wire.ParseHeader(s.data); err != nil {
			return err
		}
		s.broken = s.broken || h.Flags&wire.FlagDiscontinuity != 0 || s.began && h.Sequence != s.next
		s.next, s.began = h.Sequence+1, true
	}
	samples, err := s.format.Decode(s.samples[:0], pcm)
	if err != nil {
		return err
	}
	now := s.clock.Now()
	if len(samples) == 0 {
		if err := s.control.allow(now); err != nil {
			return err
		}
		return nil
	}
	s.samples, s.rest, s.arrived = samples, samples, now
	if !s.raw {
		s.marks.add(s.sent, h.Captured)
	}
	if s.pace.take(ctx, len(samples), now) {
		s.notice(&wire.Notice{Code: wire.NoticeThrottled, Message: fmt.Sprintf(
			"input came faster than %g times real time and is held back", s.pace.factor)})
	}
	return nil
}

// restart makes the source ready for the signal after a flush.
func (s *socketSource) restart() {
	s.ended.Store(int32(running))
	s.sent, s.broken = 0, false
	s.marks.reset()
}

// captureMarks remembers which sample each message of a client began with and when the client
// captured it, until the reply has been sent.
type captureMarks struct {
	rate int
	mu   sync.Mutex
	list []captureMark
}

type captureMark struct{ frame, captured uint64 }

func (m *captureMarks) add(frame, captured uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = append(m.list, captureMark{frame, captured})
}

// at is the capture time in µs of a frame, by the message that held it. Frames are asked for in order.
func (m *captureMarks) at(frame uint64) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	passed := 0
	for passed+1 < len(m.list) && m.list[passed+1].frame <= frame {
		passed++
	}
	m.list = m.list[:copy(m.list, m.list[passed:])]
	if len(m.list) == 0 {
		return 0
	}
	return m.list[0].captured + (frame-m.list[0].frame)*1e6/uint64(m.rate)
}

func (m *captureMarks) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.list = m.list[:0]
}

// pace holds a client to a multiple of real time, and knows whether it sends faster than anybody speaks.
type pace struct {
	rate    int
	factor  float64
	frames  atomic.Int64
	started atomic.Int64 // ns; 0 before the first frame
	clock   stream.Clock
	noticed time.Duration
	done    chan struct{}
	once    sync.Once
}

func newPace(rate int, factor float64, clock stream.Clock) *pace {
	return &pace{rate: rate, factor: factor, clock: clock, done: make(chan struct{})}
}

// take books frames and sleeps while the client is too fast. It reports whether to tell the client, at
// most once a second.
func (p *pace) take(ctx context.Context, frames int, now time.Duration) bool {
	p.started.CompareAndSwap(0, max(1, int64(now)))
	audio := stream.FramesToTime(uint64(p.frames.Add(int64(frames))), p.rate)
	early := time.Duration(float64(audio)/p.factor) - (now - time.Duration(p.started.Load()))
	if early <= paceSlack {
		return false
	}
	t := time.NewTimer(early)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.done:
	case <-ctx.Done():
	}
	if p.noticed != 0 && now-p.noticed < time.Second {
		return false
	}
	p.noticed = now
	return true
}

func (p *pace) cancel() { p.once.Do(func() { close(p.done) }) }

// ahead says that more audio has come than time has passed: a file, not a microphone. Such a client is
// made to wait rather than lose what it has not read yet.
func (p *pace) ahead() bool {
	started := time.Duration(p.started.Load())
	audio := stream.FramesToTime(uint64(p.frames.Load()), p.rate)
	return started != 0 && audio > p.clock.Now()-started+aheadAllowance
}

// rateLimit counts messages that carry no audio, a second at a time.
type rateLimit struct {
	since time.Duration
	count int
}

func (r *rateLimit) allow(now time.Duration) error {
	if now-r.since >= time.Second {
		r.since, r.count = now, 0
	}
	if r.count++; r.count > maxControlRate {
		return wire.Errorf(wire.CodeRateLimit, "", "more than %d messages without audio in a second", maxControlRate)
	}
	return nil
}

// socketSink is the writing side of the pipeline: it encodes replies and puts them into the outbox.
type socketSink struct {
	out      *outbox
	format   wire.Format
	raw      bool
	marks    *captureMarks
	pace     *pace
	sequence uint32
}

// Rate is the client's.
func (s *socketSink) Rate() int { return s.format.Rate }

// Write queues a reply. It waits for a client that sends faster than real time, and drops the oldest
// reply of one that does not.
func (s *socketSink) Write(ctx context.Context, c *stream.Chunk) error {
	h := wire.Header{Sequence: s.sequence}
	if !s.raw {
		h.Captured = s.marks.at(c.Pos)
	}
	if c.Discontinuous {
		h.Flags |= wire.FlagDiscontinuity
	}
	s.sequence++
	return s.out.put(ctx, c.Frames, !s.raw, s.pace.ahead(), func(dst []byte) []byte {
		if !s.raw {
			dst = h.Append(dst)
		}
		return s.format.Encode(dst, c.Samples)
	})
}

// Drain returns when the client's socket has everything.
func (s *socketSink) Drain(ctx context.Context) error { return s.out.await(ctx, 0) }

// Close does nothing: the outbox is closed with the connection.
func (s *socketSink) Close() error { return nil }
