package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/autovoiced/autovoiced/client/wire"
)

// Stream is one converted voice. One goroutine may send while another receives; several senders take
// turns. A context that ends during a call ends the stream: half a frame cannot be taken back.
//
// A connection that is lost is made again, and the stream goes on with what was on its way: both sides send
// again what the other has not got. Recv tells of it with a *wire.Ready. It ends with an error when the daemon
// cannot be reached for as long as Ready allows.
type Stream struct {
	server string
	opts   Options
	ready  atomic.Pointer[wire.Ready] // the newest
	format wire.Format
	epoch  time.Time // of the capture times
	trips  RoundTrips
	stats  counters

	link   link
	closed atomic.Bool

	turn     chan struct{} // holds one while somebody sends
	frame    []byte        // these are of who has the turn
	sequence uint32
	sent     backlog

	data     bytes.Buffer // and these of who receives
	samples  []float32
	expect   uint32
	received uint64 // messages, Ready and Timing aside
	final    bool
}

// Event is what Recv returns: audio or a message.
type Event struct {
	// Audio is mono, full scale ±1, and valid until the next Recv; nil for a message.
	Audio []float32
	// Header of the audio; zero with raw framing.
	Header wire.Header
	// Lost counts reply frames that are missing before this one.
	Lost uint32
	// Message is *wire.Updated, *wire.Timing, *wire.Notice, *wire.Drained, a *wire.Error that the stream survived,
	// or the *wire.Ready of a stream that goes on after its connection was lost.
	Message wire.Message
}

func newStream(server string, conn *websocket.Conn, opts Options) *Stream {
	s := &Stream{server: server, opts: opts, epoch: time.Now(), trips: newRoundTrips(), turn: make(chan struct{}, 1)}
	s.link.set(conn)
	return s
}

// begin sends start and waits for ready.
func begin(ctx context.Context, conn *websocket.Conn, start wire.Start) (*wire.Ready, error) {
	data, err := wire.Encode(&start)
	if err != nil {
		return nil, err
	}
	if err := write(ctx, conn, websocket.TextMessage, data); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	for {
		if _, err := read(ctx, conn, &buf); err != nil {
			return nil, err
		}
		m, err := wire.DecodeServer(buf.Bytes())
		if errors.Is(err, wire.ErrUnknownType) {
			continue
		}
		if err != nil {
			return nil, err
		}
		switch m := m.(type) {
		case *wire.Ready:
			return m, plain(m.Format.Validate())
		case *wire.Error:
			if m.Fatal {
				return nil, m
			}
		}
	}
}

// plain turns a nil *wire.Error into a nil error.
func plain(err *wire.Error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("client: the daemon's ready: %w", err)
}

// Ready is the daemon's answer to Start; after a return, that to the return.
func (s *Stream) Ready() wire.Ready { return *s.ready.Load() }

// RoundTrips is the distribution of the time from a sample's capture to its reply so far. It may be
// read while the stream runs.
func (s *Stream) RoundTrips() *RoundTrips { return &s.trips }

// Send sends mono samples of which the last was captured now. It blocks while the daemon holds the
// stream back, which Stats tells, and keeps nothing of samples.
func (s *Stream) Send(ctx context.Context, samples []float32) error {
	length := time.Duration(len(samples)) * time.Second / time.Duration(s.format.Rate)
	return s.SendAt(ctx, samples, time.Now().Add(-length))
}

// SendAt sends mono samples of which the first was captured at the given time.
func (s *Stream) SendAt(ctx context.Context, samples []float32, captured time.Time) error {
	return s.sendAudio(ctx, captured, len(samples), func(dst []byte) []byte { return s.format.Encode(dst, samples) })
}

// SendPCM sends samples in the stream's own format, of which the first was captured at the given time.
func (s *Stream) SendPCM(ctx context.Context, pcm []byte, captured time.Time) error {
	return s.sendAudio(ctx, captured, len(pcm)/s.format.FrameBytes(), func(dst []byte) []byte { return append(dst, pcm...) })
}

func (s *Stream) sendAudio(ctx context.Context, captured time.Time, frames int, fill func([]byte) []byte) error {
	err := s.post(ctx, websocket.BinaryMessage, func() []byte {
		s.frame = s.frame[:0]
		if !s.opts.Raw {
			// A first frame that was captured before the stream opened must not have a negative time.
			at := max(0, captured.Sub(s.epoch)+captureOffset)
			s.frame = wire.Header{Sequence: s.sequence, Captured: uint64(at.Microseconds())}.Append(s.frame)
			s.sequence++
		}
		s.frame = fill(s.frame)
		return s.frame
	})
	if err == nil {
		s.stats.sent.Add(uint64(frames))
	}
	return err
}

// captureOffset keeps capture times of what was recorded before the stream opened positive.
const captureOffset = time.Hour

// Update changes settings of the running stream. Recv gets a *wire.Updated or a *wire.Error for it.
func (s *Stream) Update(ctx context.Context, u wire.Update) error { return s.say(ctx, &u) }

