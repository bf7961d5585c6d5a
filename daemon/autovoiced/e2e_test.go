//go:build e2e

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client"
	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/daemon"
)

// The tests in this file run the binary as a user would: with files, sockets and signals.

const (
	sample      = "../../testdata/audio/pitch/kumo-plain.flac"
	formats     = "../../testdata/audio/formats/"
	passthrough = "passthrough" // a voice that changes nothing, for tests that are not about voices
)

var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "autovoiced-e2e")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "autovoiced")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, ".").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	_ = os.RemoveAll(daemon.ResultsFolder) // of conversions that were not told where
	os.Exit(code)
}

// result is how a run of the binary ended.
type result struct {
	code     int
	out, err string
}

func autovoiced(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "AUTOVOICED_AUDIO_ENABLED=false")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// wantFailure checks the code and that the message says each of the words.
func (r result) wantFailure(t *testing.T, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d; it said:\n%s%s", r.code, code, r.out, r.err)
	}
	for _, w := range words {
		if !strings.Contains(r.err, w) {
			t.Errorf("message lacks %q:\n%s", w, r.err)
		}
	}
	if strings.Contains(r.err, "goroutine ") {
		t.Errorf("a crash, not an error:\n%s", r.err)
	}
}

func (r result) wantSuccess(t *testing.T) result {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("exit code %d:\n%s%s", r.code, r.out, r.err)
	}
	return r
}

// service is a running daemon.
type service struct {
	cmd    *exec.Cmd
	url    string
	mu     sync.Mutex
	log    bytes.Buffer
	exited chan struct{}
}

func (s *service) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func (s *service) logText() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

func startService(t *testing.T, settings ...string) *service {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	return startServiceAt(t, address, settings...)
}

func startServiceAt(t *testing.T, address string, settings ...string) *service {
	t.Helper()
	s := &service{url: "http://" + address, exited: make(chan struct{})}
	s.cmd = exec.Command(program)
	s.cmd.Dir = t.TempDir()
	s.cmd.Env = append(append(os.Environ(), "AUTOVOICED_HTTP_LISTEN="+address, "AUTOVOICED_AUDIO_ENABLED=false"), settings...)
	s.cmd.Stderr, s.cmd.Stdout = s, s
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.exited
		if t.Failed() {
			t.Logf("the daemon said:\n%s", s.logText())
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if resp, err := http.Get(s.url + "/readyz"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return s
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the daemon is not ready after 20 s")
		}
	}
}

func (s *service) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

func (s *service) wantExit(t *testing.T, code int, within time.Duration) {
	t.Helper()
	select {
	case <-s.exited:
	case <-time.After(within):
		t.Fatalf("still running after %v", within)
	}
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("exit code %d, want %d", got, code)
	}
}

func TestE2EPortInUse(t *testing.T) {
	s := startService(t)
	address := strings.TrimPrefix(s.url, "http://")
	t.Setenv("AUTOVOICED_HTTP_LISTEN", address)
	autovoiced(t).wantFailure(t, exitAddress, address, "in use")
	s.signal(t, syscall.SIGTERM)
	s.wantExit(t, exitOK, 10*time.Second)
}

func TestE2EConfiguration(t *testing.T) {
	autovoiced(t, "--check", "--config", "../../config.yaml").wantSuccess(t)
	bad, err := filepath.Glob("../../testdata/config/*.bad.yaml")
	if err != nil || len(bad) == 0 {
		t.Fatal("no bad configurations", err)
	}
	for _, file := range bad {
		autovoiced(t, "--check", "--config", file).wantFailure(t, exitConfig, filepath.Base(file))
	}
	autovoiced(t, "--config", "absent.yaml").wantFailure(t, exitConfig, "absent.yaml", "no such file")
	t.Setenv("AUTOVOICED_STREAM_QUEUE", "1000")
	autovoiced(t, "--check").wantFailure(t, exitConfig, "AUTOVOICED_STREAM_QUEUE", "1 to 64")
}

