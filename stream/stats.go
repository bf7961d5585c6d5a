package stream

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/autovoiced/autovoiced/dsp"
)

// Stats measures one pipeline. The goroutine that delivers chunks records, once a chunk, all of
// its times; any goroutine may take a Snapshot. Nothing here makes audio wait for a reader.
type Stats struct {
	stages []stageStats

	captureWait, sinkWait, delivery, total, compute Histogram

	chunks, discontinuities atomic.Uint64
	audio, computed         atomic.Uint64 // ns of signal delivered, ns computed on it
	badSamples              atomic.Uint64
	overloads, overloadRun  atomic.Uint64
	loadLast, loadMean      atomic.Uint64 // bits of float64, percent
	in, out                 level
	loadWarm                int
}

type stageStats struct {
	compute, wait Histogram
}

// Snapshot is a pipeline at one moment: plain data, free to keep, in the shape of the reports.
type Snapshot struct {
	Stages []StageSnapshot `json:"stages"`
	// Total is the time from the capture of a chunk's first sample to its delivery. It is the sum
	// of CaptureWait, every stage's Wait and Compute, SinkWait and Delivery, chunk by chunk.
	Total       Timing `json:"total"`
	CaptureWait Timing `json:"capture_wait"` // until the chunk was complete: its own length at least, if live
	SinkWait    Timing `json:"sink_wait"`
	Delivery    Timing `json:"delivery"` // output resampling and the sink's Write
	Compute     Timing `json:"compute"`  // of all stages together

	Chunks          uint64        `json:"chunks"`
	Audio           time.Duration `json:"audio_ns"` // delivered so far
	Latency         time.Duration `json:"algorithmic_latency_ns"`
	Load            Load          `json:"load"`
	RTF             float64       `json:"rtf"` // computing time ÷ signal time since the start
	Discontinuities uint64        `json:"discontinuities"`
	BadSamples      uint64        `json:"bad_samples"` // NaN, infinite or absurd input, replaced by 0
	SinkQueue       int           `json:"sink_queue"`
	QueueCap        int           `json:"queue_capacity"`

	Levels    Levels          `json:"levels"`
	Ledger    LedgerSnapshot  `json:"ledger"`
	Profiling ProfileSnapshot `json:"profiling"`
	Source    *EdgeSnapshot   `json:"source,omitempty"` // nil where the edge has no queue of its own
	Sink      *EdgeSnapshot   `json:"sink,omitempty"`
}

// StageSnapshot is one stage's part of a Snapshot.
type StageSnapshot struct {
	Name    string        `json:"name"`
	Mode    string        `json:"mode"`
	Latency time.Duration `json:"latency_ns"`
	Compute Timing        `json:"compute"`
	Wait    Timing        `json:"wait"`  // in the queue before the stage
	Queue   int           `json:"queue"` // chunks in that queue now
}

// Load is computing time in percent of the signal's duration.
type Load struct {
	Last      float64 `json:"last_percent"`
	Mean      float64 `json:"mean_percent"` // over about the last second
	Overloads uint64  `json:"overloads"`    // chunks above 100 %
	Run       uint64  `json:"overload_run"` // how many of them in a row, up to now
}

// Levels are in dB relative to full scale, 0 for a square wave of ±1; silence is -120. RMS covers
// about 300 ms; peaks rise at once and fall by 20 dB a second.
type Levels struct {
	InRMS   float64 `json:"in_rms_dbfs"`
	InPeak  float64 `json:"in_peak_dbfs"`
	OutRMS  float64 `json:"out_rms_dbfs"`
	OutPeak float64 `json:"out_peak_dbfs"`
}

const loadSmoothing = 1. / 64

