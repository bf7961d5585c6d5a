package report

import (
	"bytes"
	"errors"
	"image/png"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/stream/media"
)

// singing is how long, in tenths of seconds, of song.
const (
	singing = 10
	length  = 15
)

func listen(t *testing.T, name string, semitones float64) *Sound {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	record(t, path, semitones)
	s, err := Listen(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// record makes a song of one note with vibrato, shifted by semitones, that pauses for its last third.
func record(t *testing.T, path string, semitones float64) {
	t.Helper()
	const rate = 22050
	x := make([]float32, length*rate/10)
	phase := 0.0
	for i := range singing * rate / 10 {
		hz := 220 * math.Pow(2, (semitones+0.5*math.Sin(2*math.Pi*5*float64(i)/rate))/12)
		phase += 2 * math.Pi * hz / rate
		for h := 1.0; h <= 8; h++ {
			x[i] += float32(0.2 * math.Sin(h*phase) / h)
		}
	}
	e, err := media.Create(path, media.Output{Format: media.WAV, Rate: rate, Channels: 2, PCM: dsp.S16LE})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Write([][]float32{x, x}); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestPitchIsFoundAndCompared(t *testing.T) {
	before, after := listen(t, "before.wav", 0), listen(t, "after.wav", 3)
	if hz := before.Median(); math.Abs(12*math.Log2(hz/220)) > 0.2 {
		t.Errorf("median pitch of %.1f Hz", hz)
	}
	if v := before.Voiced(); math.Abs(v-2./3) > 0.03 {
		t.Errorf("%.2f voiced", v)
	}
	if low, high := before.Range(); low > 218 || low < 212 || high < 222 || high > 228 {
		t.Errorf("range from %.1f to %.1f Hz", low, high)
	}
	l, ok := Compare(before, after)
	if !ok || math.Abs(l.Shift-3) > 0.03 || l.Error > 5 || l.Voices < 0.97 {
		t.Errorf("%+v, %v", l, ok)
	}
	silent := &Sound{pitch: make([]float32, 100)}
	if _, ok := Compare(before, silent); ok {
		t.Error("silence is like a song")
	}
	if c := pitchChart(silent, nil); c != nil {
		t.Error("silence has a curve")
	}
}

// The brightest rows are those of the harmonics, in the time in which there is a sound.
func TestSpectrogramIsWhereTheSoundIs(t *testing.T) {
	s := listen(t, "x.wav", 0)
	b, err := s.spectrogram.png()
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	brightness := func(x int, hz float64) uint32 {
		row := int(math.Log(hz/lowest) / math.Log(s.spectrogram.top/lowest) * spectrumRows)
		r, g, b, _ := img.At(x, spectrumRows-1-row).RGBA()
		return r + g + b
	}
	for _, x := range []int{10, 300, columns*singing/length - 30} {
		for _, hz := range []float64{220, 440, 660} {
			if on, off := brightness(x, hz), brightness(x, hz*1.25); on < off+20_000 {
				t.Errorf("column %d: %d at %v Hz, %d beside it", x, on, hz, off)
			}
		}
	}
	if dark := brightness(columns-50, 220); dark > 20_000 {
		t.Errorf("%d in the pause", dark)
	}
}

// A recording of a few milliseconds, and one of silence, have a report as well.
func TestTinyAndSilentRecordings(t *testing.T) {
	for name, x := range map[string][]float32{"tiny.wav": {0.1, 0.2, -0.1}, "silent.wav": make([]float32, 48000)} {
		path := filepath.Join(t.TempDir(), name)
		e, err := media.Create(path, media.Output{Format: media.WAV, Rate: 48000, Channels: 1, PCM: dsp.S16LE})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Write([][]float32{x}); err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		s, err := Listen(t.Context(), path, nil)
		if err != nil {
			t.Fatal(err)
		}
		var page, text bytes.Buffer
		r := &Report{Folder: "x", After: s}
		if err := r.HTML(&page); err != nil {
			t.Fatal(err)
		}
		if err := r.Markdown(&text); err != nil {
			t.Fatal(err)
		}
		parse(t, page.Bytes())
		for _, b := range [][]byte{withoutPictures(page.Bytes()), text.Bytes()} {
			for _, no := range []string{"NaN", "Inf"} {
				if bytes.Contains(b, []byte(no)) {
					t.Errorf("%s: %s is in the report", name, no)
				}
			}
		}
	}
}

// halver takes half of what it hears for the voice, and is late.
type halver struct {
	past  [2][]float32
	fails bool
}

func (*halver) Rate() int     { return 44100 }
func (*halver) Channels() int { return 2 }
func (*halver) Hop() int      { return 1000 }
func (*halver) Latency() int  { return 4410 }
func (h *halver) Reset() {
	for c := range h.past {
		h.past[c] = make([]float32, h.Latency())
	}
}

func (h *halver) Process(vocals, mixture [][]float32) error {
	if h.fails {
		return errors.New("out of breath")
	}
	for c, x := range mixture {
		h.past[c] = append(h.past[c], x...)
		for i := range vocals[c] {
			vocals[c][i] = h.past[c][i] / 2
		}
		h.past[c] = h.past[c][len(x):]
	}
	return nil
}

// The pitch of the voice lies where the voice was, however late the separator is, and is as long as the recording.
func TestPitchOfTheVoiceAlone(t *testing.T) {
	whole := listen(t, "x.wav", 0)
	path := filepath.Join(t.TempDir(), "x.wav")
	record(t, path, 0)
	voice, err := Listen(t.Context(), path, &halver{})
	if err != nil {
		t.Fatal(err)
	}
	if !voice.Separated || len(voice.pitch) != len(whole.pitch) {
		t.Errorf("%d values, %d of the whole", len(voice.pitch), len(whole.pitch))
	}
	if l, ok := Compare(whole, voice); !ok || math.Abs(l.Shift) > 0.02 || l.Error > 3 || l.Voices < 0.99 {
		t.Errorf("%+v", l)
	}
	if _, err := Listen(t.Context(), path, &halver{fails: true}); err == nil || !strings.Contains(err.Error(), "out of breath") {
		t.Errorf("%v", err)
	}
}
