package daemon

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"strings"
	"sync"

	"github.com/autovoiced/autovoiced/client/wire"
)

// errHandedOver ends a connection's own life: it belongs to a stream that was there before.
var errHandedOver = errors.New("the connection belongs to a stream that goes on")

// absent knows the streams that clients may return to.
type absent struct {
	mu      sync.Mutex
	streams map[string]*connection // by session
}

// expect makes a token that lets the stream's client return, once, and forgets the one before.
func (r *absent) expect(c *connection) (token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.streams == nil {
		r.streams = map[string]*connection{}
	}
	r.streams[c.session.id] = c
	c.secret = rand.Text()
	return c.session.id + "-" + c.secret
}

// claim finds the stream of a token, which is of no use any more then.
func (r *absent) claim(token string, fits func(*connection) *wire.Error) (*connection, *wire.Error) {
	id, secret := token, ""
	if cut := strings.LastIndex(token, "-"); cut >= 0 {
		id, secret = token[:cut], token[cut+1:]
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.streams[id]
	if c == nil || c.secret == "" || subtle.ConstantTimeCompare([]byte(c.secret), []byte(secret)) != 1 {
		return nil, nobodyReturns()
	}
	if err := fits(c); err != nil {
		return nil, err
	}
	c.secret = ""
	return c, nil
}

func (r *absent) forget(c *connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.session != nil && r.streams[c.session.id] == c {
		delete(r.streams, c.session.id)
	}
}

// nobodyReturns does not say which of the reasons it is.
func nobodyReturns() *wire.Error {
	return wire.Errorf(wire.CodeUnknownSession, "resume", "no stream waits for this: it has ended, was away for too long, or the token was used before; start anew")
}

// resume hands the connection to the stream that its client has come back for.
func (c *connection) resume(start *wire.Start) error {
	old, err := c.d.absent.claim(start.Resume, func(old *connection) *wire.Error {
		switch {
		case start.Format != (wire.Format{}) && start.Format != old.format:
			return wire.Errorf(wire.CodeBadFormat, "format", "%+v, the stream began with %+v", start.Format, old.format)
		case c.source.raw != old.source.raw:
			return wire.Errorf(wire.CodeBadParam, "framing", "another framing than the stream began with")
		}
		return nil
	})
	if err != nil {
		return err
	}
	accepted, ok := old.line.take(c.line.newest())
	if !ok {
		return nobodyReturns()
	}
	c.out.leave() // only now: a refusal would have been its to tell
	old.out.returned(&homecoming{conn: c.line.newest(), received: start.Received, ready: func(lost uint64) *wire.Ready {
		ready := old.ready(old.d.absent.expect(old))
		ready.Resumed = &wire.Resumed{Accepted: accepted, Lost: lost}
		return ready
	}})
	old.source.tellIgnored(c.ignored)
	if u := settingsOf(start); *u != (wire.Update{}) {
		old.update(u)
	}
	old.d.log.Info().Str("session", old.session.id).Str("client", c.line.newest().RemoteAddr().String()).Msg("client returned")
	return errHandedOver
}

// settingsOf is what a start that resumes wants changed.
func settingsOf(start *wire.Start) *wire.Update {
	u := &wire.Update{Pitch: start.Pitch, Mix: start.Mix, Gate: start.Gate, Monitor: start.Monitor, Mute: start.Mute}
	if start.Voice != "" {
		u.Voice = &start.Voice
	}
	if start.Profile != "" {
		u.Profile = &start.Profile
	}
	if start.Timings != 0 {
		u.Timings = &start.Timings
	}
	return u
}
