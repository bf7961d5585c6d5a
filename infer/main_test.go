package infer

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

const (
	models      = "../testdata/models"
	tinyVoice   = models + "/tiny-voice/tiny-voice.onnx"
	passthrough = models + "/passthrough/passthrough.onnx"
)

// TestMain answers as the binary does when it is called to try a session, or dies of what the test says.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == TrialCommand {
		if text := os.Getenv("TEST_TRIAL_SIGNAL"); text != "" {
			var signal syscall.Signal
			fmt.Sscan(text, &signal)
			fmt.Fprintln(os.Stderr, "Unable to load library: libnvinfer_builder_resource.so.10.6.0")
			syscall.Kill(os.Getpid(), signal)
			select {}
		}
		if library := os.Getenv("TEST_TRIAL_LIBRARY"); library != "" {
			openShared(library)
		}
		if err := Trial(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	log.SetOutput(io.Discard) // the FLAC library complains of rates
	goleak.VerifyTestMain(m)
}

// needRuntime skips where the library is not installed; in CI that is a failure.
func needRuntime(t testing.TB) {
	t.Helper()
	if err := Start(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

func load(t testing.TB, path string) *Engine {
	t.Helper()
	needRuntime(t)
	e, err := Load(path, DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, e.Close()) })
	return e
}

func open(t testing.TB, e *Engine, voice string, o SessionOptions) Converter {
	t.Helper()
	c, err := e.NewSession(voice, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, c.Close()) })
	return c
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// speech is n hops of a swelling buzz at 16 kHz, its pitch gliding, with an unvoiced hop in eight.
func speech(n int) (samples, f0 []float32) {
	samples, f0 = make([]float32, n*160), make([]float32, n)
	phase := 0.0
	for h := range n {
		hz := 120 + 40*math.Sin(float64(h)/37)
		if h%8 != 7 {
			f0[h] = float32(hz)
		}
		for i := h * 160; i < (h+1)*160; i++ {
			phase += hz / 16000
			samples[i] = float32(0.3 * math.Sin(float64(i)/9000) * (math.Mod(phase, 1) - 0.5))
		}
	}
	return samples, f0
}

// convert runs a voice over a signal, so many hops a call.
func convert(t testing.TB, c Converter, samples, f0 []float32, hops int) []float32 {
	t.Helper()
	out := make([]float32, len(f0)*240)
	for h := 0; h < len(f0); h += hops {
		end := min(h+hops, len(f0))
		if err := c.Convert(out[h*240:end*240], samples[h*160:end*160], f0[h:end]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func pcm(x []float32) []byte {
	var b bytes.Buffer
	for _, v := range x {
		fmt.Fprintf(&b, "%08x", math.Float32bits(v))
	}
	return b.Bytes()
}

func same(a, b []float32) bool { return bytes.Equal(pcm(a), pcm(b)) }

func broken(name string) string { return filepath.Join(models, "tiny-voice", name+".onnx") }
