package infer

import (
	"fmt"
	"time"
)

const (
	maxGather   = 20 * time.Millisecond
	maxKeepWarm = 10 * time.Second
	// Nobody gains by more, and the tensors of so many sessions are 90 MB.
	maxBatch = 256
)

// Batching says how live sessions of one pack share runs of its network.
type Batching struct {
	// Sessions is how many a run serves at most: 0 is as many as finish in time, 1 lets each run alone.
	Sessions int `yaml:"batch" json:"batch" min:"0" max:"256"`
	// Gather is how long a hop waits at most for others, once the processor or GPU is busy; before, none waits.
	Gather time.Duration `yaml:"gather" json:"gather" min:"0s" max:"20ms"`
	// KeepWarm is how often a GPU runs for nobody while its sessions are silent, so that it does not clock down; 0 is
	// never. A CPU needs none.
	KeepWarm time.Duration `yaml:"keep_warm" json:"keep_warm" min:"0s" max:"10s"`
}

// DefaultBatching serves as many as finish in time, and keeps GPUs warm.
func DefaultBatching() Batching {
	return Batching{Gather: 2 * time.Millisecond, KeepWarm: 100 * time.Millisecond}
}

// Validate quotes the key that is wrong and what it may be.
func (b Batching) Validate() error {
	switch {
	case b.Sessions < 0 || b.Sessions > maxBatch:
		return fmt.Errorf("'batch' is %d, allowed: 0 to %d", b.Sessions, maxBatch)
	case b.Gather < 0 || b.Gather > maxGather:
		return fmt.Errorf("'gather' is %v, allowed: 0s to %v", b.Gather, maxGather)
	case b.KeepWarm < 0 || b.KeepWarm > maxKeepWarm:
		return fmt.Errorf("'keep_warm' is %v, allowed: 0s to %v", b.KeepWarm, maxKeepWarm)
	}
	return nil
}

// candidates are the numbers of sessions that are worth a try on a provider. A CPU's network takes any number. Engines of TensorRT
// are built for one number each, and CUDA chooses its algorithms for one.
func (b Batching) candidates(provider string) []int {
	all := []int{2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16}
	if provider != ProviderCPU {
		all = []int{4, 16, 64, 256}
	}
	most := b.Sessions
	if most == 0 {
		most = maxBatch
	}
	for i, n := range all {
		if n > most {
			return all[:i]
		}
	}
	return all
}
