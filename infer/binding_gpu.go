package infer

import (
	"fmt"
	"unsafe"
)

// gpuGraph is where a graph's tensors lie when it runs on a GPU: what is heard and the audio in one block with a copy on either
// side, so that a run needs one copy to the GPU and one back.
type gpuGraph struct {
	block  *block
	inputs int // floats of the block that are inputs
	audio  [2]int
	onHost bool // the audio comes there by itself
}

// aligned is a multiple of floats at which tensors begin, 256 bytes: TensorRT and CUDA like that.
const aligned = 64

// gpuWanted is a test's to change.
var gpuWanted = wantsGPU

// wantsGPU says whether a network wants any tensor in a GPU's memory.
func wantsGPU(c *Contract, net network) (bool, error) {
	for output, tensors := range [][]tensor{c.inputs(net.hops), c.outputs(net.hops)} {
		for _, t := range tensors {
			p, err := placeOf(net.net, output == 1, t.name)
			if err != nil || p.gpu {
				return p.gpu, err
			}
		}
	}
	return false, nil
}

// bindGPU binds a graph's tensors in the GPU's memory. A tensor that the network wants on the host, as CUDA's provider may,
// is bound there.
func (b *binding) bindGPU(c *Contract, g *graph) error {
	floats := 0
	at := map[string]int{}
	reserve := func(t tensor) {
		at[t.name] = floats
		floats += (t.floats() + aligned - 1) / aligned * aligned
	}
	for _, in := range c.inputs(g.hops) {
		if in.name != "state" && (in.name != "speaker" || !b.both) {
			reserve(in)
		}
	}
	g.gpu = &gpuGraph{inputs: floats}
	audio := c.outputs(g.hops)[0]
	reserve(audio)
	g.gpu.audio = [2]int{at[audio.name], at[audio.name] + audio.floats()}
	var err error
	if g.gpu.block, err = b.device.allocate(floats, true); err != nil {
		return err
	}
	for output, tensors := range [][]tensor{c.inputs(g.hops), c.outputs(g.hops)} {
		for _, t := range tensors {
			if err := b.bindOnGPU(g, output == 1, t, at); err != nil {
				return err
			}
		}
	}
	g.audio = g.gpu.block.host[g.gpu.audio[0]:g.gpu.audio[1]]
	return nil
}

// upload brings what is heard to the GPU, and returns when that, and all that the device was told before, is there.
func (b *binding) upload(g *graph) error {
	return b.device.upload(g.gpu.block, g.gpu.inputs, b.speaker)
}

// download brings the audio back, if it does not come by itself, and returns when all that the device was told is done.
func (b *binding) download(g *graph) error {
	if g.gpu.onHost {
		return b.device.wait()
	}
	return b.device.download(g.gpu.block, g.gpu.audio[0], g.gpu.audio[1])
}

// bindOnGPU binds one tensor for both turns.
func (b *binding) bindOnGPU(g *graph, output bool, t tensor, at map[string]int) error {
	p, err := placeOf(g.net, output, t.name)
	if t.name == "state_out" { // goes where the next run wants it: ONNX Runtime copies it there if need be
		p, err = placeOf(g.net, false, "state")
	}
	if err != nil {
		return err
	}
	p.gpu = p.gpu || b.device.everything
	if t.name == "state" || t.name == "state_out" {
		return b.bindGPUState(g, output, t, p)
	}
	if output {
		g.gpu.onHost = !p.gpu
	}
	in, from := g.gpu.block, at[t.name]
	if t.name == "speaker" && b.both {
		if b.speaker == nil {
			if b.speaker, err = b.device.allocate(t.floats(), true); err != nil {
				return err
			}
		}
		in, from = b.speaker, 0
	}
	if !output {
		g.inputs[t.name] = in.host[from : from+t.floats()]
	}
	for turn := range g.io {
		if err := b.bindBlock(g, turn, output, t, p, in, from); err != nil {
			return err
		}
	}
	return nil
}

// bindGPUState lets runs alternate between two states, which never leave the GPU.
func (b *binding) bindGPUState(g *graph, output bool, t tensor, p place) error {
	for i := range b.gpuState {
		if b.gpuState[i] == nil {
			var err error
			if b.gpuState[i], err = b.device.allocate(t.floats(), !p.gpu); err != nil {
				return err
			}
		}
		turn := i
		if output {
			turn = 1 - i
		}
		if err := b.bindBlock(g, turn, output, t, p, b.gpuState[i], 0); err != nil {
			return err
		}
	}
	return nil
}

func (b *binding) bindBlock(g *graph, turn int, output bool, t tensor, p place, in *block, from int) error {
	data := unsafe.Add(in.at, 4*from)
	if !p.gpu {
		if in.host == nil {
			return fmt.Errorf("on the gpu: %q is wanted on the host, and lies on the gpu for another graph", t.name)
		}
		data = unsafe.Pointer(&in.host[from])
	}
	value, err := bindMemory(g.io[turn], output, t, p, data)
	b.values = append(b.values, value)
	if err != nil {
		return fmt.Errorf("on the gpu: %w", err)
	}
	return nil
}
