package infer

import (
	"fmt"
	"slices"
	"strings"
)

// Providers and precisions, as written in the configuration and in status.
const (
	ProviderAuto     = "auto"
	ProviderCPU      = "cpu"
	ProviderCUDA     = "cuda"
	ProviderTensorRT = "tensorrt"

	FP32 = "fp32"
	FP16 = "fp16"
)

const maxThreads = 64

// Policy says where a model is to run. What it asks for it gets, or loading fails: only Fallback
// allows less, and then the Provider record and a warning say so.
type Policy struct {
	// Provider is auto (the best that this build has: the CPU), cpu, cuda or tensorrt.
	Provider string `yaml:"provider" json:"provider"`
	// Precision is fp32 or fp16.
	Precision string `yaml:"precision" json:"precision"`
	// Device is the GPU to use, where there are several: its number or UUID as `nvidia-smi -L` lists them; "" is the first. It is one for
	// the whole process.
	Device string `yaml:"device" json:"device"`
	// Fallback allows the CPU and fp32 in place of what was asked for.
	Fallback bool `yaml:"fallback" json:"fallback"`
	// Threads is the number of threads inside one run, 1 to 64. One is best for small models: a
	// hop is too short to share out, and sessions already run beside each other.
	Threads int `yaml:"threads" json:"threads"`
	// Batch says how live sessions share runs.
	Batch Batching `yaml:",inline" json:"batching"`
}

// DefaultPolicy is the best provider at hand, fp32, no fallback, one thread.
func DefaultPolicy() Policy {
	return Policy{Provider: ProviderAuto, Precision: FP32, Threads: 1, Batch: DefaultBatching()}
}

// Validate quotes the key that is wrong and what it may be.
func (p Policy) Validate() error {
	if allowed := []string{ProviderAuto, ProviderCPU, ProviderCUDA, ProviderTensorRT}; !slices.Contains(allowed, p.Provider) {
		return fmt.Errorf("'provider' is %q, allowed: %s", p.Provider, strings.Join(allowed, ", "))
	}
	if allowed := []string{FP32, FP16}; !slices.Contains(allowed, p.Precision) {
		return fmt.Errorf("'precision' is %q, allowed: %s", p.Precision, strings.Join(allowed, ", "))
	}
	if p.Threads < 1 || p.Threads > maxThreads {
		return fmt.Errorf("'threads' is %d, allowed: 1 to %d", p.Threads, maxThreads)
	}
	if err := checkDevice(p.Device); err != nil {
		return err
	}
	return p.Batch.Validate()
}

// Provider is the record of where a model really runs, for status, metrics and results.
type Provider struct {
	Requested string `json:"requested"`
	Active    string `json:"active"`
	Precision string `json:"precision"`
	Nodes     Nodes  `json:"nodes"`
}

// Nodes counts the graph's nodes by the provider that ran them, as ONNX Runtime's own profile of a
// short warm-up says, after its optimiser has fused what it could.
type Nodes struct {
	TensorRT int `json:"tensorrt"`
	CUDA     int `json:"cuda"`
	CPU      int `json:"cpu"`
}

// TensorRTVersion is the TensorRT that `make deps-gpu` installs and that we test with.
const TensorRTVersion = "10.6.0"

// resolve settles on a provider and a precision, with a warning for each thing that differs from
// what was asked. It fails where the policy forbids the difference.
func (p Policy) resolve(library string) (Provider, []string, error) {
	if err := p.Validate(); err != nil {
		return Provider{}, nil, err
	}
	settled := Provider{Requested: p.Provider, Active: ProviderCPU, Precision: FP32}
	var missing []string
	switch p.Provider {
	case ProviderCUDA, ProviderTensorRT:
		if err := chooseGPU(p.Device); err != nil {
			missing = append(missing, err.Error())
		} else if _, err := surveyMachine(p.Provider, library, serving); err != nil {
			missing = append(missing, err.Error())
		} else {
			settled.Active, settled.Precision = p.Provider, p.Precision
		}
	}
	if p.Precision == FP16 && settled.Active != ProviderTensorRT && (len(missing) == 0 || p.Fallback) {
		settled.Precision = FP32
		missing = append(missing, fmt.Sprintf("precision fp16 is not available on the %s provider, which computes in fp32", settled.Active))
	}
	if len(missing) > 0 && !p.Fallback {
		return Provider{}, nil, fmt.Errorf("%s; use provider cpu with precision fp32, or allow fallback", strings.Join(missing, "; "))
	}
	for i := range missing {
		missing[i] += fmt.Sprintf("; running on %s in fp32, as fallback allows", settled.Active)
	}
	return settled, missing, nil
}

// settlePassthrough keeps a pack that changes nothing on the CPU, whatever was asked for: it has no arithmetic.
func (e *Engine) settlePassthrough() {
	if e.contract.Kind != KindPassthrough || e.provider.Active == ProviderCPU {
		return
	}
	e.policy.Provider, e.policy.Precision = ProviderCPU, FP32
	e.provider.Active, e.provider.Precision = ProviderCPU, FP32
	e.warnings = append(e.warnings, "a pass-through computes nothing and stays on the cpu")
}
