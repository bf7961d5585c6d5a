package stream

import (
	"sync"
	"testing"
	"time"
)

// TestALiveSessionLosesNoFrameFromItsBooks runs bursts through every edge and stage at other rates
// than theirs, with a slow stage, and looks at the ledger all the while.
func TestALiveSessionLosesNoFrameFromItsBooks(t *testing.T) {
	source := NewRingSource(44100, 4410, 441, nil)
	sink, err := NewRingSink(RingSinkConfig{
		Rate: 24000, DeviceRate: 48000, Capacity: 9600, Target: 960, Drift: true, CatchUp: true, Ledger: source.Ledger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	slow := 0
	p, err := New(Options{
		Source: source, Sink: sink, InRate: 24000, OutRate: 24000,
		Stages: []Stage{&delayStage{name: "a", frames: 50}, &delayStage{name: "b", process: func(*Chunk) error {
			if slow++; slow%50 == 0 {
				time.Sleep(20 * time.Millisecond)
			}
			return nil
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	stop := make(chan struct{})
	const bursts = 1500
	all.Go(func() { // the microphone, some times faster than life
		x := noise(128)
		for i := range bursts {
			source.Capture(x, p.clock.Now())
			if i == 700 {
				source.MarkGap()
			}
			if i%4 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	})
	all.Go(func() { // the loudspeaker
		dst := make([]float32, 256)
		for {
			select {
			case <-stop:
				return
			case <-time.After(300 * time.Microsecond):
				sink.Play(dst)
			}
		}
	})
	all.Go(func() { // the reporter
		for {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Microsecond):
				if l := p.Snapshot().Ledger; l.In != l.Out+l.Dropped.Sum()+l.InFlight || l.InFlight > bursts*128 {
					t.Errorf("ledger %+v", l)
					return
				}
			}
		}
	})
	if err := p.Run(t.Context()); err != nil {
		t.Error(err)
	}
	close(stop)
	all.Wait()
	s := p.Snapshot()
	l := s.Ledger
	if l.In != bursts*128 || l.InFlight != 0 || l.Dropped.Aborted != 0 || l.Out == 0 {
		t.Errorf("ledger %+v after %d frames", l, bursts*128)
	}
	if s.Source.Gaps != 1 || s.Discontinuities == 0 {
		t.Errorf("%d gaps, %d discontinuities", s.Source.Gaps, s.Discontinuities)
	}
	if lost := s.Source.Lost; lost != l.Dropped.CaptureOverrun {
		t.Errorf("%d frames lost in the ring, %d in the ledger", lost, l.Dropped.CaptureOverrun)
	}
	t.Logf("ledger %+v, sink %+v", l, *s.Sink)
}
