package wire

import (
	"encoding/binary"
	"math"
)

// Encodings of a sample, both little-endian with full scale ±1.
const (
	S16LE = "s16le"
	F32LE = "f32le"
)

// Rates that a stream may have, in Hz, and the most channels.
const (
	MinRate     = 8000
	MaxRate     = 48000
	MaxChannels = 2
)

// Format is how audio travels, the same in both directions. Stereo is interleaved; the server
// converts the mean of the two channels and answers with the result in both.
type Format struct {
	Encoding string `json:"encoding"`
	Rate     int    `json:"rate"`
	Channels int    `json:"channels"`
}

// Validate says whether the protocol knows the format.
func (f Format) Validate() *Error {
	switch {
	case f.Encoding != S16LE && f.Encoding != F32LE:
		return Errorf(CodeBadFormat, "format.encoding", "encoding %q, want %q or %q", f.Encoding, S16LE, F32LE)
	case f.Rate < MinRate || f.Rate > MaxRate:
		return Errorf(CodeBadFormat, "format.rate", "rate %d Hz, want %d to %d", f.Rate, MinRate, MaxRate)
	case f.Channels < 1 || f.Channels > MaxChannels:
		return Errorf(CodeBadFormat, "format.channels", "%d channels, want 1 or 2", f.Channels)
	}
	return nil
}

// FrameBytes is the size of one sample of every channel.
func (f Format) FrameBytes() int {
	if f.Encoding == F32LE {
		return 4 * f.Channels
	}
	return 2 * f.Channels
}

// Frames is how many whole frames pcm holds, or an error when a part of one is left over: a
// stream that lost a byte would be noise from there on.
func (f Format) Frames(pcm []byte) (int, *Error) {
	n := f.FrameBytes()
	if len(pcm)%n != 0 {
		return 0, Errorf(CodeBadAudio, "", "%d bytes of PCM are not whole frames of %d bytes (%s, %d channels)",
			len(pcm), n, f.Encoding, f.Channels)
	}
	return len(pcm) / n, nil
}

// headroom bounds samples of f32le, which may pass full scale: 24 dB over it, nothing is sound any more.
const headroom = 16

// Decode appends the mono mean of pcm to dst. Samples that are not finite are refused: one of them
// would stay in a recursive filter for ever. Others are bounded by ±16.
func (f Format) Decode(dst []float32, pcm []byte) ([]float32, *Error) {
	n, err := f.Frames(pcm)
	if err != nil {
		return dst, err
	}
	start := len(dst)
	scale := 1 / float32(f.Channels)
	for i := range n {
		var sum float32
		for c := range f.Channels {
			sum += f.sample(pcm, i*f.Channels+c)
		}
		dst = append(dst, sum*scale)
	}
	for i, v := range dst[start:] {
		if d := v - v; d != 0 { // NaN for NaN and for both infinities
			return dst[:start], Errorf(CodeBadAudio, "", "sample %d is %v, want finite numbers", i, v)
		}
	}
	return dst, nil
}

func (f Format) sample(pcm []byte, i int) float32 {
	if f.Encoding == F32LE {
		v := math.Float32frombits(binary.LittleEndian.Uint32(pcm[4*i:]))
		if v-v != 0 {
			return v // for Decode to find
		}
		return max(-headroom, min(headroom, v))
	}
	return float32(int16(binary.LittleEndian.Uint16(pcm[2*i:]))) / 32768
}

// Encode appends mono samples to dst as PCM, the same in every channel. s16le rounds to nearest, halves away from 0,
// and saturates.
func (f Format) Encode(dst []byte, mono []float32) []byte {
	for _, v := range mono {
		for range f.Channels {
			if f.Encoding == F32LE {
				dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(v))
				continue
			}
			dst = binary.LittleEndian.AppendUint16(dst, uint16(quantise(v)))
		}
	}
	return dst
}

func quantise(v float32) int16 {
	s := math.Round(float64(v) * 32768)
	return int16(max(-32768, min(32767, s)))
}
