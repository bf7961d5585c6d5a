package dsp

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// mostWorkers bounds what Spread uses: more goroutines than that wait for memory, not for processors.
const mostWorkers = 48

// Workers is how many goroutines Spread uses at most: an eighth of the processors is left to who must not wait.
func Workers() int {
	n := runtime.GOMAXPROCS(0)
	return min(n-n/8, mostWorkers)
}

// Spread calls do for each item from 0 to n-1 and returns when all are done, on as many goroutines as Workers says, one of which is
// the caller's. No two calls at the same time have the same worker, 0 to Workers()-1, which is for scratch. Items come in any
// order: what do writes must depend on the item alone, and then the result is the same on any number of processors. A panic of do is the
// caller's.
//
// With one worker, or one item, it is a loop and allocates nothing.
func Spread(n int, do func(worker, item int)) {
	workers := min(n, Workers())
	if workers <= 1 {
		for i := range n {
			do(0, i)
		}
		return
	}
	var next atomic.Int64
	var fault atomic.Pointer[any]
	work := func(worker int) {
		defer func() {
			if f := recover(); f != nil {
				fault.CompareAndSwap(nil, &f)
			}
		}()
		for i := int(next.Add(1)) - 1; i < n && fault.Load() == nil; i = int(next.Add(1)) - 1 {
			do(worker, i)
		}
	}
	var all sync.WaitGroup
	for w := 1; w < workers; w++ {
		all.Go(func() { work(w) })
	}
	work(0)
	all.Wait()
	if f := fault.Load(); f != nil {
		panic(*f)
	}
}