// record books a delivered chunk that stands for length of signal.
func (s *Stats) record(m *marks, length time.Duration) {
	now := m.delivered
	s.captureWait.Record(m.read-m.captured, now)
	previous, compute := m.read, time.Duration(0)
	for i := range s.stages {
		stage, at := &s.stages[i], m.stages[i]
		stage.wait.Record(at.take-previous, now)
		stage.compute.Record(at.done-at.take, now)
		compute += at.done - at.take
		previous = at.done
	}
	s.sinkWait.Record(m.take-previous, now)
	s.delivery.Record(m.delivered-m.take, now)
	s.compute.Record(compute, now)
	s.total.Record(m.delivered-m.captured, now)

	bump(&s.chunks, 1)
	bump(&s.audio, uint64(length))
	bump(&s.computed, uint64(compute))
	s.recordLoad(100 * float64(compute) / float64(length))
}

func (s *Stats) recordLoad(percent float64) {
	s.loadLast.Store(math.Float64bits(percent))
	mean := math.Float64frombits(s.loadMean.Load())
	s.loadWarm++
	mean += (percent - mean) * max(loadSmoothing, 1/float64(s.loadWarm))
	s.loadMean.Store(math.Float64bits(mean))
	if percent <= 100 {
		s.overloadRun.Store(0)
		return
	}
	bump(&s.overloads, 1)
	bump(&s.overloadRun, 1)
}

// fill writes the measured part of a Snapshot, seen at the moment now.
func (s *Stats) fill(out *Snapshot, now time.Duration) {
	out.Total, out.Compute = s.total.Timing(now), s.compute.Timing(now)
	out.CaptureWait, out.SinkWait = s.captureWait.Timing(now), s.sinkWait.Timing(now)
	out.Delivery = s.delivery.Timing(now)
	for i := range s.stages {
		out.Stages[i].Compute = s.stages[i].compute.Timing(now)
		out.Stages[i].Wait = s.stages[i].wait.Timing(now)
	}
	out.Chunks, out.Audio = s.chunks.Load(), time.Duration(s.audio.Load())
	if out.Audio > 0 {
		out.RTF = float64(s.computed.Load()) / float64(out.Audio)
	}
	out.Load = Load{
		Last: math.Float64frombits(s.loadLast.Load()), Mean: math.Float64frombits(s.loadMean.Load()),
		Overloads: s.overloads.Load(), Run: s.overloadRun.Load(),
	}
	out.Discontinuities, out.BadSamples = s.discontinuities.Load(), s.badSamples.Load()
	out.Levels = Levels{
		InRMS: decibels(s.in.rms()), InPeak: decibels(s.in.peak()),
		OutRMS: decibels(s.out.rms()), OutPeak: decibels(s.out.peak()),
	}
}

// level follows a signal chunk by chunk; one goroutine updates, any reads.
type level struct {
	power, top atomic.Uint32 // bits of float32, linear
}

const (
	levelMemory = 0.3  // s, of the RMS
	levelFall   = 20.0 // dB a second, of the peak
)

func (l *level) update(rms, peak float32, length time.Duration) {
	s := length.Seconds()
	power := math.Float32frombits(l.power.Load())
	power += (rms*rms - power) * float32(min(1, s/levelMemory))
	storeFloat(&l.power, power)
	fallen := math.Float32frombits(l.top.Load()) * float32(math.Exp(-levelFall*math.Ln10/20*s))
	storeFloat(&l.top, max(peak, fallen))
}

func (l *level) rms() float64  { return math.Sqrt(float64(math.Float32frombits(l.power.Load()))) }
func (l *level) peak() float64 { return float64(math.Float32frombits(l.top.Load())) }

func decibels(linear float64) float64 {
	return math.Round(max(20*math.Log10(linear+1e-9), -120)*100) / 100
}

// inspect replaces samples that are NaN, infinite or beyond dsp.MaxSample by 0, and gives how many
// those were, the RMS and the peak of the rest.
func inspect(x []float32) (bad int, rms, peak float32) {
	var power float64
	for i, v := range x {
		if !(v >= -dsp.MaxSample && v <= dsp.MaxSample) {
			x[i], v = 0, 0
			bad++
		}
		power += float64(v) * float64(v)
		peak = max(peak, v, -v)
	}
	if len(x) > 0 {
		rms = float32(math.Sqrt(power / float64(len(x))))
	}
	return bad, rms, peak
}

func storeFloat(to *atomic.Uint32, v float32) { to.Store(math.Float32bits(v)) }
