package infer

import (
	"slices"
	"time"
)

// BatchStats is a look at how the sessions of one engine share its runs.
type BatchStats struct {
	Pack string `json:"pack"`
	// Separate says why each session runs alone, whatever the load; empty when they need not.
	Separate string `json:"separate,omitempty"`
	Sessions int    `json:"sessions"` // live now
	Waiting  int    `json:"waiting"`  // hops in the queue now
	Parallel int    `json:"parallel"` // runs beside each other at most
	// Load is the share of the time of all runs beside each other that is used, of late.
	Load float64 `json:"load"`
	Hops uint64  `json:"hops"`
	// Late counts the hops that were done later than the next one came.
	Late uint64 `json:"late"`
	// Refused are the sizes that are not used, with the reason of each.
	Refused []string `json:"refused,omitempty"`
	// OneByOne says why a GPU copies the states of a run's sessions one by one, which takes longer; empty where it need not.
	OneByOne string `json:"one_by_one,omitempty"`
	// Sizes are the runs by how many sessions they can serve, ascending from 1.
	Sizes []BatchSize `json:"sizes"`
	// Warmups counts the runs for nobody.
	Warmups uint64 `json:"warmups"`
}

// BatchSize is the runs that can serve so many sessions.
type BatchSize struct {
	Sessions int           `json:"sessions"`
	Runs     uint64        `json:"runs"`
	Rows     uint64        `json:"rows"`  // hops that they have done
	Cost     time.Duration `json:"cost"`  // of a run, of late
	Least    time.Duration `json:"least"` // that one took
	Most     time.Duration `json:"most"`
	Slow     uint64        `json:"slow"` // runs that took longer than a hop lasts
	// Precision of its network; Gate is how far fp16 was found to be from fp32, where it runs so.
	Precision string    `json:"precision,omitempty"`
	Gate      *Distance `json:"gate,omitempty"`
}

// Batching is how the engine's live sessions share runs now; the zero value for a pass-through, which computes nothing. Any
// goroutine may ask.
func (e *Engine) Batching() BatchStats {
	if e.batch == nil {
		return BatchStats{Pack: e.contract.Name}
	}
	s := e.batch.stats()
	s.Pack = e.contract.Name
	return s
}

func (b *batcher) stats() BatchStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	return BatchStats{
		Separate: b.why, Sessions: b.seats, Waiting: len(b.queue), Parallel: b.parallel, Load: b.busy.at(time.Now()),
		Hops: b.hops, Late: b.lateHops, Sizes: slices.Clone(b.sizes), Warmups: b.warmups, Refused: slices.Clone(b.refused), OneByOne: b.oneByOne,
	}
}

// Forecast is what the live sessions of an engine would meet.
type Forecast struct {
	// Load is the share of the time of all runs beside each other; above 1 they never catch up.
	Load float64
	// Hop is how long one would wait and run.
	Hop time.Duration
	// Late is the share of hops that were late in the last moments, as it is now.
	Late float64
}

// Forecast reckons with so many live sessions, by what runs were measured to cost.
func (e *Engine) Forecast(sessions int) Forecast {
	if e.batch == nil {
		return Forecast{}
	}
	return e.batch.forecast(sessions)
}

// roomy is the load up to which the smallest runs that keep up are reckoned with.
const roomy = 0.8

// forecast takes the smallest size that keeps up easily, else the one that loads least. A hop waits for others, for a run that
// goes on, and for its own.
func (b *batcher) forecast(sessions int) Forecast {
	b.mu.Lock()
	defer b.mu.Unlock()
	var best Forecast
	for i, z := range b.sizes {
		f := Forecast{Hop: 2 * z.Least}
		f.Load = float64(sessions) * float64(z.Least) / float64(z.Sessions) / (float64(b.parallel) * float64(hopTime))
		if i > 0 {
			f.Hop += b.policy.Batch.Gather
		}
		if i == 0 || f.Load < best.Load {
			best = f
		}
		if f.Load <= roomy {
			break
		}
	}
	best.Late = b.late.mean(time.Now())
	return best
}
