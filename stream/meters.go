package stream

import (
	"slices"
	"time"
)

// Meters are what pipelines have measured since their start, as counters that can be added up over pipelines and
// never fall: for programs that keep histories. A Snapshot tells the same of one pipeline, for people.
type Meters struct {
	Stages      []StageMeters // in the order of the pipeline
	CaptureWait Distribution
	SinkWait    Distribution
	Delivery    Distribution
	Total       Distribution
	Compute     Distribution // of all stages together

	Chunks, Overloads           uint64 // Overloads took longer to compute than they last
	Discontinuities, BadSamples uint64
	Audio, Computed             time.Duration // of signal delivered, and computed on it
}

// StageMeters are one stage's.
type StageMeters struct {
	Name          string
	Compute, Wait Distribution
}

// Distribution counts durations by upper bound: Within[i] were no longer than the i-th bound (to 3 %, see
// Histogram), Count is how many there were.
type Distribution struct {
	Within []uint64
	Count  uint64
	Sum    time.Duration
}

// Meters reads the counters; bounds are ascending. Any goroutine may ask at any time; audio never waits.
func (p *Pipeline) Meters(bounds []time.Duration) Meters {
	s := &p.stats
	m := Meters{
		CaptureWait: s.captureWait.distribution(bounds), SinkWait: s.sinkWait.distribution(bounds),
		Delivery: s.delivery.distribution(bounds), Total: s.total.distribution(bounds), Compute: s.compute.distribution(bounds),
		Chunks: s.chunks.Load(), Overloads: s.overloads.Load(),
		Discontinuities: s.discontinuities.Load(), BadSamples: s.badSamples.Load(),
		Audio: time.Duration(s.audio.Load()), Computed: time.Duration(s.computed.Load()),
	}
	for i, stage := range p.opt.Stages {
		m.Stages = append(m.Stages, StageMeters{
			Name: stage.Name(), Compute: s.stages[i].compute.distribution(bounds), Wait: s.stages[i].wait.distribution(bounds),
		})
	}
	return m
}

// distribution counts by the middles of the buckets. Count is the sum over the buckets, so that it fits what is
// counted within the bounds even while somebody records.
func (h *Histogram) distribution(bounds []time.Duration) Distribution {
	d := Distribution{Within: make([]uint64, len(bounds)), Sum: time.Duration(h.sum.Load())}
	at := 0
	for i := range h.total {
		n := h.total[i].Load()
		if n == 0 {
			continue
		}
		for at < len(bounds) && bucketMiddle(i) > bounds[at] {
			d.Within[at] = d.Count
			at++
		}
		d.Count += n
	}
	for ; at < len(bounds); at++ {
		d.Within[at] = d.Count
	}
	return d
}

// Add adds another pipeline's counters, read with the same bounds. Stages are told apart by name.
func (m *Meters) Add(o Meters) {
	for _, stage := range o.Stages {
		i := slices.IndexFunc(m.Stages, func(s StageMeters) bool { return s.Name == stage.Name })
		if i < 0 {
			i = len(m.Stages)
			m.Stages = append(m.Stages, StageMeters{Name: stage.Name})
		}
		m.Stages[i].Compute.add(stage.Compute)
		m.Stages[i].Wait.add(stage.Wait)
	}
	m.CaptureWait.add(o.CaptureWait)
	m.SinkWait.add(o.SinkWait)
	m.Delivery.add(o.Delivery)
	m.Total.add(o.Total)
	m.Compute.add(o.Compute)
	m.Chunks += o.Chunks
	m.Overloads += o.Overloads
	m.Discontinuities += o.Discontinuities
	m.BadSamples += o.BadSamples
	m.Audio += o.Audio
	m.Computed += o.Computed
}

func (d *Distribution) add(o Distribution) {
	if d.Within == nil {
		d.Within = make([]uint64, len(o.Within))
	}
	for i, n := range o.Within {
		d.Within[i] += n
	}
	d.Count += o.Count
	d.Sum += o.Sum
}
