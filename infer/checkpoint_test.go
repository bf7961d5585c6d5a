package infer

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"
)

// bundle writes a checkpoint as TensorFlow does, all keys in one block, each sharing what it can with the last.
func bundle(t *testing.T, values map[string][]float32, shapes map[string][]int) (index, data []byte) {
	t.Helper()
	names := []string{}
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	entries := [][2][]byte{{nil, {0x08, 1}}}
	for _, name := range names {
		at := len(data)
		for _, v := range values[name] {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		var shape []byte
		for _, d := range shapes[name] {
			shape = appendField(shape, 2, appendNumber(nil, 1, d))
		}
		e := appendField(appendNumber(nil, 1, dtypeFloat), 2, shape)
		e = appendNumber(appendNumber(e, 4, at), 5, len(data)-at)
		e = binary.LittleEndian.AppendUint32(append(e, 6<<3|5), maskedCRC(data[at:]))
		entries = append(entries, [2][]byte{[]byte(name), e})
	}
	index, first := appendBlock(nil, entries...)
	index, directory := appendBlock(index, [2][]byte{[]byte("zzz"), first})
	footer := append(slices.Clone(directory), directory...)
	footer = append(footer, make([]byte, tableFooter-8-len(footer))...)
	return append(index, binary.LittleEndian.AppendUint64(footer, tableMagic)...), data
}

func appendBlock(table []byte, entries ...[2][]byte) (whole, place []byte) {
	var block, last []byte
	for _, e := range entries {
		shared := 0
		for shared < len(last) && shared < len(e[0]) && last[shared] == e[0][shared] {
			shared++
		}
		for _, n := range []int{shared, len(e[0]) - shared, len(e[1])} {
			block = binary.AppendUvarint(block, uint64(n))
		}
		block = append(append(block, e[0][shared:]...), e[1]...)
		last = e[0]
	}
	block = append(block, 0, 0, 0, 0, 1, 0, 0, 0) // one restart point, at 0
	place = binary.AppendUvarint(binary.AppendUvarint(nil, uint64(len(table))), uint64(len(block)))
	return append(append(table, block...), 0, 0, 0, 0, 0), place
}

func tinyBundle(t *testing.T) (index, data []byte) {
	return bundle(t, map[string][]float32{"conv2d/bias": {1, 2}, "conv2d/kernel": {1, 2, 3, 4, 5, 6}, "conv2d_1/bias": {-7}},
		map[string][]int{"conv2d/bias": {2}, "conv2d/kernel": {2, 3}, "conv2d_1/bias": {1}})
}

func TestCheckpointGivesTheVariables(t *testing.T) {
	c, err := readCheckpoint(tinyBundle(t))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.floats("conv2d/kernel", 2, 3); err != nil || !slices.Equal(got, []float32{1, 2, 3, 4, 5, 6}) {
		t.Errorf("conv2d/kernel: %v, %v", got, err)
	}
	if got, err := c.floats("conv2d_1/bias", 1); err != nil || !slices.Equal(got, []float32{-7}) {
		t.Errorf("conv2d_1/bias: %v, %v", got, err)
	}
	for want, get := range map[string]func() ([]float32, error){
		"none of that name": func() ([]float32, error) { return c.floats("conv2d/gain", 2) },
		"expected float [3 2], found type 1 [2 3] of 24 bytes": func() ([]float32, error) { return c.floats("conv2d/kernel", 3, 2) },
	} {
		if _, err := get(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, expected %q", err, want)
		}
	}
}

func TestCheckpointThatIsDamaged(t *testing.T) {
	index, data := tinyBundle(t)
	c, err := readCheckpoint(index, data)
	if err != nil {
		t.Fatal(err)
	}
	data[9] ^= 1
	if _, err := c.floats("conv2d/kernel", 2, 3); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a flipped bit: %v", err)
	}
	c.data = data[:20]
	if _, err := c.floats("conv2d/kernel", 2, 3); err == nil || !strings.Contains(err.Error(), "the file has 20") {
		t.Errorf("data cut short: %v", err)
	}
	// Whatever is done to the index, it is read or refused, not a panic.
	for i := range index {
		for _, v := range []byte{0, 0x7f, 0xff} {
			changed := slices.Clone(index)
			changed[i] = v
			readCheckpoint(changed, data)   //nolint:errcheck // either will do
			readCheckpoint(index[:i], data) //nolint:errcheck
			readCheckpoint(index[i:], data) //nolint:errcheck
		}
	}
	if _, err := readCheckpoint(index[:40], data); err == nil || !strings.Contains(err.Error(), "no TensorFlow checkpoint") {
		t.Errorf("index cut short: %v", err)
	}
}
