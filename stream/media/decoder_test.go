package media

import (
	"bufio"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What encoders put before and after the sound is gone: lengths are exact and nothing is shifted.
// A shift by one sample alone would leave 20 to 30 dB.
func TestFilesOfOtherProgramsAreReadToTheSample(t *testing.T) {
	for _, c := range []struct {
		name           string
		format         Format
		rate, channels int
		frames         int
		least          float64 // dB
	}{
		{"cbr.mp3", MP3, 44100, 2, 52920, 38},
		{"vbr.mp3", MP3, 48000, 2, 57600, 30},
		{"mono.mp3", MP3, 32000, 1, 38400, 38},
		{"low-stereo.mp3", MP3, 24000, 2, 28800, 35},
		{"stereo.ogg", Vorbis, 44100, 2, 52920, 20},
		{"mono.ogg", Vorbis, 16000, 1, 19200, 18},
		{"stereo.flac", FLAC, 44100, 2, 52920, 125},
	} {
		d, all := mustRead(t, c.name, file(t, c.name))
		if d.Format() != c.format || d.Rate() != c.rate || d.Channels() != c.channels || len(all[0]) != c.frames {
			t.Errorf("%s: %s of %d Hz, %d channels, %d frames", c.name, d.Format(), d.Rate(), d.Channels(), len(all[0]))
			continue
		}
		for channel, got := range all {
			inner := sweep(channel, c.rate, c.frames) // but for the edges, which encoders smear
			edge := c.rate / 50
			if db, gain := snr(got[edge:c.frames-edge], inner[edge:c.frames-edge]); db < c.least || gain < 0.94 || gain > 1.01 {
				t.Errorf("%s: channel %d is %.1f dB like what went in and %.3f as loud, expected %.0f dB", c.name, channel, db, gain, c.least)
			}
		}
	}
}

// Without a LAME tag nothing is known of the encoder's delay, so nothing is cut off.
func TestMP3WithoutATagKeepsAllItsFrames(t *testing.T) {
	_, all := mustRead(t, "untagged.mp3", file(t, "untagged.mp3"))
	if n := len(all[0]); n%1152 != 0 || n < 52920+1105 {
		t.Errorf("%d frames", n)
	}
}

func TestMoreChannelsBecomeStereo(t *testing.T) {
	d, all := mustRead(t, "six.flac", file(t, "six.flac"))
	if d.FileChannels() != 6 || d.Channels() != 2 {
		t.Fatalf("%d channels of %d", d.Channels(), d.FileChannels())
	}
	// Left, right, centre, LFE (which counts nothing), back left and back right; see make.sh.
	const h = math.Sqrt2 / 2
	want := [2]float64{(0.5 + h*0.125 + h*0.0625) / (1 + 2*h), (0.25 + h*0.125 + h*0.03125) / (1 + 2*h)}
	for c, w := range want {
		if got := float64(all[c][200]); math.Abs(got-w) > 1e-3 {
			t.Errorf("channel %d is %.4f, expected %.4f", c, got, w)
		}
	}
	for n := 3; n <= MaxChannels; n++ { // the same on every channel stays what it is
		src, l, r := make([][]float32, n), make([]float32, 1), make([]float32, 1)
		for c := range src {
			src[c] = []float32{0.7}
		}
		for _, layout := range [][]speaker{layouts[n], vorbisLayouts[n]} {
			if stereo(l, r, src, layout); math.Abs(float64(l[0])-0.7) > 1e-6 || math.Abs(float64(r[0])-0.7) > 1e-6 {
				t.Errorf("%d channels of 0.7 became %v and %v", n, l[0], r[0])
			}
		}
	}
}

// However a file is cut off, it is refused, at once or where it ends, and never shorter in silence.
func TestTruncatedFilesAreRefusedWithThePlace(t *testing.T) {
	for _, name := range []string{"cbr.mp3", "vbr.mp3", "stereo.ogg", "stereo.flac", "untagged.mp3"} {
		whole := file(t, name)
		for _, share := range []float64{0.1, 0.5, 0.9, 0.999} {
			d, err := NewDecoder("x", strings.NewReader(string(whole[:int(share*float64(len(whole)))])))
			if err == nil {
				_, err = readAll(d)
			}
			if err == nil || !strings.Contains(err.Error(), "truncated") || !strings.HasPrefix(err.Error(), "x: ") {
				t.Errorf("%s cut at %v: %v", name, share, err)
			} else if share == 0.9 && !strings.Contains(err.Error(), " s (") {
				t.Errorf("%s cut at %v: %v, expected the second", name, share, err)
			}
		}
	}
}

func TestBadFilesAreRefusedWithTheReason(t *testing.T) {
	flacGood := file(t, "stereo.flac")
	mp3 := file(t, "untagged.mp3")
	wav := func(format, channels, rate, bits, bytes int) []byte {
		return wavBytes(format, channels, rate, bits, make([]byte, bytes))
	}
	good := wav(wavInteger, 1, 16000, 16, 3200)
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "empty"},
		{"text", []byte("hello, world"), `neither WAV, FLAC, MP3 nor Ogg Vorbis: it starts with "hell"`},
		{"one byte", []byte("R"), "neither WAV"},
		{"a lone sync", []byte("\xff\xfb\x90\x00 and so on"), "neither WAV"},
		{"an ID3 tag alone", append([]byte("ID3\x03\x00\x00\x00\x00\x00\x0a"), make([]byte, 10)...), "after its ID3 tag"},
		{"M4A", []byte("\x00\x00\x00\x20ftypM4A \x00\x00"), "AAC"},
		{"Opus", file(t, "opus.ogg"), "this is Ogg Opus"},
		{"AIFF", []byte("FORM\x00\x00\x00\x20AIFF"), "AIFF"},
		{"cut in the magic", good[:9], "within the WAV header"},
		{"cut in the format", good[:24], "fmt"},
		{"cut before the data", good[:36], "no sample data"},
		{"cut in the data", good[:1000], "truncated: its data end after 0.030 of 0.100 s (478 of 1600 frames)"},
		{"no data", wav(wavInteger, 1, 16000, 16, 0), "no audio"},
		{"0 Hz", wav(wavInteger, 1, 0, 16, 3200), "sample rate of 0 Hz"},
		{"384 kHz", wav(wavInteger, 1, 384000, 16, 3200), "sample rate of 384000 Hz"},
		{"9 channels", wav(wavInteger, 9, 16000, 16, 3600), "9 channels, possible are 1 to 8"},
		{"0 channels", wav(wavInteger, 0, 16000, 16, 3600), "0 channels"},
		{"mu-law", wav(7, 1, 16000, 8, 3600), "µ-law"},
		{"frames that do not fit", func() []byte { b := wav(wavInteger, 2, 16000, 16, 3200); b[32] = 3; return b }(), "frames of 3 bytes"},
		{"FLAC cut in the header", flacGood[:20], "truncated within the FLAC header"},
		{"FLAC, said the sheep", []byte("fLaC, said the sheep\n"), "FLAC header"},
		{"a byte of FLAC changed", func() []byte { b := append([]byte(nil), flacGood...); b[len(b)/2] ^= 1; return b }(), "damaged FLAC after 0."},
		{"MP3 without sound", mp3[:100], "neither"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := NewDecoder("x", strings.NewReader(string(c.data)))
			if err == nil {
				_, err = readAll(d)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "x: ") {
				t.Errorf("%v, expected %q", err, c.want)
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none.wav")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// Junk between MP3 frames, as broken taggers leave it, is passed over.
func TestMP3IsFoundAgainAfterJunk(t *testing.T) {
	whole := file(t, "untagged.mp3")
	frames := mp3Frames{r: bufio.NewReaderSize(strings.NewReader(string(whole)), 8192)}
	at := 0
	for range 10 {
		_, b, err := frames.next()
		if err != nil {
			t.Fatal(err)
		}
		at += len(b)
	}
	junk := append(append(append([]byte(nil), whole[:at]...), strings.Repeat("TAG\xff\xfb?", 50)...), whole[at:]...)
	_, want := mustRead(t, "whole", whole)
	_, got := mustRead(t, "junk", append(junk, "TAGtitle and so on"...))
	if len(got[0]) != len(want[0]) || !alike(got[0], want[0], 100) {
		t.Errorf("%d frames of %d, or other ones", len(got[0]), len(want[0]))
	}
}

func TestFiveMillisecondsAreARecording(t *testing.T) {
	_, all := mustRead(t, "short", wavBytes(wavInteger, 2, 48000, 16, make([]byte, 240*4)))
	if len(all[0]) != 240 {
		t.Errorf("%d frames", len(all[0]))
	}
}

func TestReadAfterTheEndAndAfterClose(t *testing.T) {
	d, err := Open(samples + "mono.mp3")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(d); err != nil {
		t.Fatal(err)
	}
	x := [][]float32{make([]float32, 10)}
	if n, err := d.Read(x); n != 0 || err != io.EOF {
		t.Errorf("%d, %v after the end", n, err)
	}
	if err := errors.Join(d.Close(), d.Close()); err != nil {
		t.Error(err)
	}
	if n, err := d.Read(x); n != 0 || err == nil || errors.Is(err, io.EOF) {
		t.Errorf("%d, %v after Close", n, err)
	}
}
