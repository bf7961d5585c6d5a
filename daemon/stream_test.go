package daemon

import (
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/autovoiced/autovoiced/client"
	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/stream"
)

func TestStreamGivesEverySampleBack(t *testing.T) {
	d := serve(t, transparent)
	signal := noise(48000*2+137, 1)
	for name, cut := range map[string]func() int{
		"in chunks": fixed(480), "at random": random(1, 5000), "at once": fixed(len(signal)/2 + 1), "tiny": random(2, 40),
	} {
		t.Run(name, func(t *testing.T) {
			reply, ledger := converse(t, dial(t, d.url, wire.Start{Format: mono48k}), signal, cut)
			if at := difference(reply, signal); at >= 0 {
				t.Errorf("reply of %d frames differs at %d from the signal of %d", len(reply), at, len(signal))
			}
			if ledger.In != uint64(len(signal)) || ledger.Out != ledger.In || !ledger.Balanced() {
				t.Errorf("ledger %+v, want %d in and out", ledger, len(signal))
			}
		})
	}
}

// With the same settings a stream and a file give the same samples. An automatic pitch shift is not a setting
// that they can share: see TestConvertMeasuresThePitchFirst.
func TestStreamAndConvertAgree(t *testing.T) {
	cfg := testConfig(t)
	cfg.Voice.Name, cfg.Voice.Pitch = tinyVoice, wire.PitchShift{Semitones: -2.5}
	for _, format := range []wire.Format{
		{Encoding: wire.S16LE, Rate: 16000, Channels: 1},
		{Encoding: wire.S16LE, Rate: 44100, Channels: 1},
		{Encoding: wire.F32LE, Rate: 48000, Channels: 2},
		{Encoding: wire.F32LE, Rate: 8000, Channels: 1},
	} {
		t.Run(formatName(format), func(t *testing.T) {
			signal := buzz(3*format.Rate/2+77, format.Rate)
			if format.Encoding == wire.S16LE {
				signal = quantised(signal)
			}
			want := convertFile(t, cfg, signal, format)
			d := serve(t, func(c *Config) { *c = cfg })
			for name, cut := range map[string]func() int{
				"in chunks": fixed(format.Rate / 100), "at random": random(5, format.Rate/10), "at once": fixed(32000),
			} {
				got, ledger := converse(t, dial(t, d.url, wire.Start{Format: format}), signal, cut)
				if at := difference(got, want); at >= 0 {
					t.Errorf("%s: the stream's %d frames differ from the file's %d at %d", name, len(got), len(want), at)
				}
				if len(got) != len(signal) || ledger.Out != uint64(len(signal)) {
					t.Errorf("%s: %d frames in, %d out, ledger %+v", name, len(signal), len(got), ledger)
				}
			}
			if peak(want) < 0.01 {
				t.Error("the voice says nothing: the comparison is empty")
			}
		})
	}
}

func formatName(f wire.Format) string {
	return fmt.Sprintf("%s %d Hz %d ch", f.Encoding, f.Rate, f.Channels)
}

// buzz is a voice-like signal: a gliding pitch with harmonics and pauses.
func buzz(n, rate int) []float32 {
	x := make([]float32, n)
	phase := 0.0
	for i := range x {
		t := float64(i) / float64(rate)
		phase += (130 + 30*math.Sin(5*t)) / float64(rate)
		if math.Mod(t, 0.7) < 0.55 {
			x[i] = float32(0.4 * (math.Mod(phase, 1) - 0.5))
		}
	}
	return x
}

func quantised(x []float32) []float32 {
	f := wire.Format{Encoding: wire.S16LE, Rate: 16000, Channels: 1}
	y, _ := f.Decode(nil, f.Encode(nil, x))
	return y
}

func peak(x []float32) (p float32) {
	for _, v := range x {
		p = max(p, v, -v)
	}
	return p
}

