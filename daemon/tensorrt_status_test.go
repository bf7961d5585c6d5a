package daemon

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/infer"
)

// Enabled is what was proven, not what was settled on: a node elsewhere, or none counted, and it is not.
func TestTensorRTInStatus(t *testing.T) {
	for _, c := range []struct {
		p    infer.Provider
		want wire.TensorRT
	}{
		{infer.Provider{Requested: "auto", Active: "cpu", Precision: "fp32", Nodes: infer.Nodes{CPU: 265}}, wire.TensorRT{}},
		{infer.Provider{Requested: "tensorrt", Active: "cpu", Precision: "fp32", Nodes: infer.Nodes{CPU: 265}}, wire.TensorRT{Requested: true}},
		{infer.Provider{Requested: "tensorrt", Active: "tensorrt", Precision: "fp16", Nodes: infer.Nodes{TensorRT: 1}}, wire.TensorRT{Requested: true, Enabled: true, Precision: "fp16"}},
		{infer.Provider{Requested: "tensorrt", Active: "tensorrt", Precision: "fp16", Nodes: infer.Nodes{TensorRT: 1, CPU: 1}}, wire.TensorRT{Requested: true}},
		{infer.Provider{Requested: "tensorrt", Active: "tensorrt", Precision: "fp16"}, wire.TensorRT{Requested: true}},
	} {
		if got := wireProvider(c.p, nil); *got.TensorRT != c.want {
			t.Errorf("%+v: %+v, want %+v", c.p, *got.TensorRT, c.want)
		}
	}
}

// A daemon that was asked for TensorRT and may fall back says so wherever it says where it runs.
func TestFallbackFromTensorRTIsTold(t *testing.T) {
	d := serve(t, func(c *Config) {
		c.Voice.Name = tinyVoice
		c.Infer.Provider, c.Infer.Precision, c.Infer.Fallback = infer.ProviderTensorRT, infer.FP16, true
	})
	if found, _ := filepath.Glob(filepath.Join(filepath.Dir(infer.Library()), "libonnxruntime_providers_tensorrt.so")); len(found) > 0 {
		t.Skip("this machine's ONNX Runtime has TensorRT")
	}
	_, body := get(t, d, "/v1/status")
	var status wire.Status
	if err := json.Unmarshal([]byte(body), &status); err != nil {
		t.Fatal(err)
	}
	p := status.Provider
	if p.TensorRT == nil || !p.TensorRT.Requested || p.TensorRT.Enabled || p.TensorRT.Precision != "" || p.Nodes["cpu"] == 0 || !strings.Contains(p.Note, "as fallback allows") {
		t.Errorf("provider %+v %+v", p, p.TensorRT)
	}
	_, text := get(t, d, "/metrics")
	for _, line := range []string{"autovoiced_tensorrt_requested 1", "autovoiced_tensorrt_enabled 0", `autovoiced_provider_info{active="cpu",precision="fp32",requested="tensorrt"} 1`} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no %q in the metrics", line)
		}
	}
	s := speaking(t, d, 1600)
	if ready := s.Ready().Provider; ready.TensorRT == nil || !ready.TensorRT.Requested || ready.TensorRT.Enabled {
		t.Errorf("ready says %+v", ready)
	}
}
