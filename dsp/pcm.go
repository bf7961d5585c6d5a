package dsp

import (
	"encoding/binary"
	"fmt"
	"math"
)

// PCM is a format of samples in bytes, little-endian. Integers have full scale ±1 at their most
// negative value, so that a sample survives the way to float32 and back unchanged (s32le: its upper
// 24 bits).
type PCM int

// The formats.
const (
	S16LE PCM = iota
	S24LE     // three bytes a sample
	S32LE
	F32LE
)

// pcmHeadroom bounds float samples, which may pass full scale: 24 dB over it, nothing is sound any more.
const pcmHeadroom = 16

var pcmNames = [...]string{S16LE: "s16le", S24LE: "s24le", S32LE: "s32le", F32LE: "f32le"}

// ParsePCM finds a format by its name: s16le, s24le, s32le or f32le.
func ParsePCM(name string) (PCM, error) {
	for f, n := range pcmNames {
		if n == name {
			return PCM(f), nil
		}
	}
	return 0, fmt.Errorf("sample format %q: expected s16le, s24le, s32le or f32le", name)
}

// String is the format's name.
func (f PCM) String() string {
	if f < 0 || int(f) >= len(pcmNames) {
		return fmt.Sprintf("PCM(%d)", int(f))
	}
	return pcmNames[f]
}

// Bytes is the size of a sample.
func (f PCM) Bytes() int {
	switch f {
	case S16LE:
		return 2
	case S24LE:
		return 3
	case S32LE, F32LE:
		return 4
	}
	panic("dsp: unknown PCM format " + f.String())
}

// Faults counts what a conversion had to mend.
type Faults struct {
	Clipped int // samples beyond the range, set to its edge
	Invalid int // samples that were no number or infinite, set to 0
}

// Decode turns src, len(dst)·Bytes bytes, into samples. Float samples are bounded by ±16.
func (f PCM) Decode(dst []float32, src []byte) Faults {
	if len(src) != len(dst)*f.Bytes() {
		panic("dsp: length mismatch")
	}
	var faults Faults
	switch f {
	case S16LE:
		for i := range dst {
			dst[i] = float32(int16(binary.LittleEndian.Uint16(src[2*i:]))) / (1 << 15)
		}
	case S24LE:
		for i := range dst {
			b := src[3*i : 3*i+3 : 3*i+3]
			v := int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24) >> 8
			dst[i] = float32(v) / (1 << 23)
		}
	case S32LE:
		for i := range dst {
			// Cut to 24 bits, so that full scale is never rounded up to +1.
			v := int32(binary.LittleEndian.Uint32(src[4*i:])) >> 8
			dst[i] = float32(v) / (1 << 23)
		}
	case F32LE:
		for i := range dst {
			v := math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
			dst[i] = faults.bound(v, pcmHeadroom)
		}
	}
	return faults
}

// Encode turns src into bytes, len(src)·Bytes of dst. Integers are rounded to the nearest and bounded
// by full scale, floats by ±16.
func (f PCM) Encode(dst []byte, src []float32) Faults {
	if len(dst) != len(src)*f.Bytes() {
		panic("dsp: length mismatch")
	}
	var faults Faults
	switch f {
	case S16LE:
		for i, x := range src {
			v := integer(faults.bound(x, 1), 1<<15)
			binary.LittleEndian.PutUint16(dst[2*i:], uint16(v))
		}
	case S24LE:
		for i, x := range src {
			v := uint32(integer(faults.bound(x, 1), 1<<23))
			b := dst[3*i : 3*i+3 : 3*i+3]
			b[0], b[1], b[2] = byte(v), byte(v>>8), byte(v>>16)
		}
	case S32LE:
		for i, x := range src {
			v := integer(faults.bound(x, 1), 1<<31)
			binary.LittleEndian.PutUint32(dst[4*i:], uint32(v))
		}
	case F32LE:
		for i, x := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(faults.bound(x, pcmHeadroom)))
		}
	}
	return faults
}

// bound mends one sample and counts it.
func (f *Faults) bound(x, most float32) float32 {
	switch {
	case x >= -most && x <= most:
		return x
	case math.IsNaN(float64(x)) || math.IsInf(float64(x), 0):
		f.Invalid++
		return 0
	case x > 0:
		f.Clipped++
		return most
	}
	f.Clipped++
	return -most
}

// integer rounds x, within ±1, to a step of 1/scale, ties away from zero; +1 becomes scale−1.
func integer(x float32, scale float64) int32 {
	v := float64(x) * scale
	if v < 0 {
		return int32(v - 0.5)
	}
	return int32(min(v+0.5, scale-1))
}

// Downmix averages the channels of the interleaved src, len(dst)·channels samples, into dst.
func Downmix(dst, src []float32, channels int) {
	if channels < 1 || len(src) != len(dst)*channels {
		panic("dsp: length mismatch")
	}
	if channels == 1 {
		copy(dst, src)
		return
	}
	for i := range dst {
		var sum float32
		for _, v := range src[i*channels : (i+1)*channels] {
			sum += v
		}
		dst[i] = sum / float32(channels)
	}
}

// Upmix repeats src on every channel of the interleaved dst, len(src)·channels samples.
func Upmix(dst, src []float32, channels int) {
	if channels < 1 || len(dst) != len(src)*channels {
		panic("dsp: length mismatch")
	}
	for i, v := range src {
		for c := range channels {
			dst[i*channels+c] = v
		}
	}
}
