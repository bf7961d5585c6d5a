package infer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// standIn is a GPU machine's libraries as far as anybody asks them for their versions: real shared libraries,
// compiled here, each with the version function of the one that it stands for.
type standIn struct {
	cudart, cublas, cudnn, cudnnFor, tensorRT, driver int
	compute                                           [2]int
	gpus                                              int
	leaveOut                                          string   // the library's name
	builder                                           []string // names of builder resources
}

func goodMachine() standIn {
	return standIn{
		cudart: 13000, cublas: 13, cudnn: 91400, cudnnFor: 13000, tensorRT: 100600, driver: 13000, compute: [2]int{9, 0}, gpus: 1,
		builder: []string{"libnvinfer_builder_resource.so.10.6.0"},
	}
}

// build compiles the libraries and links the providers to them, as ONNX Runtime's are. It returns the path that
// ONNX Runtime would have.
func (s standIn) build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	sources := map[string]string{
		"libcudart.so.13": fmt.Sprintf("int cudaRuntimeGetVersion(int *v) { *v = %d; return 0; }", s.cudart),
		"libcublas.so.13": fmt.Sprintf("int cublasGetProperty(int which, int *v) { *v = which ? 0 : %d; return 0; }", s.cublas),
		"libcudnn.so.9": fmt.Sprintf("unsigned long cudnnGetVersion(void) { return %d; } unsigned long cudnnGetCudartVersion(void) { return %d; }",
			s.cudnn, s.cudnnFor),
		"libnvinfer.so.10":      fmt.Sprintf("int getInferLibVersion(void) { return %d; }", s.tensorRT),
		"libnvonnxparser.so.10": "int getNvOnnxParserVersion(void) { return 100; }",
		"libcuda.so.1": fmt.Sprintf(`int cuDriverGetVersion(int *v) { *v = %d; return 0; }
			int cuInit(unsigned f) { return 0; }
			int cuDeviceGetCount(int *n) { *n = %d; return 0; }
			int cuDeviceGetName(char *s, int n, int d) { __builtin_strcpy(s, "Stand-in GPU"); return 0; }
			int cuDeviceGetAttribute(int *v, int a, int d) { *v = a == 75 ? %d : %d; return 0; }`, s.driver, s.gpus, s.compute[0], s.compute[1]),
	}
	for _, name := range s.builder {
		sources[name] = "int nothing;"
	}
	for name, source := range sources {
		compileLibrary(t, dir, name, source)
	}
	const cuda = "libcudart.so.13 libcublas.so.13 libcudnn.so.9"
	compileLibrary(t, dir, "libonnxruntime_providers_shared.so", "int nothing;")
	compileLibrary(t, dir, "libonnxruntime_providers_cuda.so", "int nothing;", strings.Fields(cuda)...)
	compileLibrary(t, dir, "libonnxruntime_providers_tensorrt.so", "int nothing;", "libnvinfer.so.10", "libnvonnxparser.so.10", "libcudart.so.13")
	if s.leaveOut != "" {
		check(t, os.Remove(filepath.Join(dir, s.leaveOut)))
	}
	return filepath.Join(dir, "libonnxruntime.so."+RuntimeVersion)
}

var compiled = map[string][]byte{} // by name and source: most machines differ in one library

func compileLibrary(t *testing.T, dir, name, source string, linked ...string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if library, done := compiled[name+source]; done {
		check(t, os.WriteFile(path, library, 0o600))
		return
	}
	args := []string{"-shared", "-fPIC", "-x", "c", "-", "-o", path, "-Wl,-soname," + name, "-Wl,--no-as-needed", "-x", "none"}
	for _, l := range linked {
		args = append(args, filepath.Join(dir, l))
	}
	cmd := exec.Command("cc", args...)
	cmd.Stdin = strings.NewReader(source)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("no C compiler that links, which cgo needs as well: %v: %s", err, out)
	}
	compiled[name+source] = read(t, path)
}

func TestMachineIsSurveyed(t *testing.T) {
	for _, to := range []purpose{serving, building} {
		s, err := surveyMachine(ProviderTensorRT, goodMachine().build(t), to)
		if err != nil {
			t.Fatal(err)
		}
		want := Machine{Runtime: Version(), TensorRT: "10.6.0", CUDA: "13.0", CuDNN: "9.14.0", Driver: s.machine.Driver, GPU: "Stand-in GPU", Compute: "9.0"}
		if s.machine != want {
			t.Errorf("%s: %+v, expected %+v", to, s.machine, want)
		}
		s.close()
	}
}

