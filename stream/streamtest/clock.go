package streamtest

import (
	"sync/atomic"
	"time"
)

// Clock is a stream.Clock that stands still until it is moved. The zero Clock shows 0.
type Clock struct{ now atomic.Int64 }

// Now implements stream.Clock.
func (c *Clock) Now() time.Duration { return time.Duration(c.now.Load()) }

// Advance moves the clock on and returns the new time.
func (c *Clock) Advance(d time.Duration) time.Duration { return time.Duration(c.now.Add(int64(d))) }
