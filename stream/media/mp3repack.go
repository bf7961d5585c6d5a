package media

import "encoding/binary"

// mp3Repacker writes frames of 22.05 kHz anew, without padding: hajimehoshi/go-mp3 0.3.4 takes padded
// frames of some bit rates to be a byte shorter than they are, and makes noise of the rest. (The other
// rates of MPEG 2 need no padding, those of MPEG 1 it has right.)
//
// The data of a frame may begin in the frame before, so frames come out one behind. All are of the
// highest bit rate there is: then everything fits, but for a few bytes at the peaks of a stream that is
// of that rate itself, of which those peaks lose their highest frequencies.
type mp3Repacker struct {
	past   []byte // what the frames before had room for
	frames [2][]byte
	turn   int
	free   int // bytes at the end of the frame that waits
}

func (p *mp3Repacker) wants(h mp3Header) bool { return h.low() == 1 && h.rate() == 22050 }

// mp3LookBack is how many bytes before itself the data of a frame of MPEG 2 may begin.
const mp3LookBack = 255

// repack takes a frame and returns the one before it, nil at first, valid until the next call but one.
func (p *mp3Repacker) repack(h mp3Header, b []byte) []byte {
	side := b[mp3HeaderSize:]
	if h>>16&1 == 0 {
		side = side[2:] // the checksum
	}
	side, data := side[:h.side()], side[h.side():]
	behind := min(int(side[0]), len(p.past))
	own := append(append([]byte(nil), p.past[len(p.past)-behind:]...), data...)
	own = own[:min((partBits(side, h.channels())+7)/8, len(own))]

	waits := p.frames[p.turn]
	borrow := min(mp3LookBack, p.free, len(own))
	copy(waits[len(waits)-borrow:], own[:borrow])

	h = h&^(15<<12|1<<9) | 14<<12 | 1<<16 // the highest bit rate, neither padding nor checksum
	p.turn = 1 - p.turn
	next := append(p.frames[p.turn][:0], make([]byte, h.size())...)
	binary.BigEndian.PutUint32(next, uint32(h))
	at := mp3HeaderSize + copy(next[mp3HeaderSize:], side)
	next[mp3HeaderSize] = byte(borrow)
	at += copy(next[at:], own[borrow:])
	p.frames[p.turn], p.free = next, len(next)-at

	p.past = append(p.past, data...)
	p.past = append(p.past[:0], p.past[max(0, len(p.past)-mp3LookBack):]...)
	return waits
}

// last returns the frame that waits; nil if there is none.
func (p *mp3Repacker) last() []byte {
	b := p.frames[p.turn]
	p.frames, p.free = [2][]byte{}, 0
	return b
}

// partBits is how many bits of data a frame of MPEG 2 has, told by part2_3_length in its side information
// (ISO/IEC 13818-3, 2.4.1.7): 12 bits for each channel, 63 bits apart.
func partBits(side []byte, channels int) (n int) {
	at := 8 + channels // after main_data_begin and private bits
	for range channels {
		for i := range 12 {
			bit := at + i
			n += int(side[bit/8]>>(7-bit%8)&1) << (11 - i)
		}
		at += 63
	}
	return n
}
