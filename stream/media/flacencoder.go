package media

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
	"github.com/mewkiz/flac/meta"

	"github.com/autovoiced/autovoiced/dsp"
)

// flacBlock is how many samples of a channel are compressed together.
const flacBlock = 4096

// flacMinBlock is where the header says how long the shortest block is.
const flacMinBlock = 8

// flacEncoder gathers samples into blocks and has mewkiz/flac write them.
type flacEncoder struct {
	w       *bufferedSeeker
	encoder *flac.Encoder
	out     Output
	bits    int
	block   [][]int32
	n       int // samples in block
}

func newFLACEncoder(w *bufferedSeeker, o Output) (*flacEncoder, error) {
	bits := 8 * o.PCM.Bytes()
	enc, err := flac.NewEncoder(writeSeeker{w}, &meta.StreamInfo{
		BlockSizeMin: flacBlock, BlockSizeMax: flacBlock, SampleRate: uint32(o.Rate), NChannels: uint8(o.Channels), BitsPerSample: uint8(bits),
	}, o.Tags.flacBlocks()...)
	if err != nil {
		return nil, fmt.Errorf("FLAC header: %w", err)
	}
	e := &flacEncoder{w: w, encoder: enc, out: o, bits: bits}
	for range o.Channels {
		e.block = append(e.block, make([]int32, flacBlock))
	}
	return e, nil
}

// writeSeeker hides everything else that w can do: the library would close it.
type writeSeeker struct{ w *bufferedSeeker }

func (s writeSeeker) Write(b []byte) (int, error)                  { return s.w.Write(b) }
func (s writeSeeker) Seek(offset int64, whence int) (int64, error) { return s.w.Seek(offset, whence) }

func (e *flacEncoder) write(src [][]float32) (faults dsp.Faults, err error) {
	for at := 0; at < len(src[0]); {
		n := min(len(src[0])-at, flacBlock-e.n)
		for c, channel := range src {
			quantize(e.block[c][e.n:e.n+n], channel[at:at+n], e.bits, &faults)
		}
		at, e.n = at+n, e.n+n
		if e.n == flacBlock {
			if err := e.flush(); err != nil {
				return faults, err
			}
		}
	}
	return faults, nil
}

// quantize rounds as dsp.PCM does.
func quantize(dst []int32, src []float32, bits int, faults *dsp.Faults) {
	scale := float64(int(1) << (bits - 1))
	for i, x := range src {
		v := float64(x) * scale
		switch {
		case v-v != 0:
			faults.Invalid++
			v = 0
		case x > 1 || x < -1:
			faults.Clipped++
		}
		if v < 0 {
			dst[i] = int32(max(v-0.5, -scale))
		} else {
			dst[i] = int32(min(v+0.5, scale-1))
		}
	}
}

func (e *flacEncoder) flush() error {
	f := &frame.Frame{Header: frame.Header{
		HasFixedBlockSize: true, BlockSize: uint16(e.n), SampleRate: uint32(e.out.Rate), BitsPerSample: uint8(e.bits), Channels: frame.ChannelsMono,
	}}
	for _, x := range e.block {
		f.Subframes = append(f.Subframes, &frame.Subframe{SubHeader: frame.SubHeader{Pred: frame.PredVerbatim}, Samples: x[:e.n], NSamples: e.n})
	}
	if len(e.block) == 2 {
		f.Channels = pairing(e.block[0][:e.n], e.block[1][:e.n])
	}
	e.n = 0
	return e.encoder.WriteFrame(f)
}

func (e *flacEncoder) close() error {
	if e.n > 0 {
		if err := e.flush(); err != nil {
			return err
		}
	}
	if err := e.encoder.Close(); err != nil {
		return err
	}
	// The library counts the last block among the smallest, which the format says it is not.
	if _, err := e.w.Seek(flacMinBlock, io.SeekStart); err != nil {
		return err
	}
	for range 2 { // the smallest and the largest
		if err := binary.Write(e.w, binary.BigEndian, uint16(flacBlock)); err != nil {
			return err
		}
	}
	_, err := e.w.Seek(0, io.SeekEnd)
	return err
}

// pairing finds which two of left, right, their mean and their difference take the fewest bits, by
// how far they are from a straight line.
func pairing(left, right []int32) frame.Channels {
	var l, r, m, s uint64
	bent := func(a, b, c int64) uint64 {
		d := c - 2*b + a
		return uint64(max(d, -d))
	}
	for i := 2; i < len(left); i++ {
		l0, l1, l2 := int64(left[i-2]), int64(left[i-1]), int64(left[i])
		r0, r1, r2 := int64(right[i-2]), int64(right[i-1]), int64(right[i])
		l += bent(l0, l1, l2)
		r += bent(r0, r1, r2)
		m += bent((l0+r0)>>1, (l1+r1)>>1, (l2+r2)>>1)
		s += bent(l0-r0, l1-r1, l2-r2)
	}
	best, channels := l+r, frame.ChannelsLR
	for _, p := range []struct {
		cost     uint64
		channels frame.Channels
	}{{l + s, frame.ChannelsLeftSide}, {r + s, frame.ChannelsSideRight}, {m + s, frame.ChannelsMidSide}} {
		if p.cost < best {
			best, channels = p.cost, p.channels
		}
	}
	return channels
}
