package portaudio

/*
#include "device_stream.h"
*/
import "C"

import (
	"time"

	"github.com/autovoiced/autovoiced/stream"
)

// Stats are the device's figures since Open, over all reconnections.
type Stats struct {
	State   State   `json:"state"`
	Fault   string  `json:"fault,omitempty"` // why it is not running
	Opening Opening `json:"opening"`

	Losses     uint64 `json:"losses"`
	Reconnects uint64 `json:"reconnects"`

	Callbacks uint64 `json:"callbacks"`
	Period    int    `json:"period_frames"` // of the last callback
	// Xruns are callbacks that were told of audio lost in the device or its server; JACK raises
	// two flags for each.
	Xruns            uint64 `json:"xruns"`
	InputOverflows   uint64 `json:"input_overflows"`
	InputUnderflows  uint64 `json:"input_underflows"`
	OutputUnderflows uint64 `json:"output_underflows"`
	OutputOverflows  uint64 `json:"output_overflows"`

	GapP50  time.Duration `json:"gap_p50_ns"` // time between callbacks
	GapP99  time.Duration `json:"gap_p99_ns"`
	GapMax  time.Duration `json:"gap_max_ns"`
	BusyMax time.Duration `json:"busy_max_ns"` // longest callback

	InputLatency  time.Duration `json:"input_latency_ns"`  // as the device reports it
	OutputLatency time.Duration `json:"output_latency_ns"` // as the device reports it

	Capture stream.EdgeSnapshot `json:"capture"`
	Playout stream.EdgeSnapshot `json:"playout"` // Underruns: times that the pipeline was late
}

// tally adds up the counters of links.
type tally struct{ n C.av_counters }

func (t *tally) add(l *link) {
	for _, line := range l.lines {
		var c C.av_counters
		C.av_count(line.engine, &c)
		t.n.callbacks += c.callbacks
		t.n.input_underflow += c.input_underflow
		t.n.input_overflow += c.input_overflow
		t.n.output_underflow += c.output_underflow
		t.n.output_overflow += c.output_overflow
		t.n.xruns += c.xruns
		t.n.frames = c.frames
		t.n.input_latency_ns = max(t.n.input_latency_ns, c.input_latency_ns)
		t.n.output_latency_ns = max(t.n.output_latency_ns, c.output_latency_ns)
		t.n.gap_max_ns = max(t.n.gap_max_ns, c.gap_max_ns)
		t.n.busy_max_ns = max(t.n.busy_max_ns, c.busy_max_ns)
		for i, n := range c.gaps {
			t.n.gaps[i] += n
		}
	}
}

// progress is the callbacks of the slowest stream, and the largest period in frames.
func (l *link) progress() (least uint64, period int) {
	for i, line := range l.lines {
		var c C.av_counters
		C.av_count(line.engine, &c)
		if n := uint64(c.callbacks); i == 0 || n < least {
			least = n
		}
		period = max(period, int(c.frames))
	}
	return least, period
}

// Stats reads the figures. It delays no audio.
func (d *Duplex) Stats() Stats {
	d.mu.Lock()
	t := d.past
	if d.link != nil {
		t.n.input_latency_ns, t.n.output_latency_ns = 0, 0 // of the device that is open now
		t.add(d.link)
	}
	s := Stats{State: d.state, Opening: d.first, Losses: d.losses, Reconnects: d.back}
	if d.fault != nil {
		s.Fault = d.fault.Error()
	}
	d.mu.Unlock()

	n := &t.n
	s.Callbacks, s.Period = uint64(n.callbacks), int(n.frames)
	s.InputOverflows, s.InputUnderflows = uint64(n.input_overflow), uint64(n.input_underflow)
	s.OutputOverflows, s.OutputUnderflows = uint64(n.output_overflow), uint64(n.output_underflow)
	s.Xruns = uint64(n.xruns)
	s.GapP50, s.GapP99 = percentile(n, 0.50), percentile(n, 0.99)
	s.GapMax, s.BusyMax = time.Duration(n.gap_max_ns), time.Duration(n.busy_max_ns)
	s.InputLatency, s.OutputLatency = time.Duration(n.input_latency_ns), time.Duration(n.output_latency_ns)
	if d.edges.source != nil {
		s.Capture = d.edges.source.Edge()
	}
	if d.edges.sink != nil {
		s.Playout = d.edges.sink.Edge()
	}
	return s
}

// percentile of the callback gaps: the upper end of its bucket, at most 1/16 above the truth.
func percentile(n *C.av_counters, p float64) time.Duration {
	var total uint64
	for _, c := range n.gaps {
		total += uint64(c)
	}
	if total == 0 {
		return 0
	}
	rank, below := uint64(p*float64(total)), uint64(0)
	for i, c := range n.gaps {
		if below += uint64(c); below > rank {
			return min(bucketEnd(i), time.Duration(n.gap_max_ns))
		}
	}
	return time.Duration(n.gap_max_ns)
}

// bucketEnd mirrors count_gap in engine.c.
func bucketEnd(i int) time.Duration {
	octave, step := i/C.AV_OCTAVE, i%C.AV_OCTAVE
	if octave == 0 {
		return time.Duration(step+1) * time.Microsecond
	}
	return time.Duration((C.AV_OCTAVE+step+1)<<(octave-1)) * time.Microsecond
}
