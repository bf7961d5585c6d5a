//go:build gpu

package infer

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	ort "github.com/yalue/onnxruntime_go"
)

// These tests run on a machine with a GPU and TensorRT, from a carried build: daemon/docs/tensorrt.md says how. Elsewhere they
// skip and say why; AUTOVOICE_REQUIRE_GPU=1 makes that a failure. `make gpu-test` runs those that begin with TestGPU, `make gpu-bench`
// those that begin with TestBenchGPU. What they measure goes to the file that AUTOVOICE_GPU_RESULTS names.

const voicePack = "voices/first.onnx"

// needGPU skips where TensorRT cannot be had, with the reason.
func needGPU(t *testing.T, to purpose) *survey {
	t.Helper()
	err := Start()
	var s *survey
	if err == nil {
		s, err = surveyMachine(ProviderTensorRT, Library(), to)
	}
	if err != nil {
		if os.Getenv("AUTOVOICE_REQUIRE_GPU") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return s
}

// gpuCache is one folder for all tests of a run, as engines take a minute to build; AUTOVOICE_GPU_CACHE names one that stays.
var gpuCache = sync.OnceValue(func() string {
	if dir := os.Getenv("AUTOVOICE_GPU_CACHE"); dir != "" {
		return dir
	}
	dir, err := os.MkdirTemp("", "autovoice-gpu-")
	if err != nil {
		panic(err)
	}
	return dir
})

func onGPU(t *testing.T, precision string) Policy {
	t.Helper()
	needGPU(t, serving)
	t.Setenv("XDG_CACHE_HOME", gpuCache())
	return Policy{Provider: ProviderTensorRT, Precision: precision, Threads: 1}
}

// figure logs a result and adds it to the results file, where those of earlier runs are.
func figure(t *testing.T, name string, value any) {
	t.Helper()
	t.Logf("%s: %+v", name, value)
	file := os.Getenv("AUTOVOICE_GPU_RESULTS")
	if file == "" {
		return
	}
	all := map[string]any{}
	if text, err := os.ReadFile(file); err == nil {
		check(t, json.Unmarshal(text, &all))
	}
	all[name] = value
	text, err := json.MarshalIndent(all, "", "  ")
	check(t, err)
	check(t, writeWhole(file, append(text, '\n')))
}

func loadGPU(t *testing.T, path string, policy Policy) *Engine {
	t.Helper()
	e, err := Load(path, policy)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, e.Close()) })
	return e
}

// onCUDA is ONNX Runtime's own CUDA provider, with what it leaves to the CPU: it was seen to leave something.
func onCUDA(t *testing.T) Policy {
	t.Helper()
	needGPU(t, serving)
	return Policy{Provider: ProviderCUDA, Precision: FP32, Fallback: true, Threads: 1}
}

// Tensors lie in the GPU's memory and what is heard comes to it: nothing has to be built to see that.
func TestGPU0Tensors(t *testing.T) {
	policy := onCUDA(t)
	c, _ := packAt(t, voicePack)
	samples, f0 := speech(200)
	run := func(p Policy, hops int) []float32 {
		e := loadGPU(t, voicePack, p)
		t.Logf("%d hops on %+v %q", hops, e.Provider(), e.Warnings())
		v := open(t, e, c.Voices[0].Name, SessionOptions{Hops: hops, Seed: 1})
		if on := v.(*Voice).bound.device != nil; on != (p.Provider == ProviderCUDA) {
			t.Errorf("%s: tensors on the GPU: %v", p.Provider, on)
		}
		first := convert(t, v, samples, f0, hops)
		v.Reset()
		if !same(convert(t, v, samples, f0, hops), first) && p.Provider != ProviderCUDA { // whose sums need not repeat
			t.Errorf("%s: another sound after a reset", p.Provider)
		}
		return first
	}
	want := run(DefaultPolicy(), 1)
	for _, hops := range []int{1, 4} {
		d := distanceOf(want, run(policy, hops))
		figure(t, fmt.Sprintf("distance_from_cpu_cuda_%d_hops", hops), d)
		check(t, d.check())
	}
}

