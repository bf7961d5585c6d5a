package infer

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	ort "github.com/yalue/onnxruntime_go"
)

// Converter is one conversation with an engine: a *Voice or a *Passthrough. Its methods are those
// that the conversion stage needs, and a few to look after it.
//
// One goroutine owns it and calls Convert, Reset and, last, Close; Close may be called again. The
// other methods may be called from anywhere.
type Converter interface {
	InRate() int
	OutRate() int
	// Latency is how far the output lags behind the input beyond the hop: the pack's look-ahead.
	Latency() time.Duration
	// Convert turns the hops in src into as many hops in dst. f0 holds Hz for each hop, 0 where
	// unvoiced. It allocates nothing. What comes out is always finite: where the model gives NaN or
	// infinity, a hop of silence, counted by Faults. After an error, the rest of dst is silence.
	Convert(dst, src, f0 []float32) error
	// Reset forgets the past signal.
	Reset()
	Faults() Faults
	Close() error
}

// Faults counts the hops that were not numbers. Such input is heard as silence; such output is
// replaced by silence and the model starts afresh.
type Faults struct {
	Input  uint64 `json:"input"`
	Output uint64 `json:"output"`
}

// session is what every Converter is made of.
type session struct {
	engine *Engine
	name   string // of the voice, for errors
	bound  *binding
	closed bool

	badInput, badOutput atomic.Uint64
}

func newSession(e *Engine, name string) (*session, error) {
	net, err := e.acquire()
	if err != nil {
		return nil, err
	}
	s := &session{engine: e, name: name}
	if s.bound, err = newBinding(&e.contract, net); err != nil {
		return nil, errors.Join(s.wrap(err), s.Close())
	}
	return s, nil
}

func (s *session) wrap(err error) error {
	return fmt.Errorf("model %s: voice %s: %w", s.engine.file, s.name, err)
}

// InRate is the number of samples a second that Convert takes.
func (s *session) InRate() int { return s.engine.contract.SampleRateIn }

// OutRate is the number of samples a second that Convert gives.
func (s *session) OutRate() int { return s.engine.contract.SampleRateOut }

// Latency is the pack's look-ahead.
func (s *session) Latency() time.Duration { return s.engine.contract.Lookahead() }

// Faults counts what was not a number so far.
func (s *session) Faults() Faults {
	return Faults{Input: s.badInput.Load(), Output: s.badOutput.Load()}
}

// hops checks the lengths given to Convert and says how many hops they hold.
func (s *session) hops(dst, src []float32) (int, error) {
	c := &s.engine.contract
	n := len(src) / c.HopIn
	if len(src) != n*c.HopIn || len(dst) != n*c.HopOut {
		return 0, s.wrap(fmt.Errorf("convert: %d samples to %d, expected whole hops of %d to %d", len(src), len(dst), c.HopIn, c.HopOut))
	}
	if s.closed {
		return 0, s.wrap(errors.New("convert: the session is closed"))
	}
	return n, nil
}

// step runs the network on what its inputs hold and copies the hop it gives.
func (s *session) step(dst []float32) error {
	if err := s.bound.run(); err != nil {
		return s.wrap(err)
	}
	if !finite(s.bound.audio) {
		s.badOutput.Add(1)
		s.bound.reset()
		clear(dst)
		return nil
	}
	copy(dst, s.bound.audio)
	return nil
}

// Close gives the session's memory back, and the engine's when it was the last user of a closed
// engine. It may be called again.
func (s *session) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	var err error
	if s.bound != nil {
		err = s.bound.close()
	}
	return errors.Join(err, s.engine.release())
}

// binding is one user's tensors on a shared network, bound once. The state has two buffers and two
// I/O bindings: one reads the first and writes the second, the other the reverse, and runs
// alternate, so that state is carried without a copy. One goroutine owns a binding.
type binding struct {
	net    *ort.DynamicAdvancedSession
	io     [2]*ort.IoBinding
	turn   int // which of io runs next
	inputs map[string][]float32
	audio  []float32
	state  [2][]float32

	// ONNX Runtime keeps the addresses of the slices in these: they live as long as the bindings. We
	// do not pin them: Go does not move its heap, and a leaked pin would end the process.
	tensors []*ort.Tensor[float32]
}

func newBinding(c *Contract, net *ort.DynamicAdvancedSession) (*binding, error) {
	b := &binding{net: net, inputs: map[string][]float32{}}
	if err := b.bind(c); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *binding) bind(c *Contract) error {
	for i := range b.io {
		io, err := b.net.CreateIoBinding()
		if err != nil {
			return fmt.Errorf("bind: %w", err)
		}
		b.io[i] = io
	}
	var state [2]*ort.Tensor[float32]
	if c.Kind == KindVoice && c.State > 0 {
		for i := range state {
			t, err := b.tensor(floats("state", c.State))
			if err != nil {
				return err
			}
			state[i], b.state[i] = t, t.GetData()
		}
	}
	for _, in := range c.inputs() {
		if in.name == "state" {
			continue
		}
		t, err := b.tensor(in)
		if err != nil {
			return err
		}
		b.inputs[in.name] = t.GetData()
		for _, io := range b.io {
			if err := io.BindInput(in.name, t); err != nil {
				return fmt.Errorf("bind input %q: %w", in.name, err)
			}
		}
	}
	audio, err := b.tensor(c.outputs()[0])
	if err != nil {
		return err
	}
	b.audio = audio.GetData()
	for i, io := range b.io {
		if err := io.BindOutput("audio", audio); err != nil {
			return fmt.Errorf("bind output \"audio\": %w", err)
		}
		if state[0] == nil {
			continue
		}
		if err := io.BindInput("state", state[i]); err != nil {
			return fmt.Errorf("bind input \"state\": %w", err)
		}
		if err := io.BindOutput("state_out", state[1-i]); err != nil {
			return fmt.Errorf("bind output \"state_out\": %w", err)
		}
	}
	return nil
}

func (b *binding) tensor(t tensor) (*ort.Tensor[float32], error) {
	bound, err := ort.NewEmptyTensor[float32](ort.NewShape(t.shape...))
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.name, err)
	}
	b.tensors = append(b.tensors, bound)
	return bound, nil
}

// in is the slice that the named input is read from; nil when the graph has no such input.
func (b *binding) in(name string) []float32 { return b.inputs[name] }

// run does one hop: inputs in, audio and the next state out.
func (b *binding) run() error {
	if err := b.net.RunWithBinding(b.io[b.turn]); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	b.turn = 1 - b.turn
	return nil
}

// reset forgets the past: the state is as at the start.
func (b *binding) reset() {
	b.turn = 0
	clear(b.state[0])
	clear(b.state[1])
}

// close accepts a half-built binding and may be called again.
func (b *binding) close() error {
	var errs []error
	for i, io := range b.io {
		if io != nil {
			errs = append(errs, io.Destroy())
			b.io[i] = nil
		}
	}
	for _, t := range b.tensors {
		errs = append(errs, t.Destroy())
	}
	b.tensors = nil
	return errors.Join(errs...)
}

// finite says whether there is no NaN and no infinity: only those times zero are not zero.
func finite(x []float32) bool {
	var sum float32
	for _, v := range x {
		sum += v * 0
	}
	return sum == 0
}
