package media

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// mp3Header is the first four bytes of a frame of MPEG audio, layer III (ISO/IEC 11172-3, 2.4.2.3,
// and 13818-3 for the lower rates).
type mp3Header uint32

const mp3HeaderSize = 4

// mp3Same are the bits in which all frames of a recording agree: sync, version, layer and rate.
const mp3Same = 0xfffe0c00

var (
	mp3Rates    = [4]int{44100, 48000, 32000, 0}
	mp3BitRates = [2][16]int{ // in kbit/s
		{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}, // MPEG 1
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},     // MPEG 2 and 2.5
	}
)

const (
	mpeg25 = 0
	mpeg1  = 3
)

func (h mp3Header) version() int { return int(h >> 19 & 3) }

func (h mp3Header) valid() bool {
	return h>>21 == 0x7ff && h.version() != 1 && h>>17&3 == 1 && h.bitRate() > 0 && h>>10&3 != 3 && h&3 != 2
}

func (h mp3Header) low() int { // 1 for the lower rates
	if h.version() == mpeg1 {
		return 0
	}
	return 1
}

// bitRate is 0 for what is free (not told) and what is reserved.
func (h mp3Header) bitRate() int { return 1000 * mp3BitRates[h.low()][h>>12&15] }

func (h mp3Header) rate() int {
	rate := mp3Rates[h>>10&3] >> h.low()
	if h.version() == mpeg25 {
		rate /= 2
	}
	return rate
}

func (h mp3Header) channels() int {
	if h>>6&3 == 3 {
		return 1
	}
	return 2
}

// samples is how many a frame holds, of each channel.
func (h mp3Header) samples() int { return 1152 >> h.low() }

// size is how many bytes a frame has.
func (h mp3Header) size() int {
	return h.samples()/8*h.bitRate()/h.rate() + int(h>>9&1)
}

// side is how many bytes of side information follow the header.
func (h mp3Header) side() int {
	n := 32 >> h.low()
	if h.channels() == 1 {
		n = 17 - 8*h.low()
	}
	if h.low() == 1 && h.channels() == 2 {
		n = 17
	}
	return n
}

// mp3Frames finds the frames in a file, past tags and whatever else lies between them.
type mp3Frames struct {
	r     *bufio.Reader
	first mp3Header // what the others must be like; 0 before the first
}

// next returns a whole frame, which is valid until the next call, io.EOF after the last, and
// io.ErrUnexpectedEOF where the file ends within one.
func (f *mp3Frames) next() (mp3Header, []byte, error) {
	for {
		b, err := f.r.Peek(mp3HeaderSize)
		if err != nil {
			return 0, nil, eof(err)
		}
		h := mp3Header(binary.BigEndian.Uint32(b))
		if !f.fits(h) {
			if _, err := f.r.Discard(1); err != nil {
				return 0, nil, eof(err)
			}
			continue
		}
		b, err = f.r.Peek(h.size() + mp3HeaderSize)
		switch {
		case len(b) < h.size() && f.first != 0 && errors.Is(err, io.EOF):
			return h, nil, io.ErrUnexpectedEOF
		case err != nil && (!errors.Is(err, io.EOF) || len(b) < h.size()):
			return 0, nil, eof(err)
		case f.first == 0 && len(b) == h.size()+mp3HeaderSize && !f.alike(h, b[h.size():]):
			if _, err := f.r.Discard(1); err != nil {
				return 0, nil, err
			}
			continue
		}
		if f.first == 0 {
			f.first = h
		}
		b = b[:h.size()]
		_, err = f.r.Discard(len(b)) // what was peeked at stays where it is
		return h, b, err
	}
}

func (f *mp3Frames) fits(h mp3Header) bool {
	return h.valid() && (f.first == 0 || h&mp3Same == f.first&mp3Same)
}

// alike says whether b, what follows a first frame, begins as another one does.
func (f *mp3Frames) alike(h mp3Header, b []byte) bool {
	next := mp3Header(binary.BigEndian.Uint32(b))
	return next.valid() && next&mp3Same == h&mp3Same
}

func eof(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.EOF
	}
	return err
}

// findMP3 looks for two frames in a row near where r is.
func findMP3(r io.Reader) (bool, error) {
	const near = 64 << 10
	frames := mp3Frames{r: bufio.NewReaderSize(io.LimitReader(r, near), 8192)}
	for range 2 {
		if _, _, err := frames.next(); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	return true, nil
}