// convertFile converts a signal by way of files of the same precision.
func convertFile(t *testing.T, cfg Config, signal []float32, format wire.Format) []float32 {
	t.Helper()
	pcm := dsp.S16LE
	if format.Encoding == wire.F32LE {
		pcm = dsp.F32LE
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.wav"), filepath.Join(dir, "out.wav")
	writeWAV(t, in, format.Rate, pcm, signal)
	result, err := Convert(t.Context(), cfg, in, out, ConvertOptions{PCM: pcm, Preset: wire.PresetLive})
	if err != nil {
		t.Fatal(err)
	}
	if result.Frames != uint64(len(signal)) || !result.Pipeline.Ledger.Balanced() || result.Pipeline.Ledger.InFlight != 0 {
		t.Errorf("result %+v, want %d frames and an even ledger", result, len(signal))
	}
	return readWAV(t, out)
}

func writeWAV(t *testing.T, path string, rate int, pcm dsp.PCM, signal []float32) {
	t.Helper()
	sink, err := stream.CreateWAV(path, rate, pcm)
	if err != nil {
		t.Fatal(err)
	}
	c := &stream.Chunk{Samples: signal, Rate: rate, Frames: len(signal)}
	if err := errors.Join(sink.Write(t.Context(), c), sink.Drain(t.Context()), sink.Close()); err != nil {
		t.Fatal(err)
	}
}

func readWAV(t *testing.T, path string) (signal []float32) {
	t.Helper()
	source, err := stream.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.Close() }()
	for {
		var c stream.Chunk
		err := source.Read(t.Context(), &c)
		if err == io.EOF {
			return signal
		}
		if err != nil {
			t.Fatal(err)
		}
		signal = append(signal, c.Samples...)
	}
}

