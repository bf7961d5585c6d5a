package infer

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// sleepyRun is a GPU that takes so long for a run, whoever is in it.
type sleepyRun struct{ takes time.Duration }

func (r sleepyRun) run(int, []*seat) error {
	if r.takes > 0 {
		time.Sleep(r.takes)
	}
	return nil
}
func (sleepyRun) measure(Policy, int) (time.Duration, error) { return 0, nil }
func (sleepyRun) close() error                               { return nil }

// sleepyCrowd is seats of a batcher on such a GPU, served by so many workers.
func sleepyCrowd(tb testing.TB, seats, workers int, r sleepyRun) []*seat {
	tb.Helper()
	policy := DefaultPolicy()
	policy.Batch.KeepWarm = 0
	b := newBatcher(&Contract{Batch: true}, policy, 1, network{}, time.Millisecond, nil)
	b.sizes = append(b.sizes, BatchSize{Sessions: 64, Least: time.Millisecond}, BatchSize{Sessions: 256, Least: time.Millisecond})
	b.crowdedAnyway, b.opened = true, true
	b.shared.Store(true)
	for range workers {
		b.workers.Go(func() { b.work(r, make([]*seat, 256)) })
	}
	tb.Cleanup(b.close)
	var all []*seat
	for range seats {
		all = append(all, b.join(&binding{single: &graph{network: network{hops: 1}}}))
	}
	return all
}

// What it costs to queue a hop, to be chosen and to be woken, with hundreds of sessions that all have one.
func BenchmarkQueue(b *testing.B) {
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprint(workers, " workers"), func(b *testing.B) {
			seats := sleepyCrowd(b, 500, workers, sleepyRun{})
			var all sync.WaitGroup
			for _, s := range seats {
				all.Go(func() {
					for range max(1, b.N/len(seats)) {
						s.begin(1)
						_ = s.run(s.bound.single)
					}
				})
			}
			all.Wait()
		})
	}
}

// After a stall everybody has hops to catch up with: as many run as the GPU takes at once, and nobody is left behind the others.
func TestEverybodyCatchesUp(t *testing.T) {
	const seats, behind = 500, 20
	all := sleepyCrowd(t, seats, 2, sleepyRun{time.Millisecond})
	var mu sync.Mutex
	var done []time.Duration
	var crowd sync.WaitGroup
	began := time.Now()
	for _, s := range all {
		crowd.Go(func() {
			for range behind {
				s.begin(1)
				check(t, s.run(s.bound.single))
			}
			mu.Lock()
			done = append(done, time.Since(began))
			mu.Unlock()
		})
	}
	crowd.Wait()
	slices.Sort(done)
	first, last := done[0], done[len(done)-1]
	stats := all[0].batcher.stats()
	runs := uint64(0)
	for _, z := range stats.Sizes {
		runs += z.Runs
	}
	t.Logf("%d hops in %d runs: first after %v, last after %v; %+v", stats.Hops, runs, first, last, stats.Sizes)
	if stats.Hops != seats*behind || runs > seats*behind/20 {
		t.Errorf("%d hops in %d runs, expected %d, more than 20 a run", stats.Hops, runs, seats*behind)
	}
	if first < last/2 {
		t.Errorf("the first was done after %v, the last after %v: somebody was left behind", first, last)
	}
}
