package song

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tinyVoice   = "../../testdata/models/tiny-voice/tiny-hops.onnx"
	passthrough = "../../testdata/models/passthrough/passthrough.onnx"
)

// singer loads a pack's first voice. ONNX Runtime is skipped where it is not installed; in CI that is a failure.
func singer(t testing.TB, pack string) Singer {
	t.Helper()
	if err := infer.Start(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	engine, err := infer.Load(pack, infer.DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })
	contract := engine.Contract()
	target, err := engine.Target(contract.VoiceNames()[0])
	if err != nil {
		t.Fatal(err)
	}
	return Singer{engine, target}
}

// share is a separator that takes a part of everything as vocals, as late and in as odd pieces as a model may.
type share struct {
	of      float32
	rate    int
	latency int
	hop     int
	lines   [2]*dsp.Delay
}

func (s *share) Name() string  { return "share" }
func (s *share) Rate() int     { return s.rate }
func (s *share) Channels() int { return 2 }
func (s *share) Hop() int      { return s.hop }
func (s *share) Latency() int  { return s.latency }
func (s *share) Close() error  { return nil }
func (s *share) Reset()        {}

func (s *share) Process(vocals, mixture [][]float32) error {
	for c := range vocals {
		if s.lines[c] == nil {
			s.lines[c] = dsp.NewDelay(s.latency)
		}
		s.lines[c].Process(vocals[c], mixture[c])
		for i := range vocals[c] {
			vocals[c][i] *= s.of
		}
	}
	return nil
}

func sharing(s share) func(string, string) (infer.Separator, error) {
	return func(string, string) (infer.Separator, error) { return &s, nil }
}

// chord is a signal that is known at any moment, so at any rate: voices up to 5.5 kHz, panned.
func chord(rate int, seconds float64, pan ...float32) [][]float32 {
	n := int(math.Round(seconds * float64(rate)))
	block := make([][]float32, len(pan))
	for c := range block {
		block[c] = make([]float32, n)
	}
	for i := range n {
		t := float64(i) / float64(rate)
		v := 0.
		for k, hz := range []float64{110, 220, 330, 523.3, 1046.6, 2317, 3911, 5501} {
			v += math.Sin(2*math.Pi*hz*t+float64(k*k)) / float64(k+3)
		}
		v *= 0.25 * math.Pow(math.Sin(math.Pi*t/seconds), 2)
		for c, p := range pan {
			block[c][i] = p * float32(v)
		}
	}
	return block
}

func writeSong(t testing.TB, path string, rate int, block [][]float32) {
	t.Helper()
	e, err := media.Create(path, media.Output{Format: media.WAV, Rate: rate, Channels: len(block), PCM: dsp.F32LE, Tags: media.Tags{Title: "Chord"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.Write(block), e.Close()); err != nil {
		t.Fatal(err)
	}
}

func readSong(t testing.TB, path string) (rate int, block [][]float32) {
	t.Helper()
	d, err := media.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	block = make([][]float32, d.Channels())
	piece := make([][]float32, d.Channels())
	for c := range piece {
		piece[c] = make([]float32, 4096)
	}
	for {
		n, err := d.Read(piece)
		if errors.Is(err, io.EOF) {
			return d.Rate(), block
		}
		if err != nil {
			t.Fatal(err)
		}
		for c := range block {
			block[c] = append(block[c], piece[c][:n]...)
		}
	}
}

// apart is the energy of the difference of two signals over that of the second, in dB.
func apart(got, want [][]float32) float64 {
	var d, e float64
	for c := range want {
		for i, v := range want[c] {
			d += math.Pow(float64(got[c][i]-v), 2)
			e += math.Pow(float64(v), 2)
		}
	}
	return 10 * math.Log10(d/e+1e-30)
}

// TestNothingMoves: where the voice is left as it is, the result is the song, in time to the sample, whatever the rates of
// the song, of the separator, of the voice (48 kHz) and of the result, in stereo and in mono.
func TestNothingMoves(t *testing.T) {
	s := singer(t, passthrough)
	rates := []int{16000, 22050, 24000, 32000, 44100, 48000}
	for i, from := range append(rates, 8000, 96000) {
		for k, to := range rates {
			if (i+k)%4 != 0 && from != to {
				continue // the other pairs are many enough
			}
			pan := [][]float32{{1}, {0.9, 0.3}}[(i+k)%2]
			t.Run(fmt.Sprintf("%d to %d, %d channels", from, to, len(pan)), func(t *testing.T) {
				dir := t.TempDir()
				in, out := filepath.Join(dir, "in.wav"), filepath.Join(dir, "out.wav")
				const length = 0.5
				signal := chord
				if from == 8000 {
					signal = lowChord
				}
				writeSong(t, in, from, signal(from, length, pan...))
				o := Default()
				o.PCM, o.Rate = dsp.F32LE, to
				j := newJob(in, out, s, o)
				j.o.NewSeparator = sharing(share{of: 0.5, rate: 44100, latency: 777, hop: 1024})
				r, err := j.convert(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				want := signal(to, length, pan...)
				rate, got := readSong(t, out)
				if rate != to || r.Frames != int64(len(want[0])) || len(got) != len(pan) || len(got[0]) != len(want[0]) {
					t.Fatalf("%d frames of %d channels at %d Hz, want %d of %d at %d", len(got[0]), len(got), rate, len(want[0]), len(pan), to)
				}
				if db := apart(got, want); db > -60 {
					t.Errorf("the result is %.1f dB from the song, want -60", db)
				}
			})
		}
	}
}

// lowChord is one that 8 kHz can hold.
func lowChord(rate int, seconds float64, pan ...float32) [][]float32 {
	block := chord(rate, seconds, pan...)
	for c := range block {
		for i := range block[c] {
			t := float64(i) / float64(rate)
			block[c][i] = pan[c] * float32(0.2*math.Sin(2*math.Pi*440*t)*math.Pow(math.Sin(math.Pi*t/seconds), 2))
		}
	}
	return block
}
