package stream

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/stream/media"
)

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

// stereoFile has x on the left and y on the right.
func stereoFile(t *testing.T, pcm dsp.PCM, x, y []float32) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.wav")
	e, err := media.Create(path, media.Output{Format: media.WAV, Rate: 48000, Channels: 2, PCM: pcm, Tags: media.Tags{Title: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.Write([][]float32{x, y}), e.Close()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFileSourceMixesToMono(t *testing.T) {
	x, y := noise(12345), noise(12345)[1:]
	y = append(y, 0.25)
	s, err := NewFileSource("x.wav", bytes.NewReader(stereoFile(t, dsp.F32LE, x, y)))
	if err != nil {
		t.Fatal(err)
	}
	got := readAll(t, s)
	if s.Rate() != 48000 || s.Channels() != 2 || s.Frames() != uint64(len(x)) || len(got) != len(x) || s.Tags().Title != "x" {
		t.Fatalf("%d Hz, %d channels, %d frames promised, %d read, %q", s.Rate(), s.Channels(), s.Frames(), len(got), s.Tags().Title)
	}
	for i := range x {
		if math.Abs(float64(got[i]-(x[i]+y[i])/2)) > 1e-7 {
			t.Fatalf("frame %d is %v, expected %v", i, got[i], (x[i]+y[i])/2)
		}
	}
}

func TestFileSinkWritesWhatASourceReads(t *testing.T) {
	for _, o := range []media.Output{
		{Format: media.WAV, PCM: dsp.S24LE, Rate: 24000, Channels: 1}, {Format: media.FLAC, PCM: dsp.S24LE, Rate: 24000, Channels: 1},
	} {
		path, x := filepath.Join(t.TempDir(), "x"), noise(10_001)
		sink, err := CreateFile(path, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := sink.Write(t.Context(), &Chunk{Rate: 48000, Samples: x}); err == nil {
			t.Error("a chunk of another rate was taken")
		}
		if err := sink.Write(t.Context(), &Chunk{Rate: 24000, Samples: x}); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(sink.Drain(t.Context()), sink.Close(), sink.Close(), sink.Abort()); err != nil {
			t.Fatal(err)
		}
		s, err := OpenFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got := readAll(t, s)
		for i := range x {
			if math.Abs(float64(got[i]-x[i])) > 1./(1<<22) {
				t.Fatalf("%s: frame %d is %v, expected %v", o.Format, i, got[i], x[i])
			}
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil || len(got) != len(x) {
			t.Errorf("%d frames of %d, %v", len(got), len(x), err)
		}
		var c Chunk
		if err := s.Read(t.Context(), &c); !errors.Is(err, io.EOF) {
			t.Errorf("%v after Close", err)
		}
	}
}

func TestNaNAndInfinityBecomeCountedZeros(t *testing.T) {
	x := noise(4800)
	x[100], x[200], x[4799] = float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))
	b := stereoFile(t, dsp.F32LE, noise(4800), noise(4800))
	for i, v := range x { // the writer would not let them pass
		for channel := range 2 {
			word := math.Float32bits(v)
			b[44+8*i+4*channel], b[45+8*i+4*channel], b[46+8*i+4*channel], b[47+8*i+4*channel] = byte(word), byte(word>>8), byte(word>>16), byte(word>>24)
		}
	}
	s, err := NewFileSource("x", bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	sink := &memorySink{rate: 48000}
	p := mustRun(t, Options{Source: s, Sink: sink, InRate: 48000, OutRate: 48000})
	if sink.got[100] != 0 || sink.got[200] != 0 || sink.got[4799] != 0 || p.Snapshot().Source.BadSamples != 6 {
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
