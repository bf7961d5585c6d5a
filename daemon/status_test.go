package daemon

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client"
	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/stream"
)

// speaking opens a stream and sends n frames of 16 kHz, whose replies it has read.
func speaking(t testing.TB, d *testDaemon, n int) *client.Stream {
	t.Helper()
	s := dial(t, d.url, wire.Start{Format: mono16k})
	signal := buzz(n, 16000)
	go func() {
		for at := 0; at < n; at += 160 {
			_ = s.Send(t.Context(), signal[at:min(n, at+160)])
		}
		_ = s.Flush(t.Context())
	}()
	for {
		ev, err := s.Recv(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := ev.Message.(*wire.Drained); ok {
			return s
		}
	}
}

func TestStatusSaysWhatHappened(t *testing.T) {
	d := serve(t, func(c *Config) { c.Voice.Name = tinyVoice })
	s := speaking(t, d, 32000)
	code, body := get(t, d, "/v1/status")
	var status wire.Status
	if err := json.Unmarshal([]byte(body), &status); err != nil || code != 200 {
		t.Fatalf("%d %s: %v", code, body, err)
	}
	if status.State != "running" || status.Device.State != "off" || status.Protocol != wire.Version || status.UptimeSeconds <= 0 {
		t.Errorf("status %s", body)
	}
	if p := status.Provider; p.Active != "cpu" || p.Nodes["cpu"] == 0 || p.Precision != "fp32" {
		t.Errorf("provider %+v, want fp32 on the cpu with its nodes counted", p)
	}
	if len(status.Sessions) != 1 {
		t.Fatalf("%d sessions, want 1", len(status.Sessions))
	}
	one := status.Sessions[0]
	if !strings.HasPrefix(s.Ready().Session, one.ID+"-") || one.Kind != "stream" || one.Voice != tinyVoice || one.Format != mono16k {
		t.Errorf("session %+v", one)
	}
	var names, modes []string
	for _, stage := range one.Stages {
		names, modes = append(names, stage.Name), append(modes, stage.Mode)
		if c := stage.Compute; c.Count != 200 || c.P50 > c.P95 || c.P95 > c.P99 || c.P99 > c.Max || c.Max <= 0 {
			t.Errorf("%s: compute %+v, want 200 chunks in order", stage.Name, c)
		}
	}
	if want := []string{stream.StageSeparation, stream.StageF0Extraction, stream.StageConversion, stream.StageMixing}; !slices.Equal(names, want) {
		t.Errorf("stages %v, want %v", names, want)
	}
	if want := []string{"gate", "autocorrelation", "model", "limiter"}; !slices.Equal(modes, want) {
		t.Errorf("modes %v, want %v", modes, want)
	}
	if l := one.Ledger; l.In != 32000 || l.Out != 32000 || !l.Balanced() {
		t.Errorf("ledger %+v, want 32000 in and out", l)
	}
	if one.LoadPercent <= 0 || one.RTF <= 0 || one.Levels.InPeak < -20 || one.Levels.InPeak > 0 {
		t.Errorf("load %v %%, rtf %v, levels %+v", one.LoadPercent, one.RTF, one.Levels)
	}
	addsUp(t, one.Pipeline)
}

// addsUp holds a pipeline's means to the identity: total = every compute and every wait, within 2 %.
func addsUp(t testing.TB, p wire.Pipeline) {
	t.Helper()
	sum := p.Waits.Capture.Mean + p.Waits.Sink.Mean + p.Waits.Delivery.Mean
	for _, s := range p.Stages {
		sum += s.Compute.Mean + s.Wait.Mean
	}
	if total := p.Total.Compute.Mean; math.Abs(sum-total) > 0.02*total {
		t.Errorf("computes and waits are %.1f µs, the total is %.1f µs: off by more than 2 %%", sum, total)
	}
}

func TestFeed(t *testing.T) {
	d := serve(t)
	began, n := time.Now(), 0
	enough := errors.New("enough")
	err := client.Watch(t.Context(), d.url, "", 50, func(*wire.Status) error {
		if n++; n == 26 {
			return enough
		}
		return nil
	})
	if took := time.Since(began); err != enough || took < 400*time.Millisecond || took > 5*time.Second {
		t.Errorf("26 looks at 50 Hz took %v and ended with %v, want about 500 ms", took, err)
	}
	for _, hz := range []string{"0", "51", "-1", "fast", "NaN"} {
		if code, body := get(t, d, "/v1/status?hz="+hz); code != 200 { // a plain GET has no rate
			t.Errorf("hz %s: %d %s", hz, code, body)
		}
		if _, err := feedRate(hz, 10); err == nil {
			t.Errorf("hz %s is accepted", hz)
		}
	}
}

// TestFeedOfASlowWatcher: one that does not read misses snapshots, delays nobody and is let go.
func TestFeedOfASlowWatcher(t *testing.T) {
	d := serve(t, transparent)
	conn := rawFeed(t, d, "?hz=50")
	neighbour := startNeighbour(t, d)
	time.Sleep(500 * time.Millisecond)
	neighbour()
	var last wire.Status
	for range 5 {
		if err := conn.ReadJSON(&last); err != nil {
			t.Fatal(err)
		}
	}
	if last.State != "running" {
		t.Errorf("status %+v", last)
	}
}

func TestGoodbye(t *testing.T) {
	d := serve(t)
	ended := make(chan error, 1)
	seen := make(chan struct{}, 1000)
	go func() {
		ended <- client.Watch(t.Context(), d.url, "", 50, func(*wire.Status) error {
			seen <- struct{}{}
			return nil
		})
	}()
	<-seen
	if err := d.stop(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != io.EOF {
		t.Errorf("the watcher's end is %v, want the goodbye (io.EOF)", err)
	}
}

// TestStopDrains: what a client had sent when the daemon stops is converted and comes back before the end.
func TestStopDrains(t *testing.T) {
	d := serve(t, transparent)
	s := dial(t, d.url, wire.Start{Format: mono48k})
	signal := noise(48000, 3)
	for at := 0; at < len(signal); at += 4800 {
		if err := s.Send(t.Context(), signal[at:at+4800]); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all is read", func() bool { return d.Status().Totals.Ledger.In == uint64(len(signal)) })
	stopped := make(chan error, 1)
	go func() { stopped <- d.stop() }()
	var reply []float32
	drained := false
	for {
		ev, err := s.Recv(t.Context())
		if err != nil {
			if !errors.Is(err, &wire.Error{Code: wire.CodeShuttingDown}) {
				t.Errorf("the end is %v, want %s", err, wire.CodeShuttingDown)
			}
			break
		}
		reply = append(reply, ev.Audio...)
		if m, ok := ev.Message.(*wire.Drained); ok {
			drained = m.Final && m.Ledger.Out == uint64(len(signal))
		}
	}
	_ = s.Close()
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	if at := difference(reply, signal); at >= 0 || !drained {
		t.Errorf("reply of %d frames differs at %d, drained %v", len(reply), at, drained)
	}
	if !strings.Contains(d.log.String(), `"message":"drained"`) || !strings.Contains(d.log.String(), `"frames_out":48000`) {
		t.Errorf("the log does not say what drained:\n%s", d.log.String())
	}
}

// TestStopDoesNotWaitForEver: a client that does not read what is drained cannot hold the daemon.
func TestStopDoesNotWaitForEver(t *testing.T) {
	d := serve(t, transparent, func(c *Config) {
		c.Stream.DrainTimeout, c.HTTP.StallTimeout = 300*time.Millisecond, time.Minute
	})
	r := narrow(t, d)
	r.text(`{"type":"start","format":{"encoding":"f32le","rate":48000,"channels":2}}`)
	format := wire.Format{Encoding: wire.F32LE, Rate: 48000, Channels: 2}
	data := format.Encode(wire.Header{}.Append(nil), noise(24000, 1))
	_ = r.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	for r.WriteMessage(2, data) == nil {
		data[4]++
	}
	began := time.Now()
	err := d.stop()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("stopping took %v with a limit of 300 ms", took)
	}
	if err == nil || !strings.Contains(err.Error(), "drain_timeout") {
		t.Errorf("run ends with %v, want to be told what was lost", err)
	}
}

func TestPortInUse(t *testing.T) {
	first := serve(t)
	cfg := testConfig(t)
	cfg.HTTP.Listen = first.Addr().String()
	d, _ := quiet(t, cfg)
	if err := d.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "http.listen") || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v, want http.listen and that the address is in use", err)
	}
}

func TestUnknownDefaultVoice(t *testing.T) {
	cfg := testConfig(t)
	cfg.Voice.Name = "nobody"
	log, err := NewLog(cfg.Log, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	if _, err := New(cfg, log); err == nil || !strings.Contains(err.Error(), "voice.name") {
		t.Errorf("got %v, want an error about voice.name", err)
	}
}

func TestPageHealthAndVoices(t *testing.T) {
	d := serve(t)
	for path, want := range map[string]string{
		"/": "autovoiced", "/healthz": "alive", "/readyz": "ready", "/v1/voices": `"name":"` + tinyVoice + `"`,
	} {
		if code, body := get(t, d, path); code != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %q, want %q in it", path, code, body, want)
		}
	}
	if code, _ := get(t, d, "/nothing/here"); code != 404 {
		t.Errorf("an unknown address gives %d, want 404", code)
	}
	var voices []wire.Voice
	_, body := get(t, d, "/v1/voices")
	if err := json.Unmarshal([]byte(body), &voices); err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(voices, func(v wire.Voice) bool { return v.Default }); i < 0 || voices[i].Name != passthrough {
		t.Errorf("voices %+v, want %s as the default", voices, passthrough)
	}
}
