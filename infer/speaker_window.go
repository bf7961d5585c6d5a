package infer

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/autovoiced/autovoiced/dsp"
)

const (
	// A hop is speech when it is within speechRange dB of the recording's loud hops, and not below
	// speechFloor dBFS in any case.
	speechRange, speechFloor = 30, -60
	// leastSpeech is the share of a window that must be speech for it to count.
	leastSpeech = 0.25
)

// SpeakerWindow is who was heard in one stretch of a recording.
type SpeakerWindow struct {
	At, Length time.Duration
	Speech     float64   // the share of it in which somebody speaks
	Embedding  []float32 // of unit length
}

// Windows hears a mono recording at Rate, full scale ±1, in windows that overlap by half; those with
// hardly any speech in them are left out, so there may be none. What is shorter than one window is
// heard over and over.
func (e *SpeakerEncoder) Windows(audio []float32) ([]SpeakerWindow, error) {
	frames, speech := e.frameUp(audio)
	var windows []SpeakerWindow
	for _, at := range e.starts(len(frames)) {
		window := make([][]float32, e.contract.Frames)
		spoken := 0
		for i := range window {
			t := (at + i) % len(frames)
			window[i] = frames[t]
			if speech[t] {
				spoken++
			}
		}
		share := float64(spoken) / float64(e.contract.Frames)
		if share < leastSpeech {
			continue
		}
		embedding, err := e.hear(window)
		if err != nil {
			return nil, fmt.Errorf("model %s: %w", e.file, err)
		}
		const hop = time.Second / hopsPerSecond
		windows = append(windows, SpeakerWindow{
			At: time.Duration(at) * hop, Length: time.Duration(min(e.contract.Frames, len(frames))) * hop,
			Speech: share, Embedding: embedding,
		})
	}
	return windows, nil
}

// Embed is who speaks in a mono recording at Rate: the mean of its windows, of unit length.
func (e *SpeakerEncoder) Embed(audio []float32) ([]float32, error) {
	windows, err := e.Windows(audio)
	if err != nil {
		return nil, err
	}
	return MeanEmbedding(windows)
}

// MeanEmbedding is the mean of windows, be they of several recordings, each with the weight of the
// speech in it; of unit length.
func MeanEmbedding(windows []SpeakerWindow) ([]float32, error) {
	if len(windows) == 0 {
		return nil, ErrNoSpeech
	}
	mean := make([]float32, len(windows[0].Embedding))
	for _, w := range windows {
		weight := w.Speech * w.Length.Seconds()
		for i, v := range w.Embedding {
			mean[i] += float32(weight) * v
		}
	}
	length := norm(mean)
	if !(length > 0) {
		return nil, fmt.Errorf("the windows' embeddings cancel out: %w", ErrNoSpeech)
	}
	for i := range mean {
		mean[i] /= float32(length)
	}
	return mean, nil
}

// Similarity is the cosine between two embeddings: 1 for the same direction, 0 for nothing in common.
func Similarity(a, b []float32) float64 {
	if len(a) != len(b) {
		panic("infer: embeddings of different lengths")
	}
	var sum float64
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum / max(norm(a)*norm(b), 1e-12)
}

func norm(x []float32) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}

// frameUp makes the log-mel frames that a voice would hear, and says which hops are speech. What is
// left over after the last whole hop is not heard; what is not a number is silence.
func (e *SpeakerEncoder) frameUp(audio []float32) (frames [][]float32, speech []bool) {
	c := e.contract
	mel := dsp.NewMel(c.Mel.config(c.SampleRateIn))
	n := len(audio) / c.HopIn
	bands := make([]float32, n*c.Mel.Bands)
	levels := make([]float64, n)
	frames = make([][]float32, n)
	quiet := make([]float32, c.HopIn)
	for t := range frames {
		hop := audio[t*c.HopIn : (t+1)*c.HopIn]
		if !finite(hop) {
			hop = quiet
		}
		frames[t] = bands[t*c.Mel.Bands : (t+1)*c.Mel.Bands]
		mel.Process(frames[t], hop)
		levels[t] = dsp.Decibels(float64(dsp.RMS(hop)))
	}
	return frames, speechHops(levels)
}

// speechHops says which of the hops, whose levels are given in dBFS, somebody speaks in.
func speechHops(levels []float64) []bool {
	speech := make([]bool, len(levels))
	if len(levels) == 0 {
		return speech
	}
	sorted := slices.Clone(levels)
	slices.Sort(sorted)
	least := max(sorted[len(sorted)*95/100]-speechRange, speechFloor)
	for t, level := range levels {
		speech[t] = level >= least
	}
	return speech
}

// starts are the frames at which windows begin: each half a window after the one before, and one
// that ends with the recording.
func (e *SpeakerEncoder) starts(frames int) []int {
	if frames == 0 {
		return nil
	}
	var all []int
	last := max(0, frames-e.contract.Frames)
	for at := 0; at < last; at += e.contract.Frames / 2 {
		all = append(all, at)
	}
	return append(all, last)
}

func (m Mel) config(rate int) dsp.MelConfig {
	return dsp.MelConfig{
		Rate: rate, FFT: m.NFFT, Window: m.Window, Hop: m.Hop,
		Bands: m.Bands, Fmin: m.FMin, Fmax: m.FMax, Floor: m.Floor,
	}
}
