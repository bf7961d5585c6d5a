package stream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/go-audio/audio"
	"github.com/go-audio/wav"

	"github.com/autovoiced/autovoiced/dsp"
)

// WAVSink writes a mono WAV file. The file is valid once Close has returned.
type WAVSink struct {
	rate    int
	pcm     dsp.PCM
	out     *bufferedSeeker
	encoder *wav.Encoder
	close   func() error
	bytes   []byte
	frames  int64
	clipped int
	closed  bool
}

// bufferedSeeker makes the library's many small writes cheap.
type bufferedSeeker struct {
	*bufio.Writer
	w io.WriteSeeker
}

func (b *bufferedSeeker) Seek(offset int64, whence int) (int64, error) {
	if err := b.Flush(); err != nil {
		return 0, err
	}
	return b.w.Seek(offset, whence)
}

// CreateWAV creates or overwrites a file of samples in the given format.
func CreateWAV(path string, rate int, pcm dsp.PCM) (*WAVSink, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	s, err := NewWAVSink(f, rate, pcm)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	s.close = f.Close
	return s, nil
}

// NewWAVSink writes to w, which stays open.
func NewWAVSink(w io.WriteSeeker, rate int, pcm dsp.PCM) (*WAVSink, error) {
	if rate < MinRate || rate > MaxRate {
		return nil, fmt.Errorf("WAV of %d Hz, possible are %d to %d Hz", rate, MinRate, MaxRate)
	}
	format := wavInteger
	if pcm == dsp.F32LE {
		format = wavFloat
	}
	s := &WAVSink{rate: rate, pcm: pcm, close: func() error { return nil }}
	s.out = &bufferedSeeker{Writer: bufio.NewWriterSize(w, 1<<16), w: w}
	s.encoder = wav.NewEncoder(s.out, rate, 8*pcm.Bytes(), 1, format)
	none := &audio.IntBuffer{Format: &audio.Format{NumChannels: 1, SampleRate: rate}}
	if err := s.encoder.Write(none); err != nil { // a file without sound still needs its header
		return nil, fmt.Errorf("WAV header: %w", err)
	}
	return s, nil
}

// Rate implements Sink.
func (s *WAVSink) Rate() int { return s.rate }

// Write implements Sink.
func (s *WAVSink) Write(ctx context.Context, c *Chunk) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed {
		return errors.New("WAV: write after close")
	}
	if c.Rate != s.rate {
		return fmt.Errorf("WAV: chunk at %d Hz, expected %d Hz", c.Rate, s.rate)
	}
	width := s.pcm.Bytes()
	s.frames += int64(len(c.Samples))
	if s.frames*int64(width) > math.MaxUint32-64 {
		return errors.New("WAV: more than 4 GiB do not fit into one file")
	}
	if cap(s.bytes) < len(c.Samples)*width {
		s.bytes = make([]byte, len(c.Samples)*width)
	}
	s.bytes = s.bytes[:len(c.Samples)*width]
	s.clipped += s.pcm.Encode(s.bytes, c.Samples).Clipped
	for at := 0; at < len(s.bytes); at += width {
		if err := s.encoder.WriteFrame(s.bytes[at : at+width]); err != nil {
			return fmt.Errorf("WAV: %w", err)
		}
	}
	return nil
}

// Clipped is how many samples were beyond full scale so far.
func (s *WAVSink) Clipped() int { return s.clipped }

// Drain implements Sink.
func (s *WAVSink) Drain(context.Context) error { return s.out.Flush() }

// Close implements Sink: it completes the header.
func (s *WAVSink) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	err := s.encoder.Close()
	if err == nil {
		err = s.out.Flush()
	}
	if err != nil {
		err = fmt.Errorf("WAV: %w", err)
	}
	return errors.Join(err, s.close())
}
