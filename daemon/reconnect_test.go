package daemon

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client"
	"github.com/autovoiced/autovoiced/client/wire"
)

// cutter is a bad network before a daemon: it forwards connections and cuts all of them when told to.
type cutter struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	open     []net.Conn
	dark     atomic.Bool  // takes nobody
	every    atomic.Int64 // bytes towards the client until a cut; 0: no cuts of its own
	passed   atomic.Int64
	all      sync.WaitGroup
}

func badNetwork(t *testing.T, d *testDaemon) *cutter {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: listener, to: d.Addr().String()}
	c.all.Go(c.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		c.cut()
		c.all.Wait()
	})
	return c
}

func (c *cutter) accept() {
	for {
		from, err := c.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", c.to)
		if err != nil || c.dark.Load() {
			_ = from.Close()
			if to != nil {
				_ = to.Close()
			}
			continue
		}
		c.mu.Lock()
		c.open = append(c.open, from, to)
		c.mu.Unlock()
		for i, pair := range [][2]net.Conn{{from, to}, {to, from}} {
			var into io.Writer = pair[1]
			if i == 1 {
				into = io.MultiWriter(pair[1], c)
			}
			c.all.Go(func() {
				_, _ = io.Copy(into, pair[0])
				_, _ = pair[0].Close(), pair[1].Close()
			})
		}
	}
}

// Write is told of what went to a client.
func (c *cutter) Write(p []byte) (int, error) {
	every := c.every.Load()
	if every > 0 && c.passed.Add(int64(len(p))) > every {
		c.passed.Store(0)
		c.cut()
	}
	return len(p), nil
}

// cut resets every connection; what is on its way is lost.
func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.open {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
	c.open = nil
}

// TestTheClientComesBack: its user sends and receives as always, while the connection is cut many times; every sample
// comes back once, and the ledger is exact. With a voice too: what comes back is what comes back without cuts.
func TestTheClientComesBack(t *testing.T) {
	d := serve(t, transparent, func(c *Config) { c.HTTP.RealTimeFactor = 4 })
	network := badNetwork(t, d)
	url := "http://" + network.listener.Addr().String()
	for name, o := range map[string]client.Options{
		"as it came":   {Start: wire.Start{Format: mono48k, Timings: 50}},
		"raw framing":  {Start: wire.Start{Format: mono48k}, Raw: true},
		"with a voice": {Start: wire.Start{Format: mono16k, Voice: tinyVoice, Pitch: &wire.PitchShift{Semitones: 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			rate := o.Start.Format.Rate
			signal := noise(4*rate+17, 6)
			want := signal
			if o.Start.Voice != "" {
				s, err := client.Dial(t.Context(), d.url, o)
				if err != nil {
					t.Fatal(err)
				}
				want, _ = converse(t, s, signal, fixed(rate/100))
			}
			s, err := client.Dial(t.Context(), url, o)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			// Eight cuts or so, none in the last quarter: after the final drained there is nothing to come back to.
			network.every.Store(int64(4 * len(signal) / 11))
			defer network.every.Store(0)
			var heard atomic.Int64
			reply, ledger := converseUntil(t, s, signal, rate/100, func(frames int) {
				if heard.Add(int64(frames)) > int64(len(signal)*3/4) {
					network.every.Store(0)
				}
			})
			if at := difference(reply, want); at >= 0 {
				t.Errorf("the reply of %d frames differs at %d from what it should be, %d frames", len(reply), at, len(want))
			}
			if ledger.In != uint64(len(signal)) || ledger.Out != ledger.In || len(ledger.Dropped) > 0 || ledger.InFlight != 0 {
				t.Errorf("ledger %+v, want %d in and out", ledger, len(signal))
			}
			stats := s.Stats()
			if stats.Returns < 3 || stats.SentFrames != uint64(len(signal)) || stats.ReceivedFrames != uint64(len(reply)) || stats.LostReplies > 0 || stats.Blocked <= 0 {
				t.Errorf("stats %+v", stats)
			}
			t.Logf("%d returns, %v blocked", stats.Returns, stats.Blocked)
		})
	}
}

// converseUntil is converse that tells of each reply.
func converseUntil(t *testing.T, s *client.Stream, signal []float32, cut int, heard func(frames int)) (reply []float32, ledger wire.Ledger) {
	t.Helper()
	sent := make(chan error, 1)
	go func() {
		for rest := signal; len(rest) > 0; rest = rest[min(cut, len(rest)):] {
			if err := s.Send(t.Context(), rest[:min(cut, len(rest))]); err != nil {
				sent <- err
				return
			}
		}
		sent <- s.Stop(t.Context())
	}()
	for {
		ev, err := s.Recv(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Error(err)
			break
		}
		reply = append(reply, ev.Audio...)
		heard(len(ev.Audio))
		switch m := ev.Message.(type) {
		case *wire.Drained:
			ledger = m.Ledger
		case *wire.Ready:
			if m.Resumed == nil || m.Resumed.Lost > 0 {
				t.Errorf("came back to %+v", m.Resumed)
			}
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	return reply, ledger
}

// TestTheClientGivesUp: where the network stays dark for longer than the daemon waits, and at once where resuming is
// not wanted.
func TestTheClientGivesUp(t *testing.T) {
	d := serve(t, transparent, func(c *Config) { c.HTTP.ResumeTimeout = 400 * time.Millisecond })
	network := badNetwork(t, d)
	url := "http://" + network.listener.Addr().String()
	for _, o := range []client.Options{{Start: wire.Start{Format: mono48k}}, {NoResume: true, Rate: 44100}} {
		network.dark.Store(false)
		s, err := client.Dial(t.Context(), url, o)
		if err != nil {
			t.Fatal(err)
		}
		if rate := s.Ready().Format.Rate; o.Rate != 0 && rate != o.Rate {
			t.Errorf("the stream has %d Hz, want %d", rate, o.Rate)
		}
		network.dark.Store(true)
		network.cut()
		sent := make(chan error, 1)
		go func() {
			for {
				if err := s.Send(t.Context(), noise(480, 1)); err != nil {
					sent <- err
					return
				}
			}
		}()
		if _, err := s.Recv(t.Context()); err == nil {
			t.Error("Recv goes on without a network")
		}
		if err := <-sent; err == nil {
			t.Error("Send goes on without a network")
		}
		_ = s.Close()
	}
	eventually(t, "the streams are forgotten", func() bool { return len(d.Status().Sessions) == 0 })
	if l := d.Status().Totals.Ledger; !l.Balanced() || l.InFlight != 0 {
		t.Errorf("ledger %+v", l)
	}
}

// TestAClosedStreamStaysClosed, whatever its network does.
func TestAClosedStreamStaysClosed(t *testing.T) {
	d := serve(t, transparent)
	s := dial(t, d.url, wire.Start{Format: mono48k})
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := s.Recv(t.Context()); err != nil {
				ended <- err
				return
			}
		}
	}()
	if err := s.Send(t.Context(), noise(480, 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("Recv goes on")
	}
	if err := s.Send(t.Context(), noise(480, 1)); err == nil {
		t.Error("Send goes on")
	}
	var refused *wire.Error
	if err := s.Stop(t.Context()); err == nil || errors.As(err, &refused) {
		t.Errorf("Stop: %v", err)
	}
	eventually(t, "the stream has ended", func() bool { return len(d.Status().Sessions) == 0 })
}