func TestE2EUsage(t *testing.T) {
	autovoiced(t, "sing").wantFailure(t, exitUsage, "sing")
	autovoiced(t, "convert", sample, "-o", "x.wav", "--preset", "fastest").wantFailure(t, exitUsage, "preset")
	autovoiced(t, "convert", sample, "-o", "x.wav", "--pitch", "high").wantFailure(t, exitUsage, "high")
	autovoiced(t, "voices", "--profile").wantFailure(t, exitUsage, "--profile")
	autovoiced(t, "convert", sample, "-o", filepath.Join(t.TempDir(), "x.wav"), "--pitch", "-3").wantSuccess(t)
	r := autovoiced(t, "--help").wantSuccess(t)
	for _, word := range []string{"live", "stream", "convert", "voices", "devices", "bench", "102"} {
		if !strings.Contains(r.out, word) {
			t.Errorf("help lacks %q", word)
		}
	}
}

// A text file in the models folder, and each broken model, is refused by name at the start.
func TestE2EBadModels(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "notes.onnx"), []byte("this is a shopping list\n"))
	t.Setenv("AUTOVOICED_INFER_MODELS", dir)
	autovoiced(t).wantFailure(t, exitModel, "notes.onnx")
	autovoiced(t, "voices").wantFailure(t, exitModel, "notes.onnx")

	dir = t.TempDir()
	model, err := os.ReadFile("../../testdata/models/tiny-voice/wrong-shape.onnx")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "wrong-shape.onnx"), model)
	t.Setenv("AUTOVOICED_INFER_MODELS", dir)
	autovoiced(t).wantFailure(t, exitModel, "wrong-shape.onnx", "expected", "found")
	t.Setenv("AUTOVOICED_INFER_MODELS", filepath.Join(dir, "absent"))
	autovoiced(t).wantFailure(t, exitModel, "absent")
	t.Setenv("AUTOVOICED_INFER_MODELS", "")
	t.Setenv("AUTOVOICED_VOICE_NAME", "nobody")
	autovoiced(t).wantFailure(t, exitModel, "nobody", passthrough)
	t.Setenv("AUTOVOICED_VOICE_NAME", "")
	t.Setenv("AUTOVOICED_INFER_PROVIDER", "tensorrt")
	autovoiced(t).wantFailure(t, exitModel, "tensorrt", "libonnxruntime_providers_tensorrt.so", "fallback")
}

func TestE2EBadRecordings(t *testing.T) {
	good := wavFile(48000, 1, 3, f32Tone(48000, 4800))
	nan := f32Tone(48000, 4800)
	binary.LittleEndian.PutUint32(nan[400:], math.Float32bits(float32(math.NaN())))
	inf := f32Tone(48000, 4800)
	binary.LittleEndian.PutUint32(inf[400:], math.Float32bits(float32(math.Inf(1))))
	for _, tc := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty.wav", nil, "empty.wav"},
		{"header-only.wav", wavFile(48000, 1, 3, nil), "header-only.wav"},
		{"truncated.wav", good[:len(good)/2], "truncated"},
		{"truncated-header.wav", good[:20], "truncated-header.wav"},
		{"text.wav", []byte("RIFFraff is not audio, whatever it is called\n"), "text.wav"},
		{"text.flac", []byte("fLaC, said the sheep\n"), "text.flac"},
		{"zero-rate.wav", wavFile(0, 1, 3, f32Tone(48000, 480)), "0 Hz"},
		{"high-rate.wav", wavFile(500000, 1, 3, f32Tone(48000, 480)), "500000 Hz"},
		{"nine-channels.wav", wavFile(48000, 9, 3, f32Tone(48000, 9*480)), "9 channels"},
		{"nan.wav", wavFile(48000, 1, 3, nan), "not finite"},
		{"inf.wav", wavFile(48000, 1, 3, inf), "not finite"},
		{"what.mp3", []byte("\xff\xfb\x90\x00 and so on"), "neither WAV, FLAC, MP3 nor Ogg Vorbis"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			in, out := filepath.Join(dir, tc.name), filepath.Join(dir, "out.wav")
			write(t, in, tc.data)
			autovoiced(t, "convert", in, "-o", out, "--voice", passthrough).wantFailure(t, exitFile, tc.want)
			if left, _ := filepath.Glob(filepath.Join(dir, "*out*")); len(left) > 0 {
				t.Errorf("a failed conversion left %v", left)
			}
		})
	}
	autovoiced(t, "convert", "absent.wav", "-o", "x.wav").wantFailure(t, exitFile, "absent.wav")
	autovoiced(t, "convert", sample, "-o", "/proc/no/such/folder/x.wav").wantFailure(t, exitFile, "/proc/no/such/folder")
}