// Flush asks for everything sent so far, followed by a *wire.Drained.
func (s *Stream) Flush(ctx context.Context) error { return s.say(ctx, &wire.Flush{}) }

// Stop asks for everything sent so far and the end: Recv returns a final *wire.Drained and then io.EOF.
func (s *Stream) Stop(ctx context.Context) error { return s.say(ctx, &wire.Stop{}) }

func (s *Stream) say(ctx context.Context, m wire.Message) error {
	data, err := wire.Encode(m)
	if err != nil {
		return err
	}
	return s.post(ctx, websocket.TextMessage, func() []byte { return data })
}

// post sends the message that fill makes when it is its turn. It waits while a lost connection is made again:
// then the message is among those that are sent again.
func (s *Stream) post(ctx context.Context, kind int, fill func() []byte) error {
	began := time.Now()
	if err := s.take(ctx); err != nil {
		return err
	}
	data := fill()
	if s.resumable() {
		s.sent.add(kind, data)
	}
	conn, _ := s.link.get()
	err := write(ctx, conn, kind, data)
	s.give()
	s.stats.blocked.Add(int64(time.Since(began)))
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := s.awaitReturn(ctx, conn, err); err != nil {
		return fmt.Errorf("client: send: %w (Recv tells why the daemon closed)", err)
	}
	return nil
}

// take waits for the turn to send.
func (s *Stream) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *Stream) give() { <-s.turn }

func write(ctx context.Context, conn *websocket.Conn, kind int, data []byte) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetWriteDeadline(time.Now()) })
	defer stop()
	return conn.WriteMessage(kind, data)
}

// Recv waits for the next audio or message. An error of the daemon that ends the stream is returned as
// *wire.Error; io.EOF comes after the final *wire.Drained.
func (s *Stream) Recv(ctx context.Context) (Event, error) {
	for {
		ev, err := s.receive(ctx)
		if errors.Is(err, wire.ErrUnknownType) {
			continue // of a later version
		}
		if errors.Is(err, io.EOF) && !s.final {
			return ev, io.ErrUnexpectedEOF
		}
		return ev, err
	}
}

func (s *Stream) receive(ctx context.Context) (Event, error) {
	if err := ctx.Err(); err != nil {
		return Event{}, err
	}
	conn, _ := s.link.get()
	kind, err := read(ctx, conn, &s.data)
	if err != nil {
		if !s.resumable() || s.final || !isLost(err) || ctx.Err() != nil {
			return Event{}, err
		}
		ready, err := s.comeBack(ctx, conn, err)
		if err != nil {
			s.link.fail(err) // who waits to send waited for this
			return Event{}, err
		}
		return Event{Message: ready}, nil
	}
	if kind == websocket.BinaryMessage {
		s.received++
		return s.audio(s.data.Bytes())
	}
	m, err := wire.DecodeServer(s.data.Bytes())
	if _, timing := m.(*wire.Timing); !timing {
		s.received++
	}
	if err != nil {
		return Event{}, err
	}
	switch m := m.(type) {
	case *wire.Error:
		if m.Fatal {
			return Event{}, m
		}
	case *wire.Drained:
		s.final = s.final || m.Final
	}
	return Event{Message: m}, nil
}

func read(ctx context.Context, conn *websocket.Conn, into *bytes.Buffer) (kind int, err error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now()) })
	defer stop()
	kind, r, err := conn.NextReader()
	if err == nil {
		into.Reset()
		_, err = into.ReadFrom(r)
	}
	if err != nil {
		return 0, readError(ctx, err)
	}
	return kind, nil
}

func (s *Stream) audio(frame []byte) (Event, error) {
	var ev Event
	pcm := frame
	if !s.opts.Raw {
		h, rest, err := wire.ParseHeader(frame)
		if err != nil {
			return Event{}, err
		}
		ev.Header, ev.Lost, pcm = h, h.Sequence-s.expect, rest
		s.expect = h.Sequence + 1
		s.stats.lost.Add(uint64(ev.Lost))
		s.trips.record(time.Since(s.epoch) + captureOffset - time.Duration(h.Captured)*time.Microsecond)
	}
	samples, err := s.format.Decode(s.samples[:0], pcm)
	if err != nil {
		return Event{}, err
	}
	s.samples = samples
	s.stats.received.Add(uint64(len(samples)))
	ev.Audio = samples
	return ev, nil
}

// Close drops the connection at once, whatever is on its way; after the final Drained nothing is. It may
// be called at any time and more than once.
func (s *Stream) Close() error {
	s.closed.Store(true)
	s.link.fail(net.ErrClosed)
	conn, _ := s.link.get()
	deadline := time.Now().Add(time.Second)
	_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), deadline)
	if err := conn.Close(); err != nil {
		return fmt.Errorf("client: close: %w", err)
	}
	return nil
}
