package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// sliceSource gives a signal in pieces of random or fixed size.
type sliceSource struct {
	rate   int
	signal []float32
	cut    func() int
	breaks map[int]bool // positions before which frames were lost
	at     int
}

func (s *sliceSource) Rate() int    { return s.rate }
func (s *sliceSource) Close() error { return nil }

func (s *sliceSource) Read(ctx context.Context, c *Chunk) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.at == len(s.signal) {
		return io.EOF
	}
	n := min(s.cut(), len(s.signal)-s.at)
	c.Samples = append(c.Samples[:0], s.signal[s.at:s.at+n]...)
	c.Frames, c.Discontinuous = n, s.breaks[s.at]
	s.at += n
	return nil
}

// memorySink keeps what it is given.
type memorySink struct {
	rate    int
	got     []float32
	chunks  int
	onWrite func(c *Chunk) error
	drained bool
}

func (s *memorySink) Rate() int    { return s.rate }
func (s *memorySink) Close() error { return nil }
func (s *memorySink) Write(_ context.Context, c *Chunk) error {
	if s.onWrite != nil {
		if err := s.onWrite(c); err != nil {
			return err
		}
	}
	if c.Pos != uint64(len(s.got)) {
		return fmt.Errorf("chunk at %d, expected %d", c.Pos, len(s.got))
	}
	s.chunks++
	s.got = append(s.got, c.Samples...)
	return nil
}

func (s *memorySink) Drain(context.Context) error {
	s.drained = true
	return nil
}

// delayStage delays by whole frames.
type delayStage struct {
	name    string
	frames  int
	line    []float32
	resets  int
	process func(c *Chunk) error
}

func (d *delayStage) Name() string           { return d.name }
func (d *delayStage) Mode() string           { return "test" }
func (d *delayStage) Latency() time.Duration { return FramesToTime(uint64(d.frames), 48000) }
func (d *delayStage) Reset()                 { d.resets++ }
func (d *delayStage) Process(c *Chunk) error {
	if d.process != nil {
		return d.process(c)
	}
	if d.line == nil {
		d.line = make([]float32, d.frames)
	}
	d.line = append(d.line, c.Samples...)
	copy(c.Samples, d.line)
	d.line = d.line[:copy(d.line, d.line[len(c.Samples):])]
	return nil
}

func fixed(n int) func() int { return func() int { return n } }

func random(seed uint64, most int) func() int {
	r := rand.New(rand.NewPCG(seed, 1))
	return func() int { return 1 + r.IntN(most) }
}

func noise(n int) []float32 {
	r := rand.New(rand.NewPCG(7, 7))
	x := make([]float32, n)
	for i := range x {
		x[i] = r.Float32() - 0.5
	}
	return x
}

