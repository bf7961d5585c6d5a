package infer

import (
	"fmt"
	"os"
	"path/filepath"
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
	// Fallback allows the CPU and fp32 in place of what was asked for.
	Fallback bool `yaml:"fallback" json:"fallback"`
	// Threads is the number of threads inside one run, 1 to 64. One is best for small models: a
	// hop is too short to share out, and sessions already run beside each other.
	Threads int `yaml:"threads" json:"threads"`
}

// DefaultPolicy is the best provider at hand, fp32, no fallback, one thread.
func DefaultPolicy() Policy {
	return Policy{Provider: ProviderAuto, Precision: FP32, Threads: 1}
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
	return nil
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

// resolve settles on a provider and a precision, with a warning for each thing that differs from
// what was asked. It fails where the policy forbids the difference.
func (p Policy) resolve(library string) (Provider, []string, error) {
	if err := p.Validate(); err != nil {
		return Provider{}, nil, err
	}
	settled := Provider{Requested: p.Provider, Active: ProviderCPU, Precision: FP32}
	var missing []string
	if p.Provider == ProviderCUDA || p.Provider == ProviderTensorRT {
		missing = append(missing, missingProvider(p.Provider, library))
	}
	if p.Precision == FP16 {
		missing = append(missing, "precision fp16 is not available on the cpu provider, which computes in fp32")
	}
	if len(missing) > 0 && !p.Fallback {
		return Provider{}, nil, fmt.Errorf("%s; use provider cpu with precision fp32, or allow fallback", strings.Join(missing, "; "))
	}
	for i := range missing {
		missing[i] += "; running on cpu in fp32, as fallback allows"
	}
	return settled, missing, nil
}

// missingProvider says what stands between us and a GPU provider.
func missingProvider(provider, library string) string {
	files := []string{"libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"}
	if provider == ProviderTensorRT {
		files = append(files, "libonnxruntime_providers_tensorrt.so")
	}
	var absent []string
	for _, file := range files {
		if _, err := os.Stat(filepath.Join(filepath.Dir(library), file)); err != nil {
			absent = append(absent, file)
		}
	}
	text := fmt.Sprintf("provider %s is not available: this version of autovoiced runs models on the cpu provider only", provider)
	if len(absent) > 0 {
		text += fmt.Sprintf(", and %s (ONNX Runtime for the cpu) comes without %s", library, strings.Join(absent, ", "))
	}
	return text
}
