package media

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/autovoiced/autovoiced/dsp"
)

var everyTag = Tags{
	Title: "Lied für Käthe", Artist: "Ö; Co", Album: "Proben", AlbumArtist: "Chor", Composer: "K. Ö.", Genre: "Chanson",
	Date: "2024-05-06", Track: "3/9", Comment: "odd", Cover: &Picture{Kind: frontCover, MIME: "image/png", Description: "red", Data: []byte("\x89PNG not really")},
}

// write writes in pieces of a length that divides nothing.
func write(t *testing.T, path string, o Output, channels ...[]float32) {
	t.Helper()
	e, err := Create(path, o)
	if err != nil {
		t.Fatal(err)
	}
	part := make([][]float32, len(channels))
	for at := 0; at < len(channels[0]); at += 1009 {
		for c, x := range channels {
			part[c] = x[at:min(at+1009, len(x))]
		}
		if err := e.Write(part); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(e.Close(), e.Close(), e.Abort()); err != nil {
		t.Fatal(err)
	}
}

// Integers survive bit for bit, of every kind of signal: FLAC chooses among its ways to write it.
func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	signals := map[string]func(i int) float32{
		"sweep":   func(i int) float32 { return float32(0.4 * math.Sin(float64(i)*0.05+float64(i*i)*1e-6)) },
		"silence": func(int) float32 { return 0 },
		"noise":   func(int) float32 { return random.Float32()*2 - 1 },
		"edges":   func(i int) float32 { return []float32{-1, 1 - 1./(1<<23), 0}[i%3] },
		"quiet":   func(i int) float32 { return float32(i%2) / (1 << 15) },
	}
	for name, at := range signals {
		for _, o := range []Output{
			{Format: WAV, PCM: dsp.S16LE},
			{Format: WAV, PCM: dsp.S24LE},
			{Format: WAV, PCM: dsp.S32LE},
			{Format: WAV, PCM: dsp.F32LE},
			{Format: FLAC, PCM: dsp.S16LE},
			{Format: FLAC, PCM: dsp.S24LE},
		} {
			for o.Channels = 1; o.Channels <= 2; o.Channels++ {
				for _, n := range []int{1, 5, flacBlock, 10_001} {
					o.Rate = 44100
					channels := make([][]float32, o.Channels)
					for c := range channels {
						for i := range n {
							channels[c] = append(channels[c], at(i+31*c))
						}
						asStored(o.PCM, channels[c])
					}
					path := filepath.Join(t.TempDir(), "x"+o.Format.Extension())
					write(t, path, o, channels...)
					b, err := os.ReadFile(path)
					if err != nil {
						t.Fatal(err)
					}
					d, all := mustRead(t, path, b)
					if d.Format() != o.Format || d.Rate() != o.Rate || !reflect.DeepEqual(all, channels) {
						t.Errorf("%s in %s of %s, %d channels, %d frames: other samples", name, o.Format, o.PCM, o.Channels, n)
					}
				}
			}
		}
	}
}

func asStored(pcm dsp.PCM, x []float32) {
	b := make([]byte, len(x)*pcm.Bytes())
	pcm.Encode(b, x)
	pcm.Decode(x, b)
}

