package infer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	ort "github.com/yalue/onnxruntime_go"
)

// TensorRT runs engines, which are built of a graph for one GPU, in seconds to minutes, and kept (enginecache.go). Each
// is opened through the EP-context model beside it, which takes a fraction of a second and needs no builder. Whatever may end the
// process, building and the first session of a set-up, happens in a child of the same binary (tensorrt_trial.go).

// engineFile is the EP-context model of an engine, in the engine's folder. It names the engine by a relative path: ONNX
// Runtime refuses an absolute one.
const engineFile = "engine_ctx.onnx"

// buildOptions make TensorRT leave an engine and its EP-context model in the working directory.
func buildOptions(choose bool, timing string) map[string]string {
	o := runOptions(choose)
	o["trt_engine_cache_enable"] = "1"
	o["trt_engine_cache_path"] = "engine"
	o["trt_dump_ep_context_model"] = "1"
	o["trt_ep_context_file_path"] = engineFile
	o["trt_ep_context_embed_mode"] = "0"
	o["trt_timing_cache_enable"] = "1"
	o["trt_timing_cache_path"] = timing
	return o
}

// runOptions: TensorRT keeps to the types that a graph has, unless it may choose where it computes in half precision.
func runOptions(choose bool) map[string]string {
	fp16 := "0"
	if choose {
		fp16 = "1"
	}
	return map[string]string{
		"device_id": "0", "trt_fp16_enable": fp16,
		// Builds beside each other crashed, and upset each other's timings.
		"trt_force_sequential_engine_build": "1",
	}
}

// appendProvider puts a GPU provider before the CPU's. Nothing may be left to the CPU, or there is no session, unless CUDA's fallback
// allows it: we also do not put CUDA behind TensorRT, which would take what TensorRT leaves without a word.
func appendProvider(options *ort.SessionOptions, policy Policy, settings map[string]string) error {
	if policy.Provider != ProviderCUDA || !policy.Fallback {
		if err := options.AddSessionConfigEntry("session.disable_cpu_ep_fallback", "1"); err != nil {
			return err
		}
	}
	if policy.Provider == ProviderCUDA {
		cuda, err := ort.NewCUDAProviderOptions()
		if err != nil {
			return err
		}
		return errors.Join(cuda.Update(map[string]string{"device_id": "0"}), options.AppendExecutionProviderCUDA(cuda), cuda.Destroy())
	}
	trt, err := ort.NewTensorRTProviderOptions()
	if err != nil {
		return err
	}
	return errors.Join(trt.Update(settings), options.AppendExecutionProviderTensorRT(trt), trt.Destroy())
}

