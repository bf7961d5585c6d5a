package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/autovoiced/autovoiced/client"
	"github.com/autovoiced/autovoiced/client/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var format = wire.Format{Encoding: wire.F32LE, Rate: 16000, Channels: 1}

// peer is the other end of one connection, written out in each test: what a client must cope with is
// more than what our daemon does. The two meet for real in the daemon's tests.
func peer(t *testing.T, serve func(c *websocket.Conn, r *http.Request)) string {
	t.Helper()
	done := make(chan struct{}, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { done <- struct{}{} }()
		if r.Header.Get("Authorization") == "Bearer wrong" {
			w.WriteHeader(http.StatusUnauthorized)
			_ = json.NewEncoder(w).Encode(wire.Errorf(wire.CodeUnauthorized, "token", "wrong token"))
			return
		}
		c, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		serve(c, r)
	}))
	t.Cleanup(func() {
		<-done
		srv.Close()
	})
	return srv.URL
}

func say(t *testing.T, c *websocket.Conn, m wire.Message) {
	t.Helper()
	data, err := wire.Encode(m)
	if err != nil {
		t.Error(err)
	}
	if err := c.WriteMessage(websocket.TextMessage, data); err != nil {
		t.Error(err)
	}
}

func hear(t *testing.T, c *websocket.Conn) wire.Message {
	t.Helper()
	_, data, err := c.ReadMessage()
	if err != nil {
		t.Error(err)
		return nil
	}
	m, _, werr := wire.DecodeClient(data)
	if werr != nil {
		t.Error(werr)
	}
	return m
}

func bye(c *websocket.Conn, code int, reason string) {
	_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(time.Second))
	_, _, _ = c.ReadMessage() // the client's own close
}

