//go:build gpu

package infer

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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
	step := liveStepper(t, e)
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
	fp16.Batch = DefaultBatching() // which keeps the GPU warm
	cold := onCUDA(t)
	for _, c := range []struct {
		name   string
		policy func() Policy
		d      time.Duration
		idle   bool
	}{
		{"tensorrt_fp16", func() Policy { return fp16 }, long, true},
		{"cuda", func() Policy { return cold }, long / 4, true},
		{"cpu", DefaultPolicy, long / 4, false},
		{"tensorrt_fp32", func() Policy { return onGPU(t, FP32) }, long / 4, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := measureChunks(t, c.policy(), c.d, c.idle)
			figure(t, "chunk_"+c.name, f)
			if f.Allocs > 0 {
				t.Errorf("%v allocations a chunk", f.Allocs)
			}
			if c.policy().Provider != ProviderTensorRT {
				return
			}
			if f.AfterIdle > 10 {
				t.Errorf("the first chunk after 10 s of silence took %.1f ms: more than it lasts", f.AfterIdle)
			}
			if f.P50 > 0.8 || f.P99 > 1.5 {
				t.Errorf("p50 %.3f ms, p99 %.3f ms, the bar is 0.8 and 1.5", f.P50, f.P99)
			}
		})
	}
}

// liveStepper converts a hop of speech a call, as one conversation of a daemon does.
func liveStepper(t *testing.T, e *Engine) func() time.Duration {
	t.Helper()
	c := e.Contract()
	return stepping(t, e, open(t, e, c.Voices[0].Name, SessionOptions{Hops: 1, Seed: 1, Live: true}), 1)
}

// The engines that crowds share: each one's gate, and what a run costs by itself, without sockets.
func TestBenchGPUBatches(t *testing.T) {
	policy := onGPU(t, FP16)
	policy.Batch = DefaultBatching()
	if text := os.Getenv("AUTOVOICED_INFER_BATCH"); text != "" {
		n, err := strconv.Atoi(text)
		check(t, err)
		policy.Batch.Sessions = n
	}
	e := loadGPU(t, voicePack, policy)
	began := time.Now()
	err := e.PrepareBatches()
	figure(t, "batches_prepared_seconds", time.Since(began).Seconds())
	figure(t, "batches_refused", e.Warnings())
	check(t, err)
	cache, err := OpenEngineCache()
	check(t, err)
	for _, entry := range cache.entries() {
		if entry.Problem == nil && strings.Contains(entry.Engine.Name, " sessions") {
			figureOfEngine(t, &entry.Engine)
		}
	}
	liveStepper(t, e)()
	liveStepper(t, e)() // with the second they are opened
	await(t, func() bool { return e.batch.shared.Load() || e.Batching().Separate != "" })
	s := e.Batching()
	figure(t, "batches", s)
	if s.Separate != "" || len(s.Refused) > 0 {
		t.Errorf("runs are not shared: %s, refused: %q", s.Separate, s.Refused)
	}
	if s.OneByOne != "" {
		t.Errorf("states are copied one by one: %s", s.OneByOne)
	}
}

// How long the opening of a session takes in a process that knows the GPU: from nothing, from TensorRT's plain engine cache, and from
// the EP-context model beside the engine.
func TestBenchGPUStarts(t *testing.T) {
	policy := onGPU(t, FP16)
	needGPU(t, building)
	check(t, loadGPU(t, voicePack, policy).Close()) // nothing is to be the first
	c, model := packAt(t, voicePack)
	half, _, err := halfProducts(model)
	check(t, err)
	dir := t.TempDir()
	file := filepath.Join(dir, "model.onnx")
	check(t, os.WriteFile(file, half, 0o600))
	settings := runOptions(false)
	settings["trt_engine_cache_enable"], settings["trt_engine_cache_path"] = "1", filepath.Join(dir, "engine")
	seconds := map[string]float64{}
	opened := func(name, file string, settings map[string]string) {
		began := time.Now()
		net, err := openFile(&c, file, policy, settings, "")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		seconds[name] = time.Since(began).Seconds()
		figure(t, "session_seconds", seconds)
		check(t, net.Destroy())
	}
	opened("ep_context", engineAlone(t, &c).context(), runOptions(false))
	opened("from_nothing", file, settings)
	opened("engine_cache", file, settings)
}

// engineAlone is the fp16 engine of a pack for one hop.
func engineAlone(t *testing.T, c *Contract) *BuiltEngine {
	t.Helper()
	cache, err := OpenEngineCache()
	check(t, err)
	for _, e := range cache.entries() {
		if k := e.Engine.Key; e.Problem == nil && e.Engine.Name == c.Name && k.Hops == 1 && k.Precision == FP16 {
			return &e.Engine
		}
	}
	t.Fatalf("no engine of %s for one hop", c.Name)
	return nil
}

// ONNX Runtime's own profile of a session on TensorRT, kept beside the figures: what tests without a GPU read instead.
func TestBenchGPUProfile(t *testing.T) {
	policy := onGPU(t, FP16)
	check(t, loadGPU(t, voicePack, policy).Close())
	c, _ := packAt(t, voicePack)
	dir := t.TempDir()
	net, err := openFile(&c, engineAlone(t, &c).context(), policy, runOptions(false), filepath.Join(dir, "profile"))
	if err != nil {
		t.Fatal(err)
	}
	check(t, errors.Join(profiledRuns(&c, network{1, net}), net.Destroy()))
	files, err := filepath.Glob(filepath.Join(dir, "profile*.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	text := read(t, files[0])
	placed, err := parseProfile(text)
	check(t, err)
	figure(t, "profile_nodes", placed.names)
	if results := os.Getenv("AUTOVOICE_GPU_RESULTS"); results != "" {
		check(t, os.WriteFile(filepath.Join(filepath.Dir(results), "ort-profile-tensorrt.json"), text, 0o600))
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