// openFile opens a network that lies in a file, on TensorRT: paths in an EP-context model are relative to it.
func openFile(c *Contract, file string, policy Policy, settings map[string]string, profile string) (*netSession, error) {
	options, err := netOptions(policy, profile)
	if err != nil {
		return nil, err
	}
	defer options.Destroy() //nolint:errcheck // always nil, see onnxruntime_go
	var net *netSession
	err = keepSignals(func() error {
		if err := appendProvider(options, policy, settings); err != nil {
			return err
		}
		net, err = ort.NewDynamicAdvancedSession(file, tensorNames(c.inputs(1)), tensorNames(c.outputs(1)), options)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("onnx runtime %s refuses it on tensorrt: %w", Version(), gpuFull(err))
	}
	return net, nil
}

// openTensorRT opens the engine of the graph for so many hops, and builds it first where there is none that is sound.
func (e *Engine) openTensorRT(model []byte, hops int) (*netSession, error) {
	built, err := builtEngine(&e.contract, e.policy, model, nil, hops)
	if err != nil {
		return nil, err
	}
	e.told.Lock()
	if built.Precision != e.policy.Precision {
		e.provider.Precision = built.Precision
		e.warnings = append(e.warnings, fmt.Sprintf("model %s, graph for %d hops: runs in %s, as %s was too far from it: %v", e.file, hops, built.Precision, e.policy.Precision, built.Gate))
	}
	if hops == 1 {
		e.provider.Nodes = built.Nodes
	}
	e.told.Unlock()
	return openFile(&e.contract, built.context(), e.policy, runOptions(built.Chosen), "")
}

// openTensorRTBatch is the same for one hop of so many sessions. It is built in the precision that the graph for one was found to be good
// in, and must be found good as well: TensorRT computes each size in its own way.
func (e *Engine) openTensorRTBatch(model, pack []byte, sessions int) (batchNet, error) {
	c, policy := e.contract.of(sessions), e.policy
	policy.Precision = e.Provider().Precision
	built, err := builtEngine(c, policy, model, pack, 1)
	if err != nil {
		return batchNet{}, err
	}
	if err := built.Unused(); err != nil {
		return batchNet{}, err
	}
	net, err := openFile(c, built.context(), policy, runOptions(built.Chosen), "")
	return batchNet{net: net, rows: []int{sessions}, precision: built.Precision, gate: built.Gate}, err
}

// builtEngine is the engine of a model, which is built first where there is none that is sound. alone is the graph for one session, of one for many.
func builtEngine(c *Contract, policy Policy, model, alone []byte, hops int) (BuiltEngine, error) {
	cache, err := OpenEngineCache()
	if err != nil {
		return BuiltEngine{}, err
	}
	at, err := surveyMachine(ProviderTensorRT, Library(), serving)
	if err != nil {
		return BuiltEngine{}, err
	}
	ctx := buildContext()
	b := &engineBuilder{ctx: ctx, contract: c, policy: policy, hops: hops, cache: cache, model: model, alone: alone}
	key := EngineKey{Model: hash(model), Shapes: c.shapes(hops), Hops: hops, Precision: policy.Precision, Machine: at.machine}
	built, err := cache.get(ctx, key, c.title(), b.build)
	if err != nil {
		return BuiltEngine{}, err
	}
	return built, cache.once(at.id(), func() error {
		_, err := try(ctx, trialRequest{Contract: c, Hops: hops, Policy: policy, Context: built.context(), Precision: built.Precision, Choose: built.Chosen})
		return err
	})
}

// engineBuilder builds one engine, in children.
type engineBuilder struct {
	ctx      context.Context // that ends the build
	contract *Contract
	policy   Policy
	hops     int
	model    []byte
	alone    []byte // of the graph for many sessions: the pack, whose graph for one it is compared with
	cache    *EngineCache
}

// build leaves an engine in the folder, proven and, in fp16, compared with fp32: too far, it is fp32 instead. One for many sessions
// stays as it is, and is not used.
func (b *engineBuilder) build(dir string, m *BuiltEngine) error {
	plain, err := b.cache.export(b.contract.title(), b.hops, b.model)
	if err != nil {
		return err
	}
	r := trialRequest{Contract: b.contract, Hops: b.hops, Policy: b.policy, Model: plain, Source: plain, Dir: dir, Timing: b.cache.timing(), Precision: b.policy.Precision}
	if b.contract.Sessions > 0 {
		if r.Alone, err = b.cache.export(b.contract.Name, 1, b.alone); err != nil {
			return err
		}
	}
	var answer trialAnswer
	if r.Precision == FP16 {
		answer, err = b.half(&r)
	} else {
		answer, err = b.attempt(r)
	}
	if err != nil {
		return err
	}
	m.Gate = answer.Distance
	if m.Gate != nil && m.Gate.check() != nil && b.contract.Sessions == 0 {
		r.Precision, r.Source, r.Choose = FP32, plain, false
		if answer, err = b.again(r); err != nil {
			return err
		}
	}
	m.Precision, m.Chosen, m.Nodes = r.Precision, r.Choose, answer.Nodes
	return nil
}

// half builds with the products in half precision; where there are none, or TensorRT does not take them, it may choose what is.
func (b *engineBuilder) half(r *trialRequest) (trialAnswer, error) {
	half, products, err := halfProducts(b.model)
	if err != nil || products == 0 {
		r.Choose = true
		return b.attempt(*r)
	}
	if r.Source, err = b.cache.export(b.contract.title()+"-half", b.hops, half); err != nil {
		return trialAnswer{}, err
	}
	answer, err := b.attempt(*r)
	if err == nil || b.ctx.Err() != nil {
		return answer, err
	}
	r.Source, r.Choose = r.Model, true
	answer, second := b.again(*r)
	if second != nil {
		return answer, errors.Join(err, second)
	}
	return answer, nil
}

// again attempts in an empty folder.
func (b *engineBuilder) again(r trialRequest) (trialAnswer, error) {
	if err := b.cache.empty(r.Dir); err != nil {
		return trialAnswer{}, err
	}
	return b.attempt(r)
}

// attempt builds in one child and opens what it left in another, as a later start will.
func (b *engineBuilder) attempt(r trialRequest) (trialAnswer, error) {
	r.Build = true
	if _, err := try(b.ctx, r); err != nil {
		return trialAnswer{}, err
	}
	r.Build, r.Context = false, filepath.Join(r.Dir, engineFile)
	return try(b.ctx, r)
}

// title tells the graph for many sessions from that for one.
func (c *Contract) title() string {
	if c.Sessions == 0 {
		return c.Name
	}
	return fmt.Sprintf("%s for %d sessions", c.Name, c.Sessions)
}

// shapes is the text of a graph's inputs and outputs.
func (c *Contract) shapes(hops int) string {
	var text string
	for _, t := range append(c.inputs(hops), c.outputs(hops)...) {
		text += t.name + " " + t.String() + "\n"
	}
	return text
}

// Building is how far the building of an engine is, for whoever waits.
type Building struct {
	Model     string // the pack's name
	Hops      int
	Precision string
	Elapsed   time.Duration
	// Estimate is how long it took the last time, or takes on the machines that we know.
	Estimate time.Duration
	// Waiting: another process builds.
	Waiting bool
	// Done: nothing is built or waited for any more.
	Done bool
}

// String is one line for a terminal.
func (b Building) String() string {
	hops := strconv.Itoa(b.Hops)
	if b.Done {
		return fmt.Sprintf("engine of %s for %s hops: done", b.Model, hops)
	}
	if b.Waiting {
		return fmt.Sprintf("engine of %s for %s hops: waiting for another process that builds, %.0f s", b.Model, hops, b.Elapsed.Seconds())
	}
	return fmt.Sprintf("building the engine of %s for %s hops in %s: %.0f of about %.0f s", b.Model, hops, b.Precision, b.Elapsed.Seconds(), b.Estimate.Seconds())
}
