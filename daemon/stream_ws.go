package daemon

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/autovoiced/autovoiced/client/wire"
)

const (
	// lingerTime is how long a closed connection is still read, so that the client gets our last words:
	// closing with unread input would take them back.
	lingerTime = 2 * time.Second
	// readLimit is the socket library's own bound, far over ours, which comes with a typed error.
	readLimit = 64 << 20
	// Connections that have not started or are being closed come on top of the sessions, but not without end.
	guestsPerSession, guestsAnyway = 2, 16
	// maxRoles is how many voices wait to be made ready.
	maxRoles = 8
)

// serveStream is one client of /v1/stream, from the upgrade to the close.
func (d *Daemon) serveStream(w http.ResponseWriter, r *http.Request) {
	framing := r.URL.Query().Get("framing")
	if framing != "" && framing != "raw" && framing != "header" {
		writeError(w, http.StatusBadRequest, wire.Errorf(wire.CodeBadParam, "framing", "framing %q, want raw or header", framing))
		return
	}
	if !websocket.IsWebSocketUpgrade(r) {
		w.Header().Set("Upgrade", "websocket")
		writeError(w, http.StatusUpgradeRequired, wire.Errorf(wire.CodeBadMessage, "", "/v1/stream is a WebSocket"))
		return
	}
	d.sockets.Add(1) // before HTTP lets the connection go
	defer d.sockets.Done()
	conn, err := upgrade(w, r)
	if err != nil {
		return // the upgrader has answered
	}
	c := newConnection(d, conn, framing == "raw")
	leave, werr := d.guests.enter(c.source.Close)
	if werr != nil {
		c.close(werr)
		return
	}
	defer leave()
	if err := c.serve(); !errors.Is(err, errHandedOver) {
		c.close(err)
	}
}

// connection is one client of /v1/stream: who reads, who writes, and the session in between. It outlives the
// connection that it began on when the client loses that and returns.
type connection struct {
	d       *Daemon
	line    *line
	out     *outbox
	source  *socketSource
	session *session
	format  wire.Format
	roles   chan role
	ignored []string // fields of start, to be told after ready
	secret  string   // that lets the client return, absent's
}

func newConnection(d *Daemon, conn *websocket.Conn, raw bool) *connection {
	if tcp, ok := conn.NetConn().(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBuffer) // smaller is only a hint, so is this
	}
	conn.SetReadLimit(readLimit)
	l := newLine(conn)
	c := &connection{d: d, line: l, roles: make(chan role, maxRoles), out: newOutbox(l, d.cfg.HTTP.StallTimeout)}
	c.source = &socketSource{
		line: l, conn: conn, clock: d.clock, raw: raw, limit: d.cfg.HTTP.MaxFrameBytes, idle: d.cfg.HTTP.IdleTimeout,
		update: c.update, notice: c.notice, reject: c.reject,
	}
	return c
}

// update does at once what can be done at once, and leaves another voice to cast: the audio that follows must not
// wait for it.
func (c *connection) update(u *wire.Update) {
	pitches, err := c.session.adjust(u)
	if err != nil || !namesVoice(u) {
		c.answer(err)
		return
	}
	for r := (role{u, pitches}); ; {
		select {
		case c.roles <- r:
			return
		default:
		}
		select {
		case old := <-c.roles: // the newest counts
			err := wire.Errorf(wire.CodeRateLimit, "", "voice %s was not made ready: others were asked for meanwhile", voiceOf(old.update))
			err.Fatal = false
			c.reject(err)
		default:
		}
	}
}

func voiceOf(u *wire.Update) string {
	if u.Voice != nil {
		return *u.Voice
	}
	return *u.Profile
}

// role is a voice asked for, and how often the pitch had been set by then.
type role struct {
	update  *wire.Update
	pitches int
}

// cast makes voices ready until ctx ends.
func (c *connection) cast(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-c.roles:
			c.answer(c.session.recast(r.update, r.pitches))
		}
	}
}

// answer says what came of an update.
func (c *connection) answer(err *wire.Error) {
	if err != nil {
		c.reject(err)
		return
	}
	voice, sound := c.session.sounds()
	c.out.post(&wire.Updated{Voice: voice, Settings: sound})
}

func (c *connection) notice(n *wire.Notice) {
	c.d.sessions.countNotice(n.Code)
	c.out.post(n)
}

