package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
	"github.com/mewkiz/flac/meta"

	"github.com/autovoiced/autovoiced/dsp"
)

// wavBytes builds a WAV file by hand, so that the reader is not tested by our own writer.
func wavBytes(format, channels, rate, bits int, samples []byte) []byte {
	var b bytes.Buffer
	put := func(v any) {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			panic(err)
		}
	}
	fmtChunk := []any{uint16(format), uint16(channels), uint32(rate), uint32(rate * channels * bits / 8), uint16(channels * bits / 8), uint16(bits)}
	fmtSize := 16
	if format == wavExtensible {
		sub := uint16(wavInteger)
		if bits == 32 {
			sub = wavFloat
		}
		fmtChunk = append(fmtChunk, uint16(22), uint16(bits), uint32(0), sub, [14]byte{0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71})
		fmtSize = 40
	}
	b.WriteString("RIFF")
	put(uint32(4 + 8 + fmtSize + 8 + len(samples)))
	b.WriteString("WAVEfmt ")
	put(uint32(fmtSize))
	for _, v := range fmtChunk {
		put(v)
	}
	b.WriteString("data")
	put(uint32(len(samples)))
	b.Write(samples)
	return b.Bytes()
}

func encode(pcm dsp.PCM, x []float32) []byte {
	b := make([]byte, len(x)*pcm.Bytes())
	pcm.Encode(b, x)
	return b
}

func readAll(t *testing.T, s Source) []float32 {
	t.Helper()
	var all []float32
	var c Chunk
	for {
		err := s.Read(t.Context(), &c)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c.Samples...)
	}
}

func TestWAVOfEveryFormatIsRead(t *testing.T) {
	x := noise(12345)
	for _, c := range []struct {
		format, channels, bits int
		pcm                    dsp.PCM
		tolerance              float64
	}{
		{wavInteger, 1, 16, dsp.S16LE, 1. / (1 << 15)},
		{wavInteger, 2, 24, dsp.S24LE, 1. / (1 << 22)},
		{wavInteger, 8, 32, dsp.S32LE, 1. / (1 << 22)},
		{wavFloat, 3, 32, dsp.F32LE, 1e-7},
		{wavExtensible, 2, 32, dsp.F32LE, 1e-7},
		{wavExtensible, 1, 24, dsp.S24LE, 1. / (1 << 22)},
	} {
		inter := make([]float32, len(x)*c.channels)
		dsp.Upmix(inter, x, c.channels)
		s, err := NewFileSource("x.wav", bytes.NewReader(wavBytes(c.format, c.channels, 44100, c.bits, encode(c.pcm, inter))))
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		got := readAll(t, s)
		if s.Rate() != 44100 || s.Frames() != uint64(len(x)) || len(got) != len(x) {
			t.Fatalf("%+v: %d Hz, %d frames promised, %d read", c, s.Rate(), s.Frames(), len(got))
		}
		for i := range x {
			if math.Abs(float64(got[i]-x[i])) > c.tolerance {
				t.Fatalf("%+v: frame %d is %v, expected %v", c, i, got[i], x[i])
			}
		}
	}
}