// Each machine lacks one thing or has one that does not go with the rest; the message names it, what is there, what is
// wanted and what helps.
func TestMachineIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*standIn)
		to     purpose
		words  []string
	}{
		"no provider": {func(s *standIn) { s.leaveOut = "libonnxruntime_providers_tensorrt.so" }, serving, []string{"not found: libonnxruntime_providers_tensorrt.so;", "for the cpu alone", "make deps-gpu"}},
		"no TensorRT": {func(s *standIn) { s.leaveOut = "libnvinfer.so.10" }, serving, []string{"not found", "libnvinfer.so.10 (TensorRT)", "make deps-gpu"}},
		"no parser":   {func(s *standIn) { s.leaveOut = "libnvonnxparser.so.10" }, serving, []string{"not found", "libnvonnxparser.so.10 (TensorRT's ONNX parser)", "make deps-gpu"}},
		"no cuDNN":    {func(s *standIn) { s.leaveOut = "libcudnn.so.9" }, serving, []string{"not found", "libcudnn.so.9 (cuDNN)", "libcudnn9-cuda-13"}},
		"no cuBLAS":   {func(s *standIn) { s.leaveOut = "libcublas.so.13" }, serving, []string{"not found", "libcublas.so.13 (cuBLAS)", "LD_LIBRARY_PATH"}},
		"no CUDA":     {func(s *standIn) { s.leaveOut = "libcudart.so.13" }, serving, []string{"not found", "libcudart.so.13 (CUDA runtime)", "cuda-toolkit"}},
		"no driver":   {func(s *standIn) { s.leaveOut = "libcuda.so.1" }, serving, []string{"not found", "libcuda.so.1 (NVIDIA's driver)", "nvidia-smi"}},
		"no GPU":      {func(s *standIn) { s.gpus = 0 }, serving, []string{"finds no GPU", "nvidia-smi -L"}},
		"no builder":  {func(s *standIn) { s.builder = nil }, building, []string{"libnvinfer_builder_resource.so.10.6.0", "_sm90.so.10.6.0", "9.0", "only serves needs none"}},
		"PTX alone": {func(s *standIn) {
			s.tensorRT, s.builder = 101501, []string{"libnvinfer_builder_resource_ptx.so.10.15.1"}
		}, building, []string{"libnvinfer_builder_resource_sm90.so.10.15.1", "10.15.1"}},
		"old driver":   {func(s *standIn) { s.driver = 12040 }, serving, []string{"driver", "CUDA 12.4 at most", "CUDA 13.0", "nvidia-driver-580"}},
		"cuDNN for 12": {func(s *standIn) { s.cudnnFor = 12060 }, serving, []string{"cuDNN 9.14.0", "for CUDA 12.6", "CUDA 13.0", "libcudnn9-cuda-13"}},
		"cuBLAS of 12": {func(s *standIn) { s.cublas = 12 }, serving, []string{"cuBLAS 12.0.0", "CUDA 13.0", "both must be 13"}},
		"old GPU":      {func(s *standIn) { s.compute = [2]int{7, 0} }, serving, []string{"Stand-in GPU", "compute capability 7.0", "7.5"}},
		"TensorRT 11":  {func(s *standIn) { s.tensorRT = 110201 }, serving, []string{"TensorRT 11.2.1", "wanted is TensorRT 10"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := goodMachine()
			c.change(&m)
			_, err := surveyMachine(ProviderTensorRT, m.build(t), c.to)
			wantError(t, err, append(c.words, "provider tensorrt", string(c.to))...)
		})
	}
}

// ONNX Runtime's CUDA provider loads cuDNN by itself and is not linked to it: it is looked for all the same.
func TestCUDANeedsCuDNN(t *testing.T) {
	library := goodMachine().build(t)
	compileLibrary(t, filepath.Dir(library), "libonnxruntime_providers_cuda.so", "int alone;", "libcudart.so.13")
	s, err := surveyMachine(ProviderCUDA, library, serving)
	if err != nil {
		t.Fatal(err)
	}
	s.close()
	check(t, os.Remove(filepath.Join(filepath.Dir(library), "libcudnn.so.9")))
	_, err = surveyMachine(ProviderCUDA, library, serving)
	wantError(t, err, "provider cuda", "libcudnn.so.9 (cuDNN)")
}

// What only a building machine needs is no reason to refuse a serving one.
func TestServingNeedsNoBuilder(t *testing.T) {
	m := goodMachine()
	m.builder = nil
	s, err := surveyMachine(ProviderTensorRT, m.build(t), serving)
	if err != nil {
		t.Fatal(err)
	}
	s.close()
}

// A later TensorRT has a builder resource for each kind of GPU.
func TestBuilderForOneKindOfGPU(t *testing.T) {
	m := goodMachine()
	m.tensorRT, m.builder = 101501, []string{"libnvinfer_builder_resource_sm90.so.10.15.1"}
	s, err := surveyMachine(ProviderTensorRT, m.build(t), building)
	if err != nil {
		t.Fatal(err)
	}
	s.close()
}

