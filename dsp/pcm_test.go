package dsp

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
)

var formats = []PCM{S16LE, S24LE, S32LE, F32LE}

// Every s16 value, and s24 values all over the range, survive the way there and back.
func TestPCMIntegersSurvive(t *testing.T) {
	wide := make([]byte, 2<<16)
	for v := range 1 << 16 {
		binary.LittleEndian.PutUint16(wide[2*v:], uint16(v))
	}
	roundTrip(t, S16LE, wide)
	var b24, b32 []byte
	for v := -1 << 23; v < 1<<23; v += 61 {
		b24 = append(b24, byte(v), byte(v>>8), byte(v>>16))
		b32 = append(b32, 0, byte(v), byte(v>>8), byte(v>>16))
	}
	roundTrip(t, S24LE, append(b24, 0xff, 0xff, 0x7f, 0, 0, 0x80))
	roundTrip(t, S32LE, append(b32, 0, 0xff, 0xff, 0x7f, 0, 0, 0, 0x80))
}

func roundTrip(t *testing.T, f PCM, src []byte) {
	t.Helper()
	x, back := make([]float32, len(src)/f.Bytes()), make([]byte, len(src))
	if faults := f.Decode(x, src); faults != (Faults{}) {
		t.Errorf("%v: decoding mended %+v", f, faults)
	}
	if faults := f.Encode(back, x); faults != (Faults{}) {
		t.Errorf("%v: encoding mended %+v", f, faults)
	}
	if !bytes.Equal(src, back) {
		t.Errorf("%v: bytes changed", f)
	}
}

func TestPCMValues(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		f      PCM
		x      float32
		want   []byte
		faults Faults
	}{
		{S16LE, 0.5, []byte{0, 0x40}, Faults{}},
		{S16LE, 1, []byte{0xff, 0x7f}, Faults{}},
		{S16LE, -1, []byte{0, 0x80}, Faults{}},
		{S16LE, 1.0001, []byte{0xff, 0x7f}, Faults{Clipped: 1}},
		{S16LE, -3, []byte{0, 0x80}, Faults{Clipped: 1}},
		{S16LE, 1.49 / 32768, []byte{1, 0}, Faults{}},
		{S16LE, -1.5 / 32768, []byte{0xfe, 0xff}, Faults{}},
		{S16LE, nan, []byte{0, 0}, Faults{Invalid: 1}},
		{S24LE, -inf, []byte{0, 0, 0}, Faults{Invalid: 1}},
		{S24LE, -0.5, []byte{0, 0, 0xc0}, Faults{}},
		{S32LE, 1, []byte{0xff, 0xff, 0xff, 0x7f}, Faults{}},
		{S32LE, -1, []byte{0, 0, 0, 0x80}, Faults{}},
		{S32LE, -0.25, []byte{0, 0, 0, 0xe0}, Faults{}},
		{F32LE, -2, []byte{0, 0, 0, 0xc0}, Faults{}},
		{F32LE, 1e30, []byte{0, 0, 0x80, 0x41}, Faults{Clipped: 1}},
		{F32LE, inf, []byte{0, 0, 0, 0}, Faults{Invalid: 1}},
	} {
		got := make([]byte, c.f.Bytes())
		if faults := c.f.Encode(got, []float32{c.x}); faults != c.faults || !bytes.Equal(got, c.want) {
			t.Errorf("%v of %g: got % x %+v, want % x %+v", c.f, c.x, got, faults, c.want, c.faults)
		}
	}
	x := make([]float32, 4)
	src := []byte{0, 0, 0xc0, 0x7f, 0, 0, 0x80, 0xff, 0, 0, 0x80, 0xc2, 0, 0, 0, 0x3f}
	if faults := F32LE.Decode(x, src); faults != (Faults{Clipped: 1, Invalid: 2}) {
		t.Errorf("f32le: mended %+v", faults)
	}
	for i, want := range []float32{0, 0, -16, 0.5} {
		if x[i] != want {
			t.Errorf("f32le %d: got %g, want %g", i, x[i], want)
		}
	}
}