// engineCount is how many sound engines there are.
func engineCount(t *testing.T) (n int) {
	t.Helper()
	c, err := OpenEngineCache()
	check(t, err)
	for _, e := range c.entries() {
		if e.Problem == nil {
			n++
		}
	}
	return n
}

// The first start builds, in children; everything runs on TensorRT.
func TestGPU1Build(t *testing.T) {
	s := needGPU(t, building)
	figure(t, "machine", s.machine)
	figure(t, "processor", processor())
	t.Run("fp16", func(t *testing.T) { buildOnGPU(t, FP16) })
	t.Run("fp32", func(t *testing.T) { buildOnGPU(t, FP32) })
	t.Run("many_hops", func(t *testing.T) { // as songs take them
		e := loadGPU(t, voicePack, onGPU(t, FP16))
		c := e.Contract()
		began := time.Now()
		check(t, e.Prepare(c.Run(maxHops)))
		figure(t, "prepare_most_hops_seconds", time.Since(began).Seconds())
		figure(t, "warnings_most_hops", e.Warnings())
	})
}

func buildOnGPU(t *testing.T, precision string) {
	policy := onGPU(t, precision)
	before, began := engineCount(t), time.Now()
	e := loadGPU(t, voicePack, policy)
	if engineCount(t) > before {
		figure(t, "first_start_seconds_"+precision, time.Since(began).Seconds())
	}
	p := e.Provider()
	if p.Active != ProviderTensorRT || p.Nodes.TensorRT == 0 || p.Nodes.CUDA+p.Nodes.CPU != 0 {
		t.Errorf("%s: %+v", precision, p)
	}
	if precision == FP32 && p.Precision != FP32 {
		t.Errorf("%+v, expected fp32", p)
	}
	figure(t, "provider_"+precision, p)
	figure(t, "warnings_"+precision, e.Warnings())
}

// processor names the machine's own.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	_, after, _ := strings.Cut(string(text), "model name\t: ")
	name, _, _ := strings.Cut(after, "\n")
	return fmt.Sprintf("%s, %d threads", name, runtime.NumCPU())
}

// The gate's verdict is in the manifest, and the engine's precision follows from it.
func TestGPU2PrecisionGate(t *testing.T) {
	loadGPU(t, voicePack, onGPU(t, FP16))
	c, err := OpenEngineCache()
	check(t, err)
	entries, err := c.Entries()
	check(t, err)
	gated := 0
	for _, e := range entries {
		b := e.Engine
		if e.Problem != nil || b.Key.Precision != FP16 {
			continue
		}
		gated++
		if b.Gate == nil {
			t.Fatalf("%s: fp16 without a gate", e.Name)
		}
		if near := b.Gate.check() == nil; near != (b.Precision == FP16) && !strings.Contains(b.Name, " sessions") { // which are not used
			t.Errorf("%s: %v, and it runs in %s", e.Name, b.Gate, b.Precision)
		}
		figureOfEngine(t, &b)
	}
	if gated == 0 {
		t.Error("no fp16 engine in the cache")
	}
}

// figureOfEngine tells of an engine what its manifest does.
func figureOfEngine(t *testing.T, b *BuiltEngine) {
	t.Helper()
	var files []string
	for _, f := range b.Files {
		files = append(files, f.Name)
	}
	figure(t, fmt.Sprintf("gate_%s_%d_hops", strings.ReplaceAll(b.Name, " ", "_"), b.Key.Hops), map[string]any{
		"distance": b.Gate, "precision": b.Precision, "chosen_by_tensorrt": b.Chosen, "bytes": b.Size(), "build_seconds": b.Seconds, "files": files,
	})
}

// secondStart is what a fresh process sees.
type secondStart struct {
	Seconds  float64
	Provider Provider
	Builder  bool // is in memory
}

