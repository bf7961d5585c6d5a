package stream

import (
	"fmt"
	"sync/atomic"
	"time"
)

// ProfilingFunc is told how long each stage computed on a chunk, and as StageTotal the time from
// capture to delivery. It runs on a goroutine of its own: however slow, it never delays audio
// (what it cannot take in time is dropped and counted), and a panic in it is caught and counted.
// nil costs nothing.
type ProfilingFunc func(stage string, elapsed time.Duration)

const (
	profileQueue = 64                     // chunks that wait for a slow callback
	profileGrace = 500 * time.Millisecond // how long the end of a run waits for it
	faultEvery   = time.Second
)

// ProfileSnapshot counts what became of the calls to a ProfilingFunc.
type ProfileSnapshot struct {
	Calls   uint64 `json:"calls"`
	Dropped uint64 `json:"dropped"` // chunks not reported, because the callback was slow
	Panics  uint64 `json:"panics"`
}

type profiler struct {
	call    ProfilingFunc
	onFault func(error)
	names   []string
	queue   chan profileEntry
	done    chan struct{}

	calls, dropped, panics atomic.Uint64
	reported               time.Time
	folded                 uint64
}

type profileEntry struct {
	stages [maxStages]time.Duration
	total  time.Duration
}

// newProfiler starts the callback's goroutine; for a nil callback it returns nil, on which every
// method does nothing. onFault hears of panics, at most once a second; it may be nil.
func newProfiler(call ProfilingFunc, onFault func(error), names []string) *profiler {
	if call == nil {
		return nil
	}
	p := &profiler{
		call: call, onFault: onFault, names: names,
		queue: make(chan profileEntry, profileQueue), done: make(chan struct{}),
	}
	return p
}

func (p *profiler) start() {
	if p != nil {
		go p.run()
	}
}

// observe hands a chunk's times over, or drops them. It never waits.
func (p *profiler) observe(m *marks) {
	if p == nil {
		return
	}
	var e profileEntry
	for i := range p.names {
		e.stages[i] = m.stages[i].done - m.stages[i].take
	}
	e.total = m.delivered - m.captured
	select {
	case p.queue <- e:
	default:
		p.dropped.Add(1)
	}
}

// stop lets the callback finish what is queued, but waits for it only so long: a callback that
// hangs keeps its goroutine and nothing else.
func (p *profiler) stop() {
	if p == nil {
		return
	}
	close(p.queue)
	select {
	case <-p.done:
	case <-time.After(profileGrace):
		if p.onFault != nil {
			p.onFault(fmt.Errorf("profiling callback has not returned for %v after the end of the run: left behind", profileGrace))
		}
	}
}

func (p *profiler) run() {
	defer close(p.done)
	for e := range p.queue {
		for i, name := range p.names {
			p.guarded(name, e.stages[i])
		}
		p.guarded(StageTotal, e.total)
	}
}

func (p *profiler) guarded(stage string, elapsed time.Duration) {
	defer func() {
		if fault := recover(); fault != nil {
			p.panics.Add(1)
			p.report(fault)
		}
	}()
	p.calls.Add(1)
	p.call(stage, elapsed)
}

func (p *profiler) report(fault any) {
	p.folded++
	if now := time.Now(); p.onFault != nil && now.Sub(p.reported) >= faultEvery {
		p.reported = now
		p.onFault(fmt.Errorf("profiling callback panicked (%d times since the last report): %v", p.folded, fault))
		p.folded = 0
	}
}

func (p *profiler) snapshot() ProfileSnapshot {
	if p == nil {
		return ProfileSnapshot{}
	}
	return ProfileSnapshot{Calls: p.calls.Load(), Dropped: p.dropped.Load(), Panics: p.panics.Load()}
}
