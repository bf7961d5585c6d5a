package infer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func trialOf(t *testing.T, path string) trialRequest {
	t.Helper()
	needRuntime(t)
	c, err := ReadContract(path)
	if err != nil {
		t.Fatal(err)
	}
	policy := DefaultPolicy()
	policy.Provider = ProviderCPU
	return trialRequest{Contract: &c, Hops: 1, Policy: policy, Model: path}
}

// A child opens a session and says where its nodes ran.
func TestTrialInAChild(t *testing.T) {
	r := trialOf(t, tinyVoice)
	answer, err := try(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	if want := load(t, tinyVoice).Provider().Nodes; answer.Nodes != want {
		t.Errorf("nodes %+v, expected %+v as in this process", answer.Nodes, want)
	}
}

func TestTrialSaysWhatIsWrong(t *testing.T) {
	r := trialOf(t, tinyVoice)
	r.Model = filepath.Join(t.TempDir(), "absent.onnx")
	_, err := try(context.Background(), r)
	wantError(t, err, "absent.onnx", "no such file")

	r.Model = tinyVoice
	r.Build, r.Dir, r.Precision = true, t.TempDir(), FP32
	_, err = try(context.Background(), r)
	needCPURuntime(t)
	wantError(t, err, "tensorrt", "not available for building", "libnvinfer.so.10")
	if left, _ := os.ReadDir(r.Dir); len(left) != 0 {
		t.Errorf("%d files left by a build that could not begin", len(left))
	}
}

// A child that a library brings down, or that is killed from outside, is an error that names the signal and the last words,
// and nothing else dies.
func TestTrialThatCrashes(t *testing.T) {
	r, dir := trialOf(t, tinyVoice), t.TempDir()
	const lastWords = "Unable to load library: libnvinfer_builder_resource.so.10.6.0"
	for name, end := range map[string]string{"SIGSEGV": "*(volatile int *)8 = 1;", "SIGABRT": "abort();", "SIGKILL": "raise(SIGKILL);"} {
		compileLibrary(t, dir, "lib"+name+".so", `
			#include <signal.h>
			#include <stdio.h>
			#include <stdlib.h>
			__attribute__((constructor)) static void crash(void) { fputs("`+lastWords+`\n", stderr); `+end+` }`)
		t.Setenv("TEST_TRIAL_LIBRARY", filepath.Join(dir, "lib"+name+".so"))
		_, err := try(context.Background(), r)
		wantError(t, err, "process of its own", "ended by "+name+":", "crashes", "it said: "+lastWords)
		t.Log(err)
	}
}

func TestTrialThatHangsIsEnded(t *testing.T) {
	t.Setenv("TEST_TRIAL_SIGNAL", fmt.Sprint(int(syscall.SIGCONT)))
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_, err := try(ctx, trialOf(t, tinyVoice))
	wantError(t, err, "given up", "deadline")
}

func TestTrialIsNotForPeople(t *testing.T) {
	var out strings.Builder
	wantError(t, Trial(strings.NewReader(""), &out), TrialCommand, "own use")
}

// What runs on the CPU is proven to, and is no proof for TensorRT: the nodes are named.
func TestProofNamesNodes(t *testing.T) {
	needRuntime(t)
	for _, hops := range []int{1, 4} {
		c, model := packAt(t, "voices/first.onnx")
		graph, err := modelOf(model, hops)
		check(t, err)
		placed, err := countNodes(&c, hops, func(profile string) (*netSession, error) {
			return openNet(&c, graph, DefaultPolicy(), profile)
		})
		if err != nil {
			t.Fatal(err)
		}
		check(t, placed.prove(ProviderCPU))
		if placed.CPU < 20 || placed.CPU != len(placed.names[ProviderCPU]) {
			t.Fatalf("%+v, %d names", placed.Nodes, len(placed.names[ProviderCPU]))
		}
		err = placed.prove(ProviderTensorRT)
		wantError(t, err, fmt.Sprintf("%d of %d nodes do not run on tensorrt", placed.CPU, placed.CPU), placed.names[ProviderCPU][0]+" on cpu", "more")
		t.Log(err)
	}
}

func TestProofOfSomeNodes(t *testing.T) {
	p, err := parseProfile([]byte(`[
		{"cat":"Node","name":"trt_kernel_time","args":{"provider":"TensorrtExecutionProvider","node_index":"0"}},
		{"cat":"Node","name":"/enc/Gather_kernel_time","args":{"provider":"CPUExecutionProvider","node_index":"1"}}]`))
	check(t, err)
	err = p.prove(ProviderTensorRT)
	if err == nil || err.Error() != "1 of 2 nodes do not run on tensorrt: /enc/Gather on cpu" {
		t.Error(err)
	}
}

func packAt(t *testing.T, path string) (Contract, []byte) {
	t.Helper()
	model := read(t, path)
	c, err := ReadContractBytes(path, model)
	if err != nil {
		t.Fatal(err)
	}
	return c, model
}

// A library that installs handlers of its own, as CUDA does with its first session, does not keep them: a SIGTERM still comes
// to Go and nothing dies of it. In a process of its own, whose handlers are ours to break.
func TestSignalsSurviveALibrary(t *testing.T) {
	if dir := os.Getenv("TEST_SIGNALS"); dir != "" {
		survive(t, dir)
		return
	}
	dir := t.TempDir()
	compileLibrary(t, dir, "libhandlers.so", `
		#include <signal.h>
		#include <stdlib.h>
		static void die(int s) { _Exit(40 + s); }
		__attribute__((constructor)) static void install(void) { signal(SIGTERM, die); signal(SIGINT, die); signal(SIGSEGV, die); }`)
	for _, kept := range []string{"1", ""} {
		text, err := rerun(t, "TEST_SIGNALS="+dir, "TEST_SIGNALS_KEPT="+kept)
		if (err == nil) != (kept != "") {
			t.Errorf("handlers kept %q: %v: %s", kept, err, text)
		}
	}
}