func dial(t *testing.T, url string, opts client.Options) *client.Stream {
	t.Helper()
	opts.Start.Format = format
	s, err := client.Dial(t.Context(), url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStreamFromStartToDrained(t *testing.T) {
	url := peer(t, func(c *websocket.Conn, _ *http.Request) {
		start, ok := hear(t, c).(*wire.Start)
		if !ok || start.Voice != "alto" {
			t.Errorf("first message is %#v, want start with voice alto", start)
		}
		say(t, c, &wire.Ready{Version: 1, Format: format})
		for range 2 {
			kind, frame, err := c.ReadMessage()
			if err != nil || kind != websocket.BinaryMessage {
				t.Errorf("kind %d, err %v, want audio", kind, err)
				return
			}
			if frame[4] == 1 {
				frame[4] = 3 // as if two replies had been dropped
			}
			_ = c.WriteMessage(websocket.BinaryMessage, frame)
		}
		if _, ok := hear(t, c).(*wire.Stop); !ok {
			t.Error("want stop after the audio")
		}
		say(t, c, &wire.Drained{Final: true, Ledger: wire.Ledger{In: 6, Out: 6}})
		bye(c, websocket.CloseNormalClosure, "")
	})
	ctx := t.Context()
	s := dial(t, url, client.Options{Start: wire.Start{Voice: "alto"}})
	want := []float32{0.5, -0.25, 1}
	for range 2 {
		if err := s.Send(ctx, want); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	for i, lost := range []uint32{0, 2} {
		ev, err := s.Recv(ctx)
		if err != nil || !slices.Equal(ev.Audio, want) || ev.Lost != lost {
			t.Fatalf("reply %d is %v (lost %d), %v; want %v (lost %d)", i, ev.Audio, ev.Lost, err, want, lost)
		}
	}
	ev, err := s.Recv(ctx)
	if d, ok := ev.Message.(*wire.Drained); err != nil || !ok || !d.Final || d.Ledger.Out != 6 {
		t.Fatalf("got %#v, %v, want the final drained", ev.Message, err)
	}
	if _, err := s.Recv(ctx); err != io.EOF {
		t.Fatalf("after the end: %v, want io.EOF", err)
	}
	trips := s.RoundTrips()
	if trips.Count() != 2 || trips.Percentile(100) <= 0 || trips.Percentile(100) > 5*time.Second {
		t.Errorf("%d round trips, longest %v; want 2, short and positive", trips.Count(), trips.Percentile(100))
	}
}

func TestEndsAreTold(t *testing.T) {
	cases := []struct {
		name  string
		serve func(c *websocket.Conn)
		want  error
	}{
		{"a fatal error", func(c *websocket.Conn) {
			say(t, c, wire.Errorf(wire.CodeIdleTimeout, "", "silent for 30 s"))
			bye(c, wire.ClosePolicy, "idle_timeout")
		}, &wire.Error{Code: wire.CodeIdleTimeout}},
		{"a close whose reason is a code", func(c *websocket.Conn) { bye(c, wire.ClosePolicy, "slow_client") }, &wire.Error{Code: wire.CodeSlowClient}},
		{"a normal close before drained", func(c *websocket.Conn) { bye(c, wire.CloseNormal, "") }, io.ErrUnexpectedEOF},
		{"a lost connection", func(c *websocket.Conn) { _ = c.Close() }, io.ErrUnexpectedEOF},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			url := peer(t, func(c *websocket.Conn, _ *http.Request) {
				hear(t, c)
				say(t, c, &wire.Ready{Version: 1, Format: format})
				tc.serve(c)
			})
			s := dial(t, url, client.Options{})
			if _, err := s.Recv(t.Context()); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestRecvEndsWithItsContext(t *testing.T) {
	url := peer(t, func(c *websocket.Conn, _ *http.Request) {
		hear(t, c)
		say(t, c, &wire.Ready{Version: 1, Format: format})
		_, _, _ = c.ReadMessage()
	})
	s := dial(t, url, client.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Recv(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
}

func TestDialRefused(t *testing.T) {
	t.Run("by token", func(t *testing.T) {
		url := peer(t, nil)
		_, err := client.Dial(t.Context(), url, client.Options{Token: "wrong", Start: wire.Start{Format: format}})
		if !errors.Is(err, &wire.Error{Code: wire.CodeUnauthorized}) {
			t.Errorf("got %v, want %s", err, wire.CodeUnauthorized)
		}
	})
	t.Run("by start", func(t *testing.T) {
		url := peer(t, func(c *websocket.Conn, _ *http.Request) {
			hear(t, c)
			say(t, c, wire.Errorf(wire.CodeUnknownVoice, "voice", "no such voice"))
			bye(c, wire.ClosePolicy, "unknown_voice")
		})
		_, err := client.Dial(t.Context(), url, client.Options{Start: wire.Start{Format: format}})
		if !errors.Is(err, &wire.Error{Code: wire.CodeUnknownVoice}) {
			t.Errorf("got %v, want %s", err, wire.CodeUnknownVoice)
		}
	})
	t.Run("by address", func(t *testing.T) {
		for _, bad := range []string{"ftp://host", "http://", "http://%zz", "127.0.0.1:1"} {
			if _, err := client.Dial(t.Context(), bad, client.Options{}); err == nil {
				t.Errorf("%q: no error", bad)
			}
		}
	})
}

func TestWatch(t *testing.T) {
	url := peer(t, func(c *websocket.Conn, r *http.Request) {
		if got := r.URL.RequestURI(); got != "/v1/status?hz=25" {
			t.Errorf("asked for %s, want /v1/status?hz=25", got)
		}
		say(t, c, &wire.Status{State: "running"})
		say(t, c, &wire.Goodbye{Reason: "shutting_down"})
		bye(c, wire.CloseGoingAway, "shutting_down")
	})
	var states []string
	err := client.Watch(t.Context(), url, "", 25, func(s *wire.Status) error {
		states = append(states, s.State)
		return nil
	})
	if err != io.EOF || !slices.Equal(states, []string{"running"}) {
		t.Errorf("saw %v and %v, want [running] and io.EOF", states, err)
	}
}