// A header of 44 bytes that every program knows.
func TestWAVIsWrittenAsOthersDo(t *testing.T) {
	for _, pcm := range []dsp.PCM{dsp.S16LE, dsp.S24LE, dsp.S32LE, dsp.F32LE} {
		for _, n := range []int{0, 10_001} {
			path := filepath.Join(t.TempDir(), "x.wav")
			x := sweep(0, 24000, n)
			write(t, path, Output{Format: WAV, Rate: 24000, Channels: 1, PCM: pcm}, x)
			format := wavInteger
			if pcm == dsp.F32LE {
				format = wavFloat
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want := wavBytes(format, 1, 24000, 8*pcm.Bytes(), encoded(pcm, x))
			if len(want)%2 == 1 { // a byte makes the chunk even, and the header counts it
				want = append(want, 0)
				want[4]++
			}
			if string(got) != string(want) {
				t.Errorf("%v of %d frames: %d bytes written, expected %d, or they differ", pcm, n, len(got), len(want))
			}
		}
	}
}

func TestTagsAreKept(t *testing.T) {
	for _, format := range []Format{WAV, FLAC} {
		want := everyTag
		if format == WAV {
			want.Cover = nil
		}
		path := filepath.Join(t.TempDir(), "x")
		write(t, path, Output{Format: format, Rate: 44100, Channels: 1, PCM: dsp.S24LE, Tags: everyTag}, sweep(0, 44100, 333))
		d, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Tags(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", format, got)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestTagsOfOtherPrograms(t *testing.T) {
	cover := file(t, "cover.png")
	for _, c := range []struct {
		name  string
		want  Tags
		cover bool
	}{
		{"cbr.mp3", Tags{Title: "Lied für Käthe", Artist: "Ö & Co", Album: "Proben", Date: "2024", Track: "3/9", Genre: "Chanson"}, true},
		{"stereo.ogg", Tags{Title: "Lied für Käthe", Artist: "Ö & Co", Album: "Proben", Date: "2024", Track: "3/9", Genre: "Chanson"}, false},
		{"stereo.flac", Tags{Title: "Lied für Käthe", Artist: "Ö; Co", Date: "2024"}, true},
		{"vbr.mp3", Tags{}, false},
	} {
		d, err := Open(samples + c.name)
		if err != nil {
			t.Fatal(err)
		}
		got := d.Tags()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if c.cover != (got.Cover != nil) || c.cover && (string(got.Cover.Data) != string(cover) || got.Cover.MIME != "image/png") {
			t.Errorf("%s: cover %+v", c.name, got.Cover)
		}
		if got.Cover = nil; got != c.want {
			t.Errorf("%s: %+v, expected %+v", c.name, got, c.want)
		}
	}
}

// Until Close the old file stands, and after Abort or an error as well, with nothing beside it.
func TestFilesComeWholeOrNotAtAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.flac")
	o := Output{Format: FLAC, Rate: 48000, Channels: 1, PCM: dsp.S16LE}
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := Create(path, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Write([][]float32{make([]float32, 100_000)}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.Abort(), e.Abort()); err != nil {
		t.Fatal(err)
	}
	if err := e.Write([][]float32{make([]float32, 10)}); err == nil {
		t.Error("written after Abort")
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "old" {
		t.Errorf("%q, %v", b, err)
	}
	write(t, path, o, sweep(0, 48000, 100))
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
	other := filepath.Join(t.TempDir(), "other") // as any file of this process
	if err := os.WriteFile(other, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	ours, err := os.Stat(path)
	theirs, err2 := os.Stat(other)
	if err := errors.Join(err, err2); err != nil || ours.Mode() != theirs.Mode() {
		t.Errorf("%v, expected %v, %v", ours.Mode(), theirs.Mode(), err)
	}
	if _, err := Create(filepath.Join(path, "no", "such.wav"), o); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
}

func TestOutputsThatCannotBe(t *testing.T) {
	good := Output{Format: FLAC, Rate: 48000, Channels: 2, PCM: dsp.S16LE}
	for want, change := range map[string]func(*Output){
		"MP3 cannot be written": func(o *Output) { o.Format = MP3 },
		"500000 Hz":             func(o *Output) { o.Rate = 500000 },
		"3 channels":            func(o *Output) { o.Channels = 3 },
		"f32le":                 func(o *Output) { o.PCM = dsp.F32LE },
	} {
		o := good
		change(&o)
		dir := t.TempDir()
		_, err := Create(filepath.Join(dir, "x"), o)
		left, _ := os.ReadDir(dir)
		if err == nil || !strings.Contains(err.Error(), want) || len(left) > 0 {
			t.Errorf("%v, expected %q; left %v", err, want, left)
		}
	}
}

func TestAResultIsWhatItsNameSays(t *testing.T) {
	for name, want := range map[string]Format{"a.wav": WAV, "a.WAVE": WAV, "a.Flac": FLAC, "/dev/stdout": WAV, "b.mp3/a": WAV} {
		if got, err := OutputOf(name); got != want || err != nil {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
	for _, name := range []string{"a.mp3", "a.ogg", "a.opus", "a.wav.part"} {
		if got, err := OutputOf(name); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, %v, want an error", name, got, err)
		}
	}
}

func TestClippingIsCounted(t *testing.T) {
	for _, format := range []Format{WAV, FLAC} {
		path := filepath.Join(t.TempDir(), "x")
		e, err := Create(path, Output{Format: format, Rate: 48000, Channels: 1, PCM: dsp.S16LE})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Write([][]float32{{2, -2, 0.5, float32(math.NaN())}}); err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil || e.Clipped() != 2 || e.Frames() != 4 {
			t.Errorf("%v, %d clipped of %d", err, e.Clipped(), e.Frames())
		}
	}
}

// The disk is full.
func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, format := range []Format{WAV, FLAC} {
		e, err := NewEncoder("full", f, Output{Format: format, Rate: 48000, Channels: 1, PCM: dsp.S16LE})
		if err != nil {
			t.Fatal(err)
		}
		err = e.Write([][]float32{sweep(0, 48000, 300_000)})
		if closed := e.Close(); err == nil {
			err = closed
		}
		if err == nil || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("%s: %v", format, err)
		}
	}
}
