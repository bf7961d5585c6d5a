package daemon

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream"
)

// Figures are what a Benchmark found. Times are of one 10 ms chunk unless a name says otherwise. CPU is what the
// whole process used, by the kernel's account, not the wall clock: it does not grow when others are
// busy too.
type Figures struct {
	// PassthroughCPU and PassthroughAllocs are the daemon's own cost: all stages, with an engine that changes
	// nothing, as fast as they go. PacedCPU is the same in real time, where each chunk finds cold caches
	// and sleeping threads.
	PassthroughCPU    float64 `json:"passthrough_cpu_us_per_chunk"`
	PassthroughAllocs float64 `json:"passthrough_allocs_per_chunk"`
	PacedCPU          float64 `json:"passthrough_paced_cpu_us_per_chunk"`
	// VoiceRTF is CPU time ÷ audio time with the default voice, all stages: the share of one core.
	VoiceRTF float64 `json:"voice_rtf_one_core"`
	// ProfilingOverhead is CPU time with a profiling callback ÷ without one, pass-through, paired runs.
	ProfilingOverhead float64 `json:"profiling_overhead_ratio"`
	// AlgorithmicLatency is the default voice's: a chunk and what the stages look ahead. At48k adds
	// the resamplers that a sound card or client of 48 kHz needs.
	AlgorithmicLatency      float64 `json:"algorithmic_latency_ms"`
	AlgorithmicLatencyAt48k float64 `json:"algorithmic_latency_48khz_ms"`
	// StageCPU is each stage's own CPU time with the default voice, on one thread.
	StageCPU map[string]float64 `json:"stage_cpu_us"`
	// SameTwice and SameCut say whether converting the same audio twice, and cut at random places, gave the
	// same bytes.
	SameTwice bool `json:"same_twice"`
	SameCut   bool `json:"same_cut"`

	Voice    string  `json:"voice"`
	Provider string  `json:"provider"`
	ChunkMS  float64 `json:"chunk_ms"`
	CPUs     int     `json:"cpus"`
	Version  string  `json:"version"`
}

const (
	benchWarm    = 100 // chunks before anything is counted
	benchPairs   = 5
	benchChunks  = 3000
	benchPaced   = 300
	benchVoice   = 600
	benchCompare = 250
)

// Benchmark measures this machine. It takes about 20 s; the settings count, the sound card does not.
func Benchmark(ctx context.Context, cfg Config) (*Figures, error) {
	s, err := newStudio(cfg)
	if err != nil {
		return nil, err
	}
	defer s.close() //nolint:errcheck // nothing is lost by a model that closes badly at the end
	b := &bench{ctx: ctx, studio: s}
	f := &Figures{
		Voice: s.defaultVoice, Provider: s.provider.Active + " " + s.provider.Precision,
		ChunkMS: milliseconds(cfg.Stream.Chunk), CPUs: runtime.NumCPU(), Version: Version,
	}
	for _, measure := range []func(*Figures) error{b.passthrough, b.voice, b.stages, b.identity} {
		if err := measure(f); err != nil {
			return nil, err
		}
	}
	return f, nil
}

type bench struct {
	ctx    context.Context
	studio *studio
}

// passthroughVoice is the first voice whose engine changes nothing.
func (b *bench) passthroughVoice() (string, error) {
	for _, v := range b.studio.voices.Voices() {
		if v.Kind == infer.KindPassthrough {
			return v.Name, nil
		}
	}
	return "", fmt.Errorf("benchmark: no voice of kind %s", infer.KindPassthrough)
}

