package infer

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/stream"
)

const tinySeparator = models + "/tiny-separator/tiny-separator.onnx"

func liveSeparatorOf(t testing.TB) Separator {
	t.Helper()
	needRuntime(t)
	folder := t.TempDir()
	check(t, os.WriteFile(filepath.Join(folder, separatorFile), read(t, tinySeparator), 0o600))
	s, err := NewLiveSeparator(Config{Models: folder})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

// The fixture is untrained: it turns nearly everything down alike, so what comes out is what went in, Latency later.
func TestLiveSeparatorIsLateAsItSays(t *testing.T) {
	s := liveSeparatorOf(t)
	if s.Rate() != 16000 || s.Channels() != 1 || s.Hop() != 160 || s.Latency() != 320 {
		t.Fatalf("%d Hz, %d channels, hop %d, latency %d", s.Rate(), s.Channels(), s.Hop(), s.Latency())
	}
	mono := recording(t, "../testdata/audio/sample.flac")[16000:][:48000]
	got := vocalsOf(t, s, [][]float32{mono})[0]
	if like := siSDR(got, mono); like < 15 {
		t.Errorf("in time with the input it is like it by %.1f dB, expected 15 at least", like)
	}
	s.Reset()
	if again := vocalsOf(t, s, [][]float32{mono})[0]; !slices.Equal(again, got) {
		t.Error("after Reset other bytes than from the start")
	}
}

func TestLiveSeparatorKeepsToNumbers(t *testing.T) {
	s := liveSeparatorOf(t)
	bad := make([]float32, 16000)
	bad[100], bad[5000] = float32(math.NaN()), float32(math.Inf(1))
	if got := vocalsOf(t, s, [][]float32{bad})[0]; power(got) != 0 {
		t.Errorf("silence with NaN in it in, power %g out", power(got))
	}
	block := frames(s)
	if n := testing.AllocsPerRun(100, func() { check(t, s.Process(block, block)) }); n != 0 {
		t.Errorf("%v allocations a hop", n)
	}
	check(t, s.Close())
	if err := s.Process(block, block); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("closed: %v", err)
	}
}

func TestLiveSeparatorThatBreaksItsContract(t *testing.T) {
	model := read(t, tinySeparator)
	for change, want := range map[[2]string]string{
		{`"kind": "separator"`, `"kind": "separates"`}:   "'kind' is \"separates\", expected separator",
		{`"lookahead_ms": 20.0`, `"lookahead_ms": 10.0`}: "'lookahead_ms' is 10, expected 20",
		{`"bins": 320`, `"bins": 100`}:                   "'spectrum.bins' is 100, expected 320",
		{`"state": 1056`, `"state": 1057`}:               `input "state": expected float [1,1057], found float [1,1056]`,
	} {
		changed := bytes.Replace(model, []byte(change[0]), []byte(change[1]), 1)
		if _, err := LoadLiveSeparator("x.onnx", changed); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %q", change[1], err, want)
		}
	}
	if _, err := LoadLiveSeparator("x.onnx", read(t, tinyVoice)); err == nil || !strings.Contains(err.Error(), "'kind' is \"voice\"") {
		t.Errorf("a voice: %v", err)
	}
}

// The bundled one hears the sample's speech through noise of its own level, and is as late as it says.
func TestBundledLiveSeparatorFindsTheVoice(t *testing.T) {
	needRuntime(t)
	s, err := NewLiveSeparator(DefaultConfig())
	check(t, err)
	if late := dsp.Samples(s.Latency(), s.Rate()); late != 20*time.Millisecond {
		t.Errorf("it is %v late, expected 20 ms", late)
	}
	t.Cleanup(func() { check(t, s.Close()) })
	voice := recording(t, "../testdata/audio/sample.flac")[16000:][:48000]
	noise := make([]float32, len(voice))
	dsp.NewNoise(3).Normal(noise)
	gain := float32(math.Sqrt(power(voice) / power(noise)))
	for i, v := range voice {
		noise[i] = gain*noise[i] + v
	}
	got := vocalsOf(t, s, [][]float32{noise})[0]
	if before, after := siSDR(noise, voice), siSDR(got, voice); after-before < 5 {
		t.Errorf("%.1f dB to %.1f dB, expected 5 dB better at least", before, after)
	}
	s.Reset()
	if again := vocalsOf(t, s, [][]float32{noise})[0]; !slices.Equal(again, got) {
		t.Error("after Reset other bytes than from the start")
	}
	noise[77] = float32(math.NaN())
	if !finite(vocalsOf(t, s, [][]float32{noise})[0]) {
		t.Error("NaN in, and something not a number out")
	}
}

// What the daemon hands to the pipeline is what the pipeline asks for.
var _ stream.Separator = Separator(nil)
