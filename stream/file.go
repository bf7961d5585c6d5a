package stream

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/autovoiced/autovoiced/stream/media"
)

// FileSource reads a recording as fast as the pipeline takes it, mixed down to mono. Samples that
// are NaN or infinite become 0 and are counted in Edge.
type FileSource struct {
	decoder  *media.Decoder
	channels [][]float32 // of 10 ms
	bad      atomic.Uint64
	closed   atomic.Bool
}

// OpenFile opens a recording of any format that media reads.
func OpenFile(path string) (*FileSource, error) {
	d, err := media.Open(path)
	if err != nil {
		return nil, err
	}
	return newFileSource(d), nil
}

// NewFileSource reads a recording from r, which stays open; name is for errors.
func NewFileSource(name string, r io.ReadSeeker) (*FileSource, error) {
	d, err := media.NewDecoder(name, r)
	if err != nil {
		return nil, err
	}
	return newFileSource(d), nil
}

func newFileSource(d *media.Decoder) *FileSource {
	s := &FileSource{decoder: d}
	for range d.Channels() {
		s.channels = append(s.channels, make([]float32, d.Rate()/100))
	}
	return s
}

// Rate implements Source.
func (s *FileSource) Rate() int { return s.decoder.Rate() }

// Channels is how many the file has.
func (s *FileSource) Channels() int { return s.decoder.FileChannels() }

// Frames is the recording's length in frames; 0 if the file does not say.
func (s *FileSource) Frames() uint64 { return uint64(s.decoder.Frames()) }

// Tags says what the recording is called.
func (s *FileSource) Tags() media.Tags { return s.decoder.Tags() }

// Read implements Source with chunks of 10 ms.
func (s *FileSource) Read(ctx context.Context, c *Chunk) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed.Load() {
		return io.EOF
	}
	n, err := s.decoder.Read(s.channels)
	if err != nil {
		return err
	}
	s.bad.Store(uint64(s.decoder.Invalid()))
	if cap(c.Samples) < n {
		c.Samples = make([]float32, len(s.channels[0]))
	}
	c.Samples = c.Samples[:n]
	if len(s.channels) == 1 {
		copy(c.Samples, s.channels[0])
	} else {
		left, right := s.channels[0], s.channels[1]
		for i := range c.Samples {
			c.Samples[i] = (left[i] + right[i]) / 2
		}
	}
	c.Rate, c.Frames, c.Discontinuous = s.decoder.Rate(), n, false
	return nil
}

// Edge implements EdgeReporter.
func (s *FileSource) Edge() EdgeSnapshot {
	return EdgeSnapshot{Rate: s.decoder.Rate(), BadSamples: s.bad.Load()}
}

// Close implements Source; it closes the file that OpenFile opened.
func (s *FileSource) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	return s.decoder.Close()
}
