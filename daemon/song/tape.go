package song

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// tape keeps the vocals of a whole song on disk, as float32: an hour in stereo is 1.3 GB, which belongs in no memory. Its file
// has no name from the moment it is opened, so nothing is left behind, however the program ends.
//
// It is written by one goroutine, then read by any number of players.
type tape struct {
	file     *os.File
	folder   string
	channels int
	frames   int64
	bytes    []byte
}

func newTape(folder string, channels int) (*tape, error) {
	f, err := os.CreateTemp(folder, ".autovoiced-vocals-*")
	if err != nil {
		return nil, fmt.Errorf("room for the vocals: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("room for the vocals: %w", err), f.Close())
	}
	return &tape{file: f, folder: folder, channels: channels}, nil
}

// write appends a block.
func (t *tape) write(block [][]float32) error {
	n := len(block[0])
	t.bytes = t.bytes[:0]
	for i := range n {
		for _, channel := range block {
			t.bytes = binary.LittleEndian.AppendUint32(t.bytes, math.Float32bits(channel[i]))
		}
	}
	if _, err := t.file.Write(t.bytes); err != nil {
		return fmt.Errorf("vocals of %d bytes so far in %s: %w", 4*t.frames*int64(t.channels), t.folder, err)
	}
	t.frames += int64(n)
	return nil
}

// player reads the tape from its beginning.
func (t *tape) player() *player { return &player{tape: t} }

func (t *tape) close() error { return t.file.Close() }

type player struct {
	tape  *tape
	at    int64 // frames
	bytes []byte
}

// read implements recording.
func (p *player) read(dst [][]float32) (int, error) {
	n := int(min(int64(len(dst[0])), p.tape.frames-p.at))
	if n == 0 {
		return 0, io.EOF
	}
	width := 4 * p.tape.channels
	if cap(p.bytes) < n*width {
		p.bytes = make([]byte, n*width)
	}
	p.bytes = p.bytes[:n*width]
	if _, err := p.tape.file.ReadAt(p.bytes, p.at*int64(width)); err != nil {
		return 0, fmt.Errorf("vocals in %s: %w", p.tape.folder, err)
	}
	for i := range n {
		for c := range dst {
			dst[c][i] = math.Float32frombits(binary.LittleEndian.Uint32(p.bytes[i*width+4*c:]))
		}
	}
	p.at += int64(n)
	return n, nil
}

func (p *player) close() error { return nil }
