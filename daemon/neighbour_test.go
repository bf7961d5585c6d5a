package daemon

import (
	"encoding/json"
	"errors"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/autovoiced/autovoiced/client"
	"github.com/autovoiced/autovoiced/client/wire"
)

// raw is a client that may do what ours would not.
type raw struct {
	*websocket.Conn
	t testing.TB
}

func rawDial(t testing.TB, d *testDaemon, query string) raw {
	t.Helper()
	return raw{socket(t, d, "/v1/stream"+query), t}
}

func rawFeed(t testing.TB, d *testDaemon, query string) *websocket.Conn {
	t.Helper()
	return socket(t, d, "/v1/status"+query)
}

func socket(t testing.TB, d *testDaemon, path string) *websocket.Conn {
	t.Helper()
	conn, resp, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(d.url, "http")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (r raw) text(s string)  { r.send(websocket.TextMessage, []byte(s)) }
func (r raw) audio(b []byte) { r.send(websocket.BinaryMessage, b) }

func (r raw) send(kind int, data []byte) {
	r.t.Helper()
	if err := r.WriteMessage(kind, data); err != nil {
		r.t.Logf("send: %v", err) // it may have been thrown out already
	}
}

// end reads to the close and gives the last error message and the close code.
func (r raw) end() (last *wire.Error, code int) {
	r.t.Helper()
	_ = r.SetReadDeadline(time.Now().Add(15 * time.Second))
	for {
		kind, data, err := r.ReadMessage()
		if err != nil {
			var ce *websocket.CloseError
			if e, ok := err.(*websocket.CloseError); ok {
				ce = e
			} else {
				r.t.Errorf("no close frame: %v", err)
				return last, 0
			}
			return last, ce.Code
		}
		if kind != websocket.TextMessage {
			continue
		}
		if m, err := wire.DecodeServer(data); err == nil {
			if e, ok := m.(*wire.Error); ok {
				last = e
			}
		}
	}
}

const startText = `{"type":"start","format":{"encoding":"f32le","rate":16000,"channels":1}}`

func frame(samples ...float32) []byte {
	return mono16k.Encode(wire.Header{}.Append(nil), samples)
}

// TestBadClientsAreToldAndNobodyElseNotices: each of them gets its typed error and close code while a
// well-behaved neighbour's stream stays perfect to the sample.
func TestBadClientsAreToldAndNobodyElseNotices(t *testing.T) {
	d := serve(t, transparent, func(c *Config) {
		c.HTTP.StartTimeout, c.HTTP.IdleTimeout = 300*time.Millisecond, time.Second
		c.HTTP.MaxSessions, c.HTTP.MaxFrameBytes = 100, 64<<10
	})
	neighbour := startNeighbour(t, d)
	started := func(r raw) raw { r.text(startText); return r }
	cases := []struct {
		name  string
		act   func(r raw)
		code  wire.Code
		close int
	}{
		{"garbage frame", func(r raw) { started(r).audio([]byte("this is no audio at all, not one bit")) }, wire.CodeBadFrame, 1007},
		{"short frame", func(r raw) { started(r).audio([]byte{1, 2, 3}) }, wire.CodeBadFrame, 1007},
		{"odd byte count", func(r raw) { started(r).audio(append(frame(1, 2), 7)) }, wire.CodeBadAudio, 1007},
		{"NaN", func(r raw) { started(r).audio(frame(0, float32(math.NaN()), 0)) }, wire.CodeBadAudio, 1007},
		{"infinity", func(r raw) { started(r).audio(frame(float32(math.Inf(-1)))) }, wire.CodeBadAudio, 1007},
		{"text as audio", func(r raw) { started(r).text("RIFF....WAVEfmt ") }, wire.CodeBadMessage, 1007},
		{"misspelt format", func(r raw) { r.text(strings.Replace(startText, "format", "fromat", 1)) }, wire.CodeBadFormat, 1007},
		{"unknown voice", func(r raw) { r.text(strings.Replace(startText, "{", `{"voice":"nobody",`, 1)) }, wire.CodeUnknownVoice, 1008},
		{"unknown profile", func(r raw) { r.text(strings.Replace(startText, "{", `{"profile":"nobody",`, 1)) }, wire.CodeUnknownVoice, 1008},
		{"rate of 0", func(r raw) { r.text(strings.Replace(startText, "16000", "0", 1)) }, wire.CodeBadFormat, 1007},
		{"rate of 500 kHz", func(r raw) { r.text(strings.Replace(startText, "16000", "500000", 1)) }, wire.CodeBadFormat, 1007},
		{"9 channels", func(r raw) { r.text(strings.Replace(startText, `"channels":1`, `"channels":9`, 1)) }, wire.CodeBadFormat, 1007},
		{"audio before start", func(r raw) { r.audio(frame(0)) }, wire.CodeNotStarted, 1008},
		{"stop before start", func(r raw) { r.text(`{"type":"stop"}`) }, wire.CodeNotStarted, 1008},
		{"start twice", func(r raw) { started(r).text(startText) }, wire.CodeAlreadyStarted, 1008},
		{"too large a frame", func(r raw) { started(r).audio(make([]byte, 65<<10)) }, wire.CodeTooLarge, 1009},
		{"too large a text", func(r raw) { started(r).text(`{"type":"` + strings.Repeat("x", 65<<10)) }, wire.CodeTooLarge, 1009},
		{"no start", func(raw) {}, wire.CodeStartTimeout, 1008},
		{"silent", func(r raw) { started(r) }, wire.CodeIdleTimeout, 1008},
		{"a flood of messages", func(r raw) {
			started(r)
			for range maxControlRate + 1 {
				r.text(`{"type":"update"}`)
			}
		}, wire.CodeRateLimit, 1008},
		{"a flood of unknown messages", func(r raw) {
			for range maxControlRate + 1 {
				r.text(`{"type":"dance"}`)
			}
		}, wire.CodeRateLimit, 1008},
		{"a flood of empty audio", func(r raw) {
			started(r)
			for range maxControlRate + 1 {
				r.audio(frame())
			}
		}, wire.CodeRateLimit, 1008},
	}
	var all sync.WaitGroup
	for _, tc := range cases {
		all.Go(func() {
			r := rawDial(t, d, "")
			tc.act(r)
			e, code := r.end()
			if e == nil || e.Code != tc.code || code != tc.close || !e.Fatal || e.Retryable != tc.code.Retryable() {
				t.Errorf("%s: got %+v and close code %d, want %s and %d", tc.name, e, code, tc.code, tc.close)
			}
		})
	}
	all.Wait()
	neighbour()
	if totals := d.Status().Totals; totals.Errors[string(wire.CodeBadFrame)] != 2 || !totals.Ledger.Balanced() {
		t.Errorf("totals %+v, want 2 errors of %s and an even ledger", totals, wire.CodeBadFrame)
	}
}

// startNeighbour speaks in real time until the returned function is called, which checks that every
// sample came back unchanged and in time.
func startNeighbour(t *testing.T, d *testDaemon) func() {
	t.Helper()
	s := dial(t, d.url, wire.Start{Format: mono48k})
	signal := noise(48000*20, 77)
	quit, sent := make(chan struct{}), make(chan int, 1)
	ctx := t.Context()
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		at := 0
		for at+480 <= len(signal) {
			select {
			case <-tick.C:
			case <-quit:
				sent <- at
				_ = s.Stop(ctx)
				return
			}
			if err := s.Send(ctx, signal[at:at+480]); err != nil {
				t.Errorf("neighbour: %v", err)
				break
			}
			at += 480
		}
		sent <- at
		_ = s.Stop(ctx)
	}()
	type result struct {
		reply  []float32
		ledger wire.Ledger
	}
	got := make(chan result, 1)
	go func() {
		reply, ledger := collect(ctx, t, s)
		got <- result{reply, ledger}
	}()
	return func() {
		t.Helper()
		close(quit)
		n, r := <-sent, <-got
		if n < 4800 {
			t.Errorf("the neighbour has spoken for %d frames only: nothing is shown", n)
		}
		if at := difference(r.reply, signal[:n]); at >= 0 {
			t.Errorf("the neighbour's reply of %d frames differs at %d of %d", len(r.reply), at, n)
		}
		if r.ledger.In != uint64(n) || r.ledger.Out != uint64(n) {
			t.Errorf("the neighbour's ledger %+v, want %d in and out", r.ledger, n)
		}
		t.Logf("neighbour: %d frames, round trip p50 %v p99 %v max %v", n,
			s.RoundTrips().Percentile(50), s.RoundTrips().Percentile(99), s.RoundTrips().Percentile(100))
	}
}

