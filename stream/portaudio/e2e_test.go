//go:build e2e

package portaudio

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/stream"
	"github.com/autovoiced/autovoiced/stream/portaudio/jacktest"
)

// serve starts a JACK server that this process finds and no other.
func serve(t *testing.T, opt jacktest.Options) *jacktest.Server {
	t.Helper()
	s, err := jacktest.Start(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	for _, v := range s.Env() {
		key, value, _ := strings.Cut(v, "=")
		t.Setenv(key, value)
	}
	if !s.Realtime() {
		t.Log("jackd is not allowed real-time priority: xruns are to be expected")
	}
	return s
}

func probe(t *testing.T, s *jacktest.Server) *jacktest.Probe {
	t.Helper()
	p, err := s.Probe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := p.Connect(ctx, clientName); err != nil {
		t.Fatal(err)
	}
	return p
}

// bypass is a stage that leaves everything as it is.
type bypass string

func (b bypass) Name() string              { return string(b) }
func (bypass) Process(*stream.Chunk) error { return nil }
func (bypass) Reset()                      {}
func (bypass) Latency() time.Duration      { return 0 }
func (bypass) Mode() string                { return "bypass" }

// converter is a whole pipeline on the sound card.
type converter struct {
	*Duplex
	pipeline *stream.Pipeline
	ended    chan error
	states   chan State
}

func convert(t *testing.T, cfg Config) *converter {
	t.Helper()
	clock := stream.NewClock()
	c := &converter{ended: make(chan error, 1), states: make(chan State, 100)}
	var err error
	c.Duplex, err = Open(t.Context(), cfg, Options{Clock: clock, Notify: func(s State, why error) {
		t.Logf("%s: %v", s, why)
		c.states <- s
	}})
	if err != nil {
		t.Fatal(err)
	}
	rate := c.Opening().Rate
	c.pipeline, err = stream.New(stream.Options{
		Source: c.Source(), Sink: c.Sink(), InRate: rate, OutRate: rate, Clock: clock,
		Stages: []stream.Stage{
			bypass(stream.StageSeparation), bypass(stream.StageF0Extraction),
			bypass(stream.StageConversion), bypass(stream.StageMixing),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { c.ended <- c.pipeline.Run(context.WithoutCancel(t.Context())) }()
	return c
}

// stop ends in order, and checks that every frame is accounted for.
func (c *converter) stop(t *testing.T) {
	t.Helper()
	if err := c.Source().Close(); err != nil {
		t.Error(err)
	}
	if err := <-c.ended; err != nil {
		t.Errorf("pipeline: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	l := c.pipeline.Snapshot().Ledger
	if l.In == 0 || l.In != l.Out+l.Dropped.Sum()+l.InFlight || l.InFlight > 4800 {
		t.Errorf("ledger %+v", l)
	}
}

func (c *converter) waitFor(t *testing.T, s State) time.Duration {
	t.Helper()
	begin := time.Now()
	limit := time.After(20 * time.Second)
	for {
		select {
		case got := <-c.states:
			if got == s {
				return time.Since(begin)
			}
		case <-limit:
			t.Fatalf("not %q within 20 s: %+v", s, c.Stats())
		}
	}
}

// allowed is the delay from sound to sound at 48 kHz/128 with chunks of 10 ms and no stage at work.
const allowed = 25 * time.Millisecond

// measure sends noise until the report is good, three times at most.
func measure(t *testing.T, p *jacktest.Probe, frames int, good func(jacktest.Report) bool) jacktest.Report {
	t.Helper()
	r, err := jacktest.Within(good, func() (jacktest.Report, error) {
		sent := jacktest.Noise(frames, 1)
		rec, err := p.Run(t.Context(), sent, p.Rate/5)
		if err != nil {
			return jacktest.Report{}, err
		}
		r, err := jacktest.Exact(sent, rec, 200*time.Millisecond, 50*time.Millisecond, 200*time.Millisecond)
		t.Logf("%d Hz/%d: %s", p.Rate, p.Period, r)
		return r, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestE2EPassThroughLatency(t *testing.T) {
	server := serve(t, jacktest.Options{Rate: 48000, Period: 128})
	c := convert(t, Default())
	p := probe(t, server)
	if o := c.Opening(); !o.Duplex || o.Rate != 48000 {
		t.Errorf("opened %+v", o)
	}
	good := func(r jacktest.Report) bool { return r.P99 <= allowed && r.Unexcused() <= r.Segments/50 }
	r := measure(t, p, 10*48000, good)
	s := c.Stats()
	c.stop(t)
	t.Logf("callbacks: %d, gap p50 %s p99 %s max %s, longest %s; xruns %d, underruns %d, lost %d; device says %s in, %s out",
		s.Callbacks, s.GapP50, s.GapP99, s.GapMax, s.BusyMax, s.Xruns, s.Playout.Underruns, s.Capture.Lost, s.InputLatency, s.OutputLatency)
	if !good(r) {
		t.Errorf("p50 %s, p99 %s, allowed %s; %d of %d segments lost without an xrun of JACK's", r.P50, r.P99, allowed, r.Unexcused(), r.Segments)
	}
	if s.Period != 128 || s.Callbacks < 4000 {
		t.Errorf("stats %+v", s)
	}
}

func TestE2EOtherPeriodsAndRates(t *testing.T) {
	for _, opt := range []jacktest.Options{{Rate: 44100, Period: 64}, {Rate: 48000, Period: 1024}, {Rate: 16000, Period: 256}} {
		t.Run(fmt.Sprintf("%d_%d", opt.Rate, opt.Period), func(t *testing.T) {
			server := serve(t, opt)
			c := convert(t, Default())
			p := probe(t, server)
			// A chunk, three periods (the probe's loop is one), the slack, and what a chunk that does not
			// divide by the period waits for the next callback.
			budget := 10*time.Millisecond + 3*stream.FramesToTime(uint64(opt.Period), opt.Rate) + Default().Slack + time.Millisecond
			good := func(r jacktest.Report) bool { return r.P50 <= budget && r.Unexcused() <= r.Segments/20 }
			if r := measure(t, p, 3*opt.Rate, good); !good(r) {
				t.Errorf("p50 %s, allowed %s; %d of %d segments lost without an xrun of JACK's", r.P50, budget, r.Unexcused(), r.Segments)
			}
			c.stop(t)
		})
	}
}

func TestE2EServerKilledAndBack(t *testing.T) {
	server := serve(t, jacktest.Options{})
	cfg := Default()
	cfg.RetryMin, cfg.RetryMax = 100*time.Millisecond, 500*time.Millisecond
	c := convert(t, cfg)
	for round := range 2 {
		server.Kill()
		lost := c.waitFor(t, Lost)
		time.Sleep(time.Second) // attempts fail meanwhile
		if err := server.Restart(); err != nil {
			t.Fatal(err)
		}
		t.Logf("loss noticed after %s, running %s after jackd", lost, c.waitFor(t, Running))

		p := probe(t, server)
		good := func(r jacktest.Report) bool { return r.P50 <= allowed }
		if r := measure(t, p, 2*48000, good); !good(r) {
			t.Errorf("p50 %s after return %d: the delay has grown", r.P50, round+1)
		}
	}
	if s := c.Stats(); s.Losses != 2 || s.Reconnects != 2 || s.State != Running {
		t.Errorf("stats %+v", s)
	}
	c.stop(t)
}

// A frozen server hangs PortAudio's calls. Nobody but the device may notice.
func TestE2EFrozenServerHangsNobody(t *testing.T) {
	server := serve(t, jacktest.Options{})
	cfg := Default()
	cfg.Deadline, cfg.Stall = time.Second, 300*time.Millisecond
	cfg.RetryMin, cfg.RetryMax = 100*time.Millisecond, 500*time.Millisecond
	c := convert(t, cfg)
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	thaw := time.AfterFunc(20*time.Second, func() { _ = server.Thaw() })
	defer thaw.Stop()
	c.waitFor(t, Lost)
	c.waitFor(t, Hung)
	begin := time.Now()
	if _, err := Devices(); err == nil {
		t.Error("no error from a quarantined library")
	} else if hung := new(HungError); !errors.As(err, &hung) || time.Since(begin) > time.Second {
		t.Errorf("%v after %s", err, time.Since(begin))
	}
	c.Stats()
	if err := server.Thaw(); err != nil {
		t.Fatal(err)
	}
	t.Logf("running %s after the thaw", c.waitFor(t, Running))
	c.stop(t)
}

func TestE2ERateThatJACKDoesNotRunAt(t *testing.T) {
	serve(t, jacktest.Options{})
	cfg := Default()
	cfg.Rate = 44100
	_, err := Open(t.Context(), cfg, Options{})
	var format *FormatError
	if !errors.As(err, &format) || len(format.Can) != 1 || format.Can[0] != 48000 {
		t.Errorf("got %v", err)
	}
}

func TestE2ERateChangedEndsTheSource(t *testing.T) {
	server := serve(t, jacktest.Options{})
	cfg := Default()
	cfg.RetryMin = 100 * time.Millisecond
	c := convert(t, cfg)
	server.Kill()
	c.waitFor(t, Lost)
	if err := server.RestartAs(jacktest.Options{Rate: 44100, Period: 128}); err != nil {
		t.Fatal(err)
	}
	c.waitFor(t, Failed)
	if err := <-c.ended; !errors.Is(err, ErrRateChanged) {
		t.Errorf("pipeline: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestE2EDevicesAreListed(t *testing.T) {
	serve(t, jacktest.Options{})
	list, err := Devices()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if d.Name == "system" && strings.HasPrefix(d.HostAPI, "JACK") && d.DefaultInput && d.DefaultOutput && d.Rate == 48000 {
			return
		}
	}
	t.Errorf("no default JACK device among %v", list)
}
