package infer

import (
	"errors"
	"fmt"
	"time"
	"unsafe"
)

// gpuBatch has its tensors in a GPU's memory, for each number of rows its own. What is heard is gathered on the host and goes there
// in one copy; the states of the sessions are on the GPU already, and are copied within it.
//
// All copies of a run go through one stream, which is waited for before and after the network's run: ONNX Runtime has streams of its
// own, and waits for them before a run returns.
type gpuBatch struct {
	sized map[int]*binding
	state int // floats of one session's
	// Where the states of a run's sessions are copied from and to: first to the rows that the run reads, then from those that it writes.
	pairs []rowPair
	rows  *rowCopies // nil: each by itself
	why   error      // each by itself
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
	if r.state == 0 {
		return r, nil
	}
	if r.rows, r.why = newRowCopies(most, r.state); r.rows != nil {
		r.pairs = r.rows.pairs
	} else {
		r.pairs = make([]rowPair, 2*most)
	}
	return r, nil
}

func (r *gpuBatch) run(size int, seats []*seat) error {
	b, n := r.sized[size], len(seats)
	r.collect(b, seats)
	if err := r.enter(b, n); err != nil {
		return err
	}
	if err := b.compute(b.single); err != nil {
		return fmt.Errorf("run of %d sessions: %w", n, err)
	}
	if err := r.leave(b, n); err != nil {
		return err
	}
	deal(b, size, seats)
	return nil
}

// collect copies what the sessions heard into their rows, and notes where their states are and where the next ones go.
func (r *gpuBatch) collect(b *binding, seats []*seat) {
	g, speakers := b.single, b.in("speaker")
	for i, s := range seats {
		one := s.bound.single
		for _, in := range [...]struct{ all, row []float32 }{{g.mel, one.mel}, {g.f0, one.f0}, {g.noise, one.noise}, {speakers, s.speaker}} {
			copy(in.all[i*len(in.row):], in.row)
		}
		if r.state > 0 {
			state := s.bound.gpuState
			r.address(b, i, len(seats), state[s.bound.turn].at, state[1-s.bound.turn].at)
		}
	}
}

// address notes where the state of row i, of so many, is and where the next one goes.
func (r *gpuBatch) address(b *binding, i, n int, before, after unsafe.Pointer) {
	at := 4 * i * r.state
	r.pairs[i] = rowPair{before, unsafe.Add(b.gpuState[0].at, at)}
	r.pairs[n+i] = rowPair{unsafe.Add(b.gpuState[1].at, at), after}
}

// enter copies the states into the rows that the run reads, and uploads what is heard; then all of it is there.
func (r *gpuBatch) enter(b *binding, n int) (err error) {
	switch {
	case r.state == 0:
	case r.rows != nil:
		err = r.rows.there(n, b.device)
	default:
		err = b.device.copyRows(r.pairs[:n], r.state)
	}
	if err != nil {
		return err
	}
	return b.upload(b.single)
}

// leave copies the rows that the run wrote to the sessions' next states, and downloads the audio; then all of it is there.
func (r *gpuBatch) leave(b *binding, n int) (err error) {
	switch {
	case r.state == 0:
	case r.rows != nil:
		err = r.rows.back(n, b.device)
	default:
		err = b.device.copyRows(r.pairs[n:2*n], r.state)
	}
	if err != nil {
		return err
	}
	return b.download(b.single)
}

// deal gives each session its audio, and its next state.
func deal(b *binding, size int, seats []*seat) {
	audio := b.single.audio
	each := len(audio) / size
	for i, s := range seats {
		copy(s.bound.single.audio, audio[i*each:(i+1)*each])
		s.bound.turn = 1 - s.bound.turn
	}
}

// measure copies as many states as a run for so many does, from one of its own to the other.
func (r *gpuBatch) measure(p Policy, size int) (time.Duration, error) {
	b := r.sized[size]
	for i := range size {
		if r.state > 0 {
			at := 4 * i * r.state
			r.address(b, i, size, unsafe.Add(b.gpuState[1].at, at), unsafe.Add(b.gpuState[0].at, at))
		}
	}
	least, err := p.leastOf(8, func() error {
		if err := r.enter(b, size); err != nil {
			return err
		}
		if err := b.compute(b.single); err != nil {
			return err
		}
		return r.leave(b, size)
	})
	if err != nil {
		return 0, fmt.Errorf("run of %d sessions: %w", size, err)
	}
	return least, nil
}

func (r *gpuBatch) close() error {
	var errs []error
	if r.rows != nil {
		errs = append(errs, r.rows.close())
	}
	for _, b := range r.sized {
		errs = append(errs, b.close())
	}
	return errors.Join(errs...)
}