// passthrough measures with and without profiling in turn, so that a machine that changes its pace
// changes both.
func (b *bench) passthrough(f *Figures) error {
	name, err := b.passthroughVoice()
	if err != nil {
		return err
	}
	if mode := &b.studio.cfg.Separation.Mode; *mode == stream.ModeModel { // it separates at the voice's own rate, and not at this one's
		*mode = stream.ModeGate
		defer func() { *mode = stream.ModeModel }()
	}
	var off, ratios, allocs []float64
	for range benchPairs {
		quiet, err := b.measure(name, benchChunks, 0, nil)
		if err != nil {
			return err
		}
		told, err := b.measure(name, benchChunks, 0, func(string, time.Duration) {})
		if err != nil {
			return err
		}
		off = append(off, quiet.cpu)
		ratios = append(ratios, told.cpu/quiet.cpu)
		allocs = append(allocs, quiet.allocs)
	}
	paced, err := b.measure(name, benchPaced, b.studio.cfg.Stream.Chunk, nil)
	if err != nil {
		return err
	}
	// The runtime allocates now and then for itself: the least is closest to what a chunk costs.
	f.PassthroughCPU, f.PassthroughAllocs = median(off), slices.Min(allocs)
	f.ProfilingOverhead, f.PacedCPU = median(ratios), paced.cpu
	return nil
}

func (b *bench) voice(f *Figures) error {
	var rtf []float64
	for range 3 {
		u, err := b.measure(b.studio.defaultVoice, benchVoice, 0, nil)
		if err != nil {
			return err
		}
		rtf = append(rtf, u.cpu/1000/f.ChunkMS)
	}
	f.VoiceRTF = median(rtf)
	return nil
}

// stages runs the default voice's stages one after another on one thread, which has a CPU clock of its own.
func (b *bench) stages(f *Figures) error {
	s, err := b.session(b.studio.defaultVoice)
	if err != nil {
		return err
	}
	defer s.close() //nolint:errcheck // measured is measured
	own := b.studio.cfg.Stream.Chunk + s.chain.latency()
	f.AlgorithmicLatency = milliseconds(own)
	f.AlgorithmicLatencyAt48k = milliseconds(own + resampling(48000, s.conv.InRate()) + resampling(s.conv.OutRate(), 48000))

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	source := b.source(s, benchWarm+benchVoice)
	sums := make([]time.Duration, len(s.chain.stages))
	var c stream.Chunk
	for i := range benchWarm + benchVoice {
		if err := source.Read(b.ctx, &c); err != nil {
			return err
		}
		c.Dry, c.DryRate, c.F0 = append(c.Dry[:0], c.Samples...), c.Rate, c.F0[:0]
		for k, stage := range s.chain.stages {
			began := threadCPU()
			if err := stage.Process(&c); err != nil {
				return fmt.Errorf("stage %s: %w", stage.Name(), err)
			}
			if i >= benchWarm {
				sums[k] += threadCPU() - began
			}
		}
	}
	f.StageCPU = map[string]float64{}
	for k, stage := range s.chain.stages {
		f.StageCPU[stage.Name()] = micros(sums[k]) / benchVoice
	}
	return nil
}

// identity converts the same audio three times: whole, again, and cut at random.
func (b *bench) identity(f *Figures) error {
	var outs [3][]float32
	for i := range outs {
		s, err := b.session(b.studio.defaultVoice)
		if err != nil {
			return err
		}
		source := b.source(s, benchCompare)
		if i == 2 {
			source.cut = rand.New(rand.NewPCG(3, 4))
		}
		sink := &memorySink{rate: s.conv.OutRate()}
		err = s.run(b.ctx, source, sink)
		if cerr := s.close(); err == nil {
			err = cerr
		}
		if err != nil {
			return err
		}
		outs[i] = sink.samples
	}
	f.SameTwice, f.SameCut = slices.Equal(outs[0], outs[1]), slices.Equal(outs[0], outs[2])
	return nil
}

// usage is what the process spent on one chunk.
type usage struct {
	cpu    float64 // µs
	allocs float64
}

// measure runs chunks through a session's pipeline and looks at the process when the source is asked for
// the first counted chunk and again when it has no more.
func (b *bench) measure(voice string, chunks int, pace time.Duration, profile stream.ProfilingFunc) (usage, error) {
	s, err := b.session(voice)
	if err != nil {
		return usage{}, err
	}
	s.profile = profile
	source := b.source(s, benchWarm+chunks)
	source.pace = pace
	var before, after processUse
	source.at = func(chunk int) {
		switch chunk {
		case benchWarm / 2:
			runtime.GC() // what came before is not this run's to collect; it also empties the runtime's own caches
		case benchWarm:
			before = usedByProcess()
		case benchWarm + chunks:
			after = usedByProcess()
		}
	}
	err = s.run(b.ctx, source, &memorySink{rate: s.conv.OutRate(), forget: true})
	if cerr := s.close(); err == nil {
		err = cerr
	}
	n := float64(chunks)
	return usage{micros(after.cpu-before.cpu) / n, float64(after.allocs-before.allocs) / n}, err
}

