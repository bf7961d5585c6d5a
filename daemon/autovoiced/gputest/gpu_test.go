//go:build gpu

// Package gputest tries the built binary on a machine with a GPU, from outside: it links neither the daemon nor its voices, so that
// it is small enough to be carried beside the binary.
package gputest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client"
	"github.com/autovoiced/autovoiced/client/wire"
)

// gpuProgram is the built binary with the settings of a GPU machine, or a skip with the reason: there is no Go tool on such a
// machine, so `make gpu-test` builds it before.
func gpuProgram(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	binary := os.Getenv("AUTOVOICED_BINARY")
	if binary == "" {
		skipGPU(t, "AUTOVOICED_BINARY does not name the binary; `make gpu-test` builds it and sets it")
	}
	if dir := os.Getenv("AUTOVOICE_GPU_CACHE"); dir != "" {
		t.Setenv("XDG_CACHE_HOME", dir)
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "AUTOVOICED_INFER_PROVIDER=tensorrt", "AUTOVOICED_INFER_PRECISION=fp16", "AUTOVOICED_AUDIO_ENABLED=false")
	return cmd
}

func skipGPU(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("AUTOVOICE_REQUIRE_GPU") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// gpuEngines builds what is missing, of what one session needs unless told; without a GPU, the command's own message is the reason
// to skip.
func gpuEngines(t *testing.T) {
	t.Helper()
	cmd := gpuProgram(t, "engines", "build", "--precision", "fp16", "--hops", "1", "--alone")
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		skipGPU(t, strings.TrimSpace(string(out)))
	} else {
		t.Logf("engines after %.1f s:\n%s", time.Since(began).Seconds(), out)
	}
}

// The daemon, with a session that speaks on TensorRT, drains on SIGTERM and on SIGINT; it starts within the time that is stated
// for a start with engines, and its status proves where it runs.
func TestGPUDaemonDrains(t *testing.T) {
	gpuEngines(t)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) { drains(t, sig) })
	}
}

// daemon is the binary serving, with its engines there.
type daemon struct {
	url    string
	ready  time.Duration
	cmd    *exec.Cmd
	said   *bytes.Buffer
	exited chan error
}

func startDaemon(t *testing.T) *daemon {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	d := &daemon{url: "http://" + address, cmd: gpuProgram(t), said: &bytes.Buffer{}, exited: make(chan error, 1)}
	d.cmd.Env = append(d.cmd.Env, "AUTOVOICED_HTTP_LISTEN="+address)
	d.cmd.Stdout, d.cmd.Stderr = d.said, d.said
	began := time.Now()
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { d.exited <- d.cmd.Wait() }()
	t.Cleanup(func() { d.cmd.Process.Kill() })
	for {
		resp, err := http.Get(d.url + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				d.ready = time.Since(began)
				return d
			}
		}
		if time.Since(began) > 60*time.Second {
			t.Fatalf("not ready after 60 s; it said:\n%s", d.said)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// stop drains the daemon.
func (d *daemon) stop(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-d.exited:
	case <-time.After(15 * time.Second):
		t.Errorf("still running 15 s after SIGTERM; it said:\n%s", d.said)
	}
}

func drains(t *testing.T, sig syscall.Signal) {
	d := startDaemon(t)
	if d.ready > time.Second {
		t.Errorf("ready after %v, the bar is 1 s", d.ready)
	} else {
		t.Logf("ready after %v", d.ready)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s, err := client.Dial(ctx, d.url, client.Options{Start: wire.Start{Format: wire.Format{Encoding: wire.S16LE, Rate: 16000, Channels: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p := s.Ready().Provider
	t.Logf("%+v %+v", p, p.TensorRT)
	if p.Active != "tensorrt" || p.TensorRT == nil || !p.TensorRT.Enabled || p.Nodes["cpu"] != 0 {
		t.Errorf("ready says %+v %+v", p, p.TensorRT)
	}
	chunk := make([]float32, 160)
	for i := range chunk {
		chunk[i] = float32(i%40-20) / 100
	}
	for range 100 {
		if err := s.Send(ctx, chunk); err != nil {
			t.Fatal(err)
		}
	}
	for heard := 0; heard < 20; {
		e, err := s.Recv(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if e.Audio != nil {
			heard++
		}
	}
	if err := d.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	drained := false
	for {
		e, err := s.Recv(ctx)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Log("the stream ended with: ", err)
			}
			break
		}
		if d, ok := e.Message.(*wire.Drained); ok {
			drained = true
			if d.Ledger.InFlight != 0 || d.Ledger.In == 0 || d.Ledger.In != d.Ledger.Out+d.Ledger.DroppedFrames() {
				t.Errorf("drained with %+v", d.Ledger)
			}
		}
	}
	select {
	case err := <-d.exited:
		if err != nil || !drained {
			t.Errorf("exit: %v, drained: %v; it said:\n%s", err, drained, d.said)
		}
	case <-time.After(15 * time.Second):
		t.Errorf("still running 15 s after %v; it said:\n%s", sig, d.said)
	}
}
