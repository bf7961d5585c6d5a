package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client"
	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream"
)

// failing is a voice whose next run fails, as one on a GPU does, once it is told to.
type failing struct {
	stream.Converter
	with *atomic.Pointer[error]
}

func (f failing) Convert(dst, src, f0 []float32) error {
	if err := f.with.Load(); err != nil {
		return fmt.Errorf("model x: voice y: run: %w: CUDA failure 719", *err)
	}
	return f.Converter.Convert(dst, src, f0)
}

// failingDaemon has voices that fail with what is stored.
func failingDaemon(t *testing.T) (*testDaemon, *atomic.Pointer[error]) {
	t.Helper()
	var with atomic.Pointer[error]
	was := between
	between = func(c infer.Converter) stream.Converter { return failing{c, &with} }
	t.Cleanup(func() { between = was })
	d := serve(t, func(c *Config) { c.Voice.Name = tinyVoice })
	return d, &with
}

// endOf speaks until the stream ends and gives the error that it ended with.
func endOf(t *testing.T, s *client.Stream) *wire.Error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	go func() {
		for s.Send(ctx, make([]float32, 160)) == nil && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
	}()
	for {
		e, err := s.Recv(ctx)
		var told *wire.Error
		if errors.As(err, &told) {
			return told
		}
		if err != nil {
			t.Fatalf("the stream ended with %v", err)
		}
		if told, ok := e.Message.(*wire.Error); ok {
			return told
		}
	}
}

// A GPU that fails while sessions run ends them with an error of its own; the daemon lives, says that it is not ready, and why, and
// takes no new ones.
func TestGPULostWhileRunning(t *testing.T) {
	d, with := failingDaemon(t)
	one, two := speaking(t, d, 1600), speaking(t, d, 1600)
	if code, text := get(t, d, "/readyz"); code != http.StatusOK {
		t.Errorf("before: %d %s", code, text)
	}
	with.Store(&infer.ErrGPULost)
	for _, s := range []*client.Stream{one, two} {
		if e := endOf(t, s); e.Code != wire.CodeGPULost || !e.Fatal || !strings.Contains(e.Message, "CUDA failure 719") {
			t.Errorf("the session ended with %+v", e)
		}
	}
	with.Store(nil)
	code, text := get(t, d, "/readyz")
	if code != http.StatusServiceUnavailable || !strings.HasPrefix(text, "failed: ") || !strings.Contains(text, "restart autovoiced") {
		t.Errorf("after: %d %s", code, text)
	}
	if code, _ := get(t, d, "/healthz"); code != http.StatusOK {
		t.Errorf("it does not live: %d", code)
	}
	_, body := get(t, d, "/v1/status")
	var status wire.Status
	if err := json.Unmarshal([]byte(body), &status); err != nil || status.State != "failed" || !strings.Contains(status.Fault, "CUDA failure 719") || status.Totals.Errors["gpu_lost"] != 2 {
		t.Errorf("status %q, fault %q, errors %v, %v", status.State, status.Fault, status.Totals.Errors, err)
	}
	if _, text := get(t, d, "/metrics"); !strings.Contains(text, "autovoiced_ready 0\n") {
		t.Error("the metrics say that it is ready")
	}
	_, err := client.Dial(t.Context(), d.url, client.Options{Start: wire.Start{Format: mono16k}})
	if !errors.Is(err, &wire.Error{Code: wire.CodeGPULost}) {
		t.Errorf("a new session: %v", err)
	}
}

// A GPU whose memory is full ends the session that wanted more of it, and nothing else.
func TestGPUMemoryFull(t *testing.T) {
	d, with := failingDaemon(t)
	s := speaking(t, d, 1600)
	with.Store(&infer.ErrGPUMemory)
	if e := endOf(t, s); e.Code != wire.CodeGPUMemory || !e.Retryable {
		t.Errorf("the session ended with %+v", e)
	}
	with.Store(nil)
	if code, text := get(t, d, "/readyz"); code != http.StatusOK {
		t.Errorf("%d %s", code, text)
	}
	speaking(t, d, 1600)
}

// While the voice is opened, HTTP says so, and how far an engine is that is built for it; the rest comes later.
func TestStartIsTold(t *testing.T) {
	cfg := testConfig(t)
	d, log := quiet(t, cfg)
	d.faults = log.Folder()
	defer d.faults.Close()
	defer d.abandon()
	defer func() { _ = d.close() }()
	server := httptest.NewServer(d.handler())
	defer server.Close()
	ask := func(path string) (int, string) { return get(t, &testDaemon{url: server.URL, Daemon: d}, path) }
	d.tellBuilding(infer.Building{Model: "first", Hops: 1, Precision: infer.FP16, Elapsed: 12 * time.Second, Estimate: 70 * time.Second})
	if code, text := ask("/readyz"); code != 503 || text != "starting: building the engine of first for 1 hops in fp16: 12 of about 70 s\n" {
		t.Errorf("/readyz: %d %q", code, text)
	}
	code, body := ask("/v1/status")
	var status wire.Status
	if err := json.Unmarshal([]byte(body), &status); err != nil || code != 200 || status.State != "starting" || status.Provider.Requested != infer.ProviderAuto ||
		status.Building == nil || *status.Building != (wire.Building{Pack: "first", Hops: 1, Precision: "fp16", ElapsedSeconds: 12, EstimateSeconds: 70}) {
		t.Errorf("/v1/status: %d %s, %v", code, body, err)
	}
	for _, path := range []string{"/v1/voices", "/v1/stream", "/v1/profiles"} {
		if code, text := ask(path); code != 503 || !strings.Contains(text, `"starting"`) {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	d.tellBuilding(infer.Building{Done: true})
	if _, body := ask("/v1/status"); strings.Contains(body, `"building"`) {
		t.Errorf("still building: %s", body)
	}
}

// A daemon that is told to stop before its voice is open, or that cannot open it, ends and leaves nothing.
func TestStartThatEnds(t *testing.T) {
	for _, stopped := range []bool{true, false} {
		cfg := testConfig(t)
		cfg.Voice.Name = tinyVoice
		cfg.Infer.Provider, cfg.Infer.Fallback = infer.ProviderCUDA, false
		d, _ := quiet(t, cfg)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if stopped {
			cancel()
		}
		err := d.Run(ctx)
		var voice *VoiceError
		if errors.As(err, &voice) == stopped && !errors.Is(err, context.Canceled) {
			t.Errorf("told to stop: %v; run ends with %v", stopped, err)
		}
	}
}
