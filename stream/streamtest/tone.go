package streamtest

import (
	"context"
	"io"
	"math"
	"sync/atomic"

	"github.com/autovoiced/autovoiced/stream"
)

// Tone is a Source of a sine wave, as fast as it is read.
type Tone struct {
	SampleRate int
	Hz         float64
	Amplitude  float64
	Length     int          // frames in all
	Chunk      int          // frames a chunk; 0: 10 ms
	Gaps       map[int]bool // chunk numbers that say they are discontinuous

	at, chunks int
	closed     atomic.Bool
}

// At is frame i of the tone.
func (s *Tone) At(i int) float32 {
	return float32(s.Amplitude * math.Sin(2*math.Pi*s.Hz*float64(i)/float64(s.SampleRate)))
}

// Rate implements stream.Source.
func (s *Tone) Rate() int { return s.SampleRate }

// Read implements stream.Source.
func (s *Tone) Read(ctx context.Context, c *stream.Chunk) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	size := s.Chunk
	if size == 0 {
		size = s.SampleRate / 100
	}
	n := min(size, s.Length-s.at)
	if n <= 0 || s.closed.Load() {
		return io.EOF
	}
	c.Samples = c.Samples[:0]
	for i := range n {
		c.Samples = append(c.Samples, s.At(s.at+i))
	}
	c.Rate, c.Frames, c.Discontinuous = s.SampleRate, n, s.Gaps[s.chunks]
	s.at += n
	s.chunks++
	return nil
}

// Close implements stream.Source.
func (s *Tone) Close() error {
	s.closed.Store(true)
	return nil
}