// TestStalledClientIsDropped: one that sends as a microphone does and never reads loses the oldest replies and
// then its place; one that sends a file and never reads is held back, loses nothing until it is dropped too.
func TestStalledClientIsDropped(t *testing.T) {
	d := serve(t, transparent, func(c *Config) { c.HTTP.StallTimeout = 500 * time.Millisecond })
	neighbour := startNeighbour(t, d)
	var all sync.WaitGroup
	for _, liveClient := range []bool{true, false} {
		all.Go(func() {
			r := narrow(t, d)
			r.text(`{"type":"start","format":{"encoding":"f32le","rate":48000,"channels":2}}`)
			format := wire.Format{Encoding: wire.F32LE, Rate: 48000, Channels: 2}
			data := format.Encode(wire.Header{}.Append(nil), noise(4800, 1))
			_ = r.SetWriteDeadline(time.Now().Add(15 * time.Second))
			began := time.Now()
			for r.WriteMessage(websocket.BinaryMessage, data) == nil {
				data[4]++ // the sequence; its wrap is a discontinuity and does no harm
				if liveClient {
					time.Sleep(100 * time.Millisecond)
				}
			}
			t.Logf("microphone %v: dropped after %v", liveClient, time.Since(began).Round(time.Millisecond))
			if time.Since(began) > 14*time.Second {
				t.Errorf("microphone %v: still there after %v", liveClient, time.Since(began))
			}
		})
	}
	all.Wait()
	neighbour()
	eventually(t, "two clients are counted as slow", func() bool {
		return d.Status().Totals.Errors[string(wire.CodeSlowClient)] == 2
	})
	if l := d.Status().Totals.Ledger; !l.Balanced() || l.InFlight != 0 {
		t.Errorf("ledger %+v after all have gone, want it even and empty", l)
	}
}

