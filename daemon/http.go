package daemon

import (
	"crypto/subtle"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/autovoiced/autovoiced/client/web"
	"github.com/autovoiced/autovoiced/client/wire"
)

const (
	headerTimeout = 5 * time.Second
	// answerTimeout bounds a plain answer; sockets set their own deadlines.
	answerTimeout = 30 * time.Second
	idleTimeout   = time.Minute
	socketBuffer  = 4096
)

// handler is all that the daemon answers to.
func (d *Daemon) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/stream", d.guarded(d.serveStream))
	mux.HandleFunc("GET /v1/status", d.guarded(d.serveStatus))
	mux.HandleFunc("GET /v1/voices", d.guarded(d.serveVoices))
	mux.HandleFunc("GET /v1/profiles", d.guarded(d.serveProfiles))
	mux.HandleFunc("POST /v1/profiles", d.guarded(d.addProfile))
	mux.HandleFunc("DELETE /v1/profiles/{id}", d.guarded(d.removeProfile))
	mux.HandleFunc("POST /v1/convert", d.guarded(d.addJob))
	mux.HandleFunc("GET /v1/convert", d.guarded(d.serveJobs))
	mux.HandleFunc("GET /v1/convert/{id}", d.guarded(d.serveJob))
	mux.HandleFunc("DELETE /v1/convert/{id}", d.guarded(d.removeJob))
	mux.HandleFunc("GET /v1/convert/{id}/events", d.guarded(d.serveJobEvents))
	mux.HandleFunc("GET /v1/convert/{id}/result", d.guarded(d.serveJobResult))
	mux.HandleFunc("PATCH /v1/sessions/{id}", d.guarded(d.updateSession))
	mux.HandleFunc("GET /metrics", d.guarded(d.metricsHandler().ServeHTTP))
	mux.HandleFunc("GET /v1/schema", d.guarded(serveSchema))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "alive\n") })
	mux.HandleFunc("GET /readyz", d.serveReady)
	mux.Handle("GET /", web.Handler())
	return mux
}

// guarded lets in who may come: the right token where one is set; a browser only from a page that is
// allowed; and, with no token, only requests for this machine by its own name, or a page of another site
// could point a name of its own here and be "the same host".
func (d *Daemon) guarded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if token := d.cfg.HTTP.Token; token != "" && !sameToken(requestToken(r), token) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="autovoiced"`)
			writeError(w, http.StatusUnauthorized, wire.Errorf(wire.CodeUnauthorized, "token",
				"this daemon wants a token: Authorization: Bearer TOKEN, or ?token=TOKEN"))
			return
		}
		if d.cfg.HTTP.Token == "" && !isLoopback(hostOf(r.Host)) {
			writeError(w, http.StatusForbidden, wire.Errorf(wire.CodeUnauthorized, "host",
				"asked for as %q; without a token this daemon answers to localhost, 127.0.0.1 and [::1] only", r.Host))
			return
		}
		if !d.allowsOrigin(r) {
			writeError(w, http.StatusForbidden, wire.Errorf(wire.CodeUnauthorized, "origin",
				"pages of %s may not connect; http.origins lists those that may", r.Header.Get("Origin")))
			return
		}
		if d.state() == stateStarting && r.URL.Path != "/v1/status" && r.URL.Path != "/metrics" {
			w.Header().Set("Retry-After", "5")
			writeError(w, http.StatusServiceUnavailable, wire.Errorf(wire.CodeStarting, "", "the daemon still opens its voices; /readyz says how far it is"))
			return
		}
		next(w, r)
	}
}

func requestToken(r *http.Request) string {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return token
	}
	return r.URL.Query().Get("token")
}

func sameToken(got, want string) bool {
	return subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}

func (d *Daemon) allowsOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(d.cfg.HTTP.Origins, origin) { // no browser sends none
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}

// upgrade makes a socket of the request; guarded has looked at its origin.
func upgrade(w http.ResponseWriter, r *http.Request) (*websocket.Conn, error) {
	u := websocket.Upgrader{
		ReadBufferSize: socketBuffer, WriteBufferSize: socketBuffer, HandshakeTimeout: headerTimeout,
		CheckOrigin: func(*http.Request) bool { return true },
	}
	return u.Upgrade(w, r, nil)
}

func (d *Daemon) serveReady(w http.ResponseWriter, _ *http.Request) {
	if state := d.state(); state != stateRunning {
		if now := d.building.now.Load(); now != nil && state == stateStarting {
			state += ": " + now.String()
		}
		if lost := d.gpu.lost(); lost != nil && state == stateFailed {
			state += ": " + lost.Message
		}
		writeText(w, http.StatusServiceUnavailable, state+"\n")
		return
	}
	writeText(w, http.StatusOK, "ready\n")
}

func serveSchema(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/schema+json")
	_, _ = w.Write(wire.Schema) // the client may have gone: nothing to do about it
}

func (d *Daemon) serveVoices(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, d.Voices())
}

// Voices are the voices and profiles there are now.
func (d *Daemon) Voices() []wire.Voice {
	all, err := d.cards()
	if err != nil {
		d.faults.Reportf("profiles", "%v", err)
	}
	voices := []wire.Voice{}
	for _, v := range all {
		voices = append(voices, wire.Voice{
			Name: v.Name, Pack: v.Pack, Kind: v.Kind, Sex: v.Sex, MedianHz: v.MedianHz,
			Description: v.Description, Licence: v.Licence,
			InRate: v.InRate, OutRate: v.OutRate, LookaheadMS: v.LookaheadMS,
			Reference: v.Reference, Default: v.Name == d.defaultVoice,
		})
	}
	return voices
}

func writeText(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text)) // the client may have gone: nothing to do about it
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		writeError(w, http.StatusInternalServerError, wire.Errorf(wire.CodeInternal, "", "%v", err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(append(data, '\n'))
}

func writeError(w http.ResponseWriter, code int, e *wire.Error) { writeJSON(w, code, e) }
