package infer

import (
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// crowdedLoad is from where on a hop waits for others: below, each runs at once and the processor has time to spare.
	crowdedLoad = 0.5
	// loadMemory is how far back the load looks, lateMemory the share of late hops.
	loadMemory = 200 * time.Millisecond
	lateMemory = 2 * time.Second
	// longestRun bounds a run of many: a hop may have to wait for one before its own.
	longestRun = hopTime * 2 / 5
	hopTime    = time.Second / hopsPerSecond
)

// batcher lets the live sessions of one engine share runs. A hop that finds a free place to run does so at once, by itself, in its
// own goroutine and with its own tensors, as if there were no batcher. When all places are taken, or have been busy of late,
// hops queue, the oldest deadline first, and a worker that has tensors for many runs as many as wait.
//
// The queue is bounded by the sessions: each has one hop in it at most. A session that closes is in no queue, and one whose hop
// makes the common run fail is found by running each of that run alone.
type batcher struct {
	contract *Contract
	policy   Policy
	parallel int           // runs beside each other
	alone    time.Duration // the least that a run for one session took
	// openNets opens the networks for many, and says which it leaves out and why.
	openNets func() (nets []batchNet, refused []string, err error)
	warmNet  network

	mu            sync.Mutex
	seats         int
	queue         []*seat // by deadline
	running       int
	inRun         int // seats whose hop is being run
	gathering     bool
	crowdedAnyway bool // a test's
	busy          meter
	late          meter // share of hops, 1 or 0 each
	sizes         []BatchSize
	opened        bool // or being opened
	warmed        bool // is kept warm
	closed        bool
	why           string // runs are not shared
	refused       []string
	oneByOne      string // why a GPU copies states so
	hops          uint64
	lateHops      uint64
	warmups       uint64
	lastRun       time.Time

	shared  atomic.Bool   // the workers run
	wake    chan struct{} // a token for each worker
	full    chan struct{} // tells who gathers that nobody else is to come
	stop    chan struct{}
	workers sync.WaitGroup
}

// seat is a live session's place in the batcher. Its owner is the session's.
type seat struct {
	batcher *batcher
	bound   *binding
	speaker []float32
	due     time.Time
	queued  time.Time
	done    chan error // of a run with others; errAlone: run by yourself
}

// errAlone sends a hop back to be run by itself.
var errAlone = errors.New("not run with others")

func newBatcher(c *Contract, p Policy, parallel int, single network, alone time.Duration, openNets func() ([]batchNet, []string, error)) *batcher {
	b := &batcher{
		contract: c, policy: p, parallel: parallel, alone: alone, openNets: openNets, warmNet: single,
		wake: make(chan struct{}, parallel), full: make(chan struct{}, 1), stop: make(chan struct{}),
		busy: meter{memory: loadMemory}, late: meter{memory: lateMemory},
		sizes: []BatchSize{{Sessions: 1, Cost: alone, Least: alone}},
	}
	switch {
	case !c.Batch:
		b.why = "the pack has no graph for many sessions"
	case p.Batch.Sessions == 1:
		b.why = "infer.batch is 1"
	}
	return b
}

// join gives a live session its place. With the first a GPU is kept warm from then on. With the second the networks for many are opened, in
// the background, which may mean to build engines: until they are there, each runs alone.
func (b *batcher) join(bound *binding) *seat {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seats++
	if !b.warmed && !b.closed && b.keepsWarm() {
		b.warmed = true
		b.workers.Go(b.keepWarm)
	}
	if !b.opened && !b.closed && b.seats > 1 && b.why == "" {
		b.opened = true
		b.workers.Go(b.open)
	}
	return &seat{batcher: b, bound: bound, speaker: bound.in("speaker"), done: make(chan error, 1)}
}

func (s *seat) leave() {
	s.batcher.mu.Lock()
	s.batcher.seats--
	s.batcher.mu.Unlock()
}

// begin sets the deadline of the hops that follow: so many have come together, and as many will come when they are over.
func (s *seat) begin(hops int) { s.due = time.Now().Add(time.Duration(hops) * hopTime) }

// crowded says whether hops had better run together.
func (b *batcher) crowded() bool {
	if !b.shared.Load() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.crowdedLocked(time.Now())
}

func (b *batcher) crowdedLocked(now time.Time) bool {
	return b.crowdedAnyway || len(b.queue) > 0 || b.running >= b.parallel || b.busy.at(now) > crowdedLoad
}

// run does one run of a graph: alone where there is room, else, of one hop, with others.
func (s *seat) run(g *graph) error {
	b, now := s.batcher, time.Now()
	s.queued = now
	b.mu.Lock()
	if g.hops == 1 && b.shared.Load() && b.crowdedLocked(now) {
		b.enqueue(s)
		b.mu.Unlock()
		wakeUp(b.wake)
		if err := <-s.done; !errors.Is(err, errAlone) {
			return err
		}
		b.mu.Lock()
	}
	b.running++
	b.inRun++
	b.mu.Unlock()
	began := time.Now()
	err := s.bound.run(g)
	b.finish(began, g.hops, 1, s)
	return err
}

