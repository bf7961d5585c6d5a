package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/autovoiced/autovoiced/client/wire"
)

// tally is a raw client that keeps account of what it gets, as one that means to return must.
type tally struct {
	raw
	ready    *wire.Ready
	received uint64 // messages, ready and timing aside
	audio    []float32
	sequence []uint32
	drained  *wire.Drained
	refused  *wire.Error
}

// hear reads one message.
func (c *tally) hear() error {
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	kind, data, err := c.ReadMessage()
	if err != nil {
		return err
	}
	if kind == websocket.BinaryMessage {
		h, pcm, werr := wire.ParseHeader(data)
		if werr != nil {
			return werr
		}
		c.audio, werr = mono48k.Decode(c.audio, pcm)
		if werr != nil {
			return werr
		}
		c.sequence = append(c.sequence, h.Sequence)
		c.received++
		return nil
	}
	m, err := wire.DecodeServer(data)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *wire.Ready:
		c.ready = m
		return nil
	case *wire.Timing:
		return nil
	case *wire.Drained:
		c.drained = m
	case *wire.Error:
		c.refused = m
	}
	c.received++
	return nil
}

// cut ends the connection as a network does: without a word.
func (c *tally) cut() { _ = c.NetConn().Close() }

func begin(t *testing.T, d *testDaemon, start string) *tally {
	t.Helper()
	c := &tally{raw: rawDial(t, d, "")}
	c.text(start)
	for c.ready == nil {
		if err := c.hear(); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// comeBack returns with a token on a connection of its own.
func (c *tally) comeBack(t *testing.T, d *testDaemon) error {
	t.Helper()
	token := c.ready.Session
	c.raw, c.ready = rawDial(t, d, ""), nil
	c.text(fmt.Sprintf(`{"type":"start","resume":%q,"received":%d}`, token, c.received))
	for c.ready == nil {
		if err := c.hear(); err != nil {
			return errors.Join(err, plainError(c.refused))
		}
	}
	return nil
}

func plainError(e *wire.Error) error {
	if e == nil {
		return nil
	}
	return e
}

const start48k = `{"type":"start","format":{"encoding":"f32le","rate":48000,"channels":1}}`

// TestAStreamGoesOnAfterItsConnectionWasCut: again and again, at random places, with messages of both sides lost
// on the way; no sample is missing or twice, and the ledger knows of every one.
func TestAStreamGoesOnAfterItsConnectionWasCut(t *testing.T) {
	d := serve(t, transparent)
	signal := noise(48000*3, 21)
	const frames = 480
	messages := len(signal) / frames
	c := begin(t, d, start48k)
	accepted, cuts := 0, random(5, 60)
	first := c.ready.Session
	for accepted < messages {
		// Speak without listening much, and lose the connection somewhere.
		for n := min(accepted+cuts(), messages); accepted < n; accepted++ {
			c.audio48(accepted, signal[accepted*frames:(accepted+1)*frames])
			for int(c.received)+50 < accepted && c.hear() == nil {
			}
		}
		c.cut()
		if err := c.comeBack(t, d); err != nil {
			t.Fatal(err)
		}
		if c.ready.Resumed == nil || c.ready.Resumed.Lost != 0 || int(c.ready.Resumed.Accepted) > accepted || c.ready.Session == first {
			t.Fatalf("ready is %+v after %d messages", c.ready, accepted)
		}
		accepted = int(c.ready.Resumed.Accepted) // what came after did not arrive
	}
	c.text(`{"type":"stop"}`)
	for c.drained == nil {
		if err := c.hear(); err != nil {
			t.Fatal(err)
		}
	}
	if at := difference(c.audio, signal[:messages*frames]); at >= 0 {
		t.Errorf("the reply of %d frames differs at %d from the signal of %d", len(c.audio), at, len(signal))
	}
	for i, n := range c.sequence {
		if int(n) != i {
			t.Errorf("reply %d has number %d", i, n)
			break
		}
	}
	if l := c.drained.Ledger; l.In != uint64(len(c.audio)) || l.Out != l.In || len(l.Dropped) > 0 || l.InFlight != 0 {
		t.Errorf("ledger %+v, want %d in and out", l, len(c.audio))
	}
}

func (c *tally) audio48(sequence int, samples []float32) {
	_ = c.WriteMessage(websocket.BinaryMessage, mono48k.Encode(wire.Header{Sequence: uint32(sequence)}.Append(nil), samples))
}

// TestOnlyOneReturns: a token is good once, for the stream that it was made for, while that waits.
func TestOnlyOneReturns(t *testing.T) {
	d := serve(t, transparent, func(c *Config) { c.HTTP.MaxSessions = 1 })
	c := begin(t, d, start48k)
	token := c.ready.Session
	id := d.Status().Sessions[0].ID
	if !strings.HasPrefix(token, id+"-") || len(token) < len(id)+20 {
		t.Errorf("session %q is told the token %q", id, token)
	}
	c.cut()
	eventually(t, "the client is seen to be away", func() bool { s := d.Status().Sessions; return len(s) == 1 && s[0].Away })
	refuse := func(what, start string, code wire.Code) {
		t.Helper()
		other := &tally{raw: rawDial(t, d, "")}
		other.text(start)
		if e, _ := other.end(); e == nil || e.Code != code {
			t.Errorf("%s: %v, want %s", what, e, code)
		}
	}
	resume := func(token, more string) string { return fmt.Sprintf(`{"type":"start","resume":%q%s}`, token, more) }
	refuse("a guess", resume(id+"-AAAAAAAAAAAAAAAAAAAAAAAAAA", ""), wire.CodeUnknownSession)
	refuse("the id alone", resume(id, ""), wire.CodeUnknownSession)
	refuse("no secret", resume(id+"-", ""), wire.CodeUnknownSession)
	refuse("another format", resume(token, `,"format":{"encoding":"s16le","rate":16000,"channels":1}`), wire.CodeBadFormat)
	refuse("a new stream, while one is waited for", start48k, wire.CodeTooManySessions)

	var all sync.WaitGroup
	var mu sync.Mutex
	outcomes := map[string]int{}
	for range 5 {
		all.Go(func() {
			other := &tally{raw: rawDial(t, d, "")}
			other.text(resume(token, `,"mute":true`))
			err := other.hear()
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && other.ready != nil:
				outcomes["returned"]++
				c.raw, c.ready = other.raw, other.ready
			case other.refused != nil:
				outcomes[string(other.refused.Code)]++
			}
		})
	}
	all.Wait()
	if outcomes["returned"] != 1 || outcomes[string(wire.CodeUnknownSession)] != 4 {
		t.Errorf("of five with one token: %v, want one returned", outcomes)
	}
	eventually(t, "what came with the token counts", func() bool { return d.Status().Sessions[0].Settings.Mute })
	refuse("a token that was used", resume(token, ""), wire.CodeUnknownSession)
	c.text(`{"type":"update","mute":false}`)
	c.text(`{"type":"stop"}`)
	for c.drained == nil {
		if err := c.hear(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAReturnNeedsNoGoodbye: the network has lost the client, and the daemon does not know yet.
func TestAReturnNeedsNoGoodbye(t *testing.T) {
	d := serve(t, transparent)
	signal := noise(4800, 3)
	c := begin(t, d, start48k)
	c.audio48(0, signal[:2400])
	for len(c.audio) < 1440 {
		if err := c.hear(); err != nil {
			t.Fatal(err)
		}
	}
	before := c.raw
	if err := c.comeBack(t, d); err != nil {
		t.Fatal(err)
	}
	if _, _, err := before.ReadMessage(); err == nil {
		t.Log("what was on its way on the old connection is read: that is as it may be")
	}
	c.audio48(1, signal[2400:])
	c.text(`{"type":"stop"}`)
	for c.drained == nil {
		if err := c.hear(); err != nil {
			t.Fatal(err)
		}
	}
	if difference(c.audio, signal) >= 0 {
		t.Error("the reply is not the signal")
	}
}

// TestWhoStaysAwayIsForgotten: its place is free again, and what was on its way is booked.
func TestWhoStaysAwayIsForgotten(t *testing.T) {
	d := serve(t, transparent, func(c *Config) { c.HTTP.ResumeTimeout, c.HTTP.MaxSessions = 300*time.Millisecond, 1 })
	c := begin(t, d, start48k)
	if c.ready.ResumeSeconds != 0.3 {
		t.Errorf("it may be away for %v s", c.ready.ResumeSeconds)
	}
	c.audio48(0, noise(480*20+100, 1))
	eventually(t, "audio is in", func() bool { return d.Status().Sessions[0].Ledger.In > 0 })
	c.cut()
	eventually(t, "the stream is forgotten", func() bool { return len(d.Status().Sessions) == 0 })
	if err := c.comeBack(t, d); !errors.Is(err, &wire.Error{Code: wire.CodeUnknownSession}) {
		t.Errorf("too late: %v", err)
	}
	if l := d.Status().Totals.Ledger; !l.Balanced() || l.InFlight != 0 || l.In != 480*20+100 {
		t.Errorf("ledger %+v", l)
	}
	dial(t, d.url, wire.Start{Format: mono48k}) // there is room
}

// TestWhoSaysGoodbyeIsNotWaitedFor: a close frame is an end.
func TestWhoSaysGoodbyeIsNotWaitedFor(t *testing.T) {
	d := serve(t, transparent, func(c *Config) { c.HTTP.ResumeTimeout = time.Minute })
	c := begin(t, d, start48k)
	_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseGoingAway, ""), time.Now().Add(time.Second))
	eventually(t, "the stream has ended", func() bool { return len(d.Status().Sessions) == 0 })
	if err := c.comeBack(t, d); !errors.Is(err, &wire.Error{Code: wire.CodeUnknownSession}) {
		t.Errorf("after goodbye: %v", err)
	}
}

// TestAStopDoesNotWaitForWhoIsAway, and neither does a daemon that lets nobody return.
func TestAStopDoesNotWaitForWhoIsAway(t *testing.T) {
	d := serve(t, transparent, func(c *Config) { c.HTTP.ResumeTimeout = time.Minute })
	c := begin(t, d, start48k)
	c.cut()
	eventually(t, "the client is away", func() bool { return d.Status().Sessions[0].Away })
	began := time.Now()
	if err := d.stop(); err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("stop: %v after %v", err, time.Since(began))
	}

	never := serve(t, transparent, func(c *Config) { c.HTTP.ResumeTimeout = 0 })
	c = begin(t, never, start48k)
	c.cut()
	eventually(t, "the stream has ended", func() bool { return len(never.Status().Sessions) == 0 })
}

func TestVersionsAreNegotiated(t *testing.T) {
	d := serve(t, transparent)
	with := func(versions string) string { return strings.Replace(start48k, "{", `{"versions":`+versions+`,`, 1) }
	if c := begin(t, d, with("[1,2,7]")); c.ready.Version != 1 {
		t.Errorf("version %d", c.ready.Version)
	}
	r := rawDial(t, d, "")
	r.text(with("[2,7]"))
	if e, _ := r.end(); e == nil || e.Code != wire.CodeBadVersion || !strings.Contains(e.Message, "this server 1") {
		t.Errorf("versions 2 and 7: %v", e)
	}
}

func TestReplayKeepsTheLast(t *testing.T) {
	var p replay
	var free [][]byte
	for i := range 1000 {
		free = p.add(reply{kind: websocket.BinaryMessage, data: []byte{byte(i), byte(i >> 8)}}, free)
	}
	if len(free) != 1000-replayMessages || p.bytes != 2*replayMessages {
		t.Errorf("%d given back, %d bytes held", len(free), p.bytes)
	}
	again, lost := p.after(990)
	if len(again) != 10 || lost != 0 || !slices.Equal(again[0].data, []byte{990 & 255, 990 >> 8}) {
		t.Errorf("after 990: %d again, %d lost", len(again), lost)
	}
	if again, lost = p.after(100); len(again) != replayMessages || lost != 1000-replayMessages-100 {
		t.Errorf("after 100: %d again, %d lost", len(again), lost)
	}
	if again, lost = p.after(2000); len(again) != 0 || lost != 0 {
		t.Errorf("after more than was sent: %d again, %d lost", len(again), lost)
	}
	p.add(reply{kind: websocket.TextMessage, data: make([]byte, replayBytes)}, nil)
	if p.held != 1 {
		t.Errorf("%d held beside one that fills it", p.held)
	}
}
