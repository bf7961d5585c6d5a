package stream

import (
	"context"
	"slices"
	"sync"
	"testing"
)

// A listener gets every sample that passes while it listens, and hearing allocates nothing.
func TestTap(t *testing.T) {
	var tap Tap
	chunk := make([]float32, 480)
	tap.hear(chunk) // nobody listens
	ctx, stop := context.WithCancel(t.Context())
	kept := &keeper{rate: 48000}
	var all sync.WaitGroup
	all.Go(func() {
		if lost, err := tap.Listen(ctx, kept, nil); lost != 0 || err != nil {
			t.Errorf("lost %d, %v", lost, err)
		}
	})
	for tap.ring.Load() == nil { // until it listens
	}
	if _, err := tap.Listen(ctx, kept, nil); err == nil {
		t.Error("two may listen")
	}
	var want []float32
	for i := range 100 {
		for j := range chunk {
			chunk[j] = float32(i*len(chunk)+j) / 1e5
		}
		want = append(want, chunk...)
		tap.hear(chunk)
	}
	stop()
	all.Wait()
	if !slices.Equal(kept.samples, want) || !kept.drained {
		t.Errorf("%d samples kept, want the %d that passed; drained %v", len(kept.samples), len(want), kept.drained)
	}
	tap.hear(chunk)
	if len(kept.samples) != len(want) {
		t.Error("heard after the end")
	}
}

func TestTapAllocatesNothing(t *testing.T) {
	tap := Tap{}
	tap.ring.Store(NewRing(48000, 48000))
	chunk := make([]float32, 480)
	if n := testing.AllocsPerRun(100, func() { tap.hear(chunk) }); n != 0 {
		t.Errorf("%v allocations a chunk", n)
	}
}

// keeper is a sink that remembers.
type keeper struct {
	rate    int
	samples []float32
	drained bool
}

func (k *keeper) Rate() int { return k.rate }

func (k *keeper) Write(_ context.Context, c *Chunk) error {
	k.samples = append(k.samples, c.Samples...)
	return nil
}

func (k *keeper) Drain(context.Context) error {
	k.drained = true
	return nil
}

func (k *keeper) Close() error { return nil }
