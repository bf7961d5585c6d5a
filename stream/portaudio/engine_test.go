package portaudio

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/stream"
)

func opening(in, out int) Opening {
	d := some[0]
	return Opening{Input: &d, Output: &d, Rate: 48000, InputChannels: in, OutputChannels: out, Duplex: true}
}

func newSink(t testing.TB, capacity, target int) *stream.RingSink {
	s, err := stream.NewRingSink(stream.RingSinkConfig{Rate: 48000, DeviceRate: 48000, Capacity: capacity, Target: target, Chunk: 100, CatchUp: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// C stands in for RingSource.Capture and Playout.Play: the same calls must leave the same rings,
// counters and ledgers, whatever the order of events.
func TestCallbackDoesWhatGoDoes(t *testing.T) {
	const capacity, chunk, rounds = 1000, 100, 20000
	c := edges{stream.NewRingSource(48000, capacity, chunk, nil), newSink(t, capacity, 250)}
	g := edges{stream.NewRingSource(48000, capacity, chunk, nil), newSink(t, capacity, 250)}
	h := newHandmade(Default(), opening(1, 2), c, 0, 512)
	defer h.free()

	r := rand.New(rand.NewPCG(1, 2))
	buf, played, expected := make([]float32, 512), make([]float32, 512), make([]float32, 512)
	read := func(s *stream.RingSource) (out stream.Chunk) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if s.Edge().Queued < chunk {
			return out
		}
		if err := s.Read(ctx, &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	for i := range rounds {
		switch n := r.IntN(10); {
		case n < 4: // the device's turn
			frames := 1 + r.IntN(512)
			for k := range frames {
				buf[k] = r.Float32()
			}
			h.call(played[:frames], buf[:frames], i%2, 0, time.Millisecond)
			g.source.Capture(buf[:frames], 0)
			g.sink.Play(expected[:frames])
			if !slices.Equal(played[:frames], expected[:frames]) {
				t.Fatalf("round %d: played differently", i)
			}
		case n < 7:
			a, b := read(c.source), read(g.source)
			if !slices.Equal(a.Samples, b.Samples) || a.Discontinuous != b.Discontinuous || a.Frames != b.Frames {
				t.Fatalf("round %d: captured differently", i)
			}
		default:
			out := stream.Chunk{Rate: 48000, Frames: chunk, Samples: buf[:chunk]}
			for _, s := range []edges{c, g} {
				s.sink.Ledger().In(chunk)
				if err := s.sink.Write(t.Context(), &out); err != nil {
					t.Fatal(err)
				}
			}
		}
		if a, b := c.source.Edge(), g.source.Edge(); a != b {
			t.Fatalf("round %d: capture %+v, expected %+v", i, a, b)
		}
		if a, b := c.sink.Edge(), g.sink.Edge(); a != b {
			t.Fatalf("round %d: playout %+v, expected %+v", i, a, b)
		}
		if a, b := c.source.Ledger().Snapshot(), g.source.Ledger().Snapshot(); a != b {
			t.Fatalf("round %d: ledger in %+v, expected %+v", i, a, b)
		}
		if a, b := c.sink.Ledger().Snapshot(), g.sink.Ledger().Snapshot(); a != b {
			t.Fatalf("round %d: ledger out %+v, expected %+v", i, a, b)
		}
	}
	e := c.sink.Edge()
	if lost := c.source.Edge().Lost; lost == 0 || e.Underruns == 0 || e.CatchUps+e.Lost == 0 {
		t.Errorf("the rounds never overran or ran dry: lost %d, %+v", lost, e)
	}
}

func TestCallbackMixesAndSpreadsChannels(t *testing.T) {
	for _, c := range []struct {
		mix  string
		want float32
	}{{MixFirst, 0.5}, {MixAverage, 0.25}} {
		source, sink := stream.NewRingSource(48000, 1000, 4, nil), newSink(t, 1000, 4)
		cfg := Default()
		cfg.Mix = c.mix
		h := newHandmade(cfg, opening(2, 3), edges{source, sink}, 0, 8)
		h.call(nil, []float32{0.5, 0.5, 0.5, 0.5}, 0, 0, 0)
		var got stream.Chunk
		if err := source.Read(t.Context(), &got); err != nil || got.Samples[0] != c.want {
			t.Errorf("%s: %v, %v", c.mix, got.Samples, err)
		}
		for channel := range 3 {
			if err := sink.Write(t.Context(), &stream.Chunk{Rate: 48000, Samples: []float32{1, 2, 3, 4}}); err != nil {
				t.Fatal(err)
			}
			dst := make([]float32, 4)
			if h.call(dst, nil, channel, 0, 0); !slices.Equal(dst, []float32{1, 2, 3, 4}) {
				t.Errorf("channel %d: %v", channel, dst)
			}
		}
		h.free()
	}
}

func TestCallbackStampsCaptureOnTheGivenClock(t *testing.T) {
	clock := stream.NewClock()
	source := stream.NewRingSource(48000, 4800, 480, nil)
	h := newHandmade(Default(), opening(1, 0), edges{source: source}, clockOffset(clock), 480)
	defer h.free()
	time.Sleep(5 * time.Millisecond)
	before := clock.Now()
	h.call(nil, make([]float32, 480), 0, 0, 7*time.Millisecond)
	after := clock.Now()
	var got stream.Chunk
	if err := source.Read(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	const grain = 50 * time.Microsecond
	if at := got.Captured + 7*time.Millisecond; at < before-grain || at > after+grain {
		t.Errorf("captured at %s, the callback was between %s and %s, 7 ms later", got.Captured, before, after)
	}
}

func TestOverflowIsAGapOnlyIfTimeWasLost(t *testing.T) {
	source := stream.NewRingSource(48000, 4800, 128, nil)
	h := newHandmade(Default(), opening(1, 0), edges{source: source}, 0, 128)
	defer h.free()
	block := make([]float32, 128)
	for i, c := range []struct {
		flags   uint
		latency time.Duration // less: captured later
		gap     bool
	}{
		{0, time.Second, false},
		{inputOverflow, time.Second, false},
		{0, time.Millisecond, false}, // late without a flag
		{inputOverflow, time.Millisecond, true},
		{inputOverflow, time.Millisecond, false},
	} {
		h.call(nil, block, 0, c.flags, c.latency)
		var got stream.Chunk
		if err := source.Read(t.Context(), &got); err != nil || got.Discontinuous != c.gap {
			t.Errorf("callback %d: discontinuous %t, expected %t (%v)", i, got.Discontinuous, c.gap, err)
		}
	}
	d := Duplex{link: &h.link, edges: edges{source: source}}
	if s := d.Stats(); s.InputOverflows != 3 || s.Xruns != 3 || s.Callbacks != 5 || s.Period != 128 || s.Capture.Gaps != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestBellWakesAReaderOnceAChunk(t *testing.T) {
	source := stream.NewRingSource(48000, 4800, 100, nil)
	l := link{opening: opening(1, 0)}
	if err := l.hang(source); err != nil {
		t.Fatal(err)
	}
	h := newHandmade(Default(), opening(1, 0), edges{source: source}, 0, 128)
	h.bell, h.rung, h.engine.bell = l.bell, l.rung, l.rung
	defer h.free()
	got := make(chan int)
	go func() {
		var c stream.Chunk
		for range 100 {
			if err := source.Read(t.Context(), &c); err != nil {
				t.Error(err)
				break
			}
			got <- len(c.Samples)
		}
		close(got)
	}()
	for range 100 {
		for range 4 {
			h.call(nil, make([]float32, 25), 0, 0, 0)
		}
		select {
		case n := <-got:
			if n != 100 {
				t.Fatalf("chunk of %d frames", n)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("the reader sleeps on")
		}
	}
}

func TestGapPercentiles(t *testing.T) {
	for i, want := range map[int]time.Duration{0: 1, 15: 16, 16: 17, 31: 32, 32: 34, 48: 68} {
		if got := bucketEnd(i); got != want*time.Microsecond {
			t.Errorf("bucket %d ends at %s, expected %d us", i, got, want)
		}
	}
}

func TestCallbackAllocatesNothing(t *testing.T) {
	source, sink := stream.NewRingSource(48000, 4800, 480, nil), newSink(t, 4800, 100)
	h := newHandmade(Default(), opening(1, 2), edges{source, sink}, 0, 128)
	defer h.free()
	src, dst := make([]float32, 128), make([]float32, 128)
	if n := testing.AllocsPerRun(100, func() { h.call(dst, src, 0, 0, time.Millisecond) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

// The cost of one callback of 128 frames, both ways, with the copy into and out of C memory that
// the test adds.
func BenchmarkCallback(b *testing.B) {
	source, sink := stream.NewRingSource(48000, 4800, 480, nil), newSink(b, 4800, 100)
	h := newHandmade(Default(), opening(1, 2), edges{source, sink}, 0, 128)
	defer h.free()
	src, dst := make([]float32, 128), make([]float32, 128)
	b.ReportAllocs()
	for b.Loop() {
		h.call(dst, src, 0, 0, time.Millisecond)
	}
}
