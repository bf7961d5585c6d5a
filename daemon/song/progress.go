package song

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// Progress is how far a song is.
type Progress struct {
	// Song is how long it is; 0 while that is not known.
	Song    time.Duration
	Elapsed time.Duration
	// Done is the part of the whole work that is done, 0 to 1, as far as it can be told.
	Done float64
	// Left is how long the rest may take; 0 while that is not known.
	Left time.Duration
	// Stage is the name of the one that works on most.
	Stage string
	// Stages are the four in order.
	Stages [stages]StageProgress
}

// StageProgress is how far one stage is.
type StageProgress struct {
	Name string
	// Done is how much of the song it is through with.
	Done time.Duration
	// Speed is how many times faster than real time it works, for its share of the time; 0 while that is not known.
	Speed float64
	// Left is how long the rest may take; 0 while that is not known.
	Left time.Duration
}

// progressEvery is how often progress is told.
const progressEvery = 100 * time.Millisecond

// counter is a number of seconds that one goroutine sets and others read.
type counter struct{ bits atomic.Uint64 }

func (c *counter) set(s float64) { c.bits.Store(math.Float64bits(s)) }
func (c *counter) get() float64  { return math.Float64frombits(c.bits.Load()) }
func (c *counter) add(s float64) { c.set(c.get() + s) }

// progress runs the job and tells how far it is.
func (j *job) progress(ctx context.Context, run func(context.Context) error) error {
	if j.o.Progress == nil {
		return run(ctx)
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			j.o.Progress(j.look())
			select {
			case <-tick.C:
			case <-done:
				j.o.Progress(j.look())
				return
			}
		}
	}()
	err := run(ctx)
	close(done)
	<-ended
	return err
}

// usualCost is what a stage costs beside the others, for the time before it has begun.
var usualCost = [stages]float64{0.45, 0.05, 0.4, 0.1}

func (j *job) look() Progress {
	spent, total := j.clock.read()
	length := j.length.get()
	p := Progress{Song: span(length), Elapsed: total}
	var done, all, scale, begun float64
	var cost [stages]float64
	for s := range stages {
		at := j.done[s].get()
		p.Stages[s] = StageProgress{Name: stageNames[s], Done: span(at)}
		if at > 0 && spent[s] > 0 {
			cost[s] = spent[s].Seconds() / at
			p.Stages[s].Speed = 1 / cost[s]
			scale += cost[s]
			begun += usualCost[s]
		}
	}
	if length == 0 {
		return p
	}
	most := 0.
	for s := range stages {
		at := min(j.done[s].get(), length)
		if cost[s] == 0 {
			cost[s] = usualCost[s] * scale / max(begun, 1e-9)
		}
		if begun == 0 {
			cost[s] = usualCost[s]
		}
		left := cost[s] * (length - at)
		done, all = done+cost[s]*at, all+cost[s]*length
		if begun > 0 {
			p.Stages[s].Left = span(left)
			p.Left += p.Stages[s].Left
		}
		if left > most && (at > 0 || most == 0) {
			most, p.Stage = left, stageNames[s]
		}
	}
	p.Done = done / all
	return p
}

func span(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