// The same file twice gives the same bytes, and the socket gives the same samples however the file
// is cut: what one measures offline is what one hears.
func TestE2ESameBytes(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	autovoiced(t, "convert", sample, "-o", path("a.wav"), "--samples", "f32", "--preset", "live").wantSuccess(t)
	autovoiced(t, "convert", sample, "-o", path("b.wav"), "--samples", "f32", "--preset", "live").wantSuccess(t)
	a := read(t, path("a.wav"))
	if !bytes.Equal(a, read(t, path("b.wav"))) {
		t.Error("two conversions of the same file differ")
	}
	s := startService(t)
	for i, ms := range []string{"7", "10", "33.3", "random"} {
		out := path(fmt.Sprintf("c%d.wav", i))
		framing := []string{"raw", "header"}[i%2]
		r := autovoiced(t, "stream", sample, "-o", out, "--url", s.url, "--chunk-ms", ms, "--framing", framing, "--format", "f32").wantSuccess(t)
		if b := read(t, out); !bytes.Equal(a, b) {
			t.Errorf("streamed in frames of %s ms, the result differs from the converted file from byte %d (of %d and %d); it said:\n%s%s",
				ms, firstDifference(a, b), len(a), len(b), r.out, r.err)
		}
		if framing == "header" && !strings.Contains(r.out, "round trip") {
			t.Errorf("no round trip in %q", r.out)
		}
	}
	autovoiced(t, "stream", sample, "-o", path("d.wav"), "--url", s.url, "--voice", "nobody").wantFailure(t, exitDaemon, "unknown_voice", "nobody")
	s.signal(t, syscall.SIGTERM)
	s.wantExit(t, exitOK, 10*time.Second)
	autovoiced(t, "stream", sample, "-o", path("d.wav"), "--url", s.url).wantFailure(t, exitDaemon, s.url)
}

