package stream

import (
	"context"
	"errors"
	"io"
	"math"
	"testing"
	"time"
)

func TestRingSourceMarksWhatWasLost(t *testing.T) {
	s := NewRingSource(48000, 960, 480, nil)
	s.Capture(ramp(0, 1440), time.Second)
	var c Chunk
	if err := s.Read(t.Context(), &c); err != nil {
		t.Fatal(err)
	}
	if !c.Discontinuous || c.Samples[0] != 480 || c.Frames != 480 || c.Captured != 1010*time.Millisecond {
		t.Errorf("first chunk %v.. of %d frames captured at %v, discontinuous %v", c.Samples[0], c.Frames, c.Captured, c.Discontinuous)
	}
	if err := s.Read(t.Context(), &c); err != nil || c.Discontinuous {
		t.Errorf("second chunk discontinuous %v, %v", c.Discontinuous, err)
	}
	if l := s.Ledger().Snapshot(); l.In != 1440 || l.Dropped.CaptureOverrun != 480 || l.InFlight != 960 {
		t.Errorf("ledger %+v", l)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(5*time.Millisecond, cancel)
	if err := s.Read(ctx, &c); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled Read returned %v", err)
	}
	s.Capture(ramp(0, 10), 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Read(t.Context(), &c); err != nil || len(c.Samples) != 10 {
		t.Errorf("the rest: %d frames, %v", len(c.Samples), err)
	}
	if err := s.Read(t.Context(), &c); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
}

// world moves one RingSink between a capture clock and a device clock that differ, without waiting.
type world struct {
	t        *testing.T
	sink     *RingSink
	callback int
	ppm      float64 // by how much the device's clock is fast
	now      float64 // seconds
	nextPlay float64
	tone     int
	lo, hi   int // bounds of the level seen by the callback
}

// run writes chunks for so long; from a stall on, they come only after it, all at once.
func (w *world) run(d time.Duration, stall time.Duration) {
	chunk := Chunk{Rate: w.sink.Rate()}
	hop := w.sink.Rate() / 100
	dst := make([]float32, w.callback)
	start, held := w.now, stall.Seconds()
	w.lo, w.hi = math.MaxInt, 0
	for w.now < start+d.Seconds() {
		w.now += 0.01
		for w.nextPlay <= w.now {
			w.sink.Play(dst)
			level := w.sink.ring.Len()
			w.lo, w.hi = min(w.lo, level), max(w.hi, level)
			w.nextPlay += float64(w.callback) / float64(w.sink.cfg.DeviceRate) / (1 + w.ppm*1e-6)
		}
		chunks := 1
		if held > 0.005 {
			if held -= 0.01; held > 0.005 {
				continue
			}
			chunks = int(math.Round(stall.Seconds() * 100))
		}
		for range chunks {
			chunk.Samples = chunk.Samples[:0]
			for range hop {
				chunk.Samples = append(chunk.Samples, float32(0.3*math.Sin(float64(w.tone)*0.15)))
				w.tone++
			}
			chunk.Frames = hop
			w.sink.Ledger().In(hop)
			if err := w.sink.Write(w.t.Context(), &chunk); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

func newWorld(t *testing.T, ppm float64) *world {
	const rate = 8000
	sink, err := NewRingSink(RingSinkConfig{
		Rate: rate, DeviceRate: rate, Capacity: rate, Target: rate / 40, Drift: true, CatchUp: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, sink: sink, callback: 43, ppm: ppm}
}

func TestAnHourOfDriftMovesTheDelayByLessThanAChunk(t *testing.T) {
	for _, ppm := range []float64{200, -200} {
		hour := time.Hour
		if raceEnabled || testing.Short() {
			hour /= 10
		}
		w := newWorld(t, ppm)
		w.run(time.Second, 0)
		w.run(10*time.Second, 0)
		first := (w.lo + w.hi) / 2
		w.run(hour-20*time.Second, 0)
		w.run(10*time.Second, 0)
		last := (w.lo + w.hi) / 2
		e := w.sink.Edge()
		if abs(last-first) > 80 || e.Underruns != 0 || e.CatchUps != 0 {
			t.Errorf("%v ppm: level %d frames at first, %d after an hour; %+v", ppm, first, last, e)
		}
		if math.Abs(e.DriftPPM-ppm) > 40 {
			t.Errorf("%v ppm: reported as %.0f", ppm, e.DriftPPM)
		}
		t.Logf("%v ppm: level %d → %d frames of 8 kHz, %.0f ppm reported", ppm, first, last, e.DriftPPM)
	}
}

func TestDelayComesBackAfterAStall(t *testing.T) {
	w := newWorld(t, 50)
	w.run(20*time.Second, 0)
	w.run(time.Second, 0)
	before := (w.lo + w.hi) / 2
	w.run(300*time.Millisecond, 300*time.Millisecond)
	grown := w.hi
	w.run(2*time.Second, 0)
	w.run(time.Second, 0)
	after := (w.lo + w.hi) / 2
	e, l := w.sink.Edge(), w.sink.Ledger().Snapshot()
	if abs(after-before) > 80 {
		t.Errorf("level %d before, %d at the stall, %d 2 s after it", before, grown, after)
	}
	if e.CatchUps == 0 || e.Underruns != 1 || l.Dropped.CatchUp == 0 {
		t.Errorf("edge %+v, ledger %+v", e, l)
	}
	if l.In != l.Out+l.Dropped.Sum()+l.InFlight || l.InFlight > 3*80+200 {
		t.Errorf("ledger %+v", l)
	}
	t.Logf("level %d, %d, %d frames; %d frames taken out", before, grown, after, e.CaughtUp)
}

func TestPlayoutBooksWhatADeadDeviceNeverPlayed(t *testing.T) {
	sink, err := NewRingSink(RingSinkConfig{Rate: 48000, DeviceRate: 48000, Capacity: 4800, Target: 960})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		sink.Ledger().In(480)
		if err := sink.Write(t.Context(), &Chunk{Rate: 48000, Frames: 480, Samples: noise(480)}); err != nil {
			t.Fatal(err)
		}
	}
	dst := make([]float32, 480)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 15 {
			sink.Play(dst)
			time.Sleep(time.Millisecond)
		}
	}()
	if err := sink.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-done
	l := sink.Ledger().Snapshot()
	if l.In != 9600 || l.Out != 4800 || l.Dropped.PlayoutOverrun != 4800 || l.InFlight != 0 {
		t.Errorf("ledger %+v", l)
	}
}

func TestPlayoutWaitsForItsTargetAgainAfterAnUnderrun(t *testing.T) {
	ring := NewRing(48000, 4800)
	p := NewPlayout(ring, 300)
	dst := make([]float32, 100)
	steps := []struct{ write, want int }{{200, 0}, {100, 100}, {0, 100}, {0, 100}, {50, 50}, {200, 0}, {100, 100}}
	for i, s := range steps {
		ring.Write(ramp(1, s.write), 0)
		if n := p.Play(dst); n != s.want {
			t.Errorf("step %d: %d frames played, expected %d", i, n, s.want)
		}
		for _, v := range dst[s.want:] {
			if v != 0 {
				t.Fatalf("step %d: no silence after the last frame", i)
			}
		}
	}
	if p.underruns.Load() != 1 {
		t.Errorf("%d underruns", p.underruns.Load())
	}
}

func abs(x int) int { return max(x, -x) }