// narrow is a client with little room for what it does not read.
func narrow(t testing.TB, d *testDaemon) raw {
	t.Helper()
	// Set before the connection: a window that shrinks later confuses the kernel's resets.
	small := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		cerr := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 8<<10) })
		return errors.Join(err, cerr)
	}}
	dialer := websocket.Dialer{NetDialContext: small.DialContext}
	conn, resp, err := dialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(d.url, "http")+"/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	t.Cleanup(func() { _ = conn.Close() })
	return raw{conn, t}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 500 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("after 5 s not yet: %s", what)
}

// TestSlowLiveClientLosesTheOldest: a client that stops reading for a while and comes back is told how many
// replies it missed, and its ledger knows them.
func TestSlowLiveClientLosesTheOldest(t *testing.T) {
	d := serve(t, transparent, func(c *Config) { c.HTTP.StallTimeout = 30 * time.Second })
	r := narrow(t, d)
	r.text(`{"type":"start","format":{"encoding":"f32le","rate":48000,"channels":2}}`)
	format := wire.Format{Encoding: wire.F32LE, Rate: 48000, Channels: 2}
	signal := noise(48000*10, 5)
	sent := uint64(0)
	for at := 0; at < len(signal); at += 2400 {
		r.audio(format.Encode(wire.Header{Sequence: uint32(at / 2400)}.Append(nil), signal[at:at+2400]))
		sent += 2400
		if d.droppedNow() > 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if d.droppedNow() == 0 {
		t.Fatalf("%d frames unread and none dropped", sent)
	}
	r.text(`{"type":"stop"}`)
	var notices, got uint64
	var flagged bool
	_ = r.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		kind, data, err := r.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if kind == websocket.BinaryMessage {
			h, pcm, err := wire.ParseHeader(data)
			if err != nil {
				t.Fatal(err)
			}
			flagged = flagged || h.Flags&wire.FlagDiscontinuity != 0
			n, _ := format.Frames(pcm)
			got += uint64(n)
			continue
		}
		switch m := decode(t, data).(type) {
		case *wire.Notice:
			notices += m.Count
		case *wire.Drained:
			if m.Ledger.In != sent || m.Ledger.Out != got || m.Ledger.Dropped["client_slow"] != sent-got || !m.Ledger.Balanced() {
				t.Errorf("ledger %+v, want %d in, %d out, the rest client_slow", m.Ledger, sent, got)
			}
			if notices == 0 || !flagged {
				t.Errorf("%d replies told as dropped, discontinuity flagged %v", notices, flagged)
			}
			return
		}
	}
}

func (d *testDaemon) droppedNow() uint64 { return d.Status().Totals.Ledger.DroppedFrames() }

