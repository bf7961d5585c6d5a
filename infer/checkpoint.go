package infer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// checkpoint is a TensorFlow checkpoint in two parts: an index, a LevelDB table of BundleEntryProto by variable
// name, and the variables' bytes. Both are small formats; reading them needs no TensorFlow.
type checkpoint struct {
	entries map[string]variable
	data    []byte
}

// variable is BundleEntryProto: dtype = 1, shape = 2 (dim = 2 → size = 1), offset = 4, size = 5, crc32c = 6.
type variable struct {
	dtype        uint64
	shape        []int
	offset, size uint64
	crc          uint32
}

const (
	tableFooter = 48
	tableMagic  = 0xdb4775248b80fb57
	dtypeFloat  = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errCheckpoint = errors.New("it is truncated or no TensorFlow checkpoint")

// readCheckpoint reads the index; the data is kept and read when a variable is asked for.
func readCheckpoint(index, data []byte) (*checkpoint, error) {
	c := &checkpoint{entries: map[string]variable{}, data: data}
	if len(index) < tableFooter || binary.LittleEndian.Uint64(index[len(index)-8:]) != tableMagic {
		return nil, fmt.Errorf("index: %w", errCheckpoint)
	}
	footer := index[len(index)-tableFooter:]
	_, footer, err := readPlace(footer) // of the table's statistics
	if err != nil {
		return nil, err
	}
	blocks, _, err := readPlace(footer)
	if err != nil {
		return nil, err
	}
	err = tableBlock(index, blocks, func(_, value []byte) error {
		at, _, err := readPlace(value)
		if err != nil {
			return err
		}
		return tableBlock(index, at, c.add)
	})
	return c, err
}

// tableSpan is where a block lies in a table.
type tableSpan struct{ offset, size uint64 }

func readPlace(b []byte) (p tableSpan, rest []byte, err error) {
	for _, v := range []*uint64{&p.offset, &p.size} {
		n := 0
		if *v, n = binary.Uvarint(b); n <= 0 {
			return p, nil, fmt.Errorf("index: %w", errCheckpoint)
		}
		b = b[n:]
	}
	return p, b, nil
}

// tableBlock visits a block's entries: keys share their beginning with the key before, and after the entries
// lie the restart points and their count, which reading from the beginning does not need.
func tableBlock(table []byte, at tableSpan, visit func(key, value []byte) error) error {
	broken := fmt.Errorf("index: %w", errCheckpoint)
	if at.offset > uint64(len(table)) || at.size > uint64(len(table))-at.offset || at.size < 4 {
		return broken
	}
	b := table[at.offset : at.offset+at.size]
	tail := 4 + 4*uint64(binary.LittleEndian.Uint32(b[len(b)-4:]))
	if tail > uint64(len(b)) {
		return broken
	}
	var key []byte
	for b = b[:uint64(len(b))-tail]; len(b) > 0; {
		var sizes [3]uint64 // shared, own, value
		for i := range sizes {
			n := 0
			if sizes[i], n = binary.Uvarint(b); n <= 0 {
				return broken
			}
			b = b[n:]
		}
		if sizes[0] > uint64(len(key)) || sizes[1] > uint64(len(b)) || sizes[2] > uint64(len(b))-sizes[1] {
			return broken
		}
		key = append(key[:sizes[0]:sizes[0]], b[:sizes[1]]...)
		if err := visit(key, b[sizes[1]:sizes[1]+sizes[2]]); err != nil {
			return err
		}
		b = b[sizes[1]+sizes[2]:]
	}
	return nil
}

func (c *checkpoint) add(key, entry []byte) error {
	if len(key) == 0 { // the header
		return nil
	}
	var v variable
	err := fields(entry, func(f field) error {
		switch f.id {
		case 1:
			v.dtype = f.value
		case 2:
			return inside(f.bytes, 2, func(f field) error {
				v.shape = append(v.shape, int(f.value))
				return nil
			})
		case 4:
			v.offset = f.value
		case 5:
			v.size = f.value
		case 6:
			v.crc = uint32(f.value)
		}
		return nil
	})
	c.entries[string(key)] = v
	return err
}

// floats gives a variable's values, checked against the shape expected and the checksum.
func (c *checkpoint) floats(name string, shape ...int) ([]float32, error) {
	v, ok := c.entries[name]
	if !ok {
		return nil, fmt.Errorf("variable %q: expected %v, found none of that name", name, shape)
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	if fmt.Sprint(v.shape) != fmt.Sprint(shape) || v.dtype != dtypeFloat || v.size != uint64(4*n) {
		return nil, fmt.Errorf("variable %q: expected float %v, found type %d %v of %d bytes", name, shape, v.dtype, v.shape, v.size)
	}
	if v.offset > uint64(len(c.data)) || v.size > uint64(len(c.data))-v.offset {
		return nil, fmt.Errorf("variable %q: expected %d bytes at %d, the file has %d", name, v.size, v.offset, len(c.data))
	}
	b := c.data[v.offset : v.offset+v.size]
	if v.crc != 0 && v.crc != maskedCRC(b) {
		return nil, fmt.Errorf("variable %q: the checksum is wrong: the file is damaged", name)
	}
	values := make([]float32, n)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return values, nil
}

// maskedCRC is the checksum as LevelDB keeps it.
func maskedCRC(b []byte) uint32 {
	sum := crc32.Checksum(b, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}