func (c *connection) reject(e *wire.Error) {
	c.d.sessions.countError(e.Code)
	c.out.post(e)
}

// serve converts until the client stops, fails or is shut out; the error is what to tell it.
func (c *connection) serve() error {
	start, err := c.awaitStart()
	if err != nil {
		return err
	}
	if start.Resume != "" {
		return c.resume(start)
	}
	target, werr := c.d.profileTarget(start.Profile)
	if werr != nil {
		return werr
	}
	s, werr := c.d.newSession(request{
		kind: kindStream, voice: start.Voice, target: target, format: start.Format, pitch: start.Pitch, mix: start.Mix,
		gate: start.Gate, monitor: start.Monitor, mute: start.Mute,
	})
	if werr != nil {
		return werr
	}
	c.session, c.format, s.out, s.line, s.timings = s, start.Format, c.out, c.line, newRate(start.Timings)
	if werr := c.d.sessions.add(s); werr != nil {
		return errors.Join(werr, s.close())
	}
	return errors.Join(c.converse(start), s.close())
}

// awaitStart reads messages until the first that it knows, which must be start.
func (c *connection) awaitStart() (*wire.Start, error) {
	until := time.Now().Add(c.d.cfg.HTTP.StartTimeout)
	for {
		kind, err := c.source.message(time.Until(until))
		if errors.Is(err, &wire.Error{Code: wire.CodeIdleTimeout}) {
			return nil, wire.Errorf(wire.CodeStartTimeout, "", "no start for %v", c.d.cfg.HTTP.StartTimeout)
		}
		if err != nil {
			if c.source.stopping() {
				return nil, wire.Errorf(wire.CodeShuttingDown, "", "the daemon is stopping")
			}
			return nil, err
		}
		if kind != websocket.TextMessage {
			return nil, wire.Errorf(wire.CodeNotStarted, "", "audio before start")
		}
		if err := c.source.control.allow(c.d.clock.Now()); err != nil {
			return nil, err
		}
		m, ignored, werr := wire.DecodeClient(c.source.data)
		c.ignored = append(c.ignored, ignored...)
		if werr != nil && werr.Code == wire.CodeUnknownType {
			c.reject(werr)
			continue
		}
		if werr != nil {
			werr.Fatal = true
			if len(c.ignored) > 0 {
				werr.Message += "; unknown fields: " + strings.Join(c.ignored, ", ")
			}
			return nil, werr
		}
		start, ok := m.(*wire.Start)
		if !ok {
			return nil, wire.Errorf(wire.CodeNotStarted, "", "the first message is not start")
		}
		return start, nil
	}
}

// converse runs one pipeline after another: each flush ends one.
func (c *connection) converse(start *wire.Start) error {
	ctx, cancel := context.WithCancel(c.d.hard)
	defer cancel()
	limits := c.d.cfg.HTTP
	marks := &captureMarks{rate: start.Format.Rate}
	c.source.prepare(start.Format, newPace(start.Format.Rate, limits.RealTimeFactor, c.d.clock), marks)
	sink := &socketSink{out: c.out, format: start.Format, raw: c.source.raw, marks: marks, pace: c.source.pace}

	c.line.begin(limits.ResumeTimeout)
	c.out.post(c.ready(c.d.absent.expect(c)))
	c.source.tellIgnored(c.ignored)
	var beside sync.WaitGroup
	beside.Go(func() { c.session.attend(ctx, c.notice) })
	beside.Go(func() { c.cast(ctx) })
	defer func() {
		cancel()
		beside.Wait()
	}()
	for {
		if err := c.session.run(ctx, c.source, sink); err != nil {
			return err
		}
		ended := ending(c.source.ended.Load())
		c.out.post(&wire.Drained{Final: ended != flushed, Ledger: c.session.account()})
		switch ended {
		case flushed:
			c.source.restart()
		case shutDown:
			return wire.Errorf(wire.CodeShuttingDown, "", "the daemon is stopping; what it had read is converted")
		default:
			return nil
		}
	}
}

