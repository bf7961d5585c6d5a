package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

const (
	pulseEvery = time.Millisecond
	// clockTick is the unit of /proc/stat on Linux.
	clockTick = 10 * time.Millisecond
)

// hiccups are what kept a process from running, so that late replies can be told from a machine that stood still.
type hiccups struct {
	// LongestMS is how long a goroutine that sleeps a millisecond at a time slept too long, at most; Over10MS how often by more than 10.
	LongestMS float64 `json:"longest_ms"`
	Over10MS  uint64  `json:"over_10_ms"`
	// Collections of garbage, and their longest pause.
	Collections uint32  `json:"collections"`
	PauseMS     float64 `json:"longest_pause_ms"`
	// StolenCores is the processors' time that the machine's host gave to others.
	StolenCores float64 `json:"stolen_cores"`
}

// pulse watches for hiccups until it is stopped.
type pulse struct {
	stop          chan struct{}
	longest, over atomic.Uint64
	began         time.Time
	collections   uint32
	stolen        time.Duration
}

func newPulse() *pulse {
	p := &pulse{stop: make(chan struct{})}
	go p.beat()
	p.reset()
	return p
}

func (p *pulse) beat() {
	for last := time.Now(); ; {
		select {
		case <-p.stop:
			return
		default:
		}
		time.Sleep(pulseEvery)
		now := time.Now()
		late := max(0, now.Sub(last)-pulseEvery)
		last = now
		if uint64(late) > p.longest.Load() {
			p.longest.Store(uint64(late))
		}
		if late > 10*time.Millisecond {
			p.over.Add(1)
		}
	}
}

// reset forgets what was.
func (p *pulse) reset() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	p.began, p.collections, p.stolen = time.Now(), m.NumGC, stolenTime()
	p.longest.Store(0)
	p.over.Store(0)
}

// seen is what there was since.
func (p *pulse) seen() hiccups {
	h := hiccups{LongestMS: float64(time.Duration(p.longest.Load()).Microseconds()) / 1000, Over10MS: p.over.Load()}
	h.StolenCores = math.Round(1000*(stolenTime()-p.stolen).Seconds()/time.Since(p.began).Seconds()) / 1000
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	h.Collections = m.NumGC - p.collections
	for i := range min(h.Collections, uint32(len(m.PauseNs))) {
		pause := m.PauseNs[(m.NumGC-1-i)%uint32(len(m.PauseNs))]
		h.PauseMS = max(h.PauseMS, float64(time.Duration(pause).Microseconds())/1000)
	}
	return h
}

// stolenTime is that of all processors since the machine's start; 0 where there is no telling.
func stolenTime() time.Duration {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := bytes.Cut(text, []byte("\n"))
	var name string
	var t [8]int64 // user, nice, system, idle, iowait, irq, softirq, steal
	if _, err := fmt.Sscan(string(line), &name, &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]); err != nil {
		return 0
	}
	return time.Duration(t[7]) * clockTick
}
