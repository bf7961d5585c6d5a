package daemon

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/infer"
)

// gpuError is an error of the GPU in the protocol's words; nil for another.
func gpuError(err error) *wire.Error {
	switch {
	case errors.Is(err, infer.ErrGPULost):
		return wire.Errorf(wire.CodeGPULost, "", "%v", err)
	case errors.Is(err, infer.ErrGPUMemory):
		return wire.Errorf(wire.CodeGPUMemory, "", "%v", err)
	}
	return nil
}

// gpuFault is the failure of the GPU after which this process cannot use it again. It is there for good.
type gpuFault struct{ err atomic.Pointer[wire.Error] }

// note remembers a session's end if it was the GPU's.
func (f *gpuFault) note(err error) {
	if e := gpuError(err); e != nil && e.Code == wire.CodeGPULost {
		f.err.CompareAndSwap(nil, e)
	}
}

// lost is the error for who comes after; nil while all is well.
func (f *gpuFault) lost() *wire.Error {
	e := f.err.Load()
	if e == nil {
		return nil
	}
	own := *e
	return &own
}

// building is the newest that is known of engines being built, for status.
type building struct {
	now    atomic.Pointer[infer.Building]
	logged atomic.Int64 // unix seconds
	built  atomic.Uint64
}

const buildingLogged = 5 * time.Second

// watch is told of every step; it says whether to log it.
func (b *building) watch(now infer.Building) bool {
	if now.Done {
		if last := b.now.Swap(nil); last != nil && !last.Waiting {
			b.built.Add(1)
		}
		return true
	}
	first := b.now.Swap(&now) == nil
	last, at := b.logged.Load(), time.Now().Unix()
	if first || at-last >= int64(buildingLogged.Seconds()) {
		b.logged.Store(at)
		return true
	}
	return false
}

func (b *building) status() *wire.Building {
	now := b.now.Load()
	if now == nil {
		return nil
	}
	return &wire.Building{
		Pack: now.Model, Hops: now.Hops, Precision: now.Precision, Waiting: now.Waiting,
		ElapsedSeconds: now.Elapsed.Seconds(), EstimateSeconds: now.Estimate.Seconds(),
	}
}
