package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/autovoiced/autovoiced/client/wire"
)

// handshakeTimeout bounds the opening of a connection where the context has no deadline.
const handshakeTimeout = 10 * time.Second

// Options say how to open a stream.
type Options struct {
	// Start is what the stream shall do. Its Format is how audio travels, in both directions; left out it is f32le,
	// mono, at Rate.
	Start wire.Start
	// Rate is that of the samples that Send takes and Recv gives, in Hz, wire.MinRate to wire.MaxRate; 0 is 48000. The
	// daemon brings them to the voice's own rate and back.
	Rate int
	// Token is needed by daemons that do not listen on loopback alone.
	Token string
	// Raw leaves the audio header out: no sequence numbers and no round trips.
	Raw bool
	// NoResume ends the stream when its connection is lost.
	NoResume bool
}

// defaultRate is what sound cards have.
const defaultRate = 48000

// Dial opens a stream and waits until the daemon is ready for audio. server is the daemon's address, as
// in "http://127.0.0.1:8484". A refusal is a *wire.Error.
func Dial(ctx context.Context, server string, opts Options) (*Stream, error) {
	if opts.Start.Format == (wire.Format{}) {
		if opts.Rate == 0 {
			opts.Rate = defaultRate
		}
		opts.Start.Format = wire.Format{Encoding: wire.F32LE, Rate: opts.Rate, Channels: 1}
	}
	if opts.Rate != 0 && opts.Rate != opts.Start.Format.Rate {
		return nil, fmt.Errorf("client: rate %d Hz beside a format of %d Hz, want one of them", opts.Rate, opts.Start.Format.Rate)
	}
	conn, err := openStream(ctx, server, opts)
	if err != nil {
		return nil, err
	}
	s := newStream(server, conn, opts)
	ready, err := begin(ctx, conn, opts.Start)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	s.ready.Store(ready)
	s.format = ready.Format
	return s, nil
}

func openStream(ctx context.Context, server string, opts Options) (*websocket.Conn, error) {
	query := url.Values{}
	if opts.Raw {
		query.Set("framing", "raw")
	}
	return open(ctx, server, "/v1/stream", query, opts.Token)
}

// Watch calls fn with the daemon's status hz times a second, from this goroutine, until the context ends,
// fn returns an error or the daemon says goodbye, which is io.EOF. A slow fn misses snapshots, it does
// not queue them.
func Watch(ctx context.Context, server, token string, hz float64, fn func(*wire.Status) error) error {
	query := url.Values{}
	if hz > 0 {
		query.Set("hz", fmt.Sprintf("%g", hz))
	}
	conn, err := open(ctx, server, "/v1/status", query, token)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now()) })()
	for {
		_, data, err := conn.ReadMessage()
		if err != nil {
			return readError(ctx, err)
		}
		m, err := wire.DecodeServer(data)
		if errors.Is(err, wire.ErrUnknownType) {
			continue // of a later version
		}
		if err != nil {
			return err
		}
		switch m := m.(type) {
		case *wire.Status:
			if err := fn(m); err != nil {
				return err
			}
		case *wire.Goodbye:
			return io.EOF
		case *wire.Error:
			return m
		}
	}
}

func open(ctx context.Context, server, path string, query url.Values, token string) (*websocket.Conn, error) {
	u, err := socketURL(server, path, query)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	dialer := websocket.Dialer{Proxy: http.ProxyFromEnvironment, HandshakeTimeout: handshakeTimeout}
	conn, resp, err := dialer.DialContext(ctx, u, header)
	if resp != nil {
		defer func() { _ = resp.Body.Close() }()
	}
	if err != nil {
		return nil, dialError(u, resp, err)
	}
	return conn, nil
}

func socketURL(server, path string, query url.Values) (string, error) {
	if !strings.Contains(server, "://") {
		server = "http://" + server
	}
	u, err := url.Parse(server)
	if err != nil {
		return "", fmt.Errorf("client: address %q: %w", server, err)
	}
	switch u.Scheme {
	case "http", "ws":
		u.Scheme = "ws"
	case "https", "wss":
		u.Scheme = "wss"
	default:
		return "", fmt.Errorf("client: address %q has scheme %q, want http or https", server, u.Scheme)
	}
	if u.Host == "" {
		return "", fmt.Errorf("client: address %q has no host, want something like http://127.0.0.1:8484", server)
	}
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), path) + path
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// dialError prefers the daemon's own words, in the body of its refusal.
func dialError(u string, resp *http.Response, err error) error {
	if resp == nil {
		return fmt.Errorf("client: connect to %s: %w (is the daemon running there?)", u, err)
	}
	var refusal wire.Error
	if json.NewDecoder(resp.Body).Decode(&refusal) == nil && refusal.Code != "" {
		return &refusal
	}
	return fmt.Errorf("client: %s answers %s: %w", u, resp.Status, err)
}

// readError says why a read ended: the context, an orderly close (io.EOF), the daemon's error code, or
// the network.
func readError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var ce *websocket.CloseError
	if !errors.As(err, &ce) {
		return &lostError{fmt.Errorf("client: connection lost: %w", err)}
	}
	switch ce.Code {
	case websocket.CloseNormalClosure:
		return io.EOF
	case websocket.CloseAbnormalClosure: // no close frame came
		return &lostError{fmt.Errorf("client: connection lost: %w", io.ErrUnexpectedEOF)}
	}
	for _, c := range wire.Codes() {
		if string(c) == ce.Text {
			return wire.Errorf(c, "", "closed by the daemon")
		}
	}
	return fmt.Errorf("client: closed by the daemon: %w", err)
}