// TestReplyEchoesCaptureTimes: each reply frame carries the capture time of its first sample, worked out
// from the message that held it, across gaps in the client's clock.
func TestReplyEchoesCaptureTimes(t *testing.T) {
	d := serve(t, transparent)
	s := dial(t, d.url, wire.Start{Format: mono48k})
	signal := noise(48000, 4)
	type mark struct {
		frame int
		at    time.Time
	}
	var marks []mark
	cut, at, clock := random(9, 3000), 0, time.Now()
	for at < len(signal) {
		n := min(cut(), len(signal)-at)
		marks = append(marks, mark{at, clock})
		if err := s.SendAt(t.Context(), signal[at:at+n], clock); err != nil {
			t.Fatal(err)
		}
		at += n
		clock = clock.Add(time.Duration(n)*time.Second/48000 + 7*time.Millisecond) // a clock of its own
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	frame, base := 0, uint64(0)
	for {
		ev, err := s.Recv(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if ev.Audio == nil {
			continue
		}
		if frame == 0 {
			base = ev.Header.Captured
		}
		m := marks[0]
		for _, next := range marks {
			if next.frame <= frame {
				m = next
			}
		}
		want := m.at.Sub(marks[0].at) + time.Duration(frame-m.frame)*time.Second/48000
		got := time.Duration(ev.Header.Captured-base) * time.Microsecond
		if off := got - want; off > 2*time.Microsecond || off < -2*time.Microsecond {
			t.Fatalf("frame %d: capture time %v, want %v", frame, got, want)
		}
		frame += len(ev.Audio)
	}
	if frame != len(signal) {
		t.Errorf("%d frames came back, want %d", frame, len(signal))
	}
}

// TestFlushEndsOneSignalAndBeginsAnother: what comes after a flush is what a new stream would give.
func TestFlushEndsOneSignalAndBeginsAnother(t *testing.T) {
	d := serve(t, func(c *Config) { c.Voice.Name, c.Voice.Pitch = tinyVoice, wire.PitchShift{Semitones: 2} })
	first, second := buzz(16000+33, 16000), buzz(8000+5, 16000)
	fresh, _ := converse(t, dial(t, d.url, wire.Start{Format: mono16k}), second, fixed(160))

	s := dial(t, d.url, wire.Start{Format: mono16k})
	ctx := t.Context()
	if err := errors.Join(s.Send(ctx, first), s.Flush(ctx)); err != nil {
		t.Fatal(err)
	}
	n := 0
	for {
		ev, err := s.Recv(ctx)
		if err != nil {
			t.Fatal(err)
		}
		n += len(ev.Audio)
		if drained, ok := ev.Message.(*wire.Drained); ok {
			if drained.Final || drained.Ledger.Out != uint64(len(first)) {
				t.Fatalf("after the flush: %+v, want %d frames out and more to come", drained, len(first))
			}
			break
		}
	}
	if n != len(first) {
		t.Errorf("%d frames before drained, want %d", n, len(first))
	}
	got, ledger := converse(t, s, second, fixed(1000))
	if at := difference(got, fresh); at >= 0 {
		t.Errorf("after a flush the reply differs at %d from that of a new stream", at)
	}
	if want := uint64(len(first) + len(second)); ledger.In != want || ledger.Out != want {
		t.Errorf("ledger %+v, want %d in and out", ledger, want)
	}
}

func TestNoAudioAtAll(t *testing.T) {
	d := serve(t, func(c *Config) { c.Voice.Name = tinyVoice })
	reply, ledger := converse(t, dial(t, d.url, wire.Start{Format: mono48k}), nil, fixed(1))
	if len(reply) != 0 || ledger.In != 0 || !ledger.Balanced() {
		t.Errorf("%d frames for nothing, ledger %+v", len(reply), ledger)
	}
	reply, ledger = converse(t, dial(t, d.url, wire.Start{Format: mono48k}), []float32{0.5}, fixed(1))
	if len(reply) != 1 || ledger.In != 1 || ledger.Out != 1 {
		t.Errorf("%d frames for one, ledger %+v", len(reply), ledger)
	}
}

func TestRawFraming(t *testing.T) {
	d := serve(t, transparent)
	s, err := client.Dial(t.Context(), d.url, client.Options{Raw: true, Start: wire.Start{Format: mono48k}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	signal := noise(20000, 8)
	if reply, _ := converse(t, s, signal, random(3, 2000)); difference(reply, signal) >= 0 {
		t.Error("raw framing changes samples")
	}
}

func TestUpdateWhileItSpeaks(t *testing.T) {
	d := serve(t, func(c *Config) { c.Voice.Name = tinyVoice })
	s := dial(t, d.url, wire.Start{Format: mono16k})
	ctx := t.Context()
	send := func(u wire.Update) {
		t.Helper()
		if err := s.Update(ctx, u); err != nil {
			t.Fatal(err)
		}
	}
	other, unknown, far, hz := "tiny-high", "nobody", passthrough, 20.0
	send(wire.Update{Voice: &other, Pitch: &wire.PitchShift{Semitones: 3}, Mix: &wire.Mix{DryWet: 0.5}, Timings: &hz})
	send(wire.Update{Voice: &unknown})
	send(wire.Update{Voice: &far})
	send(wire.Update{Pitch: &wire.PitchShift{Semitones: 99}})
	var codes []wire.Code
	for len(codes) < 3 {
		ev, err := s.Recv(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := ev.Message.(*wire.Error); ok {
			codes = append(codes, e.Code)
		}
	}
	slices.Sort(codes) // what needs no voice is answered first
	if want := []wire.Code{wire.CodeBadParam, wire.CodeUnknownVoice, wire.CodeUnsupported}; !slices.Equal(codes, want) {
		t.Errorf("errors %v, want %v", codes, want)
	}
	if got := d.Status().Sessions[0].Voice; got != other {
		t.Errorf("voice %q speaks, want %q", got, other)
	}
	timings := 0
	for timings < 3 {
		ev, err := s.Recv(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if m, ok := ev.Message.(*wire.Timing); ok {
			if timings++; !m.Ledger.Balanced() {
				t.Errorf("ledger %+v does not add up", m.Ledger)
			}
		}
	}
	reply, _ := converse(t, s, buzz(8000, 16000), fixed(160))
	if len(reply) != 8000 {
		t.Errorf("%d frames after the updates, want 8000", len(reply))
	}
}

// TestStreamHardlyAllocates: on its way from socket to socket a chunk costs the daemon one small allocation,
// the socket library's own; the rest of what is allowed here is the client's.
func TestStreamHardlyAllocates(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	d := serve(t, transparent, func(c *Config) { c.HTTP.RealTimeFactor = 1000 })
	r := rawDial(t, d, "")
	r.text(`{"type":"start","format":{"encoding":"f32le","rate":48000,"channels":1}}`)
	sent := mono48k.Encode(wire.Header{}.Append(nil), noise(480, 1))
	got := make([]byte, 4096)
	exchange := func() {
		if err := r.WriteMessage(websocket.BinaryMessage, sent); err != nil {
			t.Fatal(err)
		}
		sent[4]++
		for kind := 0; kind != websocket.BinaryMessage; {
			var body io.Reader
			var err error
			if kind, body, err = r.NextReader(); err != nil {
				t.Fatal(err)
			}
			for err == nil {
				_, err = body.Read(got)
			}
		}
	}
	for range 200 {
		exchange()
	}
	if n := testing.AllocsPerRun(500, exchange); n > 5 {
		t.Errorf("a chunk through the socket allocates %v times, want at most 5, 4 of them the client's", n)
	}
}

// TestTimingsKeepTheirRate: at most as many a second as asked for, and about that many.
func TestTimingsKeepTheirRate(t *testing.T) {
	d := serve(t)
	s := dial(t, d.url, wire.Start{Format: mono48k, Timings: 20})
	began, n := time.Now(), 0
	for n < 20 {
		ev, err := s.Recv(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := ev.Message.(*wire.Timing); ok {
			n++
		}
	}
	if took := time.Since(began); took < 990*time.Millisecond || took > 5*time.Second {
		t.Errorf("20 timings at 20 Hz took %v, want 1 s", took)
	}
}