// The second start builds nothing and touches nothing, is quick, and has no builder in memory: not even where there is none.
func TestGPU3SecondStart(t *testing.T) {
	if os.Getenv("TEST_SECOND_START") != "" {
		began := time.Now()
		e := loadGPU(t, voicePack, Policy{Provider: ProviderTensorRT, Precision: FP16, Threads: 1})
		s := secondStart{Seconds: time.Since(began).Seconds(), Provider: e.Provider()}
		s.Builder = strings.Contains(string(read(t, "/proc/self/maps")), "builder_resource")
		text, err := json.Marshal(s)
		check(t, err)
		check(t, os.WriteFile(os.Getenv("TEST_SECOND_START"), text, 0o600))
		return
	}
	loadGPU(t, voicePack, onGPU(t, FP16))
	c, err := OpenEngineCache()
	check(t, err)
	before := changed(t, c.Dir())
	for name, env := range map[string][]string{"second_start": nil, "third_start": nil, "start_without_builder": withoutBuilder(t)} {
		answer := filepath.Join(t.TempDir(), "answer")
		if text, err := rerun(t, append(env, "TEST_SECOND_START="+answer)...); err != nil {
			t.Fatalf("%s: %v: %s", name, err, text)
		}
		var s secondStart
		check(t, json.Unmarshal(read(t, answer), &s))
		figure(t, name, s)
		if s.Provider.Active != ProviderTensorRT || s.Provider.Nodes.TensorRT == 0 || s.Builder {
			t.Errorf("%s: %+v", name, s)
		}
		if env == nil && s.Seconds > 2 { // the first of them tries a child again when the libraries have moved
			t.Errorf("%s took %.2f s", name, s.Seconds)
		}
	}
	for name, at := range changed(t, c.Dir()) {
		if was, there := before[name]; !strings.HasPrefix(name, triedMarks) && (!there || !was.Equal(at)) {
			t.Errorf("%s was written by a later start", name)
		}
	}
}

// withoutBuilder is a serving machine's libraries: links to all of them but the builder's.
func withoutBuilder(t *testing.T) []string {
	t.Helper()
	from, to := filepath.Dir(Library()), t.TempDir()
	files, err := os.ReadDir(from)
	check(t, err)
	for _, f := range files {
		if !strings.Contains(f.Name(), "builder_resource") {
			check(t, os.Symlink(filepath.Join(from, f.Name()), filepath.Join(to, f.Name())))
		}
	}
	var paths []string
	for _, p := range strings.Split(os.Getenv("LD_LIBRARY_PATH"), ":") {
		if p != from && p != "" {
			paths = append(paths, p)
		}
	}
	return []string{EnvLibrary + "=" + filepath.Join(to, filepath.Base(Library())), "LD_LIBRARY_PATH=" + strings.Join(append(paths, to), ":")}
}

