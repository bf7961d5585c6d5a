package infer

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	ort "github.com/yalue/onnxruntime_go"
)

// So many runs are made before an engine is handed out, so that the first hop of a session costs as much as any other. A core is warm
// after as many hops, and a graph of many hops takes long there: it runs as often as that takes, and a second time to be timed.
const warmupRuns, fewestWarmupRuns = 8, 2

// Engine is one loaded pack: its weights and its contract, checked and warmed up. It is safe from
// any goroutine and serves many sessions.
type Engine struct {
	file     string
	contract Contract
	policy   Policy

	told     sync.Mutex // guards the next two, which a graph that is opened later may add to
	provider Provider
	warnings []string

	alone time.Duration // the least that a run of one hop took in the warm-up
	batch *batcher      // of live sessions; nil where nothing is computed

	mu       sync.Mutex // guards what follows; never taken by a running session
	model    []byte     // of a pack with graphs for more hops, which are built when first asked for
	nets     []network  // for one hop first
	sessions int
	closed   bool
}

// Load reads a pack from a file, checks it against its contract, and makes it ready to run.
func Load(path string, policy Policy) (*Engine, error) {
	model, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	return LoadBytes(path, model, policy)
}

// LoadBytes is Load for a pack in memory; file is its name for errors. The caller leaves the
// bytes as they are.
func LoadBytes(file string, model []byte, policy Policy) (*Engine, error) {
	contract, err := ReadContractBytes(file, model)
	if err != nil {
		return nil, err
	}
	if err := Start(); err != nil {
		return nil, err
	}
	provider, warnings, err := policy.resolve(Library())
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", file, err)
	}
	policy.Provider, policy.Precision = provider.Active, provider.Precision
	e := &Engine{file: file, contract: contract, policy: policy, provider: provider, warnings: warnings, model: model}
	e.settlePassthrough()
	if err = e.open(1); err == nil {
		err = e.prove()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("model %s: %w", file, err), e.Close())
	}
	if contract.Kind == KindVoice {
		e.batch = e.newBatcher()
	}
	if len(contract.Hops) < 2 {
		e.model = nil
	}
	return e, nil
}

// open builds the network for so many hops and warms it up.
func (e *Engine) open(hops int) error {
	model, err := modelOf(e.model, hops)
	if err != nil {
		return err
	}
	n := network{hops: hops}
	if e.policy.Provider == ProviderTensorRT {
		n.net, err = e.openTensorRT(model, hops)
	} else {
		n.net, err = openNet(&e.contract, model, e.policy, "")
	}
	if err != nil {
		return err
	}
	took, err := warmUp(&e.contract, n, e.policy)
	if err != nil {
		return errors.Join(fmt.Errorf("warm-up: %w", err), n.net.Destroy())
	}
	if hops == 1 {
		e.alone = took
	}
	e.nets = append(e.nets, n)
	return nil
}

// File is the name that the pack was loaded under.
func (e *Engine) File() string { return e.file }

// Contract is what the pack says of itself. Its slices are shared: do not change them.
func (e *Engine) Contract() Contract { return e.contract }

// Provider is where the model really runs.
func (e *Engine) Provider() Provider {
	e.told.Lock()
	defer e.told.Unlock()
	return e.provider
}

// Warnings say how what runs differs from what the policy asked for; empty when it does not.
func (e *Engine) Warnings() []string {
	e.told.Lock()
	defer e.told.Unlock()
	return slices.Clone(e.warnings)
}

// Hop is the duration of one run.
func (e *Engine) Hop() time.Duration { return time.Second / hopsPerSecond }

// Prepare builds what a session with so many Hops will run, so that the first does not wait for it.
func (e *Engine) Prepare(hops int) error {
	if _, err := e.acquire(hops); err != nil {
		return err
	}
	return e.release()
}

// Close gives up the engine. Sessions that still run keep the weights until they are closed
// themselves; new ones are refused.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	return e.releaseLocked()
}

// acquire gives the network for one hop, and with it the one for most hops of at most the given number.
func (e *Engine) acquire(hops int) ([]network, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, fmt.Errorf("model %s: the engine is closed", e.file)
	}
	nets := e.nets[:1:1]
	if run := e.contract.Run(hops); run > 1 {
		at := func(n network) bool { return n.hops == run }
		if !slices.ContainsFunc(e.nets, at) {
			if err := e.open(run); err != nil {
				return nil, fmt.Errorf("model %s: graph for %d hops: %w", e.file, run, err)
			}
		}
		nets = append(nets, e.nets[slices.IndexFunc(e.nets, at)])
	}
	e.sessions++
	return nets, nil
}

