package client

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longestTrip is where round trips are cut off.
const longestTrip = time.Minute

// RoundTrips is a distribution of round trips in fixed memory.
type RoundTrips struct {
	mu   sync.Mutex
	hist *hdrhistogram.Histogram // µs
	last time.Duration
}

func newRoundTrips() RoundTrips {
	return RoundTrips{hist: hdrhistogram.New(1, longestTrip.Microseconds(), 3)}
}

func (r *RoundTrips) record(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = d
	_ = r.hist.RecordValue(min(max(d.Microseconds(), 0), longestTrip.Microseconds())) // in range: cannot fail
}

// Count is how many reply frames were measured.
func (r *RoundTrips) Count() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hist.TotalCount()
}

// Last is the newest round trip.
func (r *RoundTrips) Last() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// Percentile gives the round trip that p percent of the frames stayed within; 100 is the longest.
func (r *RoundTrips) Percentile(p float64) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Duration(r.hist.ValueAtPercentile(p)) * time.Microsecond
}