func TestWAVIsWrittenAsItIsRead(t *testing.T) {
	for _, pcm := range []dsp.PCM{dsp.S16LE, dsp.S24LE, dsp.S32LE, dsp.F32LE} {
		for _, n := range []int{0, 10_001} {
			path := filepath.Join(t.TempDir(), "x.wav")
			sink, err := CreateWAV(path, 24000, pcm)
			if err != nil {
				t.Fatal(err)
			}
			x := noise(n)
			if err := sink.Write(t.Context(), &Chunk{Rate: 24000, Samples: x}); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(sink.Close(), sink.Close()); err != nil {
				t.Fatal(err)
			}
			format := wavInteger
			if pcm == dsp.F32LE {
				format = wavFloat
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if want := wavBytes(format, 1, 24000, 8*pcm.Bytes(), encode(pcm, x)); !bytes.Equal(got, want) {
				t.Errorf("%v of %d frames: %d bytes written, expected %d, or they differ", pcm, n, len(got), len(want))
			}
		}
	}
}

func flacBytes(t *testing.T, rate, channels int, x []float32) []byte {
	t.Helper()
	var b bytes.Buffer
	const block = 1024
	e, err := flac.NewEncoder(&b, &meta.StreamInfo{
		BlockSizeMin: block, BlockSizeMax: block, SampleRate: uint32(rate),
		NChannels: uint8(channels), BitsPerSample: 16, NSamples: uint64(len(x)),
	})
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[int]frame.Channels{1: frame.ChannelsMono, 2: frame.ChannelsLR}
	for at := 0; at < len(x); at += block {
		n := min(block, len(x)-at)
		f := &frame.Frame{Header: frame.Header{BlockSize: uint16(n), SampleRate: uint32(rate), Channels: kinds[channels], BitsPerSample: 16}}
		for range channels {
			sub := &frame.Subframe{SubHeader: frame.SubHeader{Pred: frame.PredVerbatim}, NSamples: n}
			for _, v := range x[at : at+n] {
				sub.Samples = append(sub.Samples, int32(math.Round(float64(v)*32768)))
			}
			f.Subframes = append(f.Subframes, sub)
		}
		if err := e.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFLACIsRead(t *testing.T) {
	for channels := 1; channels <= 2; channels++ {
		x := noise(10_000)
		s, err := NewFileSource("x.flac", bytes.NewReader(flacBytes(t, 48000, channels, x)))
		if err != nil {
			t.Fatal(err)
		}
		got := readAll(t, s)
		if len(got) != len(x) || s.Channels() != channels {
			t.Fatalf("%d frames of %d channels, expected %d", len(got), s.Channels(), len(x))
		}
		for i := range x {
			if math.Abs(float64(got[i]-x[i])) > 1./(1<<15) {
				t.Fatalf("frame %d is %v, expected %v", i, got[i], x[i])
			}
		}
	}
}

func TestBadFilesAreRefusedWithTheReason(t *testing.T) {
	good := wavBytes(wavInteger, 1, 16000, 16, make([]byte, 3200))
	flacGood := flacBytes(t, 48000, 1, noise(10_000))
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "empty"},
		{"text", []byte("hello, world"), `neither WAV nor FLAC: it starts with "hell"`},
		{"cut in the magic", good[:9], "within the WAV header"},
		{"cut in the format", good[:24], "WAV"},
		{"cut before the data", good[:36], "no sample data"},
		{"cut in the data", good[:1000], "truncated: its data end after 478 of 1600 frames"},
		{"no data", wavBytes(wavInteger, 1, 16000, 16, nil), "no audio"},
		{"0 Hz", wavBytes(wavInteger, 1, 0, 16, make([]byte, 3200)), "sample rate of 0 Hz"},
		{"500 kHz", wavBytes(wavInteger, 1, 500000, 16, make([]byte, 3200)), "sample rate of 500000 Hz"},
		{"9 channels", wavBytes(wavInteger, 9, 16000, 16, make([]byte, 3600)), "9 channels, possible are 1 to 8"},
		{"0 channels", wavBytes(wavInteger, 0, 16000, 16, make([]byte, 3600)), "no sample data"},
		{"8 bits", wavBytes(wavInteger, 1, 16000, 8, make([]byte, 3600)), "format 1 with 8 bits"},
		{"mu-law", wavBytes(7, 1, 16000, 8, make([]byte, 3600)), "format 7 with 8 bits"},
		{"double", wavBytes(wavFloat, 1, 16000, 64, make([]byte, 3600)), "format 3 with 64 bits"},
		{"FLAC cut in the header", flacGood[:20], "truncated within the FLAC header"},
		{"FLAC cut in the data", flacGood[:9000], "truncated"},
		{"FLAC without data", flacGood[:42], "truncated: its data end after 0 of 10000 frames"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := NewFileSource("x", bytes.NewReader(c.data))
			var chunk Chunk
			for err == nil {
				err = s.Read(t.Context(), &chunk)
			}
			if errors.Is(err, io.EOF) || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "x: ") {
				t.Errorf("%v, expected %q", err, c.want)
			}
		})
	}
	if _, err := OpenFile(filepath.Join(t.TempDir(), "none.wav")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func TestNaNAndInfinityBecomeCountedZeros(t *testing.T) {
	x := noise(4800)
	x[100], x[200], x[4799] = float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))
	var raw bytes.Buffer
	if err := binary.Write(&raw, binary.LittleEndian, x); err != nil {
		t.Fatal(err)
	}
	s, err := NewFileSource("x", bytes.NewReader(wavBytes(wavFloat, 1, 48000, 32, raw.Bytes())))
	if err != nil {
		t.Fatal(err)
	}
	sink := &memorySink{rate: 48000}
	p := mustRun(t, Options{Source: s, Sink: sink, InRate: 48000, OutRate: 48000})
	if sink.got[100] != 0 || sink.got[200] != 0 || sink.got[4799] != 0 || p.Snapshot().Source.BadSamples != 3 {
		t.Errorf("%v %v %v, %d counted", sink.got[100], sink.got[200], sink.got[4799], p.Snapshot().Source.BadSamples)
	}
	// A source that does not look is looked after.
	sink = &memorySink{rate: 48000}
	p = mustRun(t, Options{
		Source: &sliceSource{rate: 48000, signal: x, cut: fixed(480)}, Sink: sink, InRate: 48000, OutRate: 48000,
	})
	if got := p.Snapshot().BadSamples; got != 3 {
		t.Errorf("%d bad samples counted by the pipeline", got)
	}
}