func TestPCMNamesAndMisuse(t *testing.T) {
	for _, f := range formats {
		if got, err := ParsePCM(f.String()); got != f || err != nil {
			t.Errorf("ParsePCM(%q) = %v, %v", f.String(), got, err)
		}
		mustPanic(t, "odd bytes", func() { f.Decode(make([]float32, 1), make([]byte, f.Bytes()+1)) })
		mustPanic(t, "short dst", func() { f.Encode(make([]byte, f.Bytes()), make([]float32, 2)) })
	}
	if _, err := ParsePCM("mulaw"); err == nil {
		t.Error("mulaw: no error")
	}
	mustPanic(t, "format", func() { PCM(9).Bytes() })
}

func TestChannels(t *testing.T) {
	mono := make([]float32, 2)
	Downmix(mono, []float32{1, 0, 0.5, -0.5, 0.25, -1}, 3)
	if mono[0] != 0.5 || mono[1] != -1.25/3 {
		t.Errorf("downmix: got %v", mono)
	}
	stereo := make([]float32, 4)
	Upmix(stereo, []float32{0.1, 0.2}, 2)
	if stereo[0] != 0.1 || stereo[1] != 0.1 || stereo[2] != 0.2 || stereo[3] != 0.2 {
		t.Errorf("upmix: got %v", stereo)
	}
	mustPanic(t, "downmix", func() { Downmix(mono, make([]float32, 5), 2) })
	mustPanic(t, "upmix", func() { Upmix(stereo, mono, 3) })
}

// Any bytes decode to finite samples within the range, encode without further faults, and then stay.
func FuzzPCM(f *testing.F) {
	f.Add([]byte{0, 0x80, 0xff, 0x7f, 1, 2, 3, 4, 0, 0, 0xc0, 0x7f})
	f.Add([]byte{0, 0, 0x80, 0xff, 0, 0, 0x80, 0x7f, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, p := range formats {
			n := len(data) / p.Bytes()
			src := data[:n*p.Bytes()]
			x, y := make([]float32, n), make([]float32, n)
			faults := p.Decode(x, src)
			if faults.Clipped+faults.Invalid > n {
				t.Fatalf("%v: %+v in %d samples", p, faults, n)
			}
			for _, v := range x {
				if !(v >= -pcmHeadroom && v <= pcmHeadroom) || p != F32LE && !(v >= -1 && v < 1) {
					t.Fatalf("%v: decoded %g", p, v)
				}
			}
			b := make([]byte, len(src))
			if faults := p.Encode(b, x); faults != (Faults{}) {
				t.Fatalf("%v: encoding decoded samples mended %+v", p, faults)
			}
			p.Decode(y, b)
			for i := range x {
				if x[i] != y[i] {
					t.Fatalf("%v sample %d: %g became %g", p, i, x[i], y[i])
				}
			}
		}
	})
}

// Any floats encode to what a plain reading of the rules gives.
func FuzzPCMEncode(f *testing.F) {
	f.Add(float32(0.3))
	f.Add(float32(-1))
	f.Add(float32(math.Inf(-1)))
	f.Add(float32(0.99999994))
	f.Fuzz(func(t *testing.T, x float32) {
		for p, scale := range map[PCM]float64{S16LE: 1 << 15, S24LE: 1 << 23, S32LE: 1 << 31} {
			b := make([]byte, p.Bytes())
			p.Encode(b, []float32{x})
			want := math.Round(float64(x) * scale)
			if math.IsNaN(want) || math.IsInf(want, 0) {
				want = 0
			}
			want = max(-scale, min(want, scale-1))
			var got int64
			for i := len(b) - 1; i >= 0; i-- {
				got = got<<8 | int64(b[i])
			}
			got = got << (64 - 8*len(b)) >> (64 - 8*len(b))
			if float64(got) != want {
				t.Fatalf("%v of %g: got %d, want %.0f", p, x, got, want)
			}
		}
	})
}

func BenchmarkPCM(b *testing.B) {
	x := melSignal()[:480]
	for _, f := range formats {
		buf := make([]byte, len(x)*f.Bytes())
		b.Run("encode/"+f.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f.Encode(buf, x)
			}
		})
		b.Run("decode/"+f.String(), func(b *testing.B) {
			y := make([]float32, len(x))
			b.ReportAllocs()
			for b.Loop() {
				f.Decode(y, buf)
			}
		})
	}
}
