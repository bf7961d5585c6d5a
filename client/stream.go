package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/autovoiced/autovoiced/client/wire"
)

// Stream is one converted voice. One goroutine may send while another receives; several senders take
// turns. A context that ends during a call ends the stream: half a frame cannot be taken back.
type Stream struct {
	conn   *websocket.Conn
	ready  wire.Ready
	format wire.Format
	raw    bool
	epoch  time.Time // of the capture times
	trips  RoundTrips

	sending  sync.Mutex
	frame    []byte
	sequence uint32

	data    bytes.Buffer
	samples []float32
	expect  uint32
	final   bool
}

// Event is what Recv returns: audio or a message.
type Event struct {
	// Audio is mono, full scale ±1, and valid until the next Recv; nil for a message.
	Audio []float32
	// Header of the audio; zero with raw framing.
	Header wire.Header
	// Lost counts reply frames that are missing before this one.
	Lost uint32
	// Message is *wire.Timing, *wire.Notice, *wire.Drained or a *wire.Error that the stream survived.
	Message wire.Message
}

func newStream(conn *websocket.Conn, opts Options) *Stream {
	return &Stream{conn: conn, raw: opts.Raw, epoch: time.Now(), trips: newRoundTrips()}
}

func (s *Stream) start(ctx context.Context, start wire.Start) error {
	if err := s.write(ctx, &start); err != nil {
		return err
	}
	m, err := s.read(ctx)
	if err != nil {
		return err
	}
	ready, ok := m.Message.(*wire.Ready)
	if !ok {
		return fmt.Errorf("client: the daemon answers start with %T, want ready", m.Message)
	}
	if err := ready.Format.Validate(); err != nil {
		return fmt.Errorf("client: the daemon's ready: %w", err)
	}
	s.ready, s.format = *ready, ready.Format
	return nil
}

// Ready is the daemon's answer to Start.
func (s *Stream) Ready() wire.Ready { return s.ready }

// RoundTrips is the distribution of the time from a sample's capture to its reply so far. It may be
// read while the stream runs.
func (s *Stream) RoundTrips() *RoundTrips { return &s.trips }

// Send sends mono samples of which the last was captured now. It blocks while the daemon holds the
// stream back, and keeps nothing of samples.
func (s *Stream) Send(ctx context.Context, samples []float32) error {
	length := time.Duration(len(samples)) * time.Second / time.Duration(s.format.Rate)
	return s.SendAt(ctx, samples, time.Now().Add(-length))
}

// SendAt sends mono samples of which the first was captured at the given time.
func (s *Stream) SendAt(ctx context.Context, samples []float32, captured time.Time) error {
	return s.send(ctx, captured, func(dst []byte) []byte { return s.format.Encode(dst, samples) })
}

// SendPCM sends samples in the stream's own format, of which the first was captured at the given time.
func (s *Stream) SendPCM(ctx context.Context, pcm []byte, captured time.Time) error {
	return s.send(ctx, captured, func(dst []byte) []byte { return append(dst, pcm...) })
}

func (s *Stream) send(ctx context.Context, captured time.Time, fill func([]byte) []byte) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	s.frame = s.frame[:0]
	if !s.raw {
		// A first frame that was captured before the stream opened must not have a negative time.
		at := max(0, captured.Sub(s.epoch)+captureOffset)
		s.frame = wire.Header{Sequence: s.sequence, Captured: uint64(at.Microseconds())}.Append(s.frame)
		s.sequence++
	}
	s.frame = fill(s.frame)
	return s.writeLocked(ctx, websocket.BinaryMessage, s.frame)
}

// captureOffset keeps capture times of what was recorded before the stream opened positive.
const captureOffset = time.Hour

// Update changes settings of the running stream.
func (s *Stream) Update(ctx context.Context, u wire.Update) error { return s.write(ctx, &u) }

// Flush asks for everything sent so far, followed by a *wire.Drained.
func (s *Stream) Flush(ctx context.Context) error { return s.write(ctx, &wire.Flush{}) }

// Stop asks for everything sent so far and the end: Recv returns a final *wire.Drained and then io.EOF.
func (s *Stream) Stop(ctx context.Context) error { return s.write(ctx, &wire.Stop{}) }

func (s *Stream) write(ctx context.Context, m wire.Message) error {
	data, err := wire.Encode(m)
	if err != nil {
		return err
	}
	s.sending.Lock()
	defer s.sending.Unlock()
	return s.writeLocked(ctx, websocket.TextMessage, data)
}

func (s *Stream) writeLocked(ctx context.Context, kind int, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetWriteDeadline(time.Now()) })
	defer stop()
	if err := s.conn.WriteMessage(kind, data); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("client: send: %w (Recv tells why the daemon closed)", err)
	}
	return nil
}

// Recv waits for the next audio or message. An error of the daemon that ends the stream is returned as
// *wire.Error; io.EOF comes after the final *wire.Drained.
func (s *Stream) Recv(ctx context.Context) (Event, error) {
	ev, err := s.read(ctx)
	if errors.Is(err, io.EOF) && !s.final {
		return ev, io.ErrUnexpectedEOF
	}
	return ev, err
}

func (s *Stream) read(ctx context.Context) (Event, error) {
	if err := ctx.Err(); err != nil {
		return Event{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetReadDeadline(time.Now()) })
	defer stop()
	kind, r, err := s.conn.NextReader()
	if err == nil {
		s.data.Reset()
		_, err = s.data.ReadFrom(r)
	}
	if err != nil {
		return Event{}, readError(ctx, err)
	}
	data := s.data.Bytes()
	if kind == websocket.BinaryMessage {
		return s.audio(data)
	}
	m, err := wire.DecodeServer(data)
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

func (s *Stream) audio(frame []byte) (Event, error) {
	var ev Event
	pcm := frame
	if !s.raw {
		h, rest, err := wire.ParseHeader(frame)
		if err != nil {
			return Event{}, err
		}
		ev.Header, ev.Lost, pcm = h, h.Sequence-s.expect, rest
		s.expect = h.Sequence + 1
		s.trips.record(time.Since(s.epoch) + captureOffset - time.Duration(h.Captured)*time.Microsecond)
	}
	samples, err := s.format.Decode(s.samples[:0], pcm)
	if err != nil {
		return Event{}, err
	}
	s.samples = samples
	ev.Audio = samples
	return ev, nil
}

// Close drops the connection at once, whatever is on its way; after the final Drained nothing is. It may
// be called at any time and more than once.
func (s *Stream) Close() error {
	deadline := time.Now().Add(time.Second)
	_ = s.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), deadline)
	if err := s.conn.Close(); err != nil {
		return fmt.Errorf("client: close: %w", err)
	}
	return nil
}