// ready answers start. The token lets the client return.
func (c *connection) ready(token string) *wire.Ready {
	voice, sound := c.session.sounds()
	limits := c.d.cfg.HTTP
	return &wire.Ready{
		Version: wire.Version, Session: token, ResumeSeconds: limits.ResumeTimeout.Seconds(),
		Voice: voice, Settings: sound, Format: c.format,
		ChunkMS: milliseconds(c.d.cfg.Stream.Chunk), AlgorithmicLatencyMS: milliseconds(c.session.latency()),
		Provider: c.session.provider,
		Limits: wire.Limits{
			FrameBytes: limits.MaxFrameBytes, IdleSeconds: limits.IdleTimeout.Seconds(),
			StallSeconds: limits.StallTimeout.Seconds(), RealTimeFactor: limits.RealTimeFactor,
		},
	}
}

// close says why, closes, and waits until the client has heard it.
func (c *connection) close(err error) {
	code, reason := wire.CloseNormal, ""
	if err != nil {
		c.line.end() // nobody returns to that
	}
	select {
	case <-c.out.dead: // the writer knows best
		err = errors.Join(err, c.out.err)
	default:
	}
	if e := c.blame(err); e != nil {
		c.d.sessions.countError(e.Code)
		c.d.faults.Reportf("client "+string(e.Code), "client %v: %v", c.line.newest().RemoteAddr(), e)
		e.Fatal = true
		c.out.post(e)
		code, reason = e.Code.Close(), string(e.Code)
	}
	release := context.AfterFunc(c.d.hard, c.out.interrupt)
	_ = c.out.await(context.Background(), 0) // for the ledger to settle, as it has where the writer failed
	if c.session != nil {
		c.d.sessions.remove(c.session) // before the client knows, who may be waiting for the place
	}
	c.out.finish(code, reason)
	<-c.out.dead
	release()
	c.d.absent.forget(c)
	c.line.end()
	if c.out.err == nil {
		linger(c.line.newest().NetConn())
	}
	_ = c.line.newest().Close()
}

// blame finds what to tell the client about the end; nil for a good end or when nobody is there to be told.
func (c *connection) blame(err error) *wire.Error {
	var e *wire.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errStalled):
		return wire.Errorf(wire.CodeSlowClient, "", "replies were not read for %v", c.d.cfg.HTTP.StallTimeout)
	case errors.As(err, &e):
		return e
	case errors.Is(err, errClientGone), errors.Is(err, errUnwritable):
		c.d.log.Debug().Str("client", c.line.newest().RemoteAddr().String()).Msg(err.Error())
		return nil
	case errors.Is(err, context.Canceled):
		return wire.Errorf(wire.CodeShuttingDown, "", "the daemon has stopped; what was on its way is lost")
	}
	if e := gpuError(err); e != nil {
		return e
	}
	c.d.log.Error().Err(err).Str("client", c.line.newest().RemoteAddr().String()).Msg("stream failed")
	return wire.Errorf(wire.CodeInternal, "", "%v", err)
}

// linger reads what the client still sends until it closes. The kernel answers unread input with a reset,
// and a reset throws away what the client has not read yet.
func linger(conn net.Conn) {
	_ = conn.SetReadDeadline(time.Now().Add(lingerTime))
	var waste [4096]byte
	for {
		if _, err := conn.Read(waste[:]); err != nil {
			return
		}
	}
}

// guests are the connections of /v1/stream, so that a stop reaches all of them.
type guests struct {
	limit  int
	mu     sync.Mutex
	closed bool
	next   int
	end    map[int]func() error
	all    sync.WaitGroup
}

// enter lets a connection in unless there are too many or the daemon is stopping; end asks it to finish.
func (g *guests) enter(end func() error) (leave func(), err *wire.Error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, wire.Errorf(wire.CodeShuttingDown, "", "the daemon is stopping")
	}
	if len(g.end) >= g.limit {
		return nil, wire.Errorf(wire.CodeTooManySessions, "", "%d connections are open, as many as may", g.limit)
	}
	if g.end == nil {
		g.end = map[int]func() error{}
	}
	id := g.next
	g.next++
	g.end[id] = end
	g.all.Add(1)
	return func() {
		g.mu.Lock()
		delete(g.end, id)
		g.mu.Unlock()
		g.all.Done()
	}, nil
}

// dismiss lets nobody in any more and asks those inside to finish; it says how many they are.
func (g *guests) dismiss() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for _, end := range g.end {
		_ = end() // only marks and wakes
	}
	return len(g.end)
}
