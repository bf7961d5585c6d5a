package daemon

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/autovoiced/autovoiced/client/wire"
)

const (
	minFeedHz   = 1
	maxFeedHz   = 50
	maxWatchers = 64
	// feedPatience is how long one message may take to leave, and how long a silent watcher that does not
	// answer pings stays.
	feedPatience = 5 * time.Second
	feedPings    = 20 * time.Second
)

// feed holds the newest look at the daemon, made when somebody asks for it and at most maxFeedHz times a
// second, however many watch.
type feed struct {
	look func() *wire.Status
	done chan struct{} // closed at goodbye
	once sync.Once

	mu   sync.Mutex // taken by watchers only, never by audio
	at   time.Time
	text *websocket.PreparedMessage
}

func newFeed(look func() *wire.Status) *feed {
	return &feed{look: look, done: make(chan struct{})}
}

// latest is the newest snapshot as a message.
func (f *feed) latest() (*websocket.PreparedMessage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.text != nil && time.Since(f.at) < time.Second/maxFeedHz/2 {
		return f.text, nil
	}
	data, err := wire.Encode(f.look())
	if err != nil {
		return nil, err
	}
	text, err := websocket.NewPreparedMessage(websocket.TextMessage, data)
	if err != nil {
		return nil, err
	}
	f.at, f.text = time.Now(), text
	return text, nil
}

// goodbye ends every feed.
func (f *feed) goodbye() { f.once.Do(func() { close(f.done) }) }

// serveStatus answers a plain GET with one snapshot and a socket with the feed.
func (d *Daemon) serveStatus(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		writeJSON(w, http.StatusOK, d.Status())
		return
	}
	hz, err := feedRate(r.URL.Query().Get("hz"), d.cfg.Status.Hz)
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	defer d.watchers.Add(-1)
	if d.watchers.Add(1) > maxWatchers {
		writeError(w, http.StatusServiceUnavailable, wire.Errorf(wire.CodeTooManySessions, "", "%d watch already, as many as may", maxWatchers))
		return
	}
	d.sockets.Add(1) // before HTTP lets the connection go
	defer d.sockets.Done()
	conn, uerr := upgrade(w, r)
	if uerr != nil {
		return // the upgrader has answered
	}
	d.feed.serve(conn, hz)
}

func feedRate(text string, standard float64) (float64, *wire.Error) {
	if text == "" {
		return standard, nil
	}
	hz, err := strconv.ParseFloat(text, 64)
	if err != nil || !(hz >= minFeedHz && hz <= maxFeedHz) {
		return 0, wire.Errorf(wire.CodeBadParam, "hz", "%q messages a second, want %d to %d", text, minFeedHz, maxFeedHz)
	}
	return hz, nil
}

// serve writes the feed until the watcher goes or the daemon says goodbye. A watcher that is slow to read
// misses snapshots: the ticker drops what nobody takes.
func (f *feed) serve(conn *websocket.Conn, hz float64) {
	gone := make(chan struct{})
	go listen(conn, gone)
	defer func() { <-gone }()
	defer func() { _ = conn.Close() }()

	tick := time.NewTicker(time.Duration(float64(time.Second) / hz))
	defer tick.Stop()
	ping := time.NewTicker(feedPings)
	defer ping.Stop()
	for first := true; ; first = false {
		if !first {
			select {
			case <-tick.C:
			case <-ping.C:
				if conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(feedPatience)) != nil {
					return
				}
				continue
			case <-gone:
				return
			case <-f.done:
				sayGoodbye(conn)
				<-gone // its close, or the deadline
				return
			}
		}
		text, err := f.latest()
		if err != nil {
			return
		}
		_ = conn.SetWriteDeadline(time.Now().Add(feedPatience))
		if conn.WritePreparedMessage(text) != nil {
			return
		}
	}
}

// listen reads what a watcher sends, pongs and its close, and throws it away.
func listen(conn *websocket.Conn, gone chan<- struct{}) {
	defer close(gone)
	conn.SetReadLimit(wire.MaxControl)
	alive := func(string) error { return conn.SetReadDeadline(time.Now().Add(feedPings + feedPatience)) }
	_ = alive("")
	conn.SetPongHandler(alive)
	for {
		if _, _, err := conn.NextReader(); err != nil {
			return
		}
	}
}

func sayGoodbye(conn *websocket.Conn) {
	deadline := time.Now().Add(time.Second)
	data, err := wire.Encode(&wire.Goodbye{Reason: string(wire.CodeShuttingDown)})
	if err != nil {
		return
	}
	_ = conn.SetWriteDeadline(deadline)
	if conn.WriteMessage(websocket.TextMessage, data) == nil {
		_ = conn.WriteControl(websocket.CloseMessage,
			websocket.FormatCloseMessage(wire.CloseGoingAway, string(wire.CodeShuttingDown)), deadline)
		_ = conn.NetConn().SetReadDeadline(deadline) // for the watcher's own close
	}
}
