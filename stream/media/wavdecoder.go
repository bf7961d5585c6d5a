package media

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/autovoiced/autovoiced/dsp"
)

// The formats that a WAV header names.
const (
	wavInteger    = 1
	wavFloat      = 3
	wavExtensible = 0xfffe
)

const (
	wavEndless  = 0xffffff00 // a writer that could not seek left a size from here on
	maxTagBytes = 32 << 20   // of a chunk or tag that is read into memory
)

// wavFile is what the chunks of a WAV file say.
type wavFile struct {
	format, channels, rate, frame, bits int // of the fmt chunk; frame is in bytes
	mask                                uint32
	start, size                         int64 // of the data; size is -1 where the writer did not know it
	ds64                                int64 // the data's size in RF64; 0: none
	tags                                Tags
}

func openWAV(r io.ReadSeeker) (info, codec, error) {
	end, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return info{}, nil, err
	}
	w := wavFile{start: -1}
	if err := w.walk(r, end); err != nil {
		return info{}, nil, err
	}
	if w.format == 0 {
		return info{}, nil, errors.New("WAV header: no fmt chunk, which says how the samples are stored")
	}
	if w.start < 0 {
		return info{}, nil, errors.New("no sample data in the WAV file")
	}
	sample, err := w.sample()
	if err != nil {
		return info{}, nil, err
	}
	there := (end - w.start) / int64(w.frame)
	frames := w.size / int64(w.frame)
	if w.size < 0 {
		frames = there
	}
	if frames > there {
		return info{}, nil, truncated(there, frames, w.rate)
	}
	if frames == 0 {
		return info{}, nil, errors.New("the WAV file holds no audio")
	}
	if _, err := r.Seek(w.start, io.SeekStart); err != nil {
		return info{}, nil, err
	}
	data := io.LimitReader(r, frames*int64(w.frame))
	c := &wavCodec{r: bufio.NewReaderSize(data, 1<<16), channels: w.channels, width: w.frame / w.channels, sample: sample}
	return info{rate: w.rate, channels: w.channels, layout: maskLayout(w.mask, w.channels), frames: frames, tags: w.tags}, c, nil
}

// walk goes through the chunks, also those after the data, where tags may be.
func (w *wavFile) walk(r io.ReadSeeker, end int64) error {
	for at := int64(12); at+8 <= end; {
		var head [8]byte
		if _, err := r.Seek(at, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return fmt.Errorf("WAV header: %w", err)
		}
		id, size := string(head[:4]), int64(binary.LittleEndian.Uint32(head[4:]))
		at += 8
		if id == "data" && w.start < 0 {
			size = w.dataSize(size)
			w.start, w.size = at, size
			if size < 0 || at+size > end {
				return nil // there can be nothing after it
			}
		} else if err := w.chunk(r, id, min(size, end-at), size); err != nil {
			return err
		}
		at += size + size&1
	}
	return nil
}

func (w *wavFile) dataSize(size int64) int64 {
	switch {
	case size >= wavEndless && w.ds64 > 0:
		return w.ds64
	case size >= wavEndless:
		return -1
	}
	return size
}

