package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/go-audio/wav"

	"github.com/autovoiced/autovoiced/dsp"
)

// The formats that a WAV header names.
const (
	wavInteger    = 1
	wavFloat      = 3
	wavExtensible = 0xfffe
	wavEndless    = 0xffffff00 // a writer that could not seek left a size from here on
)

// openWAV reads the header by go-audio/wav and finds the samples; they are decoded here, because
// that library takes floats for integers.
func (s *FileSource) openWAV(r io.ReadSeeker) error {
	d := wav.NewDecoder(r)
	if err := d.FwdToPCM(); err != nil {
		return fmt.Errorf("no sample data in the WAV file: %w", err)
	}
	if err := d.Err(); err != nil {
		return fmt.Errorf("WAV header: %w", err)
	}
	if d.PCMChunk == nil || d.NumChans == 0 && d.BitDepth == 0 {
		return errors.New("WAV header: format or sample data are missing")
	}
	start, err := r.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	end, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	format := int(d.WavAudioFormat)
	if format == wavExtensible {
		if format, err = wavSubFormat(r); err != nil {
			return err
		}
	}
	if _, err := r.Seek(start, io.SeekStart); err != nil {
		return err
	}
	pcm, err := wavPCM(format, int(d.BitDepth))
	if err != nil {
		return err
	}
	s.rate, s.channels = int(d.SampleRate), int(d.NumChans)
	if err := s.check(); err != nil {
		return err
	}
	frame := int64(s.channels * pcm.Bytes())
	size, there := int64(d.PCMSize), end-start
	switch {
	case size >= wavEndless:
		size = there
	case size/frame > there/frame: // in frames: the library rounds an odd size up
		return fmt.Errorf("the file is truncated: its data end after %d of %d frames", there/frame, size/frame)
	}
	if size < frame {
		return errors.New("the WAV file holds no audio")
	}
	s.frames = uint64(size / frame)
	s.decoder = &pcmDecoder{r: io.LimitReader(r, size/frame*frame), pcm: pcm}
	return nil
}

func wavPCM(format, bits int) (dsp.PCM, error) {
	switch {
	case format == wavInteger && bits == 16:
		return dsp.S16LE, nil
	case format == wavInteger && bits == 24:
		return dsp.S24LE, nil
	case format == wavInteger && bits == 32:
		return dsp.S32LE, nil
	case format == wavFloat && bits == 32:
		return dsp.F32LE, nil
	}
	return 0, fmt.Errorf("WAV format %d with %d bits, possible are 16, 24 and 32 bit integer (format 1) and 32 bit float (format 3)", format, bits)
}

// wavSubFormat reads the true format of an extensible header, which the library skips.
func wavSubFormat(r io.ReadSeeker) (int, error) {
	at := int64(12)
	for {
		if _, err := r.Seek(at, io.SeekStart); err != nil {
			return 0, err
		}
		var head [8 + 26]byte
		if _, err := io.ReadFull(r, head[:8]); err != nil {
			return 0, fmt.Errorf("WAV header: %w", err)
		}
		size := int64(binary.LittleEndian.Uint32(head[4:]))
		if string(head[:4]) != "fmt " {
			at += 8 + size + size&1
			continue
		}
		if _, err := io.ReadFull(r, head[8:]); err != nil || size < 26 {
			return 0, errors.New("WAV header: extensible format without its sub-format")
		}
		return int(binary.LittleEndian.Uint16(head[8+24:])), nil
	}
}

// pcmDecoder decodes plain samples.
type pcmDecoder struct {
	r   io.Reader
	pcm dsp.PCM
	buf []byte
}

func (d *pcmDecoder) decode(dst []float32) (n, invalid int, err error) {
	if d.buf == nil {
		d.buf = make([]byte, len(dst)*d.pcm.Bytes())
	}
	got, err := io.ReadFull(d.r, d.buf)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, 0, err
	}
	n = got / d.pcm.Bytes()
	faults := d.pcm.Decode(dst[:n], d.buf[:n*d.pcm.Bytes()])
	return n, faults.Invalid, nil
}
