package infer

import (
	"errors"
	"fmt"
	"time"

	ort "github.com/yalue/onnxruntime_go"
)

// batchNet is a network that runs one hop of several sessions: of exactly so many, or of any number up to it.
type batchNet struct {
	net  *netSession
	rows []int // the numbers that it runs
	// Of an engine: its precision, and how far that was found to be from fp32.
	precision string
	gate      *Distance
}

// batchRun is one worker's tensors, a row for each session, bound once for each number of rows. Its worker owns it.
// Rows are copied in and out: a session's own state stays in its binding, so it may run with others now and alone next.
type batchRun interface {
	// run does one run of so many rows, of which the first are the seats'. After an error the seats are as before.
	run(size int, seats []*seat) error
	// measure says how long a run of so many rows takes at least.
	measure(p Policy, size int) (time.Duration, error)
	close() error
}

func newBatchRun(c *Contract, nets []batchNet) (batchRun, error) {
	gpu, err := gpuWanted(c, network{1, nets[0].net})
	if err != nil {
		return nil, err
	}
	if gpu {
		return newGPUBatch(c, nets)
	}
	return newHostBatch(c, nets)
}

// hostBatch has its tensors in the host's memory; those for fewer rows are the beginnings of those for most.
type hostBatch struct {
	mel, f0, noise, speaker, state rows
	audio, stateOut                rows
	nets                           map[int]boundRows // by the number of rows
	tensors                        []*ort.Tensor[float32]
}

type boundRows struct {
	net *netSession
	io  *ort.IoBinding
}

// rows is one tensor's values; each row is one session's.
type rows struct {
	all  []float32
	each int
}

func (r rows) row(i int) []float32 { return r.all[i*r.each : (i+1)*r.each] }

func newHostBatch(c *Contract, nets []batchNet) (*hostBatch, error) {
	r := &hostBatch{nets: map[int]boundRows{}}
	most := 0
	for _, n := range nets {
		most = max(most, n.rows[len(n.rows)-1])
	}
	held := map[string]rows{}
	for _, t := range append(c.inputs(1), c.outputs(1)...) {
		held[t.name] = rows{make([]float32, most*t.floats()), t.floats()}
	}
	r.mel, r.f0, r.noise, r.speaker, r.state = held["mel"], held["f0"], held["noise"], held["speaker"], held["state"]
	r.audio, r.stateOut = held["audio"], held["state_out"]
	for _, n := range nets {
		for _, k := range n.rows {
			if err := r.bind(n.net, k, c.of(k), held); err != nil {
				return nil, errors.Join(fmt.Errorf("batches of %d: %w", k, err), r.close())
			}
		}
	}
	return r, nil
}

func (r *hostBatch) bind(net *netSession, k int, c *Contract, held map[string]rows) error {
	io, err := net.CreateIoBinding()
	if err != nil {
		return err
	}
	r.nets[k] = boundRows{net, io}
	tie := func(t tensor, bind func(string, ort.Value) error) error {
		v, err := ort.NewTensor(ort.NewShape(t.shape...), held[t.name].all[:k*held[t.name].each])
		if err != nil {
			return err
		}
		r.tensors = append(r.tensors, v)
		return bind(t.name, v)
	}
	for _, t := range c.inputs(1) {
		if err := tie(t, io.BindInput); err != nil {
			return err
		}
	}
	for _, t := range c.outputs(1) {
		if err := tie(t, io.BindOutput); err != nil {
			return err
		}
	}
	return nil
}

func (r *hostBatch) run(size int, seats []*seat) error {
	for i, s := range seats {
		g := s.bound.single
		copy(r.mel.row(i), g.mel)
		copy(r.f0.row(i), g.f0)
		copy(r.noise.row(i), g.noise)
		copy(r.speaker.row(i), s.speaker)
		copy(r.state.row(i), s.bound.state[s.bound.turn])
	}
	for i := len(seats); i < size; i++ { // what is left of a run before would do, but for NaN
		clear(r.f0.row(i))
		clear(r.state.row(i))
	}
	n := r.nets[size]
	if err := n.net.RunWithBinding(n.io); err != nil {
		return fmt.Errorf("run of %d sessions: %w", len(seats), err)
	}
	for i, s := range seats {
		copy(s.bound.single.audio, r.audio.row(i))
		copy(s.bound.state[1-s.bound.turn], r.stateOut.row(i))
		s.bound.turn = 1 - s.bound.turn
	}
	return nil
}

func (r *hostBatch) measure(p Policy, size int) (time.Duration, error) {
	n := r.nets[size]
	least, err := p.leastOf(3, func() error { return n.net.RunWithBinding(n.io) })
	if err != nil {
		return 0, fmt.Errorf("run of %d sessions: %w", size, err)
	}
	return least, nil
}

func (r *hostBatch) close() error {
	var errs []error
	for _, n := range r.nets {
		errs = append(errs, n.io.Destroy())
	}
	for _, t := range r.tensors {
		errs = append(errs, t.Destroy())
	}
	r.nets, r.tensors = nil, nil
	return errors.Join(errs...)
}
