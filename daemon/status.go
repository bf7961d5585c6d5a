package daemon

import (
	"maps"
	"sync"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream"
)

// Status is one look at the daemon. Any goroutine may ask; audio never waits for it.
func (d *Daemon) Status() *wire.Status {
	s := &wire.Status{
		Version: Version, Protocol: wire.Version,
		At: time.Now().UTC(), UptimeSeconds: d.clock.Now().Seconds(), State: d.state(),
		Building: d.building.status(),
		Device:   d.live.status(),
		Sessions: []wire.Session{}, Batching: d.batching(), Jobs: d.jobs.status(),
	}
	if lost := d.gpu.lost(); lost != nil {
		s.Fault = lost.Message
	}
	s.Provider = wire.Provider{Requested: d.cfg.Infer.Provider}
	if s.State != stateStarting {
		s.Provider = wireProvider(d.provider, d.warnings)
	}
	active, ended := d.sessions.look()
	s.Totals = ended
	for _, a := range active {
		one := a.status()
		s.Sessions = append(s.Sessions, one)
		addLedger(&s.Totals.Ledger, one.Ledger)
	}
	s.Totals.SessionsActive = len(active)
	return s
}

// sessions are those that run, and what is left of those that ran.
type sessions struct {
	mu     sync.Mutex // for the start and end of sessions and for who looks; never held by audio
	next   uint64
	limit  int
	admit  func(s *session, active []*session) *wire.Error
	active []*session // oldest first
	ended  wire.Totals
}

// add lets a session in, or not.
func (l *sessions) add(s *session) *wire.Error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.kind == kindStream {
		streams := 0
		for _, a := range l.active {
			if a.kind == kindStream {
				streams++
			}
		}
		if streams >= l.limit {
			return wire.Errorf(wire.CodeTooManySessions, "", "%d streams are running, as many as http.max_sessions allows", streams)
		}
		if err := l.admit(s, l.active); err != nil {
			return err
		}
	}
	l.next++
	s.id = sessionID(s.kind, l.next)
	l.active = append(l.active, s)
	l.ended.Sessions++
	return nil
}

// find is the running session of an id, or nil.
func (l *sessions) find(id string) *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.active {
		if s.id == id {
			return s
		}
	}
	return nil
}

// remove keeps the session's ledger.
func (l *sessions) remove(s *session) {
	ledger := s.account()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, a := range l.active {
		if a == s {
			l.active = append(l.active[:i:i], l.active[i+1:]...)
			addLedger(&l.ended.Ledger, ledger)
			return
		}
	}
}

func (l *sessions) look() ([]*session, wire.Totals) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ended := l.ended
	ended.Errors, ended.Notices = maps.Clone(ended.Errors), maps.Clone(ended.Notices)
	ended.Ledger.Dropped = maps.Clone(ended.Ledger.Dropped)
	return append([]*session(nil), l.active...), ended
}

func (l *sessions) countError(c wire.Code) {
	l.mu.Lock()
	defer l.mu.Unlock()
	count(&l.ended.Errors, string(c))
}

func (l *sessions) countNotice(code string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	count(&l.ended.Notices, code)
}

func count(m *map[string]uint64, key string) {
	if *m == nil {
		*m = map[string]uint64{}
	}
	(*m)[key]++
}

func addLedger(sum *wire.Ledger, l wire.Ledger) {
	sum.In += l.In
	sum.Out += l.Out
	sum.InFlight += l.InFlight
	for why, n := range l.Dropped {
		if sum.Dropped == nil {
			sum.Dropped = map[string]uint64{}
		}
		sum.Dropped[why] += n
	}
}

func wireProvider(p infer.Provider, warnings []string) wire.Provider {
	out := wire.Provider{Requested: p.Requested, Active: p.Active, Precision: p.Precision, Nodes: map[string]int{}}
	for name, n := range map[string]int{infer.ProviderTensorRT: p.Nodes.TensorRT, infer.ProviderCUDA: p.Nodes.CUDA, infer.ProviderCPU: p.Nodes.CPU} {
		if n > 0 {
			out.Nodes[name] = n
		}
	}
	out.TensorRT = &wire.TensorRT{
		Requested: p.Requested == infer.ProviderTensorRT,
		Enabled:   p.Active == infer.ProviderTensorRT && p.Nodes.TensorRT > 0 && p.Nodes.CUDA+p.Nodes.CPU == 0,
	}
	if out.TensorRT.Enabled {
		out.TensorRT.Precision = p.Precision
	}
	for i, w := range warnings {
		if i > 0 {
			out.Note += "; "
		}
		out.Note += w
	}
	return out
}

// wirePipeline puts a pipeline's snapshot into the protocol's shape. Total's wait is the part of total that
// nobody computed in: so compute and waits add up.
func wirePipeline(s stream.Snapshot) wire.Pipeline {
	p := wire.Pipeline{
		Total:       wire.Stage{Name: stream.StageTotal, Compute: wireTimes(s.Total), QueueLen: s.SinkQueue},
		LoadPercent: s.Load.Mean, RTF: s.RTF, AlgorithmicLatencyMS: milliseconds(s.Latency),
		Levels: wire.Levels{InRMS: s.Levels.InRMS, InPeak: s.Levels.InPeak, OutRMS: s.Levels.OutRMS, OutPeak: s.Levels.OutPeak},
		Waits: &wire.Waits{
			Capture: wireTimes(s.CaptureWait), Sink: wireTimes(s.SinkWait), Delivery: wireTimes(s.Delivery), Compute: wireTimes(s.Compute),
		},
		QueueCap: s.QueueCap, Overloads: s.Load.Overloads, Discontinuities: s.Discontinuities, BadSamples: s.BadSamples,
	}
	for _, stage := range s.Stages {
		p.Stages = append(p.Stages, wire.Stage{
			Name: stage.Name, Mode: stage.Mode, QueueLen: stage.Queue,
			Compute: wireTimes(stage.Compute), Wait: wireTimes(stage.Wait),
		})
	}
	return p
}

func wireTimes(t stream.Timing) wire.Times {
	return wire.Times{
		Count: t.Count, Last: micros(t.Last), Mean: micros(t.Mean),
		P50: micros(t.P50), P95: micros(t.P95), P99: micros(t.P99), Max: micros(t.Max),
		Recent: &wire.Recent{Count: t.Recent.Count, P50: micros(t.Recent.P50), P95: micros(t.Recent.P95), P99: micros(t.Recent.P99), Max: micros(t.Recent.Max)},
	}
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// wireLedger leaves out the reasons for which nothing was dropped.
func wireLedger(l stream.LedgerSnapshot) wire.Ledger {
	out := wire.Ledger{In: l.In, Out: l.Out, InFlight: int64(l.InFlight)}
	for _, why := range stream.DropReasons() {
		if n := l.Dropped.By(why); n > 0 {
			if out.Dropped == nil {
				out.Dropped = map[string]uint64{}
			}
			out.Dropped[why.String()] = n
		}
	}
	return out
}