// chunk reads one of the small ones; size bytes of it are there, of those it should have.
func (w *wavFile) chunk(r io.Reader, id string, size, should int64) error {
	switch id {
	case "fmt ", "ds64", "LIST", "id3 ", "ID3 ":
		if size > maxTagBytes {
			return nil
		}
	default:
		return nil
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(r, b); err != nil {
		return fmt.Errorf("WAV header: %w", err)
	}
	switch id {
	case "fmt ":
		return w.readFormat(b, should)
	case "ds64":
		if size >= 16 {
			w.ds64 = int64(min(binary.LittleEndian.Uint64(b[8:]), math.MaxInt64/2))
		}
	case "LIST":
		w.tags.merge(readInfo(b))
	default:
		w.tags.merge(readID3(b))
	}
	return nil
}

func (w *wavFile) readFormat(b []byte, should int64) error {
	if len(b) < 16 {
		return fmt.Errorf("WAV header: the fmt chunk has %d of %d bytes, expected 16 at least", len(b), should)
	}
	le := binary.LittleEndian
	w.format, w.channels, w.rate = int(le.Uint16(b)), int(le.Uint16(b[2:])), int(le.Uint32(b[4:]))
	w.frame, w.bits = int(le.Uint16(b[12:])), int(le.Uint16(b[14:]))
	if w.format == wavExtensible {
		if len(b) < 26 {
			return errors.New("WAV header: extensible format without its sub-format")
		}
		w.mask, w.format = le.Uint32(b[20:]), int(le.Uint16(b[24:]))
	}
	if w.channels < 1 || w.channels > MaxChannels {
		return fmt.Errorf("%d channels, possible are 1 to %d", w.channels, MaxChannels)
	}
	return nil
}

// sample finds what decodes the samples. Fewer bits than the bytes could hold lie in the upper ones.
func (w *wavFile) sample() (func(dst []float32, src []byte), error) {
	width := w.frame / w.channels
	if w.frame%w.channels != 0 || width != (w.bits+7)/8 {
		return nil, fmt.Errorf("WAV header: frames of %d bytes for %d channels of %d bits", w.frame, w.channels, w.bits)
	}
	pcm := func(p dsp.PCM) func([]float32, []byte) { return func(dst []float32, src []byte) { p.Decode(dst, src) } }
	switch {
	case w.format == wavInteger && width == 1:
		return decodeU8, nil
	case w.format == wavInteger && width == 2:
		return pcm(dsp.S16LE), nil
	case w.format == wavInteger && width == 3:
		return pcm(dsp.S24LE), nil
	case w.format == wavInteger && width == 4:
		return pcm(dsp.S32LE), nil
	case w.format == wavFloat && w.bits == 32:
		return decodeF32, nil
	case w.format == wavFloat && w.bits == 64:
		return decodeF64, nil
	}
	names := map[int]string{2: " (ADPCM)", 6: " (A-law)", 7: " (µ-law)", 0x11: " (ADPCM)", 0x31: " (GSM)", 0x55: " (MP3)"}
	return nil, fmt.Errorf("WAV format %d%s with %d bits, possible are integers (format 1) of 8 to 32 bits and floats (format 3) of 32 and 64%s",
		w.format, names[w.format], w.bits, convertFirst)
}

func decodeU8(dst []float32, src []byte) {
	for i, b := range src {
		dst[i] = float32(int(b)-128) / 128
	}
}

// Floats are left as they are, beyond full scale too and not finite ones as well: the Decoder counts those.
func decodeF32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

func decodeF64(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
	}
}

// wavCodec decodes plain samples.
type wavCodec struct {
	r               io.Reader
	channels, width int // bytes of a sample
	sample          func(dst []float32, src []byte)
	bytes           []byte
	interleaved     []float32
}

func (c *wavCodec) decode(dst [][]float32) (int, error) {
	const most = 4096
	frames := min(len(dst[0]), most)
	if c.bytes == nil {
		c.bytes, c.interleaved = make([]byte, most*c.channels*c.width), make([]float32, most*c.channels)
	}
	n, err := io.ReadFull(c.r, c.bytes[:frames*c.channels*c.width])
	frames = n / (c.channels * c.width)
	if frames == 0 {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		return 0, err
	}
	c.sample(c.interleaved[:frames*c.channels], c.bytes[:frames*c.channels*c.width])
	split(dst, c.interleaved[:frames*c.channels])
	return frames, nil
}

// split parts interleaved samples into their channels.
func split(dst [][]float32, src []float32) {
	for c, channel := range dst {
		for i := c; i < len(src); i += len(dst) {
			channel[i/len(dst)] = src[i]
		}
	}
}
