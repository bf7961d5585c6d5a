package infer

import (
	"errors"
	"fmt"
	"time"
	"unsafe"
)

// gpuBatch has its tensors in a GPU's memory, for each number of rows its own. What is heard is gathered on the host and goes there
// in one copy; the states of the sessions are on the GPU already, and are copied within it.
type gpuBatch struct {
	sized map[int]*binding
	// Rows of states, in a run's and in the sessions' own memory.
	theirs, ours []unsafe.Pointer
	state        int // floats of one session's
}

func newGPUBatch(c *Contract, nets []batchNet) (*gpuBatch, error) {
	r := &gpuBatch{sized: map[int]*binding{}, state: c.State}
	most := 0
	for _, n := range nets {
		for _, k := range n.rows {
			b, err := newBinding(c.of(k), []network{{1, n.net}})
			if err != nil {
				return nil, errors.Join(fmt.Errorf("batches of %d: %w", k, err), r.close())
			}
			r.sized[k] = b
			most = max(most, k)
		}
	}
	r.theirs, r.ours = make([]unsafe.Pointer, most), make([]unsafe.Pointer, most)
	return r, nil
}

func (r *gpuBatch) run(size int, seats []*seat) error {
	b := r.sized[size]
	g, speakers := b.single, b.in("speaker")
	for i, s := range seats {
		one := s.bound.single
		for _, in := range [...]struct{ all, row []float32 }{{g.mel, one.mel}, {g.f0, one.f0}, {g.noise, one.noise}, {speakers, s.speaker}} {
			copy(in.all[i*len(in.row):], in.row)
		}
	}
	if err := r.gather(b, seats); err != nil {
		return err
	}
	if err := b.run(g); err != nil {
		return fmt.Errorf("run of %d sessions: %w", len(seats), err)
	}
	if err := r.scatter(b, seats); err != nil {
		return err
	}
	each := len(g.audio) / size
	for i, s := range seats {
		copy(s.bound.single.audio, g.audio[i*each:(i+1)*each])
		s.bound.turn = 1 - s.bound.turn
	}
	return nil
}

// gather copies the sessions' states into the rows that the next run reads. The upload that comes before the run waits for it.
func (r *gpuBatch) gather(b *binding, seats []*seat) error {
	if r.state == 0 {
		return nil
	}
	for i, s := range seats {
		r.theirs[i], r.ours[i] = s.bound.gpuState[s.bound.turn].at, unsafe.Add(b.gpuState[b.turn].at, 4*i*r.state)
	}
	return b.device.copyRows(r.ours[:len(seats)], r.theirs[:len(seats)], r.state, false)
}

// scatter copies the rows that the last run wrote to the sessions' next states, and waits.
func (r *gpuBatch) scatter(b *binding, seats []*seat) error {
	if r.state == 0 {
		return nil
	}
	for i, s := range seats {
		r.theirs[i], r.ours[i] = s.bound.gpuState[1-s.bound.turn].at, unsafe.Add(b.gpuState[b.turn].at, 4*i*r.state)
	}
	return b.device.copyRows(r.theirs[:len(seats)], r.ours[:len(seats)], r.state, true)
}

// measure copies as many states as a run for so many does, from one of its own to the other.
func (r *gpuBatch) measure(p Policy, size int) (time.Duration, error) {
	b := r.sized[size]
	states := func(wait bool) error {
		if r.state == 0 {
			return nil
		}
		for i := range size {
			r.theirs[i], r.ours[i] = unsafe.Add(b.gpuState[1-b.turn].at, 4*i*r.state), unsafe.Add(b.gpuState[b.turn].at, 4*i*r.state)
		}
		return b.device.copyRows(r.ours[:size], r.theirs[:size], r.state, wait)
	}
	least, err := p.leastOf(8, func() error {
		if err := states(false); err != nil {
			return err
		}
		if err := b.run(b.single); err != nil {
			return err
		}
		return states(true)
	})
	if err != nil {
		return 0, fmt.Errorf("run of %d sessions: %w", size, err)
	}
	return least, nil
}

func (r *gpuBatch) close() error {
	var errs []error
	for _, b := range r.sized {
		errs = append(errs, b.close())
	}
	return errors.Join(errs...)
}
