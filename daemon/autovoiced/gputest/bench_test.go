//go:build gpu

package gputest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// figure logs a result and adds it to the results file, as infer's tests do.
func figure(t *testing.T, name string, value any) {
	t.Helper()
	if text, raw := value.(json.RawMessage); raw {
		t.Logf("%s: %s", name, text)
	} else {
		t.Logf("%s: %+v", name, value)
	}
	file := os.Getenv("AUTOVOICE_GPU_RESULTS")
	if file == "" {
		return
	}
	all := map[string]any{}
	if text, err := os.ReadFile(file); err == nil {
		if err := json.Unmarshal(text, &all); err != nil {
			t.Fatal(err)
		}
	}
	all[name] = value
	text, err := json.MarshalIndent(all, "", "  ")
	if err == nil {
		err = os.WriteFile(file, append(text, '\n'), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// From the start of the process until it serves, with engines there.
func TestBenchGPUReady(t *testing.T) {
	gpuEngines(t)
	var seconds []float64
	for range 3 {
		d := startDaemon(t)
		seconds = append(seconds, d.ready.Seconds())
		d.stop(t)
	}
	figure(t, "daemon_ready_seconds", seconds)
	if seconds[2] > 1 {
		t.Errorf("ready after %.2f s, the bar is 1 s", seconds[2])
	}
}

// Crowds of clients, each in real time through a socket of its own: how many have p99 inside the chunk and lose nothing.
func TestBenchGPUSessions(t *testing.T) {
	gpuEngines(t) // those for many were built by infer's tests, or are built while the crowd speaks
	sizes, seconds := os.Getenv("AUTOVOICE_GPU_SESSIONS"), os.Getenv("AUTOVOICE_GPU_SECONDS")
	if sizes == "" {
		sizes = "1,16,64,128,256,500,750,1000"
	}
	if seconds == "" {
		seconds = "60"
	}
	args := []string{"bench", "--sessions", sizes, "--for", seconds + "s", "--json"}
	if file := os.Getenv("AUTOVOICE_GPU_RESULTS"); file != "" {
		args = append(args, "--plot", filepath.Join(filepath.Dir(file), "sessions.svg"))
	}
	cmd := gpuProgram(t, args...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%v: %s", err, strings.TrimSpace(said.String()))
	}
	if json.Valid(out) && len(out) > 0 {
		name := "sessions"
		if !strings.Contains(sizes, ",") { // one crowd, for as long as the bar says, is a figure of its own
			name = "crowd_" + sizes
		}
		figure(t, name, json.RawMessage(out))
	}
}

// Memory of the GPU that a crowd takes, as nvidia-smi sees it, is in the figures of infer's tests: CUDA tells that more exactly. This
// is who else is on it.
func TestBenchGPUNeighbours(t *testing.T) {
	out, err := exec.Command("nvidia-smi", "--query-gpu=name,driver_version,memory.used,memory.total,utilization.gpu,clocks.sm,clocks.mem,power.draw", "--format=csv").Output()
	if err != nil {
		skipGPU(t, fmt.Sprint("nvidia-smi: ", err))
	}
	figure(t, "nvidia_smi", strings.Split(strings.TrimSpace(string(out)), "\n"))
}
