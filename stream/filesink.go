package stream

import (
	"context"
	"fmt"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/stream/media"
)

// FileSink writes a recording of one channel. The file is there once Close has returned nil, and
// none is after an error.
type FileSink struct {
	rate    int
	encoder *media.Encoder
}

// CreateFile creates or replaces a file; o.Channels must be 1.
func CreateFile(path string, o media.Output) (*FileSink, error) {
	e, err := media.Create(path, o)
	if err != nil {
		return nil, err
	}
	return &FileSink{o.Rate, e}, nil
}

// CreateWAV creates or replaces a WAV file of samples in the given format.
func CreateWAV(path string, rate int, pcm dsp.PCM) (*FileSink, error) {
	return CreateFile(path, media.Output{Format: media.WAV, Rate: rate, Channels: 1, PCM: pcm})
}

// Rate implements Sink.
func (s *FileSink) Rate() int { return s.rate }

// Write implements Sink.
func (s *FileSink) Write(ctx context.Context, c *Chunk) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.Rate != s.rate {
		return fmt.Errorf("file: chunk at %d Hz, expected %d Hz", c.Rate, s.rate)
	}
	return s.encoder.Write([][]float32{c.Samples})
}

// Clipped is how many samples were beyond full scale so far.
func (s *FileSink) Clipped() int { return s.encoder.Clipped() }

// Drain implements Sink: there is nothing to wait for.
func (s *FileSink) Drain(context.Context) error { return nil }

// Close implements Sink: it completes the file.
func (s *FileSink) Close() error { return s.encoder.Close() }

// Abort removes what was written, unless Close has returned.
func (s *FileSink) Abort() error { return s.encoder.Abort() }
