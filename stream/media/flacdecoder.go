package media

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
)

// openFLAC reads the header by mewkiz/flac. Metadata that it cannot read are no reason not to play.
func openFLAC(r io.ReadSeeker) (info, codec, error) {
	f, err := flac.Parse(bufio.NewReaderSize(r, 1<<16))
	var tags Tags
	if err == nil {
		tags = flacTags(f.Blocks)
	} else {
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			return info{}, nil, err
		}
		f, err = flac.New(bufio.NewReaderSize(r, 1<<16))
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return info{}, nil, errors.New("the file is truncated within the FLAC header")
	case err != nil:
		return info{}, nil, fmt.Errorf("FLAC header: %w", err)
	}
	i := f.Info
	return info{rate: int(i.SampleRate), channels: int(i.NChannels), frames: int64(i.NSamples), tags: tags},
		&flacCodec{stream: f, scale: 1 / float32(uint64(1)<<(i.BitsPerSample-1))}, nil
}

// flacCodec scales the library's frames.
type flacCodec struct {
	stream *flac.Stream
	frame  *frame.Frame
	at     int // sample of frame that comes next
	done   int64
	scale  float32
}

func (c *flacCodec) decode(dst [][]float32) (int, error) {
	for c.frame == nil || c.at == int(c.frame.BlockSize) {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n := min(len(dst[0]), int(c.frame.BlockSize)-c.at)
	for channel, sub := range c.frame.Subframes {
		for i, v := range sub.Samples[c.at : c.at+n] {
			dst[channel][i] = float32(v) * c.scale
		}
	}
	c.at += n
	return n, nil
}

func (c *flacCodec) next() error {
	i := c.stream.Info
	f, err := c.stream.ParseNext()
	switch {
	case errors.Is(err, io.EOF) && i.NSamples == 0 && c.done == 0:
		return errors.New("the FLAC file holds no audio")
	case errors.Is(err, io.EOF) && (i.NSamples == 0 || c.done >= int64(i.NSamples)):
		return io.EOF
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		if i.NSamples == 0 {
			return fmt.Errorf("the file is truncated: its data end after %.3f s (%d frames)", c.seconds(), c.done)
		}
		return truncated(c.done, int64(i.NSamples), int(i.SampleRate))
	case err != nil:
		return fmt.Errorf("damaged FLAC after %.3f s (%d frames): %w", c.seconds(), c.done, err)
	case len(f.Subframes) != int(i.NChannels):
		return fmt.Errorf("damaged FLAC after %.3f s: %d channels, expected %d", c.seconds(), len(f.Subframes), i.NChannels)
	}
	c.frame, c.at, c.done = f, 0, c.done+int64(f.BlockSize)
	return nil
}

func (c *flacCodec) seconds() float64 {
	return float64(c.done) / float64(max(1, c.stream.Info.SampleRate))
}
