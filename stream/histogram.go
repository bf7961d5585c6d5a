package stream

import (
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	histSub     = 16 // buckets an octave: a percentile is within 1/32 of the truth
	histUnit    = 6  // log2 of the finest bucket, 64 ns
	histOctaves = 26 // up to 64 ns * 16 * 2^26 = 68 s; longer times share the last bucket
	histBuckets = histSub * (histOctaves + 1)

	sliceTime  = 2 * time.Second
	windowLen  = 5 // slices: the last 10 s, counting the running one
	sliceCount = windowLen + 1
)

// Histogram counts durations in fixed memory, log-linear, since the start and over the last ten
// seconds. One goroutine records; any may read at any time, and a reader never delays it.
type Histogram struct {
	count, sum, last, max atomic.Uint64
	total                 [histBuckets]atomic.Uint64
	slices                [sliceCount]histSlice
}

type histSlice struct {
	epoch   atomic.Int64 // 1 + number of the 2 s slice; 0 while it is being cleared
	max     atomic.Uint64
	buckets [histBuckets]atomic.Uint32
}

// Timing sums up a Histogram. Times are in nanoseconds in JSON. Percentiles are within 3 % of
// the truth; Last, Mean and Max are exact.
type Timing struct {
	Count  uint64        `json:"count"`
	Last   time.Duration `json:"last_ns"`
	Mean   time.Duration `json:"mean_ns"`
	P50    time.Duration `json:"p50_ns"`
	P95    time.Duration `json:"p95_ns"`
	P99    time.Duration `json:"p99_ns"`
	Max    time.Duration `json:"max_ns"`
	Sum    time.Duration `json:"sum_ns"`
	Recent Recent        `json:"recent"`
}

// Recent is the part of a Timing that covers the last 10 s.
type Recent struct {
	Count uint64        `json:"count"`
	P50   time.Duration `json:"p50_ns"`
	P95   time.Duration `json:"p95_ns"`
	P99   time.Duration `json:"p99_ns"`
	Max   time.Duration `json:"max_ns"`
}

func bucketOf(d time.Duration) int {
	v := uint64(d) >> histUnit
	if v < histSub {
		return int(v)
	}
	octave := bits.Len64(v) - bits.Len64(histSub) // 0 for the octave [16,32)
	return min(histSub*(octave+1)+int(v>>octave)-histSub, histBuckets-1)
}

// bucketMiddle is the duration that stands for all in a bucket.
func bucketMiddle(i int) time.Duration {
	if i < histSub {
		return time.Duration(2*i+1) << (histUnit - 1)
	}
	octave := i/histSub - 1
	low := uint64(histSub+i%histSub) << octave << histUnit
	return time.Duration(low + 1<<octave<<histUnit/2)
}

// Record counts d, measured at the moment now. Negative durations count as 0.
func (h *Histogram) Record(d, now time.Duration) {
	d = max(d, 0)
	b := bucketOf(d)
	bump(&h.total[b], 1)
	bump(&h.count, 1)
	bump(&h.sum, uint64(d))
	h.last.Store(uint64(d))
	if uint64(d) > h.max.Load() {
		h.max.Store(uint64(d))
	}

	epoch := int64(now/sliceTime) + 1
	s := &h.slices[epoch%sliceCount]
	if s.epoch.Load() != epoch {
		s.epoch.Store(0)
		for i := range s.buckets {
			s.buckets[i].Store(0)
		}
		s.max.Store(0)
		s.epoch.Store(epoch)
	}
	s.buckets[b].Store(s.buckets[b].Load() + 1)
	if uint64(d) > s.max.Load() {
		s.max.Store(uint64(d))
	}
}

// bump adds to a counter that only this goroutine writes.
func bump(c *atomic.Uint64, n uint64) { c.Store(c.Load() + n) }

// Timing sums up what was recorded, seen at the moment now.
func (h *Histogram) Timing(now time.Duration) Timing {
	var counts [histBuckets]uint64
	for i := range counts {
		counts[i] = h.total[i].Load()
	}
	t := Timing{
		Count: h.count.Load(), Sum: time.Duration(h.sum.Load()),
		Last: time.Duration(h.last.Load()), Max: time.Duration(h.max.Load()),
	}
	if t.Count > 0 {
		t.Mean = t.Sum / time.Duration(t.Count)
	}
	_, t.P50, t.P95, t.P99 = percentiles(&counts, t.Max)

	clear(counts[:])
	current := int64(now/sliceTime) + 1
	for i := range h.slices {
		s := &h.slices[i]
		epoch := s.epoch.Load()
		if epoch <= current-windowLen || epoch == 0 {
			continue
		}
		t.Recent.Max = max(t.Recent.Max, time.Duration(s.max.Load()))
		for b := range s.buckets {
			counts[b] += uint64(s.buckets[b].Load())
		}
	}
	t.Recent.Count, t.Recent.P50, t.Recent.P95, t.Recent.P99 = percentiles(&counts, t.Recent.Max)
	return t
}

func percentiles(counts *[histBuckets]uint64, most time.Duration) (n uint64, p50, p95, p99 time.Duration) {
	for _, c := range counts {
		n += c
	}
	at := func(permille uint64) time.Duration {
		rank, seen := (n*permille+999)/1000, uint64(0)
		for i, c := range counts {
			if seen += c; c > 0 && seen >= rank {
				return min(bucketMiddle(i), most)
			}
		}
		return 0
	}
	return n, at(500), at(950), at(990)
}