// A graph that TensorRT may not take whole: strict, there is no session; lenient, the proof fails and names the nodes.
func TestGPU4ProofFails(t *testing.T) {
	policy := onGPU(t, FP32)
	c, model := packAt(t, tinyVoice)
	settings := runOptions(false)
	settings["trt_op_types_to_exclude"] = "Softmax,Tanh,Sigmoid,LeakyRelu"
	file := filepath.Join(t.TempDir(), "tiny.onnx")
	check(t, os.WriteFile(file, model, 0o600))
	if net, err := openFile(&c, file, policy, settings, ""); err == nil {
		t.Error("a session with nodes on the cpu, although none may be there")
		check(t, net.Destroy())
	} else {
		figure(t, "refusal", err.Error())
	}
	placed, err := countNodes(&c, 1, func(profile string) (net *netSession, err error) {
		options, err := netOptions(policy, profile)
		if err != nil {
			return nil, err
		}
		defer options.Destroy()
		trt, err := ort.NewTensorRTProviderOptions()
		if err != nil {
			return nil, err
		}
		defer trt.Destroy()
		check(t, trt.Update(settings))
		err = keepSignals(func() error {
			if err := options.AppendExecutionProviderTensorRT(trt); err != nil {
				return err
			}
			net, err = ort.NewDynamicAdvancedSession(file, tensorNames(c.inputs(1)), tensorNames(c.outputs(1)), options)
			return err
		})
		return net, err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = placed.prove(ProviderTensorRT)
	wantError(t, err, "do not run on tensorrt", "on cpu")
	figure(t, "failed_proof", err.Error())
}

// A damaged engine is set aside and built again, in a child; nothing crashes.
func TestGPU5DamagedEngine(t *testing.T) {
	policy := onGPU(t, FP32)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	check(t, loadGPU(t, tinyVoice, policy).Close())
	c, err := OpenEngineCache()
	check(t, err)
	entries, err := c.Entries()
	if err != nil || len(entries) != 1 {
		t.Fatalf("%+v, %v", entries, err)
	}
	check(t, flip(filepath.Join(c.Dir(), entries[0].Name, entries[0].Engine.Files[0].Name)))
	check(t, loadGPU(t, tinyVoice, policy).Close())
	if aside, _ := filepath.Glob(filepath.Join(c.Dir(), "*"+badInfix+"*")); len(aside) != 1 {
		t.Errorf("set aside: %q", aside)
	}
}

// With a session open and running, SIGTERM and SIGINT still come to Go. In a process of its own.
func TestGPU6Signals(t *testing.T) {
	if os.Getenv("TEST_GPU_SIGNALS") == "" {
		onGPU(t, FP16)
		text, err := rerun(t, "TEST_GPU_SIGNALS=1")
		if err != nil {
			t.Errorf("%v: %s", err, text)
		}
		return
	}
	e := loadGPU(t, voicePack, Policy{Provider: ProviderTensorRT, Precision: FP16, Threads: 1})
	step := stepper(t, e, 1)
	heard := make(chan os.Signal, 2)
	signal.Notify(heard, syscall.SIGTERM, syscall.SIGINT)
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGTERM} {
		step()
		check(t, syscall.Kill(os.Getpid(), s))
		select {
		case got := <-heard:
			if got != s {
				t.Errorf("heard %v, expected %v", got, s)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%v was not heard", s)
		}
		step()
	}
}

// stepper gives a function that converts one call of so many hops of speech, and says how long it took.
func stepper(t *testing.T, e *Engine, hops int) func() time.Duration {
	t.Helper()
	c := e.Contract()
	return stepping(t, e, open(t, e, c.Voices[0].Name, SessionOptions{Hops: hops, Seed: 1}), hops)
}

func stepping(t *testing.T, e *Engine, v Converter, hops int) func() time.Duration {
	t.Helper()
	c := e.Contract()
	samples, f0 := speech(512)
	out, at := make([]float32, hops*c.HopOut), 0
	return func() time.Duration {
		if at+hops > len(f0) {
			at = 0
		}
		began := time.Now()
		if err := v.Convert(out, samples[at*c.HopIn:(at+hops)*c.HopIn], f0[at:at+hops]); err != nil {
			t.Fatal(err)
		}
		at += hops
		return time.Since(began)
	}
}

// The engine sounds as the CPU does.
func TestGPU7SoundsAsTheCPU(t *testing.T) {
	needGPU(t, serving)
	c, _ := packAt(t, voicePack)
	samples, f0 := speech(256)
	run := func(p Policy) []float32 {
		v := open(t, loadGPU(t, voicePack, p), c.Voices[0].Name, SessionOptions{Seed: 1})
		return convert(t, v, samples, f0, 1)
	}
	want := run(DefaultPolicy())
	for _, precision := range []string{FP32, FP16} {
		d := distanceOf(want, run(onGPU(t, precision)))
		figure(t, "distance_from_cpu_"+precision, d)
		check(t, d.check())
	}
}