// session speaks with a voice at the rate that it takes.
func (b *bench) session(voice string) (*session, error) {
	s, werr := b.studio.newSession(request{
		kind: kindConvert, voice: voice, format: wire.Format{Encoding: wire.F32LE, Rate: wire.MaxRate, Channels: 1},
	})
	if werr != nil {
		return nil, werr
	}
	s.setFormat(wire.Format{Encoding: wire.F32LE, Rate: s.conv.InRate(), Channels: 1})
	return s, nil
}

// source makes a signal for a session at the rate that its voice takes, so that no resampler is measured.
func (b *bench) source(s *session, chunks int) *benchSource {
	rate := s.conv.InRate()
	return &benchSource{rate: rate, hop: stream.TimeToFrames(b.studio.cfg.Stream.Chunk, rate), chunks: chunks, signal: vowel(rate)}
}

// vowel is 2 s of a voice-like sound: harmonics of a gliding pitch, with a pause, so that every stage has
// its usual work.
func vowel(rate int) []float32 {
	out := make([]float32, 2*rate)
	phase := 0.
	for i := range out {
		t := float64(i) / float64(rate)
		phase += 2 * math.Pi * (150 + 50*math.Sin(2*math.Pi*t)) / float64(rate)
		if t > 1.7 {
			continue
		}
		for h := 1.; h <= 10; h++ {
			out[i] += float32(0.2 / h * math.Sin(h*phase))
		}
	}
	return out
}

// benchSource repeats a signal, in whole chunks or cut at random, at once or in real time.
type benchSource struct {
	rate, hop, chunks int
	signal            []float32
	cut               *rand.Rand
	pace              time.Duration
	at                func(chunk int)

	sent    int // frames
	chunk   int
	started time.Time
}

func (s *benchSource) Rate() int    { return s.rate }
func (s *benchSource) Close() error { return nil }

func (s *benchSource) Read(ctx context.Context, c *stream.Chunk) error {
	if s.at != nil {
		s.at(s.chunk)
	}
	n := s.hop
	if s.cut != nil {
		n = 1 + s.cut.IntN(3*s.hop)
	}
	n = min(n, s.hop*s.chunks-s.sent)
	if n == 0 {
		return io.EOF
	}
	if s.pace > 0 {
		if s.chunk == 0 {
			s.started = time.Now()
		}
		time.Sleep(time.Until(s.started.Add(time.Duration(s.chunk) * s.pace)))
	}
	c.Samples = c.Samples[:0]
	for i := range n {
		c.Samples = append(c.Samples, s.signal[(s.sent+i)%len(s.signal)])
	}
	c.Rate, c.Frames, c.Discontinuous = s.rate, n, false
	s.sent += n
	s.chunk++
	return ctx.Err()
}

// memorySink keeps what it is given, or forgets it.
type memorySink struct {
	rate    int
	forget  bool
	samples []float32
}

func (s *memorySink) Rate() int                   { return s.rate }
func (s *memorySink) Close() error                { return nil }
func (s *memorySink) Drain(context.Context) error { return nil }

func (s *memorySink) Write(_ context.Context, c *stream.Chunk) error {
	if !s.forget {
		s.samples = append(s.samples, c.Samples...)
	}
	return nil
}

type processUse struct {
	cpu    time.Duration
	allocs uint64
}

func usedByProcess() processUse {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		panic(err) // cannot be: the arguments are constants
	}
	return processUse{time.Duration(r.Utime.Nano() + r.Stime.Nano()), mem.Mallocs}
}

func threadCPU() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err) // cannot be: the arguments are constants
	}
	return time.Duration(t.Nano())
}

func median(x []float64) float64 {
	sorted := slices.Sorted(slices.Values(x))
	return sorted[len(sorted)/2]
}
