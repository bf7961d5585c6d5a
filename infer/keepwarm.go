package infer

import "time"

// warmer runs the network for nobody while a GPU's sessions are silent: one that idles for seconds clocks down, and the first hop
// of speech would be late.
type warmer struct {
	b     *batcher
	bound *binding
	every time.Duration
}

// keepsWarm says whether there is something to keep warm. A CPU needs nothing of the kind.
func (b *batcher) keepsWarm() bool {
	return b.policy.Batch.KeepWarm > 0 && b.policy.Provider != ProviderCPU && b.policy.Provider != ""
}

// keepWarm is one of the batcher's workers. Where there is no memory for it, sessions start without.
func (b *batcher) keepWarm() {
	bound, err := newBinding(b.contract, []network{b.warmNet})
	if err != nil {
		return
	}
	(&warmer{b, bound, b.policy.Batch.KeepWarm}).run()
}

// run ticks until the batcher closes.
func (w *warmer) run() {
	defer w.bound.close() //nolint:errcheck // nothing is lost with it
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	for {
		select {
		case <-w.b.stop:
			return
		case now := <-tick.C:
			w.touch(now)
		}
	}
}

// touch runs once when there are sessions and none has run for a tick.
func (w *warmer) touch(now time.Time) {
	b := w.b
	b.mu.Lock()
	idle := b.seats > 0 && b.running == 0 && len(b.queue) == 0 && now.Sub(b.lastRun) >= w.every
	if idle {
		b.running++
		b.warmups++
	}
	b.mu.Unlock()
	if !idle {
		return
	}
	_ = w.bound.run(w.bound.single) // where it fails, the next hop will say so
	w.bound.reset()
	b.mu.Lock()
	b.running--
	b.lastRun = time.Now()
	waiting := len(b.queue) > 0
	b.mu.Unlock()
	if waiting {
		wakeUp(b.wake)
	}
}
