package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/autovoiced/autovoiced/dsp"
)

// maxChannels is the most that a file may have; they are mixed down to one.
const maxChannels = 8

// FileSource reads a recording as fast as the pipeline takes it, mixed down to mono. Samples that
// are NaN or infinite become 0 and are counted in Edge.
type FileSource struct {
	name     string
	rate     int
	channels int
	frames   uint64 // in all; 0: not known
	decoder  frameDecoder
	close    func() error

	interleaved []float32
	bad         atomic.Uint64
	closed      atomic.Bool
}

// frameDecoder fills dst, a whole number of frames, and says how many samples it wrote and how
// many of them were invalid. It returns io.EOF with nothing written after the last.
type frameDecoder interface {
	decode(dst []float32) (n, invalid int, err error)
}

// OpenFile opens a WAV or FLAC file, told apart by their first bytes.
func OpenFile(path string) (*FileSource, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s, err := NewFileSource(path, f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s.close = f.Close
	return s, nil
}

// NewFileSource reads a WAV or FLAC recording from r, which stays open; name is for errors.
func NewFileSource(name string, r io.ReadSeeker) (*FileSource, error) {
	var magic [12]byte
	n, err := io.ReadFull(r, magic[:])
	if n == 0 && errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: the file is empty, expected WAV or FLAC", name)
	}
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s := &FileSource{name: name, close: func() error { return nil }}
	switch {
	case bytes.HasPrefix(magic[:n], []byte("RIFF")) && string(magic[8:]) == "WAVE":
		err = s.openWAV(r)
	case bytes.HasPrefix(magic[:n], []byte("RIFF")) && n < len(magic):
		err = fmt.Errorf("the file ends after %d bytes, within the WAV header", n)
	case bytes.HasPrefix(magic[:n], []byte("fLaC")), bytes.HasPrefix(magic[:n], []byte("ID3")):
		err = s.openFLAC(r)
	default:
		err = fmt.Errorf("neither WAV nor FLAC: it starts with %q", magic[:min(n, 4)])
	}
	if err == nil {
		err = s.check()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func (s *FileSource) check() error {
	if s.channels < 1 || s.channels > maxChannels {
		return fmt.Errorf("%d channels, possible are 1 to %d", s.channels, maxChannels)
	}
	if s.rate < MinRate || s.rate > MaxRate {
		return fmt.Errorf("sample rate of %d Hz, possible are %d to %d Hz", s.rate, MinRate, MaxRate)
	}
	s.interleaved = make([]float32, s.rate/100*s.channels)
	return nil
}

// Rate implements Source.
func (s *FileSource) Rate() int { return s.rate }

// Channels is how many the file has.
func (s *FileSource) Channels() int { return s.channels }

// Frames is the recording's length in frames; 0 if the file does not say.
func (s *FileSource) Frames() uint64 { return s.frames }

// Read implements Source with chunks of 10 ms.
func (s *FileSource) Read(ctx context.Context, c *Chunk) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed.Load() {
		return io.EOF
	}
	n, invalid, err := s.decoder.decode(s.interleaved)
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	s.bad.Add(uint64(invalid))
	frames := n / s.channels
	if cap(c.Samples) < frames {
		c.Samples = make([]float32, len(s.interleaved)/s.channels)
	}
	c.Samples = c.Samples[:frames]
	dsp.Downmix(c.Samples, s.interleaved[:n], s.channels)
	c.Rate, c.Frames, c.Discontinuous = s.rate, frames, false
	return nil
}

// Edge implements EdgeReporter.
func (s *FileSource) Edge() EdgeSnapshot {
	return EdgeSnapshot{Rate: s.rate, BadSamples: s.bad.Load()}
}

// Close implements Source; it closes the file that OpenFile opened.
func (s *FileSource) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	return s.close()
}