// Another major version in the library's place is named, with its path.
func TestOtherMajorIsNamed(t *testing.T) {
	m := goodMachine()
	m.leaveOut = "libcudart.so.13"
	library := m.build(t)
	compileLibrary(t, filepath.Dir(library), "libcudart.so.12", "int cudaRuntimeGetVersion(int *v) { *v = 12060; return 0; }")
	_, err := surveyMachine(ProviderTensorRT, library, serving)
	wantError(t, err, "libcudart.so.13", "version 12 is at "+filepath.Join(filepath.Dir(library), "libcudart.so.12"), "wanted is 13")
}

// Files that are there and are not what they are called.
func TestLibraryIsNotWhatItIsCalled(t *testing.T) {
	library := goodMachine().build(t)
	folder := filepath.Dir(library)
	check(t, os.WriteFile(filepath.Join(folder, "libcudnn.so.9"), []byte("not a library"), 0o600))
	compileLibrary(t, folder, "libnvinfer.so.10", "int nothing;")
	_, err := surveyMachine(ProviderTensorRT, library, serving)
	wantError(t, err, "libcudnn.so.9 (cuDNN) does not load", "libnvinfer.so.10", "is not TensorRT", "getInferLibVersion")
	check(t, os.WriteFile(filepath.Join(folder, "libonnxruntime_providers_cuda.so"), []byte("not a library"), 0o600))
	_, err = surveyMachine(ProviderTensorRT, library, serving)
	wantError(t, err, "libonnxruntime_providers_cuda.so", "no shared library", "make deps-gpu")
}

// A library that a broken download has cut short: to load it would end the process with SIGBUS.
func TestLibraryThatIsCutShort(t *testing.T) {
	for _, name := range []string{"libnvonnxparser.so.10", "libonnxruntime_providers_tensorrt.so"} {
		library := goodMachine().build(t)
		path := filepath.Join(filepath.Dir(library), name)
		info, err := os.Stat(path)
		check(t, err)
		for _, size := range []int64{info.Size() - 1, info.Size() / 2, 100, 0} {
			check(t, os.Truncate(path, size))
			_, err := surveyMachine(ProviderTensorRT, library, serving)
			wantError(t, err, name, "make deps-gpu")
			t.Log(err)
		}
	}
	// Cut where no section table tells it.
	path := filepath.Join(filepath.Dir(goodMachine().build(t)), "libcudnn.so.9")
	text := read(t, path)
	clear(text[0x28:0x30]) // e_shoff
	clear(text[0x3c:0x40]) // e_shnum, e_shstrndx
	check(t, os.WriteFile(path, text[:len(text)*3/4], 0o600))
	wantError(t, whole(path), path, "cut short")
}

// Where the kernel does not tell the driver's version, the library's file does.
func TestDriverVersionOfItsFile(t *testing.T) {
	if driverVersion("/proc/driver/nvidia/version") != "" {
		t.Skip("the kernel tells it here")
	}
	library := goodMachine().build(t)
	path := filepath.Join(filepath.Dir(library), "libcuda.so.1")
	check(t, os.Rename(path, filepath.Join(filepath.Dir(library), "libcuda.so.580.159.04")))
	check(t, os.Symlink("libcuda.so.580.159.04", path))
	s, err := surveyMachine(ProviderTensorRT, library, serving)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if s.machine.Driver != "580.159.04" {
		t.Errorf("driver %q", s.machine.Driver)
	}
}

func TestDriverVersion(t *testing.T) {
	file := filepath.Join(t.TempDir(), "version")
	for text, want := range map[string]string{
		"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build\nGCC version: 12\n": "580.159.04",
		"NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03  Tue Jun  6\n":                               "535.54.03",
		"something else": "",
	} {
		check(t, os.WriteFile(file, []byte(text), 0o600))
		if got := driverVersion(file); got != want {
			t.Errorf("%q of %q, expected %q", got, text, want)
		}
	}
	if got := driverVersion(file + ".absent"); got != "" {
		t.Errorf("%q of no file", got)
	}
}

func TestVersionsAreRead(t *testing.T) {
	for got, want := range map[string]string{
		tensorRTVersion([3]int{8601}): "8.6.1", tensorRTVersion([3]int{100600}): "10.6.0", cudnnVersion([3]int{8907}): "8.9.7",
		cudnnVersion([3]int{91400}): "9.14.0", cudaVersion([3]int{12060}): "12.6", cublasLtVersion([3]int{130100}): "13.1.0",
	} {
		if got != want {
			t.Errorf("%s, expected %s", got, want)
		}
	}
}
