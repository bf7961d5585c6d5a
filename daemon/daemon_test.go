package daemon

import (
	"context"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/autovoiced/autovoiced/client"
	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/infer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Voices of the test daemons.
const (
	passthrough = "passthrough"
	tinyVoice   = "tiny-low"
)

// needRuntime skips where ONNX Runtime is not installed; in CI that is a failure.
func needRuntime(t testing.TB) {
	t.Helper()
	if err := infer.Start(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// testConfig is the default configuration on a free port, without a sound card, with a small voice beside
// the bundled ones.
func testConfig(t testing.TB) Config {
	t.Helper()
	needRuntime(t)
	model, err := os.ReadFile("../testdata/models/tiny-voice/tiny-voice.onnx")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tiny.onnx"), model, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.HTTP.Listen = "127.0.0.1:0"
	cfg.HTTP.MaxLoad = 0 // how busy the machine is must not be seen but where it is tested
	cfg.Audio.Enabled = "false"
	cfg.Infer.Models = dir
	cfg.Voice.Name = passthrough
	return cfg
}

// transparent takes everything out of the way that would change a sample.
func transparent(c *Config) {
	c.Separation.Mode = "bypass"
	c.Mixing.Limiter = false
}

// running is a daemon under test.
type testDaemon struct {
	*Daemon
	url  string
	log  *syncBuffer
	stop func() error
}

type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// quiet is a daemon that does not run yet, and its log, which nobody reads.
func quiet(t *testing.T, cfg Config) (*Daemon, *Log) {
	t.Helper()
	log, err := NewLog(cfg.Log, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	d, err := New(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	return d, log
}

// serve runs a daemon until the test ends, or until stop is called, which gives Run's error.
func serve(t testing.TB, change ...func(*Config)) *testDaemon {
	t.Helper()
	cfg := testConfig(t)
	for _, c := range change {
		c(&cfg)
	}
	out := &syncBuffer{}
	log, err := NewLog(cfg.Log, out)
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	var once sync.Once
	stop := func() (err error) {
		once.Do(func() {
			cancel()
			select {
			case err = <-ended:
			case <-time.After(20 * time.Second):
				t.Error("the daemon does not stop")
			}
			_ = log.Close()
			if t.Failed() {
				t.Log(out.String())
			}
		})
		return err
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	select {
	case <-d.Ready():
	case err := <-ended:
		t.Fatal(err)
	}
	return &testDaemon{Daemon: d, url: "http://" + d.Addr().String(), log: out, stop: stop}
}

var (
	mono16k = wire.Format{Encoding: wire.F32LE, Rate: 16000, Channels: 1}
	mono48k = wire.Format{Encoding: wire.F32LE, Rate: 48000, Channels: 1}
)

func dial(t testing.TB, url string, start wire.Start) *client.Stream {
	t.Helper()
	s, err := client.Dial(t.Context(), url, client.Options{Start: start})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// noise is a signal in which every sample tells where it is.
func noise(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 3))
	x := make([]float32, n)
	for i := range x {
		x[i] = 0.5 * (r.Float32() - 0.5)
	}
	return x
}

// converse sends a signal in pieces of the sizes that cut gives, stops, and collects the reply.
func converse(t testing.TB, s *client.Stream, signal []float32, cut func() int) ([]float32, wire.Ledger) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sent := make(chan error, 1)
	go func() {
		rest := signal
		for len(rest) > 0 {
			n := min(cut(), len(rest))
			if err := s.Send(ctx, rest[:n]); err != nil {
				sent <- err
				return
			}
			rest = rest[n:]
		}
		sent <- s.Stop(ctx)
	}()
	reply, ledger := collect(ctx, t, s)
	if err := <-sent; err != nil {
		t.Error(err)
	}
	return reply, ledger
}

// collect receives until the final drained and the end.
func collect(ctx context.Context, t testing.TB, s *client.Stream) (reply []float32, ledger wire.Ledger) {
	t.Helper()
	for {
		ev, err := s.Recv(ctx)
		if err == io.EOF {
			return reply, ledger
		}
		if err != nil {
			t.Error(err)
			return reply, ledger
		}
		reply = append(reply, ev.Audio...)
		switch m := ev.Message.(type) {
		case *wire.Drained:
			ledger = m.Ledger
		case *wire.Error:
			t.Error(m)
		}
	}
}

func random(seed uint64, most int) func() int {
	r := rand.New(rand.NewPCG(seed, 1))
	return func() int { return 1 + r.IntN(most) }
}

func fixed(n int) func() int { return func() int { return n } }

// difference is where two signals first differ, -1 if they do not.
func difference(a, b []float32) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	if len(a) != len(b) {
		return min(len(a), len(b))
	}
	return -1
}
