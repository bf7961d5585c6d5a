package song

import (
	"sync"
	"time"
)

// stage is one of the four.
type stage int

const (
	separation stage = iota
	f0Extraction
	conversion
	mixing
	stages
)

// clock shares the time that a song takes among the stages, so that their shares add up to it although they run at the
// same time. A stage is busy while it has work that it can do: it does not wait for a block of another, nor for room
// to put one. A moment in which one stage is busy is that stage's, one in which several are is divided among them evenly, and
// one in which none is, is nobody's. What is nobody's is all that the sum can lack of the total.
//
// A nil clock measures nothing.
type clock struct {
	mu    sync.Mutex
	began time.Time
	last  time.Time
	busy  [stages]int
	spent [stages]time.Duration
}

func newClock() *clock {
	now := time.Now()
	return &clock{began: now, last: now}
}

// enter says that a stage gets busy; leave, that it is no longer.
func (c *clock) enter(s stage) { c.turn(s, 1) }
func (c *clock) leave(s stage) { c.turn(s, -1) }

func (c *clock) turn(s stage, by int) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.share(time.Now())
	c.busy[s] += by
}

// share gives the time since the last turn to those that were busy.
func (c *clock) share(now time.Time) {
	passed, sharers := now.Sub(c.last), 0
	c.last = now
	for _, n := range c.busy {
		if n > 0 {
			sharers++
		}
	}
	for s, n := range c.busy {
		if n > 0 {
			c.spent[s] += passed / time.Duration(sharers)
		}
	}
}

// read is each stage's share so far, and the time since the beginning.
func (c *clock) read() (spent [stages]time.Duration, total time.Duration) {
	if c == nil {
		return spent, 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.share(now)
	return c.spent, now.Sub(c.began)
}
