package infer

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"unsafe"
)

// hostCUDA is CUDA's runtime with the host's memory in the GPU's place: what is not copied to it is not heard, and what is not given
// back is counted. ONNX Runtime on the CPU computes with it as a GPU's provider does with a GPU's. The library has a name of its own, or
// the loader would give it to whoever asks for the real one.
const hostCUDA = `
	#include <stdlib.h>
	#include <string.h>
	int held, fail, copies, launches, noKernel, wrongKernel;
	int cudaMalloc(void **p, size_t n) { if (fail) return fail; held++; *p = memset(malloc(n), 0x7f, n); return 0; }
	int cudaFree(void *p) { held--; free(p); return 0; }
	int cudaMallocHost(void **p, size_t n) { return cudaMalloc(p, n); }
	int cudaFreeHost(void *p) { return cudaFree(p); }
	int cudaMemcpyAsync(void *to, const void *from, size_t n, int kind, void *s) { if (fail) return fail; copies++; memcpy(to, from, n); return 0; }
	int cudaMemsetAsync(void *p, int v, size_t n, void *s) { memset(p, v, n); return fail; }
	int cudaStreamCreateWithFlags(void **s, unsigned f) { return cudaMalloc(s, 1); }
	int cudaStreamDestroy(void *s) { return cudaFree(s); }
	int cudaStreamSynchronize(void *s) { return fail; }
	int cudaMemGetInfo(size_t *f, size_t *t) { *f = 1 << 30; *t = 2u << 30; return 0; }
	const char *cudaGetErrorName(int e) { return e == 2 ? "cudaErrorMemoryAllocation" : "cudaErrorLaunchFailure"; }

	int cuInit(unsigned f) { return fail; }
	int cuDevicePrimaryCtxRetain(void **c, int device) { *c = &held; return fail; }
	int cuCtxSetCurrent(void *c) { return c == &held ? fail : 201; }
	int cuModuleLoadData(void **m, const char *text) { if (noKernel) return 218; held++; *m = &held; return strstr(text, "copy_rows") ? fail : 218; }
	int cuModuleUnload(void *m) { held--; return fail; }
	int cuModuleGetFunction(void **f, void *m, const char *name) { *f = &copies; return strcmp(name, "copy_rows") ? 500 : fail; }
	int cuMemcpyAsync(void *to, const void *from, size_t n, void *s) { return cudaMemcpyAsync(to, from, n, 1, s); }
	int cuLaunchKernel(void *f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned m, void *s, void **p, void **e) {
		struct { float *from, *to; } *table = *(void **)p[0];
		unsigned n = *(unsigned *)p[1];
		if (f != &copies || gx * 1024 < n || (gx - 1) * 1024 >= n || bx != 256 || gz * by * bz != 1) return 1;
		launches++;
		for (unsigned y = 0; y < gy; y++) memcpy(table[y].to, table[y].from, 4 * (n - wrongKernel));
		return fail;
	}`

type deviceCounters struct{ held, fail, copies, launches, noKernel, wrongKernel *int32 }

// onHostCUDA makes bindings believe that networks want everything on a GPU, from when they are made until the test ends.
func onHostCUDA(t *testing.T) deviceCounters {
	t.Helper()
	return hostCUDAFor(t, true)
}

// hostCUDAFor does it for everything, or only for what networks want there: nothing on a CPU.
func hostCUDAFor(t *testing.T, everything bool) deviceCounters {
	t.Helper()
	dir := t.TempDir()
	compileLibrary(t, dir, "libhostcuda.so", hostCUDA)
	library := dir + "/libhostcuda.so"
	r, err := openCUDA(library)
	if err != nil {
		t.Fatal(err)
	}
	shared, err := openShared(library)
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) *int32 { return (*int32)(shared.symbol(name)) }
	was, wanted, driver := openDevice, gpuWanted, openDriver
	openDriver = func() (*sharedLibrary, error) { return openShared(library) }
	gpuWanted = func(*Contract, network) (bool, error) { return true, nil }
	openDevice = func() (*device, error) {
		d, err := newDevice(r)
		if d != nil {
			d.everything = everything
		}
		return d, err
	}
	t.Cleanup(func() { openDevice, gpuWanted, openDriver = was, wanted, driver })
	c := deviceCounters{at("held"), at("fail"), at("copies"), at("launches"), at("noKernel"), at("wrongKernel")}
	t.Cleanup(func() {
		if *c.held != 0 {
			t.Errorf("%d pieces of the GPU's memory not given back", *c.held)
		}
	})
	return c
}

// Tensors in a GPU's memory sound as those in the host's do, one hop at a time and many, before and after a reset.
func TestBindingInTheGPUsMemory(t *testing.T) {
	e := load(t, "voices/first.onnx")
	voice := e.Contract().Voices[1].Name
	samples, f0 := speech(100)
	for _, hops := range []int{1, 4, 32} {
		want := open(t, e, voice, SessionOptions{Hops: hops, Seed: 3})
		first := convert(t, want, samples, f0, hops)
		t.Run(fmt.Sprint(hops), func(t *testing.T) {
			c := onHostCUDA(t)
			got := open(t, e, voice, SessionOptions{Hops: hops, Seed: 3})
			if !same(convert(t, got, samples, f0, hops), first) {
				t.Error("it sounds otherwise")
			}
			got.Reset()
			*c.copies = 0
			if !same(convert(t, got, samples, f0, hops), first) {
				t.Error("it sounds otherwise after a reset")
			}
			each := int32(2)
			if hops > 1 {
				each = 3 // the speaker, which two graphs share, by itself
			}
			if runs := int32(len(f0)/hops + len(f0)%hops); *c.copies != each*runs {
				t.Errorf("%d copies in %d runs, expected %d each: what is heard, audio", *c.copies, runs, each)
			}
			if n := testing.AllocsPerRun(20, func() { check(t, got.Convert(make240(hops), samples[:160*hops], f0[:hops])) }); n > 0 {
				t.Errorf("%v allocations a call", n)
			}
		})
	}
}

