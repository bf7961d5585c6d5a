package media

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/hajimehoshi/go-mp3"

	"github.com/autovoiced/autovoiced/dsp"
)

// mp3Delay is by how many samples a decoder is late: 528 and one.
const mp3Delay = 529

// mp3File is what a look at all frames' headers says.
type mp3File struct {
	first    mp3Header
	start    int64 // of the frames in the file
	frames   int64 // of sound
	channels int
	tag      mp3Tag
	cut      bool // the file ends within a frame
}

func openMP3(r io.ReadSeeker) (info, codec, error) {
	head, err := start(r, 10)
	if err != nil {
		return info{}, nil, err
	}
	tags, err := readID3At(r, id3Size(head))
	if err != nil {
		return info{}, nil, err
	}
	f, err := scanMP3(r, id3Size(head))
	if err != nil {
		return info{}, nil, err
	}
	rate, per := f.first.rate(), int64(f.first.samples())
	if f.first.version() == mpeg25 {
		return info{}, nil, fmt.Errorf("this is MP3 of MPEG 2.5 (%d Hz), which is not read%s", rate, convertFirst)
	}
	if f.frames == 0 {
		return info{}, nil, errors.New("the MP3 file holds no audio")
	}
	if f.tag.frames > f.frames {
		return info{}, nil, truncated(f.frames*per, f.tag.frames*per, rate)
	}
	if f.cut && f.tag.frames != f.frames {
		return info{}, nil, fmt.Errorf("the file is truncated: its data end after %.3f s (%d frames), in the middle of an MP3 frame", float64(f.frames*per)/float64(rate), f.frames*per)
	}
	if _, err := r.Seek(f.start, io.SeekStart); err != nil {
		return info{}, nil, err
	}
	length := f.frames * per
	c := &mp3Codec{channels: f.channels, left: length}
	if f.tag.exact && int64(f.tag.delay+f.tag.padding) < length {
		c.skip = int64(f.tag.delay) + mp3Delay
		length -= int64(f.tag.delay + f.tag.padding)
		c.left = length
	}
	c.frames = &mp3Reader{frames: mp3Frames{r: bufio.NewReaderSize(r, 1<<16)}, skip: f.tag.found, rest: mp3Tail(f.first)}
	if c.mp3, err = mp3.NewDecoder(c.frames); err != nil {
		return info{}, nil, fmt.Errorf("damaged MP3: %w", err)
	}
	return info{rate: rate, channels: f.channels, frames: length, tags: tags}, c, nil
}

func readID3At(r io.ReadSeeker, size int64) (Tags, error) {
	if size == 0 || size > maxTagBytes {
		return Tags{}, nil
	}
	b, err := start(r, int(size))
	if err != nil {
		return Tags{}, err
	}
	return readID3(b), nil
}

// scanMP3 looks at every frame: only so is the length known, and whether the file is whole.
func scanMP3(r io.ReadSeeker, from int64) (mp3File, error) {
	f := mp3File{start: from}
	if _, err := r.Seek(from, io.SeekStart); err != nil {
		return f, err
	}
	frames := mp3Frames{r: bufio.NewReaderSize(r, 1<<16)}
	for {
		h, b, err := frames.next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			f.cut = errors.Is(err, io.ErrUnexpectedEOF)
			return f, nil
		} else if err != nil {
			return f, err
		}
		if f.first == 0 {
			f.first = h
			if f.tag = readMP3Tag(h, b); f.tag.found {
				continue
			}
		}
		f.frames++
		f.channels = max(f.channels, h.channels())
	}
}

// mp3Tag is what encoders write into a first frame that holds no sound: Xing's, with LAME's
// extension, or VBRI.
type mp3Tag struct {
	found          bool
	frames         int64 // of sound; 0: not told
	delay, padding int   // samples that the encoder put before and after
	exact          bool  // delay and padding are told
}

func readMP3Tag(h mp3Header, b []byte) (t mp3Tag) {
	be := binary.BigEndian
	if at := mp3HeaderSize + 32; has(b, at, "VBRI") && len(b) >= at+18 {
		return mp3Tag{found: true, frames: int64(be.Uint32(b[at+14:]))}
	}
	at := mp3HeaderSize + h.side()
	if !has(b, at, "Xing") && !has(b, at, "Info") || len(b) < at+8 {
		return t
	}
	t.found = true
	flags := be.Uint32(b[at+4:])
	b = b[at+8:]
	for bit, size := range []int{4, 4, 100, 4} { // frames, bytes, table of contents, quality
		if flags>>bit&1 == 0 {
			continue
		}
		if len(b) < size {
			return t
		}
		if bit == 0 {
			t.frames = int64(be.Uint32(b))
		}
		b = b[size:]
	}
	const lameDelay = 21 // of the extension's bytes
	if len(b) >= lameDelay+3 && (has(b, 0, "LAME") || has(b, 0, "Lavf") || has(b, 0, "Lavc") || has(b, 0, "L3.99")) {
		v := int(b[lameDelay])<<16 | int(b[lameDelay+1])<<8 | int(b[lameDelay+2])
		t.delay, t.padding, t.exact = v>>12, v&0xfff, true
	}
	return t
}

// mp3Reader gives the library whole frames and nothing else, and after the last one of silence:
// what the decoder's delay holds back is pushed out by it.
type mp3Reader struct {
	frames mp3Frames
	skip   bool // the first frame holds no sound
	rest   []byte
	frame  []byte
}

func (r *mp3Reader) Read(p []byte) (int, error) {
	for len(r.frame) == 0 {
		_, b, err := r.frames.next()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			if len(r.rest) == 0 {
				return 0, io.EOF
			}
			r.frame, r.rest = r.rest, nil
		case err != nil:
			return 0, err
		case r.skip:
			r.skip = false
		default:
			r.frame = b
		}
	}
	n := copy(p, r.frame)
	r.frame = r.frame[n:]
	return n, nil
}

// mp3Tail is a frame of silence.
func mp3Tail(h mp3Header) []byte {
	h = h&^(15<<12|1<<9) | 9<<12 | 1<<16 // no padding, no checksum, a middling bit rate
	b := make([]byte, h.size())
	binary.BigEndian.PutUint32(b, uint32(h))
	return b
}

// mp3Codec makes the library's 16-bit stereo what the recording is.
type mp3Codec struct {
	frames      *mp3Reader
	mp3         *mp3.Decoder
	channels    int
	skip, left  int64 // frames to leave out, and then to give
	bytes       [4 * 1152]byte
	interleaved [2 * 1152]float32
}

func (c *mp3Codec) decode(dst [][]float32) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	for c.skip > 0 {
		n, err := c.read(int(min(c.skip, 1152)))
		if err != nil {
			return 0, err
		}
		c.skip -= int64(n)
	}
	n, err := c.read(int(min(c.left, int64(len(dst[0])), 1152)))
	if err != nil {
		return 0, err
	}
	c.left -= int64(n)
	dsp.S16LE.Decode(c.interleaved[:2*n], c.bytes[:4*n])
	if c.channels == 2 {
		split(dst, c.interleaved[:2*n])
		return n, nil
	}
	for i := range n { // both are the same
		dst[0][i] = c.interleaved[2*i]
	}
	return n, nil
}

func (c *mp3Codec) read(frames int) (int, error) {
	n, err := io.ReadFull(c.mp3, c.bytes[:4*frames])
	if n >= 4 && (err == nil || errors.Is(err, io.ErrUnexpectedEOF)) {
		return n / 4, nil
	}
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	if !errors.Is(err, io.EOF) {
		err = fmt.Errorf("damaged MP3: %w", err)
	}
	return 0, err
}
