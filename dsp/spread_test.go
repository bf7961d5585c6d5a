package dsp

import (
	"runtime"
	"testing"
)

// Every item is done once, no worker is in two calls at a time, and all of it ends before Spread returns.
func TestSpreadDoesEachOnce(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, processors := range []int{1, 2, 8, 64} {
		runtime.GOMAXPROCS(processors)
		for _, n := range []int{0, 1, 2, 1000} {
			done := make([]int, n)
			by := make([]int, Workers()) // a race where two share a worker
			Spread(n, func(worker, item int) {
				done[item]++
				by[worker]++
			})
			sum := 0
			for _, k := range by {
				sum += k
			}
			for i, k := range done {
				if k != 1 {
					t.Fatalf("%d processors: item %d of %d was done %d times", processors, i, n, k)
				}
			}
			if sum != n {
				t.Errorf("%d processors: workers did %d of %d items", processors, sum, n)
			}
		}
	}
}

func TestSpreadPanicsInTheCaller(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	defer func() {
		if fault := recover(); fault != "item 7" {
			t.Errorf("recovered %v", fault)
		}
	}()
	Spread(100, func(_, item int) {
		if item == 7 {
			panic("item 7")
		}
	})
}

func TestSpreadOfOneAllocatesNothing(t *testing.T) {
	x := make([]float32, 1)
	do := func(_, item int) { x[item]++ }
	if n := testing.AllocsPerRun(20, func() { Spread(1, do) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
