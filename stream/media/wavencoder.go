package media

import (
	"encoding/binary"
	"errors"
	"io"
	"math"

	"github.com/autovoiced/autovoiced/dsp"
)

const wavHeader = 44

// wavEncoder writes a WAV file: header, samples, tags.
type wavEncoder struct {
	w           io.WriteSeeker
	out         Output
	data        int64 // bytes of samples
	interleaved []float32
	bytes       []byte
}

func newWAVEncoder(w *bufferedSeeker, o Output) (*wavEncoder, error) {
	e := &wavEncoder{w: w, out: o}
	_, err := w.Write(e.header(0))
	return e, err
}

func (e *wavEncoder) header(tags int) []byte {
	le := binary.LittleEndian
	format, width := uint16(wavInteger), e.out.PCM.Bytes()
	if e.out.PCM == dsp.F32LE {
		format = wavFloat
	}
	frame := e.out.Channels * width
	b := make([]byte, 0, wavHeader)
	b = append(b, "RIFF"...)
	b = le.AppendUint32(b, uint32(wavHeader-8+e.data+e.data&1+int64(tags)))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, format)
	b = le.AppendUint16(b, uint16(e.out.Channels))
	b = le.AppendUint32(b, uint32(e.out.Rate))
	b = le.AppendUint32(b, uint32(e.out.Rate*frame))
	b = le.AppendUint16(b, uint16(frame))
	b = le.AppendUint16(b, uint16(8*width))
	b = append(b, "data"...)
	return le.AppendUint32(b, uint32(e.data))
}

func (e *wavEncoder) write(src [][]float32) (faults dsp.Faults, err error) {
	const piece, reserve = 4096, 1 << 20 // the latter for tags
	for at := 0; at < len(src[0]); at += piece {
		n := min(piece, len(src[0])-at)
		size := n * len(src) * e.out.PCM.Bytes()
		if e.data+int64(size) > math.MaxUint32-reserve {
			return faults, errors.New("more than 4 GiB do not fit into one WAV file; FLAC has no such limit")
		}
		if e.bytes == nil {
			e.interleaved, e.bytes = make([]float32, piece*len(src)), make([]byte, piece*len(src)*e.out.PCM.Bytes())
		}
		for c, channel := range src {
			for i, v := range channel[at : at+n] {
				e.interleaved[i*len(src)+c] = v
			}
		}
		f := e.out.PCM.Encode(e.bytes[:size], e.interleaved[:n*len(src)])
		faults.Clipped, faults.Invalid = faults.Clipped+f.Clipped, faults.Invalid+f.Invalid
		if _, err := e.w.Write(e.bytes[:size]); err != nil {
			return faults, err
		}
		e.data += int64(size)
	}
	return faults, nil
}

func (e *wavEncoder) close() error {
	tags := e.out.Tags.infoChunk()
	after := tags
	if e.data&1 == 1 {
		after = append([]byte{0}, tags...)
	}
	if _, err := e.w.Write(after); err != nil {
		return err
	}
	if _, err := e.w.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := e.w.Write(e.header(len(tags))); err != nil {
		return err
	}
	_, err := e.w.Seek(0, io.SeekEnd)
	return err
}
