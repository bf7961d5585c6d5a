package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// said runs the program in this process and returns what it prints.
func said(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	dir := t.TempDir()
	files := make([]*os.File, 2)
	for i, name := range []string{"out", "err"} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[i] = f
	}
	code = run(args, files[0], files[1])
	texts := make([]string, 2)
	for i, f := range files {
		text, err := os.ReadFile(f.Name())
		if err != nil || f.Close() != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	return code, texts[0], texts[1]
}

// onACPU skips on machines whose ONNX Runtime is the GPU build, and leaves the user's engines alone.
func onACPU(t *testing.T) (cache string) {
	t.Helper()
	library := os.Getenv("AUTOVOICE_ORT_LIB")
	if library == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			t.Skip(err)
		}
		found, _ := filepath.Glob(filepath.Join(dir, "autovoice", "onnxruntime", "*", "libonnxruntime.so.*"))
		if len(found) == 0 {
			t.Skip("no ONNX Runtime; `make deps` installs it")
		}
		library = found[0]
	}
	if beside, _ := filepath.Glob(filepath.Join(filepath.Dir(library), "libonnxruntime_providers_tensorrt.so")); len(beside) > 0 {
		t.Skip("this ONNX Runtime has TensorRT")
	}
	cache = t.TempDir()
	t.Setenv("AUTOVOICE_ORT_LIB", library)
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Chdir(t.TempDir())
	return filepath.Join(cache, "autovoice", "tensorrt_engines")
}

// Without a GPU each part is named, with what helps, and the exit code says that it is the model's set-up.
func TestEnginesCannotBeBuiltWithoutAGPU(t *testing.T) {
	onACPU(t)
	code, _, text := said(t, "engines", "build", "--precision", "fp16")
	if code != exitModel {
		t.Errorf("exit code %d, want %d", code, exitModel)
	}
	for _, w := range []string{
		"provider tensorrt is not available for serving", "not found: libonnxruntime_providers_shared.so, libonnxruntime_providers_cuda.so, libonnxruntime_providers_tensorrt.so;", "make deps-gpu",
		"libnvinfer.so.10 (TensorRT)", "libnvonnxparser.so.10", "libcudnn.so.9", "libcublas.so.13", "libcudart.so.13", "libcuda.so.1 (NVIDIA's driver)", "nvidia-smi",
	} {
		if !strings.Contains(text, w) {
			t.Errorf("no %q in: %s", w, text)
		}
	}
	if code, _, text = said(t, "engines", "build", "--precision", "int8"); code != exitUsage || !strings.Contains(text, "fp32, fp16") {
		t.Errorf("exit code %d: %s", code, text)
	}
}

// Nor does the daemon start: it says the same.
func TestDaemonRefusesTensorRTWithoutAGPU(t *testing.T) {
	onACPU(t)
	t.Setenv("AUTOVOICED_INFER_PROVIDER", "tensorrt")
	code, _, text := said(t)
	if code != exitModel || !strings.Contains(text, "libnvinfer.so.10 (TensorRT)") || !strings.Contains(text, "allow fallback") {
		t.Errorf("exit code %d: %s", code, text)
	}
}

func TestEnginesAreListedVerifiedAndCleaned(t *testing.T) {
	dir := onACPU(t)
	if code, out, _ := said(t, "engines", "list"); code != exitOK || !strings.Contains(out, "no engines in "+dir) {
		t.Errorf("%d: %s", code, out)
	}
	if code, out, _ := said(t, "engines", "verify"); code != exitOK || !strings.Contains(out, "0 engines") {
		t.Errorf("%d: %s", code, out)
	}
	name := strings.Repeat("0a", 32)
	if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
		t.Fatal(err)
	}
	if code, out, text := said(t, "engines", "verify"); code != exitModel || !strings.Contains(out, name+": manifest") || !strings.Contains(text, "1 of 1 engines") {
		t.Errorf("%d: %s%s", code, out, text)
	}
	if code, out, _ := said(t, "engines", "list"); code != exitOK || !strings.Contains(out, "manifest") {
		t.Errorf("%d: %s", code, out)
	}
	if code, out, _ := said(t, "engines", "clean"); code != exitOK || out != "removed "+name+"\n" {
		t.Errorf("%d: %s", code, out)
	}
	if code, out, _ := said(t, "engines", "clean", "--all"); code != exitOK || !strings.Contains(out, "nothing to remove") {
		t.Errorf("%d: %s", code, out)
	}
}

// The hidden sub-command is no part of the help, and refuses who is not the program itself.
func TestTrySessionIsHidden(t *testing.T) {
	if _, out, _ := said(t, "--help"); strings.Contains(out, "try-session") || !strings.Contains(out, "engines") {
		t.Error(out)
	}
	stdin := os.Stdin
	defer func() { os.Stdin = stdin }()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	os.Stdin = null
	if code, _, text := said(t, "try-session"); code != exitUsage || !strings.Contains(text, "own use") {
		t.Errorf("%d: %s", code, text)
	}
}
