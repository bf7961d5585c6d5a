package infer

import (
	"errors"
	"fmt"

	ort "github.com/yalue/onnxruntime_go"
)

// network is one of an engine's graphs, for so many hops a run.
type network struct {
	hops int
	net  *ort.DynamicAdvancedSession
}

// binding is one user's tensors on an engine's networks, bound once. The state has two buffers, and
// each graph two I/O bindings: one reads the first and writes the second, the other the reverse, and
// runs alternate, so that state is carried without a copy from run to run, whichever graph runs. One
// goroutine owns a binding.
type binding struct {
	single *graph
	more   *graph // for more hops a run; nil when there is none
	both   bool   // there is one
	turn   int    // which I/O binding runs next
	state  [2][]float32

	// ONNX Runtime keeps the addresses of the slices in these: they live as long as the bindings. We
	// do not pin them: Go does not move its heap, and a leaked pin would end the process.
	tensors []*ort.Tensor[float32]
	shared  map[string]*ort.Tensor[float32] // one for all graphs: the speaker, and the two states

	// On a GPU the tensors lie in its memory instead (device.go).
	device   *device
	speaker  *block // shared by two graphs; that of one lies beside what is heard
	gpuState [2]*block
	values   []boundValue
}

// graph is one network's part of a binding.
type graph struct {
	network
	io     [2]*ort.IoBinding
	inputs map[string][]float32
	audio  []float32 // the first output; a song separator's masks

	mel, f0, noise []float32 // of inputs; nil where the graph has none such

	gpu *gpuGraph // nil on the CPU
}

// newBinding binds the network for one hop, and one for more if there are two.
func newBinding(c *Contract, nets []network) (*binding, error) {
	b := &binding{single: new(graph), shared: map[string]*ort.Tensor[float32]{}, both: len(nets) > 1}
	gpu, err := gpuWanted(c, nets[0])
	if err == nil && gpu {
		b.device, err = openDevice()
	}
	if err == nil {
		err = b.bind(c, b.single, nets[0])
	}
	if err == nil && len(nets) > 1 {
		b.more = new(graph)
		err = b.bind(c, b.more, nets[1])
	}
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *binding) bind(c *Contract, g *graph, net network) error {
	g.network, g.inputs = net, map[string][]float32{}
	for i := range g.io {
		io, err := net.net.CreateIoBinding()
		if err != nil {
			return fmt.Errorf("bind: %w", err)
		}
		g.io[i] = io
	}
	if b.device != nil {
		if err := b.bindGPU(c, g); err != nil {
			return err
		}
		g.mel, g.f0, g.noise = g.inputs["mel"], g.inputs["f0"], g.inputs["noise"]
		return nil
	}
	for _, in := range c.inputs(g.hops) {
		if in.name == "state" {
			if err := b.bindState(g, in); err != nil {
				return err
			}
			continue
		}
		t, err := b.tensor(in, in.name)
		if err != nil {
			return err
		}
		g.inputs[in.name] = t.GetData()
		for _, io := range g.io {
			if err := io.BindInput(in.name, t); err != nil {
				return fmt.Errorf("bind input %q: %w", in.name, err)
			}
		}
	}
	g.mel, g.f0, g.noise = g.inputs["mel"], g.inputs["f0"], g.inputs["noise"]
	out := c.outputs(g.hops)[0]
	audio, err := b.tensor(out, out.name)
	if err != nil {
		return err
	}
	g.audio = audio.GetData()
	for _, io := range g.io {
		if err := io.BindOutput(out.name, audio); err != nil {
			return fmt.Errorf("bind output %q: %w", out.name, err)
		}
	}
	return nil
}

func (b *binding) bindState(g *graph, state tensor) error {
	for i := range b.state {
		t, err := b.tensor(state, fmt.Sprint("state ", i))
		if err != nil {
			return err
		}
		b.state[i] = t.GetData()
		if err := g.io[i].BindInput("state", t); err != nil {
			return fmt.Errorf("bind input \"state\": %w", err)
		}
		if err := g.io[1-i].BindOutput("state_out", t); err != nil {
			return fmt.Errorf("bind output \"state_out\": %w", err)
		}
	}
	return nil
}

// tensor makes a tensor, or finds the one that all graphs share under the name.
func (b *binding) tensor(t tensor, name string) (*ort.Tensor[float32], error) {
	if bound := b.shared[name]; bound != nil {
		return bound, nil
	}
	bound, err := ort.NewEmptyTensor[float32](ort.NewShape(t.shape...))
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", t.name, err)
	}
	b.tensors = append(b.tensors, bound)
	if t.name == "speaker" || t.name == "state" {
		b.shared[name] = bound
	}
	return bound, nil
}

// in is the slice that the named input of the graph for one hop is read from, and that of the speaker
// for all; nil when there is no such input.
func (b *binding) in(name string) []float32 { return b.single.inputs[name] }

// run does one run of a graph: inputs in, audio and the next state out.
func (b *binding) run(g *graph) error {
	if g.gpu != nil {
		if err := b.upload(g); err != nil {
			return fmt.Errorf("run: %w", err)
		}
	}
	if err := b.compute(g); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	if g.gpu != nil {
		if err := b.download(g); err != nil {
			return fmt.Errorf("run: %w", err)
		}
	}
	b.turn = 1 - b.turn
	return nil
}

// compute runs the network on what its tensors hold.
func (b *binding) compute(g *graph) error {
	err := g.net.RunWithBinding(g.io[b.turn])
	if err != nil && g.gpu != nil {
		err = gpuFailure(err)
	}
	return err
}

// back undoes the newest run: the state that it began with is still there.
func (b *binding) back() { b.turn = 1 - b.turn }

// put writes one hop's frame into the mel input.
func (g *graph) put(hop int, frame []float32) {
	for i, v := range frame {
		g.mel[i*g.hops+hop] = v
	}
}

// take copies the inputs of one hop from the graph for more.
func (g *graph) take(from *graph, hop int) {
	for i := range g.mel {
		g.mel[i] = from.mel[i*from.hops+hop]
	}
	copy(g.f0, from.f0[hop:])
	copy(g.noise, from.noise[hop*len(g.noise):])
}

// succeed goes on with the state that another binding of the same model is in, and says whether it could:
// not where the state lies in a GPU's memory.
func (b *binding) succeed(before *binding) bool {
	if b.device != nil || before.device != nil {
		return false
	}
	copy(b.state[b.turn], before.state[before.turn])
	return true
}

// reset forgets the past: the state is as at the start.
func (b *binding) reset() {
	b.turn = 0
	clear(b.state[0])
	clear(b.state[1])
	for _, s := range b.gpuState {
		if s != nil {
			b.device.zero(s)
		}
	}
}

// close accepts a half-built binding and may be called again.
func (b *binding) close() error {
	var errs []error
	for _, g := range []*graph{b.single, b.more} {
		if g == nil {
			continue
		}
		for i, io := range g.io {
			if io != nil {
				errs = append(errs, io.Destroy())
				g.io[i] = nil
			}
		}
	}
	for _, t := range b.tensors {
		errs = append(errs, t.Destroy())
	}
	b.tensors = nil
	for i := range b.values {
		b.values[i].release()
	}
	b.values = nil
	if b.device != nil {
		errs = append(errs, b.device.close())
	}
	return errors.Join(errs...)
}
