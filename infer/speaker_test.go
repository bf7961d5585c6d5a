package infer

import (
	"bytes"
	"errors"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/mewkiz/flac"
)

const (
	tinySpeaker = models + "/tiny-speaker/tiny-speaker.onnx"
	audio       = "../testdata/audio"
)

func encoder(t testing.TB, path string) *SpeakerEncoder {
	t.Helper()
	needRuntime(t)
	e, err := LoadSpeakerEncoder(path, read(t, path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, e.Close()) })
	return e
}

// bundledEncoder is the one that people's profiles are made with.
func bundledEncoder(t testing.TB) *SpeakerEncoder {
	t.Helper()
	needRuntime(t)
	e, err := NewSpeakerEncoder(DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, e.Close()) })
	return e
}

// recording reads a mono FLAC file of 16 bits at 16 kHz.
func recording(t testing.TB, path string) []float32 {
	t.Helper()
	f, err := flac.New(bytes.NewReader(read(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	if f.Info.SampleRate != 16000 || f.Info.NChannels != 1 || f.Info.BitsPerSample != 16 {
		t.Fatalf("%s: %+v", path, f.Info)
	}
	var x []float32
	for {
		frame, err := f.ParseNext()
		if err != nil {
			return x
		}
		for _, v := range frame.Subframes[0].Samples {
			x = append(x, float32(v)/32768)
		}
	}
}

func embedded(t testing.TB, e *SpeakerEncoder, x []float32) []float32 {
	t.Helper()
	embedding, err := e.Embed(x)
	if err != nil {
		t.Fatal(err)
	}
	if n := norm(embedding); len(embedding) != e.Size() || math.Abs(n-1) > 1e-5 {
		t.Fatalf("%d values of length %g, expected %d of length 1", len(embedding), n, e.Size())
	}
	return embedding
}

func TestBrokenSpeakerEncoders(t *testing.T) {
	needRuntime(t)
	for name, words := range map[string][]string{
		"wrong-input": {`input "mel"`, "expected float [1,80,160]", "found float [1,40,160]"},
		"dynamic":     {`input "mel"`, "expected float [1,80,160]", "found float [1,80,?]"},
		"wrong-kind":  {"'kind'", `"voice"`, "speaker"},
		"wrong-hop":   {"'hop_in'", "320", "160"},
		"not-unit":    {`output "embedding"`, "unit length"},
		"wrong-size":  {`output "embedding"`, "expected float [1,9]", "found float [1,8]"},
	} {
		path := filepath.Join(models, "tiny-speaker", name+".onnx")
		_, err := LoadSpeakerEncoder(path, read(t, path))
		wantError(t, err, append(words, path)...)
	}
	_, err := LoadSpeakerEncoder("voice.onnx", read(t, tinyVoice))
	wantError(t, err, "voice.onnx", `"voice"`, "speaker")
	model := read(t, tinySpeaker)
	_, err = LoadSpeakerEncoder("cut.onnx", model[:len(model)/2])
	wantError(t, err, "cut.onnx", "truncated")
	_, err = ReadContract(tinySpeaker)
	wantError(t, err, "'kind'", "speaker", "voice or passthrough")
}

func TestSpeakerEncoderOfAFolder(t *testing.T) {
	needRuntime(t)
	cfg := DefaultConfig()
	cfg.Models = t.TempDir()
	put(t, cfg.Models, "speaker.onnx", tinySpeaker)
	put(t, cfg.Models, "tiny.onnx", tinyVoice)
	e, err := NewSpeakerEncoder(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if id, err := SpeakerEncoderID(cfg); err != nil || id != e.ID() || e.Name() != "tiny-speaker" || e.Size() != 8 || e.Rate() != 16000 {
		t.Errorf("%s %s of %d at %d Hz, ID %s, %v", e.Name(), e.ID(), e.Size(), e.Rate(), id, err)
	}
	if v, err := registry(t, cfg.Models).Find("tiny-low"); err != nil {
		t.Errorf("beside an encoder, a pack is not seen: %+v, %v", v, err)
	}
	check(t, e.Close())
	_, err = e.Embed(make([]float32, 0))
	if !errors.Is(err, ErrNoSpeech) {
		t.Errorf("%v, expected ErrNoSpeech", err)
	}
	_, err = e.Embed(recording(t, audio+"/sample.flac"))
	wantError(t, err, "closed")
}

// The windows cover the recording, half overlapping, the last one to its very end.
func TestSpeakerWindows(t *testing.T) {
	e := encoder(t, tinySpeaker)
	for frames, want := range map[int][]int{0: nil, 1: {0}, 100: {0}, 160: {0}, 161: {0, 1}, 240: {0, 80}, 250: {0, 80, 90}, 400: {0, 80, 160, 240}} {
		got := e.starts(frames)
		if len(got) != len(want) {
			t.Errorf("%d frames: %v, expected %v", frames, got, want)
			continue
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%d frames: %v, expected %v", frames, got, want)
				break
			}
		}
	}
	x := recording(t, audio+"/sample.flac")
	quiet := make([]float32, 3*16000)
	windows, err := e.Windows(append(append(append([]float32{}, x...), quiet...), x...))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range windows {
		if w.Speech < leastSpeech || w.Speech > 1 || w.Length != 1600*time.Millisecond {
			t.Errorf("window %+v", w)
		}
		if from, to := 7400*time.Millisecond, 10400*time.Millisecond; w.At >= from && w.At+w.Length <= to {
			t.Errorf("the window at %v is of silence alone", w.At)
		}
	}
	if len(windows) < 12 {
		t.Errorf("%d windows with speech in 17.8 s", len(windows))
	}
}

// Silence between and around the words does not change who is heard, nor do samples that are not
// numbers; and a piece shorter than a window is heard as well.
func TestEmbeddingIsOfTheSpeech(t *testing.T) {
	for name, e := range map[string]*SpeakerEncoder{"tiny": encoder(t, tinySpeaker), "bundled": bundledEncoder(t)} {
		x := recording(t, audio+"/sample.flac")
		plain := embedded(t, e, x)
		padded := append(append(make([]float32, 48000), x...), make([]float32, 64000)...)
		if s := Similarity(plain, embedded(t, e, padded)); s < 0.98 {
			t.Errorf("%s: with silence around, similarity %.4f", name, s)
		}
		bad := append([]float32{}, x...)
		bad[40000] = float32(math.NaN())
		if s := Similarity(plain, embedded(t, e, bad)); s < 0.99 {
			t.Errorf("%s: with a NaN, similarity %.4f", name, s)
		}
		again := embedded(t, e, x)
		if !same(plain, again) {
			t.Errorf("%s: the same audio gave another embedding", name)
		}
		embedded(t, e, x[16000:28000])
		for _, silent := range [][]float32{nil, make([]float32, 100), make([]float32, 48000)} {
			if _, err := e.Embed(silent); !errors.Is(err, ErrNoSpeech) {
				t.Errorf("%s: %d samples of silence: %v", name, len(silent), err)
			}
		}
	}
}

// One window through the graph is what the mel frames of the voice say, in their layout: the tiny
// encoder reckoned by hand.
func TestEmbeddingByHand(t *testing.T) {
	e := encoder(t, tinySpeaker)
	x := recording(t, audio+"/sample.flac")[8000 : 8000+160*160]
	frames, _ := e.frameUp(x)
	var want [8]float64
	for k := range want {
		for b := range 80 {
			mean := 0.0
			for _, f := range frames {
				mean += float64(f[b]) / 160
			}
			want[k] += mean * math.Cos(math.Pi*float64(k+1)*(float64(b)+0.5)/80) * math.Sqrt(float64(k+1))
		}
	}
	length := 0.0
	for _, v := range want {
		length += v * v
	}
	for k, v := range embedded(t, e, x) {
		if math.Abs(float64(v)-want[k]/math.Sqrt(length)) > 1e-4 {
			t.Errorf("value %d is %g, expected %g", k, v, want[k]/math.Sqrt(length))
		}
	}
}

func TestMeanEmbeddingWeighsSpeech(t *testing.T) {
	w := func(x, y float32, speech float64) SpeakerWindow {
		return SpeakerWindow{Length: time.Second, Speech: speech, Embedding: []float32{x, y}}
	}
	mean, err := MeanEmbedding([]SpeakerWindow{w(1, 0, 0.6), w(0, 1, 0.8)})
	if err != nil || math.Abs(float64(mean[0])-0.6) > 1e-6 || math.Abs(float64(mean[1])-0.8) > 1e-6 {
		t.Errorf("%v, %v", mean, err)
	}
	_, err = MeanEmbedding([]SpeakerWindow{w(1, 0, 1), w(-1, 0, 1)})
	if !errors.Is(err, ErrNoSpeech) {
		t.Errorf("%v", err)
	}
	if s := Similarity([]float32{3, 4}, []float32{4, 3}); math.Abs(s-0.96) > 1e-6 {
		t.Errorf("similarity %g", s)
	}
}

// 30 s are heard by the bundled encoder well within the 2 s of CPU that a target may cost.
func BenchmarkEmbed30s(b *testing.B) {
	e := bundledEncoder(b)
	one := recording(b, audio+"/sample.flac")
	var x []float32
	for len(x) < 30*16000 {
		x = append(x, one...)
	}
	for b.Loop() {
		embedded(b, e, x[:30*16000])
	}
}