func mustRun(t *testing.T, opt Options) *Pipeline {
	t.Helper()
	p, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// bothWays runs a test with a goroutine for each stage, and with one for all.
func bothWays(t *testing.T, test func(t *testing.T, inline bool)) {
	t.Run("stages", func(t *testing.T) { test(t, false) })
	t.Run("inline", func(t *testing.T) { test(t, true) })
}

func TestOutputStandsForInputWhateverTheCut(t *testing.T) {
	bothWays(t, outputStandsForInputWhateverTheCut)
}

func outputStandsForInputWhateverTheCut(t *testing.T, inline bool) {
	for _, n := range []int{0, 1, 479, 480, 481, 10_000} {
		signal := noise(n)
		for seed := range uint64(4) {
			cut := random(seed, 1500)
			if seed == 0 {
				cut = fixed(480)
			}
			sink := &memorySink{rate: 48000}
			p := mustRun(t, Options{
				Source: &sliceSource{rate: 48000, signal: signal, cut: cut}, Sink: sink,
				Stages: []Stage{&delayStage{name: "a", frames: 100}, &delayStage{name: "b", frames: 777}},
				InRate: 48000, OutRate: 48000, Inline: inline,
			})
			if len(sink.got) != n {
				t.Fatalf("%d frames in, %d out", n, len(sink.got))
			}
			for i := range signal {
				if sink.got[i] != signal[i] {
					t.Fatalf("n=%d seed=%d: frame %d is %v, expected %v", n, seed, i, sink.got[i], signal[i])
				}
			}
			if !sink.drained {
				t.Error("the sink was not drained")
			}
			if l := p.Ledger().Snapshot(); l.In != uint64(n) || l.Out != uint64(n) || l.InFlight != 0 {
				t.Errorf("ledger %+v after %d frames", l, n)
			}
		}
	}
}

func TestResampledStreamsAreAlignedAndExactlyLong(t *testing.T) {
	bothWays(t, resampledStreamsAreAlignedAndExactlyLong)
}

func resampledStreamsAreAlignedAndExactlyLong(t *testing.T, inline bool) {
	rates := []int{8000, 16000, 22050, 44100, 48000}
	for _, in := range rates {
		for _, out := range rates {
			n := in/2 + 123
			signal := make([]float32, n)
			for i := range signal { // a tone that is gone at both ends
				u := float64(i) / float64(n)
				signal[i] = float32(math.Sin(2*math.Pi*700*float64(i)/float64(in)) * math.Pow(math.Sin(math.Pi*u), 2))
			}
			var first []float32
			for seed := range uint64(3) {
				sink := &memorySink{rate: out}
				mustRun(t, Options{
					Source: &sliceSource{rate: in, signal: signal, cut: random(seed, 900)}, Sink: sink,
					Stages: []Stage{&delayStage{name: "delay", frames: 1000}},
					InRate: 48000, OutRate: 48000, Inline: inline,
				})
				want := int(math.Floor(float64(n)*float64(out)/float64(in) + 0.5))
				if len(sink.got) != want {
					t.Fatalf("%d to %d Hz: %d frames, expected %d", in, out, len(sink.got), want)
				}
				if first == nil {
					first = sink.got
				}
				for i, v := range sink.got {
					if v != first[i] {
						t.Fatalf("%d to %d Hz: the cut changed frame %d", in, out, i)
					}
					u := float64(i) / float64(out) * float64(in) / float64(n)
					ideal := math.Sin(2*math.Pi*700*float64(i)/float64(out)) * math.Pow(math.Sin(math.Pi*u), 2)
					if math.Abs(float64(v)-ideal) > 0.01 {
						t.Fatalf("%d to %d Hz: frame %d is %v, expected %v", in, out, i, v, ideal)
					}
				}
			}
		}
	}
}

func TestDiscontinuityResetsEveryStageBeforeItsChunk(t *testing.T) {
	bothWays(t, discontinuityResetsEveryStageBeforeItsChunk)
}

func discontinuityResetsEveryStageBeforeItsChunk(t *testing.T, inline bool) {
	a, b := &delayStage{name: "a"}, &delayStage{name: "b"}
	mustRun(t, Options{
		Source: &sliceSource{rate: 48000, signal: noise(4800), cut: fixed(480), breaks: map[int]bool{960: true, 2400: true}},
		Sink:   &memorySink{rate: 48000}, Stages: []Stage{a, b}, InRate: 48000, OutRate: 48000, Inline: inline,
	})
	if a.resets != 2 || b.resets != 2 {
		t.Errorf("%d and %d resets after 2 discontinuities", a.resets, b.resets)
	}
}

func TestFirstErrorWinsAndNamesTheStage(t *testing.T) { bothWays(t, firstErrorWinsAndNamesTheStage) }

func firstErrorWinsAndNamesTheStage(t *testing.T, inline bool) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name    string
		process func(*Chunk) error
		want    string
	}{
		{"error", func(*Chunk) error { return broken }, "stage b: broken"},
		{"panic", func(*Chunk) error { panic("at the disco") }, "stage b: panic: at the disco"},
	} {
		p, err := New(Options{
			Source: &sliceSource{rate: 48000, signal: noise(480000), cut: fixed(480)},
			Sink:   &memorySink{rate: 48000}, InRate: 48000, OutRate: 48000, Inline: inline,
			Stages: []Stage{&delayStage{name: "a"}, &delayStage{name: "b", process: c.process}},
		})
		if err != nil {
			t.Fatal(err)
		}
		err = p.Run(t.Context())
		var stage *StageError
		if !errors.As(err, &stage) || stage.Stage != "b" || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if l := p.Ledger().Snapshot(); l.InFlight != 0 || l.In != l.Out+l.Dropped.Aborted {
			t.Errorf("%s: ledger %+v", c.name, l)
		}
	}
}

func TestCancelAbandonsWhatIsOnItsWay(t *testing.T) { bothWays(t, cancelAbandonsWhatIsOnItsWay) }

func cancelAbandonsWhatIsOnItsWay(t *testing.T, inline bool) {
	ctx, cancel := context.WithCancel(t.Context())
	sink := &memorySink{rate: 48000}
	var p *Pipeline
	sink.onWrite = func(*Chunk) error {
		if sink.chunks == 5 {
			for !inline && p.Ledger().Snapshot().In < 8*480 { // two chunks more than the sink has seen
				time.Sleep(time.Millisecond)
			}
			cancel()
		}
		return nil
	}
	var err error
	p, err = New(Options{
		Source: &sliceSource{rate: 48000, signal: noise(4_800_000), cut: fixed(480)},
		Sink:   sink, InRate: 48000, OutRate: 48000, Inline: inline, Stages: []Stage{&delayStage{name: "a"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("Run returned %v", err)
	}
	l := p.Ledger().Snapshot()
	if l.Dropped.Aborted == 0 && !inline || l.In != l.Out+l.Dropped.Aborted || sink.drained {
		t.Errorf("ledger %+v, drained %v", l, sink.drained)
	}
}
