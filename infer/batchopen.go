package infer

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"
)

// newBatcher is for the engine's live sessions. On a CPU as many runs go beside each other as there are processors for their threads;
// a GPU does one at a time anyway.
func (e *Engine) newBatcher() *batcher {
	parallel := 1
	if e.policy.Provider == ProviderCPU {
		parallel = max(1, runtime.GOMAXPROCS(0)/e.policy.Threads)
	}
	model := e.model // whole, as long as the batcher may need it
	return newBatcher(&e.contract, e.policy, parallel, e.nets[0], e.alone, func() ([]batchNet, []string, error) { return e.openBatches(model) })
}

// openBatches opens the networks for many sessions: on a CPU one for any number, else one for each. A size that cannot be had is
// refused, with the reason, and the others are used; without any, there is an error.
func (e *Engine) openBatches(model []byte) (nets []batchNet, refused []string, err error) {
	sizes := e.policy.Batch.candidates(e.policy.Provider)
	if len(sizes) == 0 {
		return nil, nil, nil
	}
	if e.policy.Provider == ProviderCPU {
		whole, err := batchOf(model, 0)
		if err != nil {
			return nil, nil, err
		}
		net, err := openNet(&e.contract, whole, e.policy, "")
		if err != nil {
			return nil, nil, err
		}
		return []batchNet{{net: net, rows: sizes, precision: FP32}}, nil, nil
	}
	for _, n := range sizes {
		net, err := e.openBatch(model, n)
		if err != nil {
			refused = append(refused, fmt.Sprintf("%d sessions a run: %v", n, err))
			continue
		}
		nets = append(nets, net)
	}
	if len(nets) == 0 {
		return nil, refused, errors.New(strings.Join(refused, "; "))
	}
	return nets, refused, nil
}

// openBatch opens the network for exactly so many sessions.
func (e *Engine) openBatch(model []byte, sessions int) (batchNet, error) {
	whole, err := batchOf(model, sessions)
	if err != nil {
		return batchNet{}, err
	}
	if e.policy.Provider == ProviderTensorRT {
		return e.openTensorRTBatch(whole, model, sessions)
	}
	net, err := openNet(&e.contract, whole, e.policy, "")
	return batchNet{net: net, rows: []int{sessions}, precision: FP32}, err
}

// PrepareBatches builds the engines of a GPU for many sessions, so that no session waits for them. A CPU needs none.
func (e *Engine) PrepareBatches() error {
	if e.batch == nil || e.policy.Provider == ProviderCPU || e.Batching().Separate != "" {
		return nil
	}
	nets, refused, err := e.batch.openNets()
	e.told.Lock()
	for _, why := range refused {
		e.warnings = append(e.warnings, fmt.Sprintf("model %s is not used for %s", e.file, why))
	}
	e.told.Unlock()
	return errors.Join(err, closeNets(nets))
}

func closeNets(nets []batchNet) error {
	var errs []error
	for _, n := range nets {
		errs = append(errs, n.net.Destroy())
	}
	return errors.Join(errs...)
}

// open opens the networks for many, measures them, and lets the workers run until the batcher is closed. It is the first worker's
// goroutine.
func (b *batcher) open() {
	nets, refused, err := b.openNets()
	b.mu.Lock()
	b.refused = refused
	b.mu.Unlock()
	defer closeNets(nets) //nolint:errcheck // nothing is lost with a network that closes badly
	if err == nil && len(nets) > 0 {
		err = b.share(nets)
	}
	if err != nil {
		b.mu.Lock()
		b.why = err.Error()
		b.mu.Unlock()
	}
}

// share measures the networks and works with them until the end.
func (b *batcher) share(nets []batchNet) error {
	workers := b.parallel + 1 // one runs the next while another tells those of its own run
	runs := make([]batchRun, 0, workers)
	defer func() {
		for _, r := range runs {
			_ = r.close()
		}
	}()
	for range workers {
		r, err := newBatchRun(b.contract, nets)
		if err != nil {
			return err
		}
		runs = append(runs, r)
	}
	if g, ok := runs[0].(*gpuBatch); ok && g.why != nil {
		b.mu.Lock()
		b.oneByOne = g.why.Error()
		b.mu.Unlock()
	}
	if err := b.survey(runs[0], nets); err != nil {
		return err
	}
	b.mu.Lock()
	many := len(b.sizes) > 1
	if !many {
		b.why = fmt.Sprintf("a run for several sessions takes longer than one each, or than %v", longestRun)
	}
	most := b.sizes[len(b.sizes)-1].Sessions
	b.mu.Unlock()
	if !many {
		return nil
	}
	b.shared.Store(true)
	defer b.shared.Store(false)
	var all sync.WaitGroup
	for _, r := range runs {
		all.Go(func() { b.work(r, make([]*seat, most)) })
	}
	all.Wait()
	return nil
}

// survey measures a run of each size, and keeps the sizes that serve a session for less than a smaller one does and are over soon
// enough.
func (b *batcher) survey(r batchRun, nets []batchNet) error {
	var sizes []BatchSize
	each := b.alone
	for _, n := range nets {
		for _, k := range n.rows {
			select {
			case <-b.stop:
				return nil
			default:
			}
			took, err := r.measure(b.policy, k)
			if err != nil {
				return err
			}
			if took > longestRun {
				break
			}
			if took/time.Duration(k) <= each {
				each = took / time.Duration(k)
				sizes = append(sizes, BatchSize{Sessions: k, Cost: took, Least: took, Precision: n.precision, Gate: n.gate})
			}
		}
	}
	b.mu.Lock()
	b.sizes = append(b.sizes, sizes...)
	b.mu.Unlock()
	return nil
}
