package report

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/stream/media"
)

const (
	columns    = 1000 // of a picture, over the whole of a recording
	pitchEvery = 100  // a second
)

// Sound is what a recording holds.
type Sound struct {
	Name     string // without its folder
	Format   string
	Rate     int
	Channels int
	Seconds  float64
	Peak     float64 // dBFS
	Level    float64 // dBFS, RMS
	// Separated says that the pitch is that of the voice alone.
	Separated bool

	pitch       []float32 // Hz, pitchEvery a second; 0 where there is no voice
	levels      []float64 // dBFS RMS of each column
	spectrogram *spectrogram
}

// Listen looks through a recording. With a separator, the pitch is that of the voice in it, else of all that sounds.
func Listen(ctx context.Context, path string, separator Separator) (s *Sound, err error) {
	frames, err := count(ctx, path)
	if err != nil {
		return nil, err
	}
	d, err := media.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	s = &Sound{
		Name: filepath.Base(path), Format: d.Format().String(), Rate: d.Rate(), Channels: d.FileChannels(),
		Seconds: float64(frames) / float64(d.Rate()), levels: make([]float64, columns),
	}
	s.Separated = separator != nil
	l := &listener{
		sound: s, frames: frames, per: make([]int64, columns),
		pitch: newPitchFinder(separator, d.Rate(), frames), spectrogram: newSpectrogram(d.Rate(), frames),
	}
	if err := play(ctx, d, l.hear); err != nil {
		return nil, err
	}
	return s, l.finish()
}

// count reads a recording whose header does not say how long it is.
func count(ctx context.Context, path string) (frames int64, err error) {
	d, err := media.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if d.Frames() > 0 {
		return d.Frames(), nil
	}
	err = play(ctx, d, func(channels [][]float32) error {
		frames += int64(len(channels[0]))
		return nil
	})
	return frames, err
}

// play hands the channels to hear, 10 ms at a time; the last may be shorter.
func play(ctx context.Context, d *media.Decoder, hear func(channels [][]float32) error) error {
	hop := d.Rate() / pitchEvery
	channels := make([][]float32, d.Channels())
	for c := range channels {
		channels[c] = make([]float32, hop)
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := d.Read(channels)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for c := range channels {
			channels[c] = channels[c][:n]
		}
		if err := hear(channels); err != nil {
			return err
		}
	}
}

// listener gathers what a Sound tells.
type listener struct {
	sound       *Sound
	frames, at  int64
	energy      float64
	peak        float32
	per         []int64 // samples of a column
	mean        []float32
	pitch       *pitchFinder
	spectrogram *spectrogram
}

func (l *listener) hear(channels [][]float32) error {
	l.mean = append(l.mean[:0], channels[0]...)
	x := l.mean
	for c, channel := range channels {
		l.peak = max(l.peak, dsp.Peak(channel))
		if c == 1 {
			for i := range x {
				x[i] = (x[i] + channel[i]) / 2
			}
		}
	}
	var energy float64
	for _, v := range x {
		energy += float64(v) * float64(v)
	}
	l.energy += energy
	column := min(columns-1, int(l.at*columns/max(1, l.frames)))
	l.sound.levels[column] += energy
	l.per[column] += int64(len(x))
	l.spectrogram.hear(x)
	l.at += int64(len(x))
	return l.pitch.hear(channels, x)
}

func (l *listener) finish() (err error) {
	s := l.sound
	s.pitch, err = l.pitch.finish()
	s.Peak, s.Level = dsp.Decibels(float64(l.peak)), decibels(l.energy, l.at)
	last := math.Inf(-1)
	for c := range s.levels { // a short recording has columns without a hop
		if l.per[c] > 0 {
			last = decibels(s.levels[c], l.per[c])
		}
		s.levels[c] = last
	}
	s.spectrogram = l.spectrogram
	return err
}

func decibels(energy float64, samples int64) float64 {
	return dsp.Decibels(math.Sqrt(energy / float64(max(1, samples))))
}

// Median is that of the pitch, in Hz; 0 where there is no voice.
func (s *Sound) Median() float64 { return median(voiced(s.pitch)) }

// Voiced is the share of the time in which there is a pitch.
func (s *Sound) Voiced() float64 {
	return float64(len(voiced(s.pitch))) / float64(max(1, len(s.pitch)))
}

// Range is where the pitch lies but for a twentieth at either end, in Hz.
func (s *Sound) Range() (low, high float64) {
	v := voiced(s.pitch)
	if len(v) == 0 {
		return 0, 0
	}
	slices.Sort(v)
	return v[len(v)/20], v[len(v)-1-len(v)/20]
}

func voiced(pitch []float32) (v []float64) {
	for _, hz := range pitch {
		if hz > 0 {
			v = append(v, float64(hz))
		}
	}
	return v
}

func median(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	x = slices.Sorted(slices.Values(x))
	return x[len(x)/2]
}

// Likeness is how the pitch after follows that before.
type Likeness struct {
	Shift  float64 // in semitones
	Error  float64 // the median of what is left beyond the shift, in cents
	Voices float64 // the share of the time in which both have a voice or neither has
}

// Compare looks at both recordings from their beginnings; ok is false where they never sing at once.
func Compare(before, after *Sound) (l Likeness, ok bool) {
	n := min(len(before.pitch), len(after.pitch))
	var cents []float64
	same := 0
	for i := range n {
		a, b := float64(before.pitch[i]), float64(after.pitch[i])
		if (a > 0) == (b > 0) {
			same++
		}
		if a > 0 && b > 0 {
			cents = append(cents, 1200*math.Log2(b/a))
		}
	}
	if len(cents) == 0 {
		return Likeness{}, false
	}
	shift := median(cents)
	for i := range cents {
		cents[i] = math.Abs(cents[i] - shift)
	}
	return Likeness{shift / 100, median(cents), float64(same) / float64(n)}, true
}

func (l Likeness) String() string {
	return fmt.Sprintf("shifted by %+.2f semitones, followed to %.0f cents (median), voiced alike in %.0f %% of the time", l.Shift, l.Error, 100*l.Voices)
}