var scratch [32 * 240]float32

func make240(hops int) []float32 { return scratch[:240*hops] }

// A network that wants its tensors on the host after all, as CUDA's provider may for what it leaves to the CPU, finds them there.
func TestBindingOnTheHostBesideAGPU(t *testing.T) {
	e := load(t, "voices/first.onnx")
	voice := e.Contract().Voices[1].Name
	samples, f0 := speech(20)
	want := convert(t, open(t, e, voice, SessionOptions{Hops: 4, Seed: 3}), samples, f0, 4)
	t.Run("", func(t *testing.T) {
		hostCUDAFor(t, false)
		got := open(t, e, voice, SessionOptions{Hops: 4, Seed: 3})
		for range 2 {
			if !same(convert(t, got, samples, f0, 4), want) {
				t.Error("it sounds otherwise")
			}
			got.Reset()
		}
	})
}

// A GPU without memory refuses the next session, by name, and keeps the others; one that fails while it runs ends what runs.
func TestDeviceThatFails(t *testing.T) {
	e := load(t, tinyVoice)
	c := onHostCUDA(t)
	voice := e.Contract().Voices[0].Name
	v, err := e.NewSession(voice, SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out, samples, f0 := make([]float32, 240), make([]float32, 160), make([]float32, 1)
	check(t, v.Convert(out, samples, f0))

	*c.fail = cudaOutOfMemory
	if _, err := e.NewSession(voice, SessionOptions{}); !errors.Is(err, ErrGPUMemory) || !strings.Contains(err.Error(), "cudaErrorMemoryAllocation") {
		t.Errorf("without memory: %v", err)
	}
	*c.fail = 0
	check(t, v.Convert(out, samples, f0))

	*c.fail = 0
	g := v.(*Voice).bound.single
	at, err := placeOf(g.net, false, "f0")
	check(t, err)
	var wrong [7]float32
	bound, err := bindMemory(g.io[v.(*Voice).bound.turn], false, tensor{name: "f0", shape: []int64{1, 7}}, at, unsafe.Pointer(&wrong))
	check(t, err)
	err = v.Convert(out, samples, f0)
	bound.release()
	if !errors.Is(err, ErrGPULost) || !strings.Contains(err.Error(), "f0") {
		t.Errorf("a run that ONNX Runtime refuses: %v", err)
	}
	if err := gpuFailure(errors.New("CUDA failure 2: out of memory ; GPU=0")); !errors.Is(err, ErrGPUMemory) || errors.Is(err, ErrGPULost) {
		t.Error(err)
	}

	*c.fail = 719
	err = v.Convert(out, samples, f0)
	if !errors.Is(err, ErrGPULost) || !strings.Contains(err.Error(), "CUDA error 719, cudaErrorLaunchFailure") {
		t.Errorf("lost: %v", err)
	}
	*c.fail = 0
	check(t, v.Close())
}

func TestDeviceMemoryIsTold(t *testing.T) {
	dir := t.TempDir()
	compileLibrary(t, dir, "libhostcuda.so", hostCUDA)
	r, err := openCUDA(dir + "/libhostcuda.so")
	if err != nil {
		t.Fatal(err)
	}
	if free, total, err := r.memory(); err != nil || free != 1<<30 || total != 2<<30 {
		t.Errorf("%d of %d free, %v", free, total, err)
	}
	compileLibrary(t, dir, "libnocuda.so", "int nothing;")
	_, err = openCUDA(dir + "/libnocuda.so")
	wantError(t, err, "no CUDA runtime", "a function is missing")
}

// ONNX Runtime's functions are where we call them: the header of the binding says so.
func TestFunctionsOfONNXRuntime(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		t.Skip("no go tool: ", err)
	}
	source := read(t, "device_tensor.go")
	var program strings.Builder
	program.WriteString("#include <stddef.h>\n#include \"onnxruntime_c_api.h\"\n")
	found := 0
	_, list, _ := strings.Cut(string(source), "enum {\n")
	list, _, _ = strings.Cut(list, "};")
	for line := range strings.Lines(list) {
		var name string
		var at int
		if _, err := fmt.Sscanf(strings.ReplaceAll(strings.Trim(line, " ,\n"), " = ", " "), "%s %d", &name, &at); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		found++
		fmt.Fprintf(&program, "_Static_assert(offsetof(OrtApi, %s) == %d * sizeof(void *), \"%s\");\n", name, at, name)
	}
	if found < 10 {
		t.Fatalf("%d functions found in the source", found)
	}
	program.WriteString("_Static_assert(ORT_API_VERSION >= 24, \"version\");\n")
	cmd := exec.Command("cc", "-fsyntax-only", "-x", "c", "-I", strings.TrimSpace(string(dir)), "-")
	cmd.Stdin = strings.NewReader(program.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Error("not a machine of 64 bits")
	}
}

func TestPlacesOnTheCPU(t *testing.T) {
	e := load(t, tinyVoice)
	for _, name := range []string{"mel", "state"} {
		p, err := placeOf(e.nets[0].net, false, name)
		if err != nil || p.gpu || p.info == nil {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	p, err := placeOf(e.nets[0].net, true, "audio")
	if err != nil || p.gpu {
		t.Errorf("audio: %+v, %v", p, err)
	}
	_, err = placeOf(e.nets[0].net, true, "mel")
	wantError(t, err, `place of "mel"`, "no such tensor")
}
