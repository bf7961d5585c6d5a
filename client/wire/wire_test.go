package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/autovoiced/autovoiced/client/wire"
)

const vectors = "../../testdata/wire"

type frameVectors struct {
	Good []struct {
		File   string
		Header *struct {
			Flags    uint8
			Sequence uint32
			Captured uint64 `json:"captured_us"`
		}
		Format wire.Format
		Mono   []float32
	}
	Bad []struct {
		File   string
		Error  wire.Code
		Why    string
		Format wire.Format
	}
}

func readJSON(t testing.TB, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(vectors, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func readBin(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(vectors, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestFrameVectors(t *testing.T) {
	var v frameVectors
	readJSON(t, "frames.json", &v)
	if len(v.Good) < 5 || len(v.Bad) < 7 {
		t.Fatalf("found %d good and %d bad vectors, want all of them", len(v.Good), len(v.Bad))
	}
	for _, g := range v.Good {
		t.Run(g.File, func(t *testing.T) {
			frame := readBin(t, g.File)
			pcm, again := frame, []byte{}
			if g.Header != nil {
				h, rest, err := wire.ParseHeader(frame)
				if err != nil {
					t.Fatal(err)
				}
				want := wire.Header{Flags: wire.Flags(g.Header.Flags), Sequence: g.Header.Sequence, Captured: g.Header.Captured}
				if h != want {
					t.Errorf("header is %v, want %v", h, want)
				}
				pcm, again = rest, h.Append(again)
			}
			mono, err := g.Format.Decode(nil, pcm)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(mono, g.Mono) {
				t.Errorf("samples are %v, want %v", mono, g.Mono)
			}
			if again = g.Format.Encode(again, mono); !bytes.Equal(again, frame) {
				t.Errorf("encoding the decoded frame gives\n%x, want\n%x", again, frame)
			}
		})
	}
	for _, b := range v.Bad {
		t.Run(b.File, func(t *testing.T) {
			_, pcm, err := wire.ParseHeader(readBin(t, b.File))
			if err == nil {
				_, err = b.Format.Decode(nil, pcm)
			}
			if err == nil || err.Code != b.Error {
				t.Errorf("%s: got %v, want %s", b.Why, err, b.Error)
			}
		})
	}
}

type messageVectors struct {
	Client, Server []struct {
		Name string
		JSON json.RawMessage
	}
	Tolerated []struct {
		Name, Text string
		Ignored    []string
	}
	Refused []struct {
		Name, Text string
		Error      wire.Code
		Param      string
		Fatal      bool
	}
}

func TestMessageVectors(t *testing.T) {
	var v messageVectors
	readJSON(t, "messages.json", &v)
	check := func(name string, text []byte, m wire.Message, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		again, err := wire.Encode(m)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		var got, want any
		if json.Unmarshal(again, &got) != nil || json.Unmarshal(text, &want) != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: encoding the decoded message gives\n%s, want\n%s", name, again, text)
		}
	}
	for _, c := range v.Client {
		m, ignored, err := wire.DecodeClient(c.JSON)
		check(c.Name, c.JSON, m, plain(err))
		if len(ignored) > 0 {
			t.Errorf("%s: ignored %q", c.Name, ignored)
		}
	}
	for _, c := range v.Tolerated {
		m, ignored, err := wire.DecodeClient([]byte(c.Text))
		if err != nil || m == nil || !slices.Equal(ignored, c.Ignored) {
			t.Errorf("%s: %v, %v, ignored %q, want %q", c.Name, m, err, ignored, c.Ignored)
		}
	}
	for _, s := range v.Server {
		m, err := wire.DecodeServer(s.JSON)
		check(s.Name, s.JSON, m, err)
	}
	for _, r := range v.Refused {
		m, _, err := wire.DecodeClient([]byte(r.Text))
		if err == nil {
			t.Errorf("%s: accepted as %#v", r.Name, m)
			continue
		}
		if err.Code != r.Error || (r.Param != "" && err.Param != r.Param) {
			t.Errorf("%s: error is %q at %q, want %q at %q (%v)", r.Name, err.Code, err.Param, r.Error, r.Param, err)
		}
		if err.Fatal != r.Fatal {
			t.Errorf("%s: fatal is %v, want %v", r.Name, err.Fatal, r.Fatal)
		}
	}
}

// plain turns a nil *Error into a nil error.
func plain(err *wire.Error) error {
	if err == nil {
		return nil
	}
	return err
}

func TestDecodeClientRefusesLongText(t *testing.T) {
	text := []byte(`{"type":"flush"` + strings.Repeat(" ", wire.MaxControl) + `}`)
	if _, _, err := wire.DecodeClient(text); err == nil || err.Code != wire.CodeTooLarge {
		t.Errorf("got %v, want %s", err, wire.CodeTooLarge)
	}
}

func TestErrorCodesAreClosedAndDocumented(t *testing.T) {
	doc, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range wire.Codes() {
		row := "| `" + string(c) + "` |"
		if !bytes.Contains(doc, []byte(row)) {
			t.Errorf("README.md has no row for error code %q", c)
		}
	}
	if !errors.Is(wire.Errorf(wire.CodeBadAudio, "", "x"), &wire.Error{Code: wire.CodeBadAudio}) {
		t.Error("errors.Is does not find a code")
	}
	if wire.Code("made_up").Retryable() || wire.Code("made_up").Close() != wire.CloseInternal {
		t.Error("a code that is not in the list must be final and internal")
	}
}

func TestEncodeSaturatesAndRounds(t *testing.T) {
	f := wire.Format{Encoding: wire.S16LE, Rate: 16000, Channels: 1}
	got, err := f.Decode(nil, f.Encode(nil, []float32{2, -2, 0.6 / 32768, 2.5 / 32768, -2.5 / 32768, -0.4 / 32768}))
	if err != nil {
		t.Fatal(err)
	}
	want := []float32{32767.0 / 32768, -1, 1.0 / 32768, 3.0 / 32768, -3.0 / 32768, 0}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestDecodeMixesStereoDown(t *testing.T) {
	f := wire.Format{Encoding: wire.F32LE, Rate: 48000, Channels: 2}
	one := wire.Format{Encoding: wire.F32LE, Rate: 48000, Channels: 1}
	got, err := f.Decode(nil, one.Encode(nil, []float32{0.5, 0.25, -1, 1}))
	if err != nil {
		t.Fatal(err)
	}
	if want := []float32{0.375, 0}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestDecodeBoundsFloats(t *testing.T) {
	f := wire.Format{Encoding: wire.F32LE, Rate: 16000, Channels: 1}
	got, err := f.Decode(nil, f.Encode(nil, []float32{1e30, -1e30, 15.5, -0.25}))
	if want := []float32{16, -16, 15.5, -0.25}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestLedgerBalance(t *testing.T) {
	l := wire.Ledger{In: 100, Out: 70, Dropped: map[string]uint64{"a": 10, "b": 5}, InFlight: 15}
	if !l.Balanced() {
		t.Error("a ledger that adds up is called unbalanced")
	}
	l.Out++
	if l.Balanced() {
		t.Error("a ledger that is one frame off is called balanced")
	}
}

func TestCodecDoesNotAllocate(t *testing.T) {
	f := wire.Format{Encoding: wire.S16LE, Rate: 48000, Channels: 1}
	samples := make([]float32, 480)
	pcm := f.Encode(wire.Header{}.Append(nil), samples)
	if n := testing.AllocsPerRun(100, func() {
		h, body, _ := wire.ParseHeader(pcm)
		samples, _ = f.Decode(samples[:0], body)
		pcm = f.Encode(h.Append(pcm[:0]), samples)
	}); n != 0 {
		t.Errorf("a frame in and out allocates %v times", n)
	}
}

func FuzzFrame(f *testing.F) {
	for _, name := range []string{"frame_s16_mono_tone.bin", "frame_f32_mono_edges.bin", "bad_version.bin", "bad_nan.bin"} {
		f.Add(readBin(f, name), true, 1)
	}
	f.Fuzz(func(t *testing.T, frame []byte, float bool, channels int) {
		format := wire.Format{Encoding: wire.S16LE, Rate: 16000, Channels: 1 + channels&1}
		if float {
			format.Encoding = wire.F32LE
		}
		h, pcm, err := wire.ParseHeader(frame)
		if err != nil {
			return
		}
		if again := h.Append(nil); !bytes.Equal(again, frame[:wire.HeaderSize]) {
			t.Fatalf("header %x becomes %x", frame[:wire.HeaderSize], again)
		}
		mono, err := format.Decode(nil, pcm)
		if err != nil {
			return
		}
		if len(mono)*format.FrameBytes() != len(pcm) {
			t.Fatalf("%d bytes became %d samples", len(pcm), len(mono))
		}
		for i, v := range mono {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				t.Fatalf("sample %d is %v", i, v)
			}
		}
	})
}

func FuzzDecodeClient(f *testing.F) {
	var v messageVectors
	readJSON(f, "messages.json", &v)
	for _, c := range v.Client {
		f.Add([]byte(c.JSON))
	}
	for _, r := range v.Refused {
		f.Add([]byte(r.Text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, _, err := wire.DecodeClient(text)
		if (m == nil) == (err == nil) {
			t.Fatalf("got message %v and error %v, want one of them", m, err)
		}
		if err != nil {
			return
		}
		again, eerr := wire.Encode(m)
		if eerr != nil {
			t.Fatal(eerr)
		}
		m2, ignored, err := wire.DecodeClient(again)
		if err != nil || len(ignored) > 0 || !reflect.DeepEqual(m, m2) {
			t.Fatalf("%s decodes to %#v, then %s to %#v (%v)", text, m, again, m2, err)
		}
	})
}

func BenchmarkFrame(b *testing.B) {
	f := wire.Format{Encoding: wire.S16LE, Rate: 48000, Channels: 1}
	samples := make([]float32, 480)
	pcm := f.Encode(wire.Header{}.Append(nil), samples)
	b.ReportAllocs()
	for b.Loop() {
		h, body, _ := wire.ParseHeader(pcm)
		samples, _ = f.Decode(samples[:0], body)
		pcm = f.Encode(h.Append(pcm[:0]), samples)
	}
}
