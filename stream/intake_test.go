package stream

import (
	"context"
	"testing"
)

// missing is exact: with that many frames the hop is whole, with one less it is not. Otherwise a live
// voice waits a chunk longer than it must.
func TestMissingCompletesTheHop(t *testing.T) {
	for _, rate := range []int{8000, 16000, 22050, 24000, 32000, 44100, 48000} {
		for _, in := range []int{16000, 48000} {
			source := NewRingSource(rate, rate, rate/100, nil)
			p, err := New(Options{Source: source, Sink: &memorySink{rate: in}, InRate: in, OutRate: in})
			if err != nil {
				t.Fatal(err)
			}
			k := p.intake
			for hop := range 50 {
				n := k.missing()
				if n < 1 || n > rate/25 {
					t.Fatalf("%d to %d Hz, hop %d: %d frames are missing", rate, in, hop, n)
				}
				k.push(make([]float32, n-1))
				if len(k.fifo) >= p.opt.Hop {
					t.Fatalf("%d to %d Hz, hop %d: whole with less than the %d frames asked for", rate, in, hop, n)
				}
				k.push(make([]float32, 1))
				if len(k.fifo) < p.opt.Hop {
					t.Fatalf("%d to %d Hz, hop %d: %d frames do not make it whole", rate, in, hop, n)
				}
				k.fifo = k.fifo[:copy(k.fifo, k.fifo[p.opt.Hop:])]
			}
		}
	}
}

func TestRingSourceGivesWhatIsWanted(t *testing.T) {
	s := NewRingSource(48000, 4800, 480, nil)
	s.Capture(make([]float32, 1000), 0)
	var c Chunk
	for _, want := range []int{37, 480, 1} {
		s.Want(want)
		if err := s.Read(context.Background(), &c); err != nil || len(c.Samples) != want || c.Frames != want {
			t.Errorf("wanted %d frames: got %d, counted as %d, %v", want, len(c.Samples), c.Frames, err)
		}
	}
	s.Want(1 << 30) // more than it can ever hold
	s.Capture(make([]float32, 4800), 0)
	if err := s.Read(context.Background(), &c); err != nil || len(c.Samples) != 4800 {
		t.Errorf("a ring of 4800 frames gave %d, %v", len(c.Samples), err)
	}
}
