package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
)

// What the headers of Vorbis may ask for. The library that decodes takes them at their word: with a dozen wrong
// bytes it allocates 16 GB, which nothing can recover from, or looks for ever in an empty codebook.
const (
	maxVorbisHeader = 32 << 20 // bytes of a header, a cover in the comments included
	maxVorbisCodes  = 1 << 20  // in all codebooks; libvorbis has some tens of thousands
	maxVorbisValues = 1 << 22
)

var errVorbisHeader = errors.New("damaged header of Ogg Vorbis")

// checkVorbis reads the three headers and says what of them cannot be.
func checkVorbis(r io.Reader) error {
	packets := oggPackets{r: r}
	for kind := 1; kind <= 5; kind += 2 {
		b, err := packets.next()
		if err != nil {
			return err
		}
		if len(b) < 7 || int(b[0]) != kind || string(b[1:7]) != "vorbis" {
			return fmt.Errorf("%w: packet %d is not what it should be", errVorbisHeader, kind/2+1)
		}
		switch kind {
		case 3:
			err = checkComments(b[7:])
		case 5:
			err = checkCodebooks(b[7:])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkComments finds more comments than there are bytes for.
func checkComments(b []byte) error {
	if len(b) >= 4 {
		if vendor := int64(binary.LittleEndian.Uint32(b)); 8+vendor <= int64(len(b)) {
			if n := int64(binary.LittleEndian.Uint32(b[4+vendor:])); n <= int64(len(b))/4 {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: comments beyond its end", errVorbisHeader)
}

// checkCodebooks goes through the codebooks of the setup header (Vorbis I, 3.2.1).
func checkCodebooks(header []byte) error {
	r := &lowBits{b: header}
	codes, values := 0, 0
	for range r.read(8) + 1 {
		if r.read(24) != 0x564342 {
			return fmt.Errorf("%w: no codebook where one should be", errVorbisHeader)
		}
		dimensions, entries := r.read(16), r.read(24)
		if codes += entries; entries == 0 || codes > maxVorbisCodes {
			return fmt.Errorf("%w: a codebook of %d codes", errVorbisHeader, entries)
		}
		if used := readCodes(r, entries); used == 0 {
			return fmt.Errorf("%w: a codebook without a code", errVorbisHeader)
		}
		kind := r.read(4)
		if kind == 0 {
			continue
		}
		if values += entries * dimensions; kind > 2 || dimensions == 0 || values > maxVorbisValues {
			return fmt.Errorf("%w: a codebook of %d times %d values", errVorbisHeader, entries, dimensions)
		}
		r.skip(32 + 32)
		width, count := r.read(4)+1, entries*dimensions
		r.skip(1)
		if kind == 1 {
			count = int(math.Floor(math.Pow(float64(entries), 1/float64(dimensions))))
		}
		r.skip(width * count)
		if r.over() {
			return fmt.Errorf("%w: codebooks beyond its end", errVorbisHeader)
		}
	}
	return nil
}

// readCodes returns how many of the entries have a code.
func readCodes(r *lowBits, entries int) (used int) {
	if r.read(1) == 1 { // in order of their length
		r.skip(5)
		for used < entries && !r.over() {
			used += r.read(bits.Len(uint(entries - used)))
		}
		return used
	}
	sparse := r.read(1) == 1
	for range entries {
		if r.over() {
			return used
		}
		if !sparse || r.read(1) == 1 {
			r.skip(5)
			used++
		}
	}
	return used
}

// lowBits reads bits from the lowest of each byte on; beyond the end they are 0.
type lowBits struct {
	b  []byte
	at int // bits
}

func (r *lowBits) read(n int) (v int) {
	for i := range n {
		if byteAt := (r.at + i) / 8; byteAt < len(r.b) {
			v |= int(r.b[byteAt]>>((r.at+i)%8)&1) << i
		}
	}
	r.at += n
	return v
}

func (r *lowBits) skip(n int) { r.at += n }

func (r *lowBits) over() bool { return r.at > 8*len(r.b) }

// oggPackets puts packets together out of the pages of a stream.
type oggPackets struct {
	r       io.Reader
	laces   []byte // of the page, those that are still to come
	partial []byte
}

func (p *oggPackets) next() ([]byte, error) {
	p.partial = p.partial[:0]
	for {
		if len(p.laces) == 0 {
			if err := p.page(); err != nil {
				return nil, err
			}
			continue
		}
		lace := int(p.laces[0])
		p.laces = p.laces[1:]
		at := len(p.partial)
		p.partial = append(p.partial, make([]byte, lace)...)
		if _, err := io.ReadFull(p.r, p.partial[at:]); err != nil {
			return nil, shortOgg(err)
		}
		if lace < 255 {
			return p.partial, nil
		}
		if len(p.partial) > maxVorbisHeader {
			return nil, fmt.Errorf("%w: it is larger than %d MiB", errVorbisHeader, maxVorbisHeader>>20)
		}
	}
}

func (p *oggPackets) page() error {
	var head [oggHeader]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return shortOgg(err)
	}
	if string(head[:5]) != "OggS\x00" {
		return fmt.Errorf("%w: no Ogg page where one should be", errVorbisHeader)
	}
	p.laces = make([]byte, head[26])
	if _, err := io.ReadFull(p.r, p.laces); err != nil {
		return shortOgg(err)
	}
	return nil
}

func shortOgg(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the file is truncated within the Ogg Vorbis header, or holds no audio")
	}
	return err
}
