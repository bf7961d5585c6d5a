package infer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPolicyValidate(t *testing.T) {
	check(t, DefaultPolicy().Validate())
	check(t, DefaultConfig().Validate())
	for _, c := range []struct {
		change func(*Policy)
		words  []string
	}{
		{func(p *Policy) { p.Provider = "gpu" }, []string{"'provider'", `"gpu"`, "auto, cpu, cuda, tensorrt"}},
		{func(p *Policy) { p.Provider = "" }, []string{"'provider'"}},
		{func(p *Policy) { p.Precision = "int8" }, []string{"'precision'", `"int8"`, "fp32, fp16"}},
		{func(p *Policy) { p.Threads = 0 }, []string{"'threads'", "0", "1 to 64"}},
		{func(p *Policy) { p.Threads = 65 }, []string{"'threads'", "65"}},
	} {
		cfg := DefaultConfig()
		c.change(&cfg.Policy)
		wantError(t, cfg.Validate(), append(c.words, "infer")...)
	}
}

// needCPURuntime skips where ONNX Runtime has a GPU's providers.
func needCPURuntime(t *testing.T) {
	t.Helper()
	needRuntime(t)
	if exists(filepath.Join(filepath.Dir(Library()), "libonnxruntime_providers_cuda.so")) {
		t.Skip("this ONNX Runtime has a GPU's providers")
	}
}

func TestAnAbsentProviderIsRefused(t *testing.T) {
	needCPURuntime(t)
	for _, provider := range []string{ProviderCUDA, ProviderTensorRT} {
		p := DefaultPolicy()
		p.Provider = provider
		_, err := Load(passthrough, p)
		wantError(t, err, passthrough, provider, "not available", "libonnxruntime_providers_cuda.so", "fallback")
	}
	p := DefaultPolicy()
	p.Precision = FP16
	_, err := Load(passthrough, p)
	wantError(t, err, "fp16", "cpu", "fallback")
}

func TestFallbackSaysSo(t *testing.T) {
	needCPURuntime(t)
	p := Policy{Provider: ProviderTensorRT, Precision: FP16, Fallback: true, Threads: 1}
	e, err := Load(passthrough, p)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close() //nolint:errcheck // not what is tested
	want := Provider{Requested: ProviderTensorRT, Active: ProviderCPU, Precision: FP32, Nodes: Nodes{CPU: 1}}
	if e.Provider() != want {
		t.Errorf("provider %+v, expected %+v", e.Provider(), want)
	}
	warnings := strings.Join(e.Warnings(), "\n")
	for _, w := range []string{"tensorrt", "libonnxruntime_providers_tensorrt.so", "fp16", "running on cpu in fp32"} {
		if !strings.Contains(warnings, w) {
			t.Errorf("warnings %q do not say %q", warnings, w)
		}
	}
}

func TestProviderRecord(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()) // other packages' tests open engines at the same time
	e := load(t, tinyVoice)
	p := e.Provider()
	if p.Requested != ProviderAuto || p.Active != ProviderCPU || p.Precision != FP32 {
		t.Errorf("provider %+v", p)
	}
	if p.Nodes.CPU < 20 || p.Nodes.CUDA != 0 || p.Nodes.TensorRT != 0 {
		t.Errorf("nodes %+v, expected a few dozen on the cpu", p.Nodes)
	}
	if len(e.Warnings()) != 0 {
		t.Errorf("warnings %q for auto", e.Warnings())
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "autovoice-profile-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("profiles left behind: %q, %v", left, err)
	}
}

func TestParseProfile(t *testing.T) {
	nodes, err := parseProfile([]byte(`[
		{"cat":"Session","name":"model_loading","args":{}},
		{"cat":"Node","name":"trt_kernel_time","args":{"provider":"TensorrtExecutionProvider","node_index":"0"}},
		{"cat":"Node","name":"a_kernel_time","args":{"provider":"CUDAExecutionProvider","node_index":"1"}},
		{"cat":"Node","name":"b_kernel_time","args":{"provider":"CPUExecutionProvider","node_index":"2"}},
		{"cat":"Node","name":"c_kernel_time","args":{"provider":"CPUExecutionProvider","node_index":"3"}},
		{"cat":"Node","name":"c_kernel_time","args":{"provider":"CPUExecutionProvider","node_index":"3"}},
		{"cat":"Node","name":"c_fence_before","args":{}}]`))
	if want := (Nodes{TensorRT: 1, CUDA: 1, CPU: 2}); err != nil || nodes.Nodes != want {
		t.Errorf("%+v, %v, expected %+v", nodes, err, want)
	}
	for text, word := range map[string]string{
		`[`:  "profile",
		`[]`: "no node",
		`[{"cat":"Node","name":"a","args":{"provider":"VitisAIExecutionProvider"}}]`: "VitisAI",
	} {
		_, err := parseProfile([]byte(text))
		wantError(t, err, word)
	}
}
