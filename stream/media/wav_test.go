package media

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/autovoiced/autovoiced/dsp"
)

func put(b *bytes.Buffer, values ...any) {
	for _, v := range values {
		if err := binary.Write(b, binary.LittleEndian, v); err != nil {
			panic(err)
		}
	}
}

// wavBytes builds a WAV file by hand, so that the reader is not tested by our own writer.
func wavBytes(format, channels, rate, bits int, samples []byte) []byte {
	var b bytes.Buffer
	fmtSize := 16
	if format == wavExtensible {
		fmtSize = 40
	}
	b.WriteString("RIFF")
	put(&b, uint32(4+8+fmtSize+8+len(samples)))
	b.WriteString("WAVEfmt ")
	put(&b, uint32(fmtSize), uint16(format), uint16(channels), uint32(rate), uint32(rate*channels*bits/8), uint16(channels*bits/8), uint16(bits))
	if format == wavExtensible {
		sub := uint16(wavInteger)
		if bits == 32 {
			sub = wavFloat
		}
		put(&b, uint16(22), uint16(bits), uint32(0), sub, [14]byte{0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71})
	}
	b.WriteString("data")
	put(&b, uint32(len(samples)))
	b.Write(samples)
	return b.Bytes()
}

// encoded interleaves the channels.
func encoded(pcm dsp.PCM, channels ...[]float32) []byte {
	inter := make([]float32, len(channels)*len(channels[0]))
	for c, x := range channels {
		for i, v := range x {
			inter[i*len(channels)+c] = v
		}
	}
	b := make([]byte, len(inter)*pcm.Bytes())
	pcm.Encode(b, inter)
	return b
}

func TestWAVOfEveryFormatIsRead(t *testing.T) {
	l, r := sweep(0, 44100, 12345), sweep(1, 44100, 12345)
	var u8, f64 bytes.Buffer
	for i := range l {
		put(&u8, uint8(math.Round(float64(l[i])*128)+128), uint8(math.Round(float64(r[i])*128)+128))
		put(&f64, float64(l[i]), float64(r[i]))
	}
	for _, c := range []struct {
		format, bits int
		data         []byte
		tolerance    float64
	}{
		{wavInteger, 8, u8.Bytes(), 1. / 255},
		{wavInteger, 16, encoded(dsp.S16LE, l, r), 1. / (1 << 15)},
		{wavInteger, 24, encoded(dsp.S24LE, l, r), 1. / (1 << 22)},
		{wavInteger, 32, encoded(dsp.S32LE, l, r), 1. / (1 << 22)},
		{wavFloat, 32, encoded(dsp.F32LE, l, r), 0},
		{wavFloat, 64, f64.Bytes(), 0},
		{wavExtensible, 32, encoded(dsp.F32LE, l, r), 0},
		{wavExtensible, 24, encoded(dsp.S24LE, l, r), 1. / (1 << 22)},
	} {
		d, all := mustRead(t, "x.wav", wavBytes(c.format, 2, 44100, c.bits, c.data))
		if d.Rate() != 44100 || len(all[0]) != len(l) {
			t.Fatalf("%d, %d bits: %d Hz, %d frames", c.format, c.bits, d.Rate(), len(all[0]))
		}
		for i := range l {
			if math.Abs(float64(all[0][i]-l[i])) > c.tolerance || math.Abs(float64(all[1][i]-r[i])) > c.tolerance {
				t.Fatalf("%d, %d bits: frame %d is %v %v, expected %v %v", c.format, c.bits, i, all[0][i], all[1][i], l[i], r[i])
			}
		}
	}
}

// Chunks that mean nothing to us, of odd length too, before and after the data; a size that the
// writer could not know; and the 64-bit form.
func TestWAVWithOddChunks(t *testing.T) {
	x := sweep(0, 16000, 999)
	plain := wavBytes(wavInteger, 1, 16000, 16, encoded(dsp.S16LE, x))
	head, data := plain[:36], plain[36:]
	odd := []byte("junk\x03\x00\x00\x00abc\x00LIST\x05\x00\x00\x00adtlx\x00")
	endless := append([]byte(nil), plain...)
	binary.LittleEndian.PutUint32(endless[40:], 0xffffffff)
	var rf64 bytes.Buffer
	rf64.WriteString("RF64\xff\xff\xff\xffWAVEds64")
	put(&rf64, uint32(28), uint64(0), uint64(len(data)-8), uint64(999), uint32(0))
	rf64.Write(head[12:])
	rf64.WriteString("data\xff\xff\xff\xff")
	rf64.Write(data[8:])
	rf64.WriteString("LIST\x04\x00\x00\x00INFO")
	for name, b := range map[string][]byte{
		"before": join(head, odd, data), "after": join(head, data, odd), "endless": endless, "RF64": rf64.Bytes(),
		"cut off after the data": join(head, data, []byte("LIST\x40\x00\x00\x00INFOINAM\xff\xff")),
	} {
		_, all := mustRead(t, name, b)
		if len(all[0]) != len(x) || !alike(all[0], x, 80) {
			t.Errorf("%s: %d frames, or other ones", name, len(all[0]))
		}
	}
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestWhatIsNoNumberIsCountedAndZero(t *testing.T) {
	x := []float32{0.5, float32(math.NaN()), float32(math.Inf(1)), 3, float32(math.Inf(-1))}
	var b bytes.Buffer
	put(&b, x)
	d, all := mustRead(t, "x", wavBytes(wavFloat, 1, 48000, 32, b.Bytes()))
	if got := all[0]; got[0] != 0.5 || got[1] != 0 || got[2] != 0 || got[3] != 3 || got[4] != 0 || d.Invalid() != 3 {
		t.Errorf("%v, %d counted", got, d.Invalid())
	}
}
