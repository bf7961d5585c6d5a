package daemon

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/autovoiced/autovoiced/client/wire"
)

// schema is the names and kinds of a file's fields, those of objects within it by a path.
type schema map[string]string

func schemaOf(t *testing.T, path string) schema {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(data, &object); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	all := schema{}
	var walk func(prefix string, object map[string]any)
	walk = func(prefix string, object map[string]any) {
		for name, v := range object {
			if inner, ok := v.(map[string]any); ok {
				walk(prefix+name+".", inner)
				continue
			}
			all[prefix+name] = "null"
			if v != nil {
				all[prefix+name] = reflect.TypeOf(v).String()
			}
		}
	}
	walk("", object)
	return all
}

func TestResultsHaveExactlyTheirFields(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", ResultsFolder)
	r := Result{
		AudioSeconds: 30, ElapsedSeconds: 4, RTF: 4. / 30, Preset: wire.PresetFast,
		StageTimingsMS: &StageTimes{1200, 240, 2400, 160, 4000}, Provider: wire.Provider{Active: "cpu", TensorRT: &wire.TensorRT{}},
	}
	if err := WriteResults(folder, r); err != nil {
		t.Fatal(err)
	}
	breakdown := schema{
		"timestamp": "string", "device": "string", "audio_duration_seconds": "float64", "total_time_seconds": "float64", "rtf": "float64",
		"gpu_utilization":                "null",
		"stage_timings_ms.separation":    "float64",
		"stage_timings_ms.f0_extraction": "float64", "stage_timings_ms.conversion": "float64", "stage_timings_ms.mixing": "float64",
		"stage_timings_ms.total":       "float64",
		"stage_percentages.separation": "float64", "stage_percentages.f0_extraction": "float64", "stage_percentages.conversion": "float64",
		"stage_percentages.mixing": "float64",
	}
	if got := schemaOf(t, filepath.Join(folder, BreakdownFile)); !reflect.DeepEqual(got, breakdown) {
		t.Errorf("%s has %v, want %v", BreakdownFile, got, breakdown)
	}
	latency := schema{
		"duration_seconds": "float64", "elapsed_seconds": "float64", "rtf": "float64", "preset": "string", "tensorrt_requested": "bool",
		"tensorrt_enabled": "bool", "tensorrt_precision": "null", "target_met": "bool",
	}
	if got := schemaOf(t, filepath.Join(folder, LatencyFile)); !reflect.DeepEqual(got, latency) {
		t.Errorf("%s has %v, want %v", LatencyFile, got, latency)
	}
	var b Breakdown
	readResult(t, folder, BreakdownFile, &b)
	if !regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$`).MatchString(b.Timestamp) || b.Device != "cpu" || b.StagePercentages.Conversion != 60 {
		t.Errorf("%+v", b)
	}
	var l Latency
	if readResult(t, folder, LatencyFile, &l); !l.TargetMet || l.Preset != wire.PresetFast {
		t.Errorf("%+v", l)
	}

	// With TensorRT and a GPU that was watched, and slower than the target.
	fp16 := "fp16"
	r.Metadata.TensorRT = TensorRTMetadata{true, &fp16}
	r.Provider = wire.Provider{Active: "tensorrt", TensorRT: &wire.TensorRT{Requested: true, Enabled: true, Precision: fp16}}
	r.RTF = 0.2
	if err := errors.Join(WriteUtilization(folder, Utilization{AverageUtilization: 85, Samples: 2}), WriteResults(folder, r)); err != nil {
		t.Fatal(err)
	}
	readResult(t, folder, BreakdownFile, &b)
	readResult(t, folder, LatencyFile, &l)
	if b.GPUUtilization == nil || *b.GPUUtilization != 85 || b.Device != "cuda" || l.TargetMet || !l.TensorRTRequested || !l.TensorRTEnabled || *l.TensorRTPrecision != fp16 {
		t.Errorf("%+v %+v", b, l)
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 3 {
		t.Errorf("in the folder: %v (%v), want three files", left, err)
	}
	if err := os.WriteFile(filepath.Join(folder, UtilizationFile), []byte("busy"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteResults(folder, r); err == nil || !strings.Contains(err.Error(), "average_utilization") {
		t.Errorf("a utilisation that is none: %v", err)
	}
	if err := WriteResults(filepath.Join(folder, BreakdownFile), r); err == nil {
		t.Errorf("a folder that is a file is written into")
	}
	if err := WriteResults(folder, Result{}); err == nil {
		t.Error("nothing was measured, and it is written")
	}
}

func readResult(t *testing.T, folder, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

// TestWatchGPU reads what the driver's tool prints, here that of a stand-in: no GPU is needed to hold the reading to its rules.
func TestWatchGPU(t *testing.T) {
	bin, started := t.TempDir(), filepath.Join(t.TempDir(), "started")
	script := "#!/bin/sh\nprintf '80\\n[N/A]\\n90\\n'\n: >" + started + "\nexec sleep 60\n"
	if err := os.WriteFile(filepath.Join(bin, "nvidia-smi"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	path := os.Getenv("PATH")
	t.Setenv("PATH", bin+string(os.PathListSeparator)+path)
	stop := WatchGPU(t.Context())
	eventually(t, "the tool runs", func() bool { _, err := os.Stat(started); return err == nil })
	if u, ok := stop(); !ok || u.AverageUtilization != 85 || u.PeakUtilization != 90 || u.Samples != 2 {
		t.Errorf("measured %+v (%v), want 85 %% of two", u, ok)
	}
	dirs := slices.DeleteFunc(filepath.SplitList(path), func(d string) bool {
		_, err := os.Stat(filepath.Join(d, "nvidia-smi"))
		return err == nil
	})
	t.Setenv("PATH", strings.Join(dirs, string(os.PathListSeparator)))
	if u, ok := WatchGPU(t.Context())(); ok {
		t.Errorf("there is no GPU, and it is %+v", u)
	}
}