// enqueue puts a seat behind those whose deadline comes before its own.
func (b *batcher) enqueue(s *seat) {
	at := len(b.queue)
	for at > 0 && b.queue[at-1].due.After(s.due) {
		at--
	}
	b.queue = slices.Insert(b.queue, at, s)
	if b.gathering && len(b.queue) >= b.enough() {
		wakeUp(b.full)
	}
}

// enough is when there is nobody left to wait for.
func (b *batcher) enough() int { return min(b.seats-b.inRun, b.sizes[len(b.sizes)-1].Sessions) }

// finish books a run that began then, for so many rows.
func (b *batcher) finish(began time.Time, hops, size int, seats ...*seat) {
	now := time.Now()
	took := now.Sub(began)
	b.mu.Lock()
	b.running--
	b.inRun -= len(seats)
	b.lastRun = now
	b.busy.add(now, took.Seconds()/float64(b.parallel))
	if hops == 1 {
		for i := range b.sizes {
			if z := &b.sizes[i]; z.Sessions == size {
				z.Runs++
				z.Rows += uint64(len(seats))
				z.Cost += (took - z.Cost) / 16
				z.Least = min(z.Least, took)
				z.Most = max(z.Most, took)
				if took > hopTime {
					z.Slow++
				}
			}
		}
	}
	for _, s := range seats {
		b.hops++
		share := 0.
		if now.After(s.due) {
			b.lateHops++
			share = 1
		}
		b.late.add(now, share)
	}
	waiting := len(b.queue) > 0
	b.mu.Unlock()
	if waiting {
		wakeUp(b.wake)
	}
}

// work is the life of one worker.
func (b *batcher) work(r batchRun, seats []*seat) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-b.wake:
		}
		for b.serve(r, seats, timer) {
		}
	}
}

// serve runs those who wait, if there is room, and says whether it did.
func (b *batcher) serve(r batchRun, seats []*seat, timer *time.Timer) bool {
	b.mu.Lock()
	if len(b.queue) == 0 || b.running >= b.parallel || b.gathering {
		b.mu.Unlock()
		return false
	}
	if rest := b.policy.Batch.Gather - time.Since(b.queue[0].queued); rest > 0 && len(b.queue) < b.enough() {
		b.gather(rest, timer)
		if len(b.queue) == 0 || b.running >= b.parallel {
			b.mu.Unlock()
			return false
		}
	}
	size, n := b.choose()
	seats = append(seats[:0], b.queue[:n]...)
	b.queue = slices.Delete(b.queue, 0, n)
	b.running++
	b.inRun += n
	more := len(b.queue) > 0
	b.mu.Unlock()
	if more {
		wakeUp(b.wake)
	}
	b.runTogether(r, size, seats)
	return true
}

// gather waits for others. The lock is held before and after.
func (b *batcher) gather(rest time.Duration, timer *time.Timer) {
	b.gathering = true
	select {
	case <-b.full: // of an earlier time
	default:
	}
	b.mu.Unlock()
	timer.Reset(rest)
	select {
	case <-timer.C:
	case <-b.full:
	case <-b.stop:
	}
	b.mu.Lock()
	b.gathering = false
}

// choose says which size to run, and for how many of those who wait: the size that costs each of them least, of what falls to one
// of the places that are free. It goes by what a run takes on a machine that is free: what it took of late tells more of the moment
// than of the size, and a size that once met a bad moment would not be tried again.
func (b *batcher) choose() (size, n int) {
	places := b.parallel - b.running
	waiting := (len(b.queue) + places - 1) / places
	best := math.Inf(1)
	for _, z := range b.sizes {
		served := min(waiting, z.Sessions)
		if cost := float64(z.Least) / float64(served); cost <= best {
			best, size, n = cost, z.Sessions, served
		}
	}
	return size, n
}

// runTogether runs the seats and tells each. When that fails, each is sent to run alone: only who is at fault fails again.
func (b *batcher) runTogether(r batchRun, size int, seats []*seat) {
	began := time.Now()
	var err error
	if size == 1 {
		err = seats[0].bound.run(seats[0].bound.single)
	} else if err = r.run(size, seats); err != nil {
		err = errAlone
	}
	b.finish(began, 1, size, seats...)
	for i, s := range seats {
		seats[i] = nil
		s.done <- err
	}
}

// close ends the workers. Nobody runs any more.
func (b *batcher) close() {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.stop)
	}
	b.mu.Unlock()
	b.workers.Wait()
}

func wakeUp(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// meter sums what happened of late: what is long past counts for less and less.
type meter struct {
	memory     time.Duration
	sum, count float64
	last       time.Time
}

func (m *meter) fade(now time.Time) {
	past := now.Sub(m.last)
	if past <= 0 {
		return
	}
	f := math.Exp(-float64(past) / float64(m.memory))
	m.sum, m.count, m.last = m.sum*f, m.count*f, now
}

// add counts a value that came now.
func (m *meter) add(now time.Time, value float64) {
	m.fade(now)
	m.sum += value
	m.count++
}

// at is the sum a second, now.
func (m *meter) at(now time.Time) float64 {
	m.fade(now)
	return m.sum / m.memory.Seconds()
}

// fewHops say nothing of how many are late.
const fewHops = 50

// mean is that of the values, now; 0 when there were few.
func (m *meter) mean(now time.Time) float64 {
	m.fade(now)
	if m.count < fewHops {
		return 0
	}
	return m.sum / m.count
}
