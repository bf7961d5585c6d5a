// Package songtest composes the song that songs are measured with: the repository's recorded voice, again and again, over plucked
// chords and a beat.
package songtest

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/stream/media"
)

// Rate is the song's, in Hz; it is in stereo.
const Rate = 44100

// Compose writes a song of whole seconds to a file, 16 bits, with the voice of a recording in one channel.
func Compose(path string, format media.Format, recording string, length time.Duration) error {
	sung, err := voice(recording)
	if err != nil {
		return err
	}
	e, err := media.Create(path, media.Output{Format: format, Rate: Rate, Channels: 2, PCM: dsp.S16LE})
	if err != nil {
		return err
	}
	noise, beat := dsp.NewNoise(1), make([]float32, Rate)
	for second := range int(length.Seconds()) {
		block := [][]float32{make([]float32, Rate), make([]float32, Rate)}
		noise.Uniform(beat)
		for i := range Rate {
			t := float64(i) / Rate
			v := 0.5 * sung[(second*Rate+i)%len(sung)]
			band := 0.02 * float64(beat[i]) * math.Exp(-30*math.Mod(t, 0.25))
			for k, hz := range []float64{65.4, 130.8, 164.8, 196, 261.6, 392} {
				plucked := math.Mod(t+float64(k)*0.125, 0.5)
				band += 0.03 * math.Sin(2*math.Pi*hz*math.Exp2(float64(second%4)/12)*t) * math.Exp(-3*plucked)
			}
			block[0][i], block[1][i] = v+float32(band), v+0.7*float32(band)
		}
		if err := e.Write(block); err != nil {
			return errors.Join(err, e.Abort())
		}
	}
	return e.Close()
}

// voice is a recording at the song's rate.
func voice(path string) ([]float32, error) {
	d, err := media.Open(path)
	if err != nil {
		return nil, err
	}
	defer d.Close() //nolint:errcheck // it was only read
	if d.Channels() != 1 {
		return nil, fmt.Errorf("%s has %d channels, expected 1", path, d.Channels())
	}
	r, piece := dsp.NewFineResampler(d.Rate(), Rate), [][]float32{make([]float32, 1<<14)}
	var x []float32
	for {
		n, err := d.Read(piece)
		x = r.Append(x, piece[0][:n])
		if errors.Is(err, io.EOF) {
			return x, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
