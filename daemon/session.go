package daemon

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream"
)

// The kinds of sessions.
const (
	kindDevice  = "device"
	kindStream  = "stream"
	kindConvert = "convert"
)

// session is one speaker: a voice with the stages around it, through which one signal after another runs.
// The sound card, a client and a file differ in their source and sink and in nothing else.
type session struct {
	id       string
	kind     string
	since    time.Time
	format   wire.Format
	provider wire.Provider
	studio   *studio
	chunk    time.Duration
	chain    *chain
	ledger   *stream.Ledger
	pipeline atomic.Pointer[stream.Pipeline] // the newest
	before   atomic.Pointer[stream.Pipeline] // the one before a flush, shown until the newest has something to show
	profile  stream.ProfilingFunc
	delay    time.Duration // see latency

	casting sync.Mutex // held while another voice is made ready
	mu      sync.Mutex // for what follows; never held by audio
	voice   string     // who speaks,
	conv    infer.Converter
	retired []retired // and who did
	closing error     // what closing those who did came to
	closed  bool
	sound   wire.Settings
	pitches int // how often the pitch was set

	recorder recorder

	line    *line   // to a client; nil for others
	out     *outbox // of a client; nil where the sink is the end
	timings *rate   // pushed to the same
}

func sessionID(kind string, n uint64) string { return fmt.Sprintf("%s-%d", kind, n) }

// newSession makes a voice ready to speak. It is closed by the caller.
func (s *studio) newSession(r request) (*session, *wire.Error) {
	if lost := s.gpu.lost(); lost != nil {
		return nil, lost
	}
	engine, target, err := s.cast(r)
	if err != nil {
		return nil, voiceError(err)
	}
	sound, werr := s.sound(r)
	if werr != nil {
		return nil, werr
	}
	chunk := s.cfg.Stream.Chunk
	chain, conv, err := s.newChain(engine, target, int(chunk/engine.Hop()), sound)
	if err != nil {
		return nil, voiceError(err)
	}
	out := &session{
		kind: r.kind, voice: target.Name, sound: sound, since: time.Now().UTC(),
		provider: wireProvider(engine.Provider(), engine.Warnings()),
		studio:   s, chunk: chunk, conv: conv, chain: chain, ledger: new(stream.Ledger),
		timings: newRate(0),
	}
	out.setFormat(r.format)
	return out, nil
}

// setFormat says how the outside speaks, before the session is shown to anybody.
func (s *session) setFormat(f wire.Format) {
	s.format = f
	s.delay = s.studio.cfg.Stream.Chunk + s.chain.latency()
	if f.Rate != 0 { // 0 is an edge that speaks the voice's own rates
		s.delay += resampling(f.Rate, s.conv.InRate()) + resampling(s.conv.OutRate(), f.Rate)
	}
}

// run moves one signal from source to sink, to its end. What follows in another run is another signal.
func (s *session) run(ctx context.Context, source stream.Source, sink stream.Sink) error {
	if s.pipeline.Load() != nil {
		for _, stage := range s.chain.stages {
			stage.Reset()
		}
	}
	in, out := s.rates()
	p, err := stream.New(stream.Options{
		Source: source, Stages: s.chain.stages, Sink: sink,
		InRate: in, OutRate: out,
		Hop:   stream.TimeToFrames(s.chunk, in),
		Queue: s.studio.cfg.Stream.Queue, Clock: s.studio.clock, Ledger: s.ledger, Profile: s.profile,
		Tap:    &s.recorder.tap,
		Inline: s.kind == kindStream, // there may be hundreds
	})
	if err != nil {
		return err
	}
	s.before.Store(s.pipeline.Load()) // first, so that there is always something to show
	s.pipeline.Store(p)
	defer s.studio.meters.watch(s.kind, p)()
	err = p.Run(ctx)
	s.studio.gpu.note(err)
	return err
}

// latency is how much later than its input a sample comes out at the earliest: a chunk, the stages, and the
// resamplers at the edges.
func (s *session) latency() time.Duration { return s.delay }

