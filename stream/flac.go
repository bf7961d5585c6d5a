package stream

import (
	"errors"
	"fmt"
	"io"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
)

// openFLAC reads the header by mewkiz/flac.
func (s *FileSource) openFLAC(r io.Reader) error {
	f, err := flac.New(r)
	if err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errors.New("the file is truncated within the FLAC header")
		}
		return fmt.Errorf("FLAC header: %w", err)
	}
	s.rate, s.channels, s.frames = int(f.Info.SampleRate), int(f.Info.NChannels), f.Info.NSamples
	s.decoder = &flacDecoder{stream: f, scale: 1 / float32(uint64(1)<<(f.Info.BitsPerSample-1))}
	return nil
}

// flacDecoder interleaves and scales the library's frames.
type flacDecoder struct {
	stream *flac.Stream
	frame  *frame.Frame
	at     int // sample of frame that comes next
	done   uint64
	scale  float32
}

func (d *flacDecoder) decode(dst []float32) (n, invalid int, err error) {
	for n < len(dst) {
		if d.frame == nil || d.at == int(d.frame.BlockSize) {
			if err := d.next(); errors.Is(err, io.EOF) && n > 0 {
				return n, 0, nil
			} else if err != nil {
				return 0, 0, err
			}
		}
		for ; d.at < int(d.frame.BlockSize) && n < len(dst); d.at++ {
			for _, channel := range d.frame.Subframes {
				dst[n] = float32(channel.Samples[d.at]) * d.scale
				n++
			}
		}
	}
	return n, 0, nil
}

func (d *flacDecoder) next() error {
	info := d.stream.Info
	f, err := d.stream.ParseNext()
	switch {
	case errors.Is(err, io.EOF) && d.done > 0 && (d.done == info.NSamples || info.NSamples == 0):
		return io.EOF
	case errors.Is(err, io.EOF) && info.NSamples == 0:
		return errors.New("the FLAC file holds no audio")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the file is truncated: its data end after %d of %d frames", d.done, info.NSamples)
	case err != nil:
		return fmt.Errorf("FLAC data after %d frames: %w", d.done, err)
	case len(f.Subframes) != int(info.NChannels):
		return fmt.Errorf("FLAC data after %d frames: %d channels, expected %d", d.done, len(f.Subframes), info.NChannels)
	}
	d.frame, d.at, d.done = f, 0, d.done+uint64(f.BlockSize)
	return nil
}