// SIGTERM in mid-stream: everything that was sent comes back, then the daemon says that it stops.
func TestE2EDrainsOnSIGTERM(t *testing.T) {
	s := startService(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	format := wire.Format{Encoding: wire.F32LE, Rate: 48000, Channels: 1}
	c, err := client.Dial(ctx, s.url, client.Options{Start: wire.Start{Voice: passthrough, Format: format}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const sent = 48000
	if err := c.Send(ctx, make([]float32, sent)); err != nil {
		t.Fatal(err)
	}
	got, told := 0, false
	for {
		ev, err := c.Recv(ctx)
		if err != nil {
			if !errors.Is(err, &wire.Error{Code: wire.CodeShuttingDown}) && !errors.Is(err, io.EOF) {
				t.Errorf("the stream ended with %v, want %s", err, wire.CodeShuttingDown)
			}
			break
		}
		if ev.Audio != nil && !told { // the first reply shows that the stream is on its way
			told = true
			s.signal(t, syscall.SIGTERM)
		}
		got += len(ev.Audio)
	}
	if got != sent {
		t.Errorf("%d frames came back of %d sent", got, sent)
	}
	s.wantExit(t, exitOK, 10*time.Second)
	if !strings.Contains(s.logText(), "drain") {
		t.Error("the daemon does not say that it drains")
	}
}

// The second SIGINT does not wait for a client that does not read.
func TestE2EForcedByTheSecondSIGINT(t *testing.T) {
	s := startService(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	format := wire.Format{Encoding: wire.F32LE, Rate: 48000, Channels: 2}
	c, err := client.Dial(ctx, s.url, client.Options{Start: wire.Start{Voice: passthrough, Format: format}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sending, stop := context.WithCancel(ctx)
	defer stop()
	go func() { // far more than socket buffers hold, and nobody reads the replies
		for sending.Err() == nil {
			_ = c.Send(sending, make([]float32, 4800))
		}
	}()
	time.Sleep(time.Second)
	s.signal(t, syscall.SIGINT)
	time.Sleep(50 * time.Millisecond)
	s.signal(t, syscall.SIGINT)
	s.wantExit(t, exitForced, 2*time.Second)
	if !strings.Contains(s.logText(), "forced") {
		t.Error("the daemon does not say that it was forced")
	}
}

func TestE2EProfile(t *testing.T) {
	s := startService(t)
	t.Setenv("AUTOVOICED_HTTP_LISTEN", strings.TrimPrefix(s.url, "http://"))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	attached := exec.CommandContext(ctx, program, "--profile")
	attached.Env = os.Environ()
	var out bytes.Buffer
	attached.Stdout = &out
	if err := attached.Start(); err != nil {
		t.Fatal(err)
	}
	autovoiced(t, "stream", sample, "-o", filepath.Join(t.TempDir(), "x.wav"), "--url", s.url, "--realtime", "--limit", "3s").wantSuccess(t)
	s.signal(t, syscall.SIGTERM) // the feed says goodbye
	if err := attached.Wait(); err != nil {
		t.Errorf("--profile: %v", err)
	}
	for _, want := range []string{"separation", "f0_extraction", "conversion", "mixing", "total", "RTF", "in flight", "dBFS", "models on cpu"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the feed lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(out.String())
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("escape codes where there is no terminal")
	}
}

// With no daemon to attach to, --profile starts one; Ctrl-C ends both.
func TestE2EProfileStartsADaemon(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	cmd := exec.CommandContext(t.Context(), program, "--profile")
	cmd.Env = append(os.Environ(), "AUTOVOICED_HTTP_LISTEN="+address, "AUTOVOICED_AUDIO_ENABLED=false")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 200)
	if _, err := io.ReadFull(out, head); err != nil || !strings.Contains(string(head), "running") {
		t.Errorf("%v: %s", err, head)
	}
	_ = cmd.Process.Signal(syscall.SIGINT)
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestE2EVoices(t *testing.T) {
	r := autovoiced(t, "voices", "--json").wantSuccess(t)
	for _, want := range []string{`"name"`, passthrough, `"licence"`} {
		if !strings.Contains(r.out, want) {
			t.Errorf("voices --json lacks %s:\n%s", want, r.out)
		}
	}
	dir := filepath.Join(t.TempDir(), "new")
	autovoiced(t, "voices", "--references", dir).wantSuccess(t)
	files, _ := filepath.Glob(filepath.Join(dir, "*.wav"))
	if want := strings.Count(r.out, `"reference": true`); len(files) != want || want < 2 {
		t.Errorf("%d references for %d voices that have one; want one male and one female at least", len(files), want)
	}
	for _, f := range files {
		data := read(t, f)
		rate := binary.LittleEndian.Uint32(data[24:])
		bytesPerSecond := binary.LittleEndian.Uint32(data[28:])
		if seconds := float64(len(data)-44) / float64(bytesPerSecond); seconds < 8 {
			t.Errorf("%s is %.1f s at %d Hz, want 8 s at least", filepath.Base(f), seconds, rate)
		}
	}
}

func TestE2EDevices(t *testing.T) {
	r := autovoiced(t, "devices")
	if r.code != exitOK && r.code != exitDevice {
		t.Errorf("exit code %d:\n%s%s", r.code, r.out, r.err)
	}
	if lines := strings.Count(r.err, "\n"); lines > 3 {
		t.Errorf("%d lines on stderr: ALSA's noise is not silenced:\n%s", lines, r.err)
	}
	autovoiced(t, "live", "--input", "no such microphone").wantFailure(t, exitDevice, "no such microphone")
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// wavFile is a WAV file of 32-bit samples; format 3 is float.
func wavFile(rate, channels, format int, data []byte) []byte {
	var b bytes.Buffer
	u16 := func(v int) { _ = binary.Write(&b, binary.LittleEndian, uint16(v)) }
	u32 := func(v int) { _ = binary.Write(&b, binary.LittleEndian, uint32(v)) }
	b.WriteString("RIFF")
	u32(36 + len(data))
	b.WriteString("WAVEfmt ")
	u32(16)
	u16(format)
	u16(channels)
	u32(rate)
	u32(rate * channels * 4)
	u16(channels * 4)
	u16(32)
	b.WriteString("data")
	u32(len(data))
	b.Write(data)
	return b.Bytes()
}

func f32Tone(rate, samples int) []byte {
	var out []byte
	for i := range samples {
		v := float32(0.3 * math.Sin(2*math.Pi*220*float64(i)/float64(rate)))
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
	}
	return out
}
