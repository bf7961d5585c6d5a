//go:build gpu

package infer

import (
	"math"
	"os"
	"slices"
	"testing"
	"time"
)

// The figures of daemon/docs/results: `make gpu-bench` writes them. A bar that is missed is said, and makes the test fail.

// chunkTimes are of one 10 ms chunk of one session, from samples to samples: mel, copies, run.
type chunkTimes struct {
	Provider  string    `json:"provider"`
	Precision string    `json:"precision"`
	Nodes     Nodes     `json:"nodes"`
	Runs      int       `json:"runs"`
	Seconds   float64   `json:"seconds"`
	P50       float64   `json:"p50_ms"`
	P99       float64   `json:"p99_ms"`
	Max       float64   `json:"max_ms"`
	Quantiles []float64 `json:"quantiles_ms"` // 0, 1, 2 … 99, 99.9 and 100 %
	AfterIdle float64   `json:"first_after_10_s_of_silence_ms,omitempty"`
	Allocs    float64   `json:"allocations_per_chunk"`
	Notes     []string  `json:"notes,omitempty"`
}

// paced runs as live audio does, a chunk each 10 ms.
func paced(step func() time.Duration, d time.Duration) []time.Duration {
	var all []time.Duration
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < d; {
		<-tick.C
		all = append(all, step())
	}
	return all
}

func milli(d time.Duration) float64 { return math.Round(float64(d.Microseconds())) / 1000 }

func quantile(sorted []time.Duration, q float64) float64 {
	return milli(sorted[min(len(sorted)-1, int(q*float64(len(sorted))))])
}

// benchSeconds is how long a provider whose bars are stated for 60 s is measured; AUTOVOICE_GPU_SECONDS shortens a trial.
func benchSeconds(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("AUTOVOICE_GPU_SECONDS")
	if text == "" {
		return time.Minute
	}
	d, err := time.ParseDuration(text + "s")
	check(t, err)
	return d
}

func measureChunks(t *testing.T, policy Policy, d time.Duration, idle bool) chunkTimes {
	t.Helper()
	e := loadGPU(t, voicePack, policy)
	step := stepper(t, e, 1)
	for range 200 {
		step()
	}
	p := e.Provider()
	f := chunkTimes{Provider: p.Active, Precision: p.Precision, Nodes: p.Nodes, Notes: e.Warnings(), Seconds: d.Seconds()}
	f.Allocs = testing.AllocsPerRun(100, func() { step() })
	all := paced(step, d)
	if idle {
		time.Sleep(10 * time.Second)
		f.AfterIdle = milli(step())
	}
	slices.Sort(all)
	f.Runs, f.P50, f.P99, f.Max = len(all), quantile(all, 0.5), quantile(all, 0.99), milli(all[len(all)-1])
	for q := range 100 {
		f.Quantiles = append(f.Quantiles, quantile(all, float64(q)/100))
	}
	f.Quantiles = append(f.Quantiles, quantile(all, 0.999), f.Max)
	return f
}

// A 10 ms chunk at a time, and the first after 10 s of silence, on each provider, in one run.
func TestBenchGPUChunk(t *testing.T) {
	long := benchSeconds(t)
	fp16 := onGPU(t, FP16)
	for _, c := range []struct {
		name   string
		policy Policy
		d      time.Duration
	}{{"tensorrt_fp16", fp16, long}, {"tensorrt_fp32", onGPU(t, FP32), long}, {"cuda", onCUDA(t), long / 3}, {"cpu", DefaultPolicy(), long / 3}} {
		gpu := c.policy.Provider != DefaultPolicy().Provider
		f := measureChunks(t, c.policy, c.d, gpu)
		figure(t, "chunk_"+c.name, f)
		if f.Allocs > 0 {
			t.Errorf("%s: %v allocations a chunk", c.name, f.Allocs)
		}
		if f.AfterIdle > 10 {
			t.Errorf("%s: the first chunk after 10 s of silence took %.1f ms: more than it lasts", c.name, f.AfterIdle)
		}
		if c.policy.Provider == ProviderTensorRT && (f.P50 > 0.8 || f.P99 > 1.5) {
			t.Errorf("%s: p50 %.3f ms, p99 %.3f ms, the bar is 0.8 and 1.5", c.name, f.P50, f.P99)
		}
	}
}

// Memory of the GPU, as CUDA tells it: what the first session of an engine takes, and what more take.
func TestBenchGPUMemory(t *testing.T) {
	policy := onGPU(t, FP16)
	cuda, err := loadCUDA()
	if err != nil {
		t.Fatal(err)
	}
	used := func() float64 {
		free, total, err := cuda.memory()
		check(t, err)
		return float64(total-free) / (1 << 20)
	}
	before := used()
	e := loadGPU(t, voicePack, policy)
	stepper(t, e, 1)()
	base := used()
	const more = 64
	for range more {
		stepper(t, e, 1)()
	}
	figure(t, "gpu_memory_mib", map[string]float64{"before": before, "with_one_session": base, "per_further_session": (used() - base) / more})
}
