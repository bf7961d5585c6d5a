package infer

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// leastOf says how long a run takes at least, of so many after a first one that makes room. On one thread of a CPU it is the time that
// the thread computes: what other programs take of the machine at the moment is no property of the network.
func (p Policy) leastOf(runs int, run func() error) (least time.Duration, err error) {
	now := stopwatch()
	if p.Provider == ProviderCPU && p.Threads == 1 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		now = threadTime
	}
	for i := range 1 + runs {
		began := now()
		if err := run(); err != nil {
			return 0, err
		}
		if took := now() - began; i <= 1 || took < least {
			least = took
		}
	}
	return least, nil
}

func stopwatch() func() time.Duration {
	began := time.Now()
	return func() time.Duration { return time.Since(began) }
}

// threadTime is what this thread has computed so far.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err) // cannot be: the arguments are constants
	}
	return time.Duration(t.Nano())
}