func (e *Engine) release() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sessions--
	return e.releaseLocked()
}

func (e *Engine) releaseLocked() error {
	if !e.closed || e.sessions > 0 {
		return nil
	}
	var errs []error
	if e.batch != nil {
		e.batch.close()
	}
	for _, n := range e.nets {
		errs = append(errs, n.net.Destroy())
	}
	e.nets, e.model = nil, nil
	return errors.Join(errs...)
}

// openNet builds the network, on the CPU or CUDA. With a profile prefix it writes ONNX Runtime's profile when destroyed.
func openNet(c *Contract, model []byte, policy Policy, profile string) (*netSession, error) {
	options, err := netOptions(policy, profile)
	if err != nil {
		return nil, err
	}
	defer options.Destroy() //nolint:errcheck // always nil, see onnxruntime_go
	open := func() (net *netSession, err error) {
		return ort.NewDynamicAdvancedSessionWithONNXData(model, tensorNames(c.inputs(1)), tensorNames(c.outputs(1)), options)
	}
	var net *netSession
	if policy.Provider == ProviderCUDA {
		err = keepSignals(func() (err error) {
			if err = appendProvider(options, policy, nil); err == nil {
				net, err = open()
			}
			return gpuFull(err)
		})
	} else {
		net, err = open()
	}
	if err != nil {
		return nil, fmt.Errorf("onnx runtime %s refuses it: %w", Version(), err)
	}
	return net, nil
}

// netOptions are the same for every provider. The caller destroys them.
func netOptions(policy Policy, profile string) (*ort.SessionOptions, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, fmt.Errorf("session options: %w", err)
	}
	settings := []func() error{
		func() error { return options.SetIntraOpNumThreads(policy.Threads) },
		func() error { return options.SetInterOpNumThreads(1) },
		func() error { return options.SetExecutionMode(ort.ExecutionModeSequential) },
		func() error { return options.SetGraphOptimizationLevel(ort.GraphOptimizationLevelEnableAll) },
		// A waiting thread must not burn a core that audio needs.
		func() error { return options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0") },
		func() error { return options.AddSessionConfigEntry("session.inter_op.allow_spinning", "0") },
		// Measured on two cores: without the memory pattern a small graph takes 26 µs in place of 20;
		// without the arena nothing is slower, memory is not hoarded, and sessions on other threads
		// do not meet at its lock.
		func() error { return options.SetMemPattern(true) },
		func() error { return options.SetCpuMemArena(false) },
		// Denormals are left alone: ONNX Runtime's switch for them would change the CPU mode of
		// whichever thread makes the first session, and with it unrelated Go code.
	}
	if profile != "" {
		settings = append(settings, func() error { return options.EnableProfiling(profile) })
	}
	for _, set := range settings {
		if err := set(); err != nil {
			return nil, errors.Join(fmt.Errorf("session options: %w", err), options.Destroy())
		}
	}
	return options, nil
}

func tensorNames(tensors []tensor) []string {
	names := make([]string, len(tensors))
	for i, t := range tensors {
		names[i] = t.name
	}
	return names
}

// warmUp runs silence, checks that numbers come out, and says how long a run takes at least.
func warmUp(c *Contract, net network, p Policy) (time.Duration, error) {
	b, err := newBinding(c, []network{net})
	if err != nil {
		return 0, err
	}
	defer b.close() //nolint:errcheck // only a failed run matters here
	if c.Kind == KindVoice {
		copy(b.in("speaker"), c.Voices[0].Embedding)
	}
	runs := warmupRuns
	if p.Provider == ProviderCPU {
		runs = max(fewestWarmupRuns, warmupRuns/net.hops)
	}
	return p.leastOf(runs-1, func() error {
		if err := b.run(b.single); err != nil {
			return err
		}
		if !finite(b.single.audio) {
			return fmt.Errorf("output %q: expected numbers for silence, found NaN or infinity", c.outputs(1)[0].name)
		}
		return nil
	})
}
