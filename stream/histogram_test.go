package stream

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestHistogramPercentilesAreWithinThreePercent(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	var all []time.Duration
	for range 20_000 {
		d := time.Duration(3000 * float64(time.Microsecond) * r.ExpFloat64())
		all = append(all, d)
		h.Record(d, time.Second)
	}
	slices.Sort(all)
	got := h.Timing(time.Second)
	for _, c := range []struct {
		name      string
		got, want time.Duration
	}{
		{"p50", got.P50, all[10_000-1]},
		{"p95", got.P95, all[19_000-1]},
		{"p99", got.P99, all[19_800-1]},
		{"recent p99", got.Recent.P99, all[19_800-1]},
	} {
		if off := float64(c.got)/float64(c.want) - 1; off > 0.033 || off < -0.033 {
			t.Errorf("%s is %v, expected %v", c.name, c.got, c.want)
		}
	}
	if got.Max != all[len(all)-1] || got.Recent.Max != got.Max || got.Count != 20_000 || got.Recent.Count != 20_000 {
		t.Errorf("%+v", got)
	}
}

func TestHistogramBucketsAreInOrderAndHoldTheirMiddle(t *testing.T) {
	for i := range histBuckets {
		if b := bucketOf(bucketMiddle(i)); b != i {
			t.Fatalf("the middle %v of bucket %d lies in bucket %d", bucketMiddle(i), i, b)
		}
	}
	if bucketOf(time.Hour) != histBuckets-1 || bucketOf(0) != 0 {
		t.Error("the ends are not in the outer buckets")
	}
}

func TestHistogramForgetsAfterTenSeconds(t *testing.T) {
	var h Histogram
	h.Record(time.Second, 0)
	for s := range 30 {
		now := time.Duration(s) * time.Second
		h.Record(time.Millisecond, now)
		recent := h.Timing(now).Recent
		if old := recent.Max == time.Second; old != (s < 10) {
			t.Errorf("after %d s: %+v", s, recent)
		}
		if s > 12 && (recent.Count < 9 || recent.Count > 10) {
			t.Errorf("after %d s: %d recent of one a second", s, recent.Count)
		}
	}
	if quiet := h.Timing(time.Hour); quiet.Recent.Count != 0 || quiet.Count != 31 {
		t.Errorf("after an hour: %+v", quiet)
	}
}

func BenchmarkHistogram(b *testing.B) {
	var h Histogram
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		h.Record(time.Duration(i&0xfffff), time.Duration(i)*time.Millisecond)
	}
}
