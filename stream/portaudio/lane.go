package portaudio

import (
	"fmt"
	"sync/atomic"
	"time"
)

// A lane lets one call at a time into a library that is neither thread safe nor sure to return.
// A call that overstays its limit keeps the lane: the library is quarantined until it is back.
type lane struct {
	token  chan struct{}
	inside atomic.Pointer[visit]
}

type visit struct {
	step     atomic.Pointer[string]
	since    time.Time
	limit    time.Duration
	settled  atomic.Bool // by the caller giving up or by the call returning, whichever is first
	overstay atomic.Bool
}

// HungError says that a call into PortAudio has not come back. The daemon lives on without its
// sound card; the quarantine ends by itself if the call ever returns.
type HungError struct {
	Step string // the call that is inside, e.g. "Pa_CloseStream"
	For  time.Duration
}

func (e *HungError) Error() string {
	return fmt.Sprintf("%s has not returned for %s: PortAudio is quarantined until it does; "+
		"check the sound card and its server, else restart", e.Step, e.For.Round(time.Millisecond))
}

func newLane() *lane { return &lane{token: make(chan struct{}, 1)} }

// enter runs f alone in the lane and waits at most limit for the lane and limit for f. f names the
// library call that it is about to make by step. If the caller has given up by the time f is
// through, undo gets what f made, still inside the lane.
func enter[T any](l *lane, limit time.Duration, f func(step func(string)) (T, error), undo func(T)) (T, error) {
	var none T
	if err := l.wait(limit); err != nil {
		return none, err
	}
	v := &visit{since: time.Now(), limit: limit}
	step := func(name string) { v.step.Store(&name) }
	step("PortAudio")
	l.inside.Store(v)

	type result struct {
		made T
		err  error
	}
	done := make(chan result, 1)
	go func() {
		made, err := f(step)
		if !v.settled.CompareAndSwap(false, true) && err == nil && undo != nil {
			undo(made)
		}
		l.inside.Store(nil)
		<-l.token
		done <- result{made, err}
	}()

	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case r := <-done:
		return r.made, r.err
	case <-timer.C:
	}
	if v.settled.CompareAndSwap(false, true) {
		v.overstay.Store(true)
		return none, v.hung()
	}
	r := <-done // it came back at the last moment
	return r.made, r.err
}

// wait takes the token. A lane whose visitor has overstayed refuses at once.
func (l *lane) wait(limit time.Duration) error {
	select {
	case l.token <- struct{}{}:
		return nil
	default:
	}
	if err := l.quarantine(); err != nil {
		return err
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case l.token <- struct{}{}:
		return nil
	case <-timer.C:
	}
	if v := l.inside.Load(); v != nil {
		return v.hung()
	}
	return &HungError{Step: "PortAudio", For: limit}
}

// quarantine is the HungError of a visitor that has overstayed, or nil.
func (l *lane) quarantine() error {
	if v := l.inside.Load(); v != nil && v.overstay.Load() {
		return v.hung()
	}
	return nil
}

func (v *visit) hung() *HungError {
	return &HungError{Step: *v.step.Load(), For: time.Since(v.since)}
}
