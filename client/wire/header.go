package wire

import (
	"encoding/binary"
	"fmt"
)

// Version is the protocol version, the first byte of every audio header.
const Version = 1

// HeaderSize is the length in bytes of the header before the PCM of an audio frame.
const HeaderSize = 16

// Flags of an audio frame. Bits not named here are zero in v1.
type Flags uint8

// FlagDiscontinuity says that frames were lost just before this one: at the client before it
// sent, or at the server before it replied.
const FlagDiscontinuity Flags = 1 << 0

const knownFlags = FlagDiscontinuity

// Header goes before the PCM of a binary message, little-endian:
//
//	offset 0  version   u8   1
//	offset 1  flags     u8   bit 0: discontinuity
//	offset 2  reserved  u16  0
//	offset 4  sequence  u32  counts frames of one direction, from 0, wraps
//	offset 8  captured  u64  µs on the client's own clock, of the frame's first sample
type Header struct {
	Flags    Flags
	Sequence uint32
	Captured uint64
}

// Append writes the header to the end of dst.
func (h Header) Append(dst []byte) []byte {
	dst = append(dst, Version, byte(h.Flags), 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, h.Sequence)
	return binary.LittleEndian.AppendUint64(dst, h.Captured)
}

// ParseHeader splits a binary message into its header and its PCM, which aliases frame.
func ParseHeader(frame []byte) (Header, []byte, *Error) {
	if len(frame) < HeaderSize {
		return Header{}, nil, Errorf(CodeBadFrame, "", "binary message of %d bytes, shorter than the %d-byte header; "+
			"send raw PCM with ?framing=raw", len(frame), HeaderSize)
	}
	if frame[0] != Version {
		return Header{}, nil, Errorf(CodeBadFrame, "version", "frame version %d, want %d", frame[0], Version)
	}
	h := Header{
		Flags:    Flags(frame[1]),
		Sequence: binary.LittleEndian.Uint32(frame[4:]),
		Captured: binary.LittleEndian.Uint64(frame[8:]),
	}
	if h.Flags&^knownFlags != 0 {
		return Header{}, nil, Errorf(CodeBadFrame, "flags", "unknown flags %#02x, known are %#02x", frame[1], uint8(knownFlags))
	}
	if reserved := binary.LittleEndian.Uint16(frame[2:]); reserved != 0 {
		return Header{}, nil, Errorf(CodeBadFrame, "reserved", "reserved field is %#04x, want 0", reserved)
	}
	return h, frame[HeaderSize:], nil
}

// String is for logs and test failures.
func (h Header) String() string {
	return fmt.Sprintf("seq %d flags %#02x captured %d µs", h.Sequence, uint8(h.Flags), h.Captured)
}