// shift is the pitch shift now, in semitones.
func (s *session) shift() float64 {
	if v, ok := s.conv.(interface{ Shift() float64 }); ok {
		return v.Shift()
	}
	return 0
}

// account is the session's ledger. What the pipeline has delivered is, for a client, on its way until it
// is written. Counters of what left are read before the counter of what came in, so what is in flight
// is never negative.
func (s *session) account() wire.Ledger {
	if s.out == nil {
		return wireLedger(s.ledger.Snapshot())
	}
	delivered, dropped, abandoned := s.out.delivered.Load(), s.out.dropped.Load(), s.out.abandoned.Load()
	l := s.ledger.Snapshot()
	l.Out = delivered
	l.Dropped.ClientSlow += dropped
	l.Dropped.Aborted += abandoned
	l.InFlight = l.In - l.Out - l.Dropped.Sum()
	return wireLedger(l)
}

func (s *session) measured() wire.Pipeline {
	p := wire.Pipeline{Stages: []wire.Stage{}}
	if running := s.pipeline.Load(); running != nil {
		look := running.Snapshot()
		if before := s.before.Load(); before != nil && look.Chunks == 0 {
			look = before.Snapshot()
		}
		p = wirePipeline(look)
	}
	p.Ledger = s.account()
	p.AlgorithmicLatencyMS = milliseconds(s.latency())
	return p
}

func (s *session) status() wire.Session {
	voice, sound := s.sounds()
	return wire.Session{
		ID: s.id, Kind: s.kind, Voice: voice, Since: s.since, Format: s.format,
		ChunkMS: milliseconds(s.chunk), Settings: &sound, Away: s.line != nil && s.line.isAway(),
		Recording: s.recorder.recording(), Pipeline: s.measured(),
	}
}

// close completes a recording and gives the voices back. Nothing runs any more.
func (s *session) close() error {
	_, recorded := s.recorder.finish()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	err := errors.Join(recorded, s.closing, s.conv.Close(), s.chain.close())
	for _, r := range s.retired {
		err = errors.Join(err, r.conv.Close())
	}
	s.retired = nil
	return err
}

// attend looks after a running session beside its audio until ctx ends: it pushes timings to a client, and
// tells of overload, once for each run of it.
func (s *session) attend(ctx context.Context, notice func(*wire.Notice)) {
	health := time.NewTicker(time.Second)
	defer health.Stop()
	var over overload
	due := s.timings.tick()
	for {
		select {
		case <-ctx.Done():
			return
		case <-due:
			s.out.push(&wire.Timing{Pipeline: s.measured()})
			due = s.timings.tick()
		case <-s.timings.changed:
			due = s.timings.tick()
		case <-health.C:
			s.dismiss()
			if load := s.load(); over.begins(load) {
				notice(&wire.Notice{
					Code: wire.NoticeOverload, Count: load.Overloads,
					Message: fmt.Sprintf("conversion takes %.0f %% of the audio's time", load.Mean),
				})
			}
		}
	}
}

// load is nothing while nothing runs.
func (s *session) load() stream.Load {
	if p := s.pipeline.Load(); p != nil {
		return p.Snapshot().Load
	}
	return stream.Load{}
}

// rate is how often something is done, changed from outside.
type rate struct {
	hz      atomic.Uint64 // bits
	changed chan struct{}
}

func newRate(hz float64) *rate {
	r := &rate{changed: make(chan struct{}, 1)}
	r.hz.Store(math.Float64bits(hz))
	return r
}

func (r *rate) set(hz float64) {
	r.hz.Store(math.Float64bits(hz))
	signal(r.changed)
}

// tick comes after one period; never for a rate of 0.
func (r *rate) tick() <-chan time.Time {
	hz := math.Float64frombits(r.hz.Load())
	if hz <= 0 {
		return nil
	}
	return time.After(time.Duration(float64(time.Second) / hz))
}
