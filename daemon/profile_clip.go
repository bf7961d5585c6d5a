package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mewkiz/flac"
	flacframe "github.com/mewkiz/flac/frame"
	"github.com/mewkiz/flac/meta"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/stream"
)

const (
	// maxClip is how much of a recording is heard: more of it says nothing more about the speaker.
	maxClip = 60 * time.Second
	// maxClipRate is the rate, in Hz, that clips are kept at, unless theirs is lower.
	maxClipRate = 48000
	flacBlock   = 4096
)

// clip is a recording of a speaker, mono.
type clip struct {
	source  string // the file's name without its folder
	rate    int
	samples []float32
	cut     bool // there was more than maxClip
}

// readClip reads the beginning of a recording, WAV, FLAC, MP3 or Ogg Vorbis of any rate.
func readClip(ctx context.Context, path string) (*clip, error) {
	f, err := stream.OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	c := &clip{source: filepath.Base(path), rate: f.Rate()}
	most := stream.TimeToFrames(maxClip, c.rate)
	var chunk stream.Chunk
	for !c.cut {
		if err := f.Read(ctx, &chunk); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		c.samples = append(c.samples, chunk.Samples...)
		c.cut = len(c.samples) > most
	}
	if bad := f.Edge().BadSamples; bad > 0 {
		return nil, fmt.Errorf("%s: %d samples are not finite numbers (NaN or infinite)", path, bad)
	}
	c.samples = c.samples[:min(most, len(c.samples))]
	return c, nil
}

// at is the clip at another rate.
func (c *clip) at(rate int) []float32 { return dsp.Resampled(c.samples, c.rate, rate) }

func (c *clip) seconds() float64 { return float64(len(c.samples)) / float64(c.rate) }

// peak is the largest sample in dBFS.
func (c *clip) peak() float64 { return dsp.Decibels(float64(dsp.Peak(c.samples))) }

// heard is what a clip holds of speech.
type heard struct {
	speech  time.Duration
	snr     float64   // dB of speech over what is there when nobody speaks
	pitches []float64 // Hz, of voiced hops
}

const (
	speechRange  = 30  // dB below the loud hops that speech may be,
	speechFloor  = -60 // dBFS that it must be,
	speechNear   = 20  // and hops from a voiced one
	digitalNoise = -90 // dBFS; what is below is no room's noise but a gap that somebody cut or filled
	maxSNR       = 60  // dB; more cannot be told apart
)

// hearSpeech measures a signal at the given rate.
func hearSpeech(x []float32, rate int) heard {
	hop := rate / 100
	tracker := dsp.NewPitch(dsp.DefaultPitchConfig(rate))
	n := len(x) / hop
	levels, lastVoiced := make([]float64, n), -1
	nextVoiced := make([]int, n) // hops to the nearest voiced one
	var h heard
	for t := range n {
		one := x[t*hop : (t+1)*hop]
		levels[t] = dsp.Decibels(float64(dsp.RMS(one)))
		if hz, _ := tracker.Process(one); hz > 0 {
			h.pitches, lastVoiced = append(h.pitches, float64(hz)), t
		}
		nextVoiced[t] = n
		if lastVoiced >= 0 {
			nextVoiced[t] = t - lastVoiced
		}
		if lastVoiced == t {
			for back := t - 1; back >= 0 && nextVoiced[back] > t-back; back-- {
				nextVoiced[back] = t - back
			}
		}
	}
	var speech, noise []float64
	least := max(percentile(levels, 0.95)-speechRange, speechFloor)
	for t, level := range levels {
		if level >= least && nextVoiced[t] <= speechNear {
			speech = append(speech, power(level))
		}
		if level > digitalNoise {
			noise = append(noise, power(level))
		}
	}
	h.speech = time.Duration(len(speech)) * time.Second / 100
	h.snr = maxSNR
	if floor := percentile(noise, 0.1); len(speech) > 0 && floor > 0 {
		h.snr = min(maxSNR, 10*math.Log10(max(mean(speech)/floor-1, 1e-2)))
	}
	return h
}

func power(db float64) float64 { return math.Pow(10, db/10) }

func mean(x []float64) float64 {
	var sum float64
	for _, v := range x {
		sum += v
	}
	return sum / float64(max(1, len(x)))
}

// percentile is 0 for nothing.
func percentile(x []float64, share float64) float64 {
	if len(x) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(x))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

// writeFLAC keeps the clip as FLAC of 16 bits.
func (c *clip) writeFLAC(path string) (err error) {
	rate := min(c.rate, maxClipRate)
	x := c.at(rate)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	enc, err := flac.NewEncoder(f, &meta.StreamInfo{
		BlockSizeMin: flacBlock, BlockSizeMax: flacBlock, SampleRate: uint32(rate), NChannels: 1, BitsPerSample: 16, NSamples: uint64(len(x)),
	})
	if err != nil {
		return errors.Join(err, f.Close())
	}
	for at := 0; at < len(x) && err == nil; at += flacBlock {
		err = enc.WriteFrame(flacFrame(x[at:min(at+flacBlock, len(x))], rate))
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, enc.Close()) // closes the file as well
}

func flacFrame(x []float32, rate int) *flacframe.Frame {
	samples := make([]int32, len(x))
	for i, v := range x {
		samples[i] = int32(math.RoundToEven(min(math.MaxInt16, max(math.MinInt16, float64(v)*32768))))
	}
	return &flacframe.Frame{
		Header: flacframe.Header{
			HasFixedBlockSize: true, BlockSize: uint16(len(x)), SampleRate: uint32(rate), Channels: flacframe.ChannelsMono, BitsPerSample: 16,
		},
		Subframes: []*flacframe.Subframe{{
			SubHeader: flacframe.SubHeader{Pred: flacframe.PredVerbatim}, Samples: samples, NSamples: len(x),
		}},
	}
}
