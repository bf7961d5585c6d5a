package portaudio

/*
#include "device_stream.h"
*/
import "C"

import (
	"context"
	"errors"
	"time"

	"github.com/autovoiced/autovoiced/stream"
)

const (
	lookEvery = 50 * time.Millisecond
	suspect   = 150 * time.Millisecond // of silence from the callbacks: ask PortAudio why
	// PulseAudio calls back a few times and then lets its first sound wait for two seconds.
	settling = 4 * time.Second
)

// supervise watches the callbacks, and brings the device back when they stop.
func (d *Duplex) supervise(ctx context.Context) {
	defer close(d.done)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	watch := watchNow()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !watch.lost(d) {
			continue
		}
		d.mu.Lock()
		d.losses++
		d.mu.Unlock()
		d.set(Lost, errors.New("the device has stopped calling back"))
		if err := d.disconnect(); err != nil {
			d.set(Hung, err)
		}
		if !d.restore(ctx) {
			return
		}
		watch = watchNow()
	}
}

// restore tries to open the device again until it succeeds; false: it is not worth trying.
func (d *Duplex) restore(ctx context.Context) bool {
	for pause := d.cfg.RetryMin; ; pause = min(2*pause, d.cfg.RetryMax) {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
		l, err := d.connect(d.reuse)
		if err == nil {
			d.mu.Lock()
			d.link, d.first = l, l.opening
			d.mu.Unlock()
			if err = d.flows(ctx); err == nil {
				d.mu.Lock()
				d.back++
				d.mu.Unlock()
				d.set(Running, nil)
				return true
			}
			if gone := d.disconnect(); gone != nil {
				err = gone
			}
		}
		var hung *HungError
		switch {
		case errors.Is(err, ErrRateChanged):
			d.set(Failed, err)
			d.closeEdges()
			return false
		case errors.As(err, &hung):
			d.set(Hung, err)
		default:
			d.set(Lost, err)
		}
	}
}

// set records the state, and tells about changes.
func (d *Duplex) set(s State, why error) {
	d.mu.Lock()
	changed := d.state != s
	d.state, d.fault = s, why
	d.mu.Unlock()
	if changed && d.opt.Notify != nil {
		d.opt.Notify(s, why)
	}
}

// watch remembers when the callbacks last made progress.
type watch struct {
	began time.Time
	seen  uint64
	since time.Time
}

func watchNow() watch {
	now := time.Now()
	return watch{began: now, since: now}
}

// lost looks at the slowest stream's callbacks: away for Stall, or for less if PortAudio says
// that the stream is over.
func (w *watch) lost(d *Duplex) bool {
	d.mu.Lock()
	l := d.link
	least, _ := l.progress()
	d.mu.Unlock()
	if least != w.seen {
		w.seen, w.since = least, time.Now()
		return false
	}
	away := time.Since(w.since)
	if away < suspect {
		return false
	}
	patience := d.cfg.Stall
	if w.since.Sub(w.began) < settling {
		patience = max(patience, settling)
	}
	return away >= patience || l.dead(d.cfg.Stall)
}

// dead asks PortAudio whether a stream has ended by itself. A hung library is no answer.
func (l *link) dead(limit time.Duration) bool {
	dead, _ := enter(paLane, limit, func(step func(string)) (bool, error) {
		step("Pa_IsStreamActive")
		for _, line := range l.lines {
			if C.av_dead(line.stream) != 0 {
				return true, nil
			}
		}
		return false, nil
	}, nil)
	return dead
}

// clockOffset is clock minus CLOCK_MONOTONIC, which C reads.
func clockOffset(clock stream.Clock) time.Duration {
	before := time.Duration(C.av_now())
	now := clock.Now()
	after := time.Duration(C.av_now())
	return now - (before + (after-before)/2)
}
