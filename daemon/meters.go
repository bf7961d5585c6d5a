package daemon

import (
	"sync"
	"time"

	"github.com/autovoiced/autovoiced/stream"
)

// meterBounds are the upper bounds of the metrics' histograms: fine where a chunk of 10 to 40 ms and the delays
// that one hears lie.
func meterBounds() []time.Duration {
	const us, ms = time.Microsecond, time.Millisecond
	return []time.Duration{
		50 * us, 100 * us, 250 * us, 500 * us, 1 * ms, 2 * ms, 3 * ms, 5 * ms, 7500 * us, 10 * ms, 15 * ms,
		20 * ms, 30 * ms, 40 * ms, 60 * ms, 80 * ms, 120 * ms, 250 * ms, 1000 * ms,
	}
}

// meters add up what all pipelines have measured since the start, those that have ended too, by kind of session:
// a counter that fell would look like a restart.
type meters struct {
	mu      sync.Mutex // for the start and end of pipelines and for who looks; never held by audio
	running map[*stream.Pipeline]string
	ended   map[string]stream.Meters
}

// watch counts a pipeline in until done is called, and keeps what it had measured then.
func (m *meters) watch(kind string, p *stream.Pipeline) (done func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running == nil {
		m.running, m.ended = map[*stream.Pipeline]string{}, map[string]stream.Meters{}
	}
	m.running[p] = kind
	return func() {
		last := p.Meters(meterBounds())
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.running, p)
		sum := m.ended[kind]
		sum.Add(last)
		m.ended[kind] = sum
	}
}

// look sums up by kind.
func (m *meters) look() map[string]stream.Meters {
	m.mu.Lock()
	defer m.mu.Unlock()
	out, bounds := map[string]stream.Meters{}, meterBounds()
	add := func(kind string, one stream.Meters) {
		sum := out[kind]
		sum.Add(one)
		out[kind] = sum
	}
	for kind, past := range m.ended {
		add(kind, past) // a copy: Add does not share slices
	}
	for p, kind := range m.running {
		add(kind, p.Meters(bounds))
	}
	return out
}
