//go:build gpu

package infer

import (
	"os"
	"slices"
	"testing"
	"time"
)

// The separator of songs takes for the voice what it does on the CPU, proven to run where it was asked for; a block of 12 s is timed
// with its copies. Each provider by itself.
func TestGPU8Separator(t *testing.T) {
	needGPU(t, serving)
	t.Setenv("XDG_CACHE_HOME", gpuCache())
	if !spleeterInstalled() {
		if os.Getenv("AUTOVOICE_REQUIRE_GPU") != "" {
			t.Fatal("Spleeter is not installed in ", gpuCache())
		}
		t.Skip("Spleeter is not installed in ", gpuCache())
	}
	mixture, err := gateMixture()
	check(t, err)
	vocals := func(t *testing.T, p Policy) ([]float32, *songSeparator) {
		t.Helper()
		s, err := newSongSeparator(p, PresetFast)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { check(t, s.Close()) })
		out := [][]float32{make([]float32, len(mixture[0])), make([]float32, len(mixture[0]))}
		check(t, s.ProcessMany(out, mixture))
		return out[0][s.Latency():], s
	}
	want, _ := vocals(t, DefaultPolicy())
	for name, p := range map[string]Policy{
		"cuda":          {Provider: ProviderCUDA, Precision: FP32, Threads: 1},
		"tensorrt_fp16": {Provider: ProviderTensorRT, Precision: FP16, Threads: 1},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			got, s := vocals(t, p)
			opened := time.Since(began)
			d := distanceOf(want, got)
			var runs []time.Duration
			for range 20 {
				began := time.Now()
				check(t, s.net.bound.run(s.net.bound.single))
				runs = append(runs, time.Since(began))
			}
			slices.Sort(runs)
			provider, warnings := s.Provider()
			figure(t, "separator_"+name, map[string]any{
				"provider": provider, "warnings": warnings, "distance_from_cpu": d, "first_seconds": opened.Seconds(),
				"block_p50_ms": milli(runs[10]), "block_max_ms": milli(runs[19]),
			})
			if provider.Active != p.Provider || provider.Nodes.CPU > 0 {
				t.Errorf("it runs on %+v", provider)
			}
			check(t, d.check())
		})
	}
}
