package song

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream/media"
)

// sing converts a signal by way of files.
func sing(t *testing.T, s Singer, rate int, signal [][]float32, change func(*job)) (Result, [][]float32) {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.wav"), filepath.Join(dir, "out.wav")
	writeSong(t, in, rate, signal)
	o := Default()
	o.PCM, o.Separator, o.Shift = dsp.F32LE, infer.SeparatorNone, infer.Shift{}
	j := newJob(in, out, s, o)
	if change != nil {
		change(j)
	}
	r, err := j.convert(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, got := readSong(t, out)
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	return r, got
}

// TestMusicStaysAsItIs: with the voice turned off, what is left is the song less the vocals, in both channels, to the bit.
func TestMusicStaysAsItIs(t *testing.T) {
	signal := chord(44100, 1.5, 0.8, -0.4)
	_, got := sing(t, singer(t, tinyVoice), 44100, signal, func(j *job) {
		j.o.NewSeparator = sharing(share{of: 0.25, rate: 44100, latency: 3000, hop: 512})
		j.o.VocalGainDB = Silence
	})
	for c := range signal {
		for i := range signal[c] {
			signal[c][i] -= 0.25 * signal[c][i]
		}
	}
	if db := apart(got, signal); db > -140 {
		t.Errorf("the music is %.1f dB from what it was", db)
	}
}

// TestOneStreamHasNoSeams: a song that is read in the usual pieces gives the very samples of one that is read at once.
func TestOneStreamHasNoSeams(t *testing.T) {
	signal, s := chord(32000, 3, 0.5, 0.4), singer(t, tinyVoice)
	var results [][][]float32
	for _, piece := range []int{readFrames, 1 << 20, 997} {
		_, got := sing(t, s, 32000, signal, func(j *job) {
			j.piece = piece
			j.o.NewSeparator = sharing(share{of: 0.5, rate: 44100, latency: 1234, hop: 1024})
		})
		results = append(results, got)
	}
	if dsp.Peak(results[0][0]) < 0.01 {
		t.Error("nothing is heard: the comparison is empty")
	}
	for _, other := range results[1:] {
		for c := range other {
			if !slices.Equal(results[0][c], other[c]) {
				t.Errorf("channel %d differs when the song is read in other pieces", c)
			}
		}
	}
}

// TestVoiceIsWhereTheVocalsWere: as loud, and as far to the side.
func TestVoiceIsWhereTheVocalsWere(t *testing.T) {
	signal := [][]float32{make([]float32, 3*44100), make([]float32, 3*44100)}
	for i := range signal[0] {
		saw := float32(math.Mod(float64(i)*130/44100, 1) - 0.5)
		signal[0][i], signal[1][i] = 0.4*saw, 0.1*saw
	}
	_, got := sing(t, singer(t, tinyVoice), 44100, signal, nil)
	middle := func(x []float32) []float32 { return x[44100:88200] }
	for c := range signal {
		want, have := dsp.Decibels(float64(dsp.RMS(middle(signal[c])))), dsp.Decibels(float64(dsp.RMS(middle(got[c]))))
		if math.Abs(want-have) > 1 {
			t.Errorf("channel %d: %.1f dB, the vocals were %.1f", c, have, want)
		}
	}
	if db := apart(got, signal); db < -3 {
		t.Errorf("the voice is %.1f dB from the song: it is not another one", db)
	}
}

// TestNobodySings: the song comes back, said so, to the bit.
func TestNobodySings(t *testing.T) {
	s := singer(t, tinyVoice)
	silent := [][]float32{make([]float32, 16000)}
	for name, c := range map[string]struct {
		signal [][]float32
		of     float32
		rate   int
	}{"silence": {silent, 1, 16000}, "music alone": {chord(44100, 1, 0.5, 0.7), 0, 44100}} {
		r, got := sing(t, s, c.rate, c.signal, func(j *job) {
			j.o.NewSeparator = sharing(share{of: c.of, rate: 44100, latency: 100, hop: 1024})
		})
		if len(r.Notes) != 1 || r.Notes[0] != "no voice was found: the result is the song as it was" {
			t.Errorf("%s: notes %q", name, r.Notes)
		}
		for ch := range c.signal {
			if !slices.Equal(got[ch], c.signal[ch]) {
				t.Errorf("%s: channel %d is not what it was", name, ch)
			}
		}
	}
}

// TestNothingClips: however loud it is asked for, the loudest sample is at the ceiling, or at the song's own peak.
func TestNothingClips(t *testing.T) {
	s := singer(t, tinyVoice)
	signal := chord(44100, 1, 0.5, 0.2)
	r, got := sing(t, s, 44100, signal, func(j *job) {
		j.o.NewSeparator = sharing(share{of: 0.5, rate: 44100, latency: 0, hop: 1024})
		j.o.MusicGainDB, j.o.VocalGainDB, j.o.CeilingDB, j.o.PCM = 24, 24, -3, dsp.S16LE
	})
	if p := dsp.Decibels(float64(max(dsp.Peak(got[0]), dsp.Peak(got[1])))); r.Clipped != 0 || p > -3+0.001 || p < -4 {
		t.Errorf("peak %.2f dB, %d samples clipped, want -3 and none", p, r.Clipped)
	}
	loud := dsp.Peak(signal[0])
	for i := range signal[0] {
		signal[0][i] /= loud
		signal[1][i] /= loud
	}
	_, got = sing(t, s, 44100, signal, func(j *job) {
		j.o.NewSeparator = sharing(share{of: 0.5, rate: 44100, latency: 0, hop: 1024})
		j.o.VocalGainDB, j.o.Dry = 0, 1
	})
	if db := apart(got, signal); db > -120 {
		t.Errorf("a song at full scale is changed though nothing was: %.1f dB", db)
	}
	r, _ = sing(t, s, 16000, [][]float32{slices.Repeat([]float32{1, 1, 1, 1, -1, -1, -1, -1}, 4000)}, nil)
	if len(r.Notes) != 1 || r.Clipped != 0 {
		t.Errorf("clipping everywhere: notes %q, %d samples clipped, want one note and none", r.Notes, r.Clipped)
	}
}

func TestAutomaticShift(t *testing.T) {
	s := singer(t, tinyVoice)
	s.Target.MedianHz = 196
	buzz := make([]float32, 32000)
	for i := range buzz {
		buzz[i] = float32(0.4 * (math.Mod(float64(i)*130/16000, 1) - 0.5))
	}
	auto := func(j *job) { j.o.Shift.Auto = true }
	r, _ := sing(t, s, 16000, [][]float32{buzz}, auto)
	if want := 12 * math.Log2(196/130.); math.Abs(r.PitchShift-want) > 0.1 || math.Abs(r.SingerHz-130) > 1 || r.Voiced < 1.8 {
		t.Errorf("a voice alone: %+.2f semitones from %.1f Hz (%.2f s voiced), want %+.2f from 130", r.PitchShift, r.SingerHz, r.Voiced, want)
	}
	r, _ = sing(t, s, 16000, [][]float32{buzz}, func(j *job) {
		j.o.NewSeparator = sharing(share{of: 0.5, rate: 44100, latency: 64, hop: 1024})
		j.o.Shift = infer.Shift{Auto: true, Semitones: 2}
	})
	if r.PitchShift != 14 {
		t.Errorf("with music: %+.2f semitones, want an octave and 2", r.PitchShift)
	}
}

// TestF0IsOverridden: what is given is sung, whatever the song says.
func TestF0IsOverridden(t *testing.T) {
	s := singer(t, tinyVoice)
	signal := chord(16000, 1, 1)
	given := slices.Repeat([]float32{300}, 100)
	r, _ := sing(t, s, 16000, signal, func(j *job) { j.o.F0 = given })
	if math.Abs(r.SingerHz-300) > 1e-3 || r.Voiced != 1 {
		t.Errorf("sung at %.1f Hz for %.2f s, want 300 for 1", r.SingerHz, r.Voiced)
	}
}

func TestTagsAreKept(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.wav"), filepath.Join(dir, "out.flac")
	writeSong(t, in, 96000, chord(96000, 0.3, 0.5, 0.5))
	o := Default()
	o.Format, o.Separator = media.FLAC, infer.SeparatorNone
	r, err := Convert(t.Context(), in, out, singer(t, tinyVoice), o)
	if err != nil {
		t.Fatal(err)
	}
	d, err := media.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if r.Rate != MaxRate || d.Rate() != MaxRate || d.Format() != media.FLAC || d.Channels() != 2 || d.Tags().Title != "Chord" {
		t.Errorf("%v of %d Hz, %d channels, %+v", d.Format(), d.Rate(), d.Channels(), d.Tags())
	}
}