func decode(t testing.TB, data []byte) wire.Message {
	t.Helper()
	m, err := wire.DecodeServer(data)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestFileClientLosesNothing: one that sends a minute of audio as fast as the socket takes it, and reads
// slowly at first, gets all of it.
func TestFileClientLosesNothing(t *testing.T) {
	d := serve(t, transparent)
	s := dial(t, d.url, wire.Start{Format: mono48k})
	signal := noise(48000*60, 6)
	ctx := t.Context()
	go func() {
		for at := 0; at < len(signal); at += 48000 {
			if err := s.Send(ctx, signal[at:at+48000]); err != nil {
				t.Error(err)
				return
			}
		}
		_ = s.Stop(ctx)
	}()
	time.Sleep(700 * time.Millisecond)
	reply, ledger := collect(ctx, t, s)
	if at := difference(reply, signal); at >= 0 || ledger.DroppedFrames() != 0 {
		t.Errorf("%d frames of %d came back, different at %d, ledger %+v", len(reply), len(signal), at, ledger)
	}
}

func TestRealTimeFactorHoldsBack(t *testing.T) {
	d := serve(t, transparent, func(c *Config) { c.HTTP.RealTimeFactor = 4 })
	s := dial(t, d.url, wire.Start{Format: mono48k})
	signal := noise(48000*6, 6)
	began := time.Now()
	reply, _ := converse(t, s, signal, fixed(4800))
	if took := time.Since(began); took < 1150*time.Millisecond { // one second may run ahead
		t.Errorf("6 s of audio went through in %v, four times real time is 1.5 s", took)
	}
	if at := difference(reply, signal); at >= 0 {
		t.Errorf("held back, the reply differs at %d", at)
	}
	if d.Status().Totals.Notices[wire.NoticeThrottled] == 0 {
		t.Error("the client is not told")
	}
}

func TestTooManySessions(t *testing.T) {
	d := serve(t, func(c *Config) { c.HTTP.MaxSessions = 2 })
	first := dial(t, d.url, wire.Start{Format: mono16k})
	dial(t, d.url, wire.Start{Format: mono16k})
	_, err := client.Dial(t.Context(), d.url, client.Options{Start: wire.Start{Format: mono16k}})
	e, ok := err.(*wire.Error)
	if !ok || e.Code != wire.CodeTooManySessions || !e.Retryable {
		t.Fatalf("the third gets %v, want a retryable %s", err, wire.CodeTooManySessions)
	}
	converse(t, first, noise(100, 1), fixed(100))
	eventually(t, "a place is free", func() bool {
		s, err := client.Dial(t.Context(), d.url, client.Options{Start: wire.Start{Format: mono16k}})
		if err != nil {
			return false
		}
		_ = s.Close()
		return true
	})
}

// TestTooManyConnections: those that never start are bounded as well, and watchers are.
func TestTooManyConnections(t *testing.T) {
	d := serve(t, func(c *Config) { c.HTTP.MaxSessions = 1 })
	for range guestsPerSession + guestsAnyway {
		rawDial(t, d, "")
	}
	eventually(t, "all are in", func() bool {
		d.guests.mu.Lock()
		defer d.guests.mu.Unlock()
		return len(d.guests.end) == d.guests.limit
	})
	if e, code := rawDial(t, d, "").end(); e == nil || e.Code != wire.CodeTooManySessions || code != wire.CloseTryLater {
		t.Errorf("one more gets %+v and %d, want %s", e, code, wire.CodeTooManySessions)
	}
	for range maxWatchers {
		rawFeed(t, d, "?hz=1")
	}
	err := client.Watch(t.Context(), d.url, "", 1, func(*wire.Status) error { return nil })
	if e, ok := err.(*wire.Error); !ok || e.Code != wire.CodeTooManySessions {
		t.Errorf("one more watcher gets %v, want %s", err, wire.CodeTooManySessions)
	}
}

// TestTwentySpeakersAtOnce: every ledger is exact to the frame and every sample comes back.
func TestTwentySpeakersAtOnce(t *testing.T) {
	d := serve(t, transparent, func(c *Config) { c.HTTP.MaxSessions = 20 })
	var all sync.WaitGroup
	for i := range 20 {
		s := dial(t, d.url, wire.Start{Format: mono48k})
		all.Go(func() {
			signal := noise(48000+i*777, uint64(i))
			reply, ledger := converse(t, s, signal, random(uint64(i), 2000))
			if at := difference(reply, signal); at >= 0 {
				t.Errorf("speaker %d: the reply differs at %d", i, at)
			}
			if ledger.In != uint64(len(signal)) || ledger.Out != ledger.In || ledger.InFlight != 0 || ledger.DroppedFrames() != 0 {
				t.Errorf("speaker %d: ledger %+v, want %d in and out", i, ledger, len(signal))
			}
		})
	}
	var watch sync.WaitGroup
	quit := make(chan struct{})
	watch.Go(func() {
		for {
			for _, s := range d.Status().Sessions {
				if !s.Ledger.Balanced() || s.Ledger.InFlight < 0 {
					t.Errorf("%s in flight: ledger %+v does not add up", s.ID, s.Ledger)
				}
			}
			select {
			case <-quit:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	all.Wait()
	close(quit)
	watch.Wait()
	eventually(t, "all have left", func() bool { return d.Status().Totals.SessionsActive == 0 })
	if totals := d.Status().Totals; totals.Sessions != 20 || !totals.Ledger.Balanced() || totals.Ledger.InFlight != 0 {
		t.Errorf("totals %+v, want 20 sessions and an even ledger", totals)
	}
}

func TestWhoMayComeIn(t *testing.T) {
	const token = "0123456789abcdef"
	open := serve(t)
	closed := serve(t, func(c *Config) {
		c.HTTP.Token, c.HTTP.Origins = token, []string{"https://studio.example"}
	})
	cases := []struct {
		name   string
		d      *testDaemon
		path   string
		header http.Header
		host   string
		want   int
	}{
		{"loopback needs nothing", open, "/v1/status", nil, "", 200},
		{"a name that points here", open, "/v1/status", nil, "evil.example:8484", 403},
		{"another page", open, "/v1/status", http.Header{"Origin": {"http://evil.example"}}, "", 403},
		{"its own page", open, "/v1/status", http.Header{"Origin": {open.url}}, "", 200},
		{"no token", closed, "/v1/status", nil, "", 401},
		{"wrong token", closed, "/v1/status?token=0123456789abcdeX", nil, "", 401},
		{"token in the address", closed, "/v1/status?token=" + token, nil, "", 200},
		{"token in the header", closed, "/v1/status", http.Header{"Authorization": {"Bearer " + token}}, "", 200},
		{"token and a listed page", closed, "/v1/voices?token=" + token, http.Header{"Origin": {"https://studio.example"}}, "", 200},
		{"token and another page", closed, "/v1/voices?token=" + token, http.Header{"Origin": {"https://evil.example"}}, "", 403},
		{"metrics without a token", closed, "/metrics", nil, "", 401},
		{"stream without a token", closed, "/v1/stream", nil, "", 401},
		{"health needs none", closed, "/healthz", nil, "", 200},
		{"readiness needs none", closed, "/readyz", nil, "", 200},
	}
	for _, tc := range cases {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tc.d.url+tc.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header, req.Host = tc.header.Clone(), tc.host
		code, body, _ := send(t, req)
		if code != tc.want {
			t.Errorf("%s: %d, want %d: %s", tc.name, code, tc.want, body)
		}
		var e wire.Error
		if code >= 400 && (json.Unmarshal(body, &e) != nil || e.Code != wire.CodeUnauthorized) {
			t.Errorf("%s: body %q, want a typed error", tc.name, body)
		}
	}
	_, err := client.Dial(t.Context(), closed.url, client.Options{Token: token, Start: wire.Start{Format: mono16k}})
	if err != nil {
		t.Errorf("our client with the token: %v", err)
	}
}

func TestRefusesToBeOpenWithoutAToken(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.7:8484"} {
		cfg := testConfig(t)
		cfg.HTTP.Listen = listen
		log, err := NewLog(cfg.Log, &syncBuffer{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(cfg, log); err == nil || !strings.Contains(err.Error(), "http.token") {
			t.Errorf("listen on %s with no token: %v, want an error about http.token", listen, err)
		}
		_ = log.Close()
	}
}

func TestStreamWantsASocket(t *testing.T) {
	d := serve(t)
	for path, want := range map[string]int{
		"/v1/stream": http.StatusUpgradeRequired, "/v1/stream?framing=tin": http.StatusBadRequest,
	} {
		if code, body := get(t, d, path); code != want {
			t.Errorf("%s: %d %s, want %d", path, code, body, want)
		}
	}
}
