package stream

import (
	"testing"
	"time"
)

// What is within a bound must be what a plain count says, but for durations as close to it as a bucket is wide.
func TestDistribution(t *testing.T) {
	bounds := []time.Duration{100 * time.Microsecond, time.Millisecond, 10 * time.Millisecond, time.Second}
	var h Histogram
	var sum time.Duration
	want := make([]uint64, len(bounds))
	n := uint64(0)
	for d := 70 * time.Microsecond; d < 3*time.Second; d = d * 11 / 10 {
		near := false
		for _, b := range bounds {
			near = near || d > b*96/100 && d < b*104/100
		}
		if near {
			continue
		}
		h.Record(d, 0)
		n, sum = n+1, sum+d
		for i, b := range bounds {
			if d <= b {
				want[i]++
			}
		}
	}
	got := h.distribution(bounds)
	if got.Count != n || got.Sum != sum {
		t.Errorf("count %d, sum %v; want %d, %v", got.Count, got.Sum, n, sum)
	}
	for i := range bounds {
		if got.Within[i] != want[i] || want[i] == 0 {
			t.Errorf("%d within %v, want %d", got.Within[i], bounds[i], want[i])
		}
	}
}

func TestMetersAddUp(t *testing.T) {
	bounds := []time.Duration{time.Millisecond}
	one := func(stage string, d time.Duration) Meters {
		var h Histogram
		h.Record(d, 0)
		x := h.distribution(bounds)
		return Meters{Stages: []StageMeters{{stage, x, x}}, Total: x, Chunks: 1, Overloads: 2, Audio: time.Second}
	}
	var sum Meters
	sum.Add(one("a", 100*time.Microsecond))
	sum.Add(one("b", 100*time.Microsecond))
	sum.Add(one("a", 5*time.Millisecond))
	if len(sum.Stages) != 2 || sum.Stages[0].Compute.Count != 2 || sum.Stages[0].Wait.Within[0] != 1 || sum.Stages[1].Compute.Count != 1 {
		t.Errorf("stages %+v", sum.Stages)
	}
	if sum.Total.Count != 3 || sum.Total.Within[0] != 2 || sum.Chunks != 3 || sum.Overloads != 6 || sum.Audio != 3*time.Second {
		t.Errorf("sums %+v", sum)
	}
}
