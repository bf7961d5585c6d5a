package infer

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// purpose is what a GPU machine is to do. One that serves opens engines that are there already, and needs
// no builder: 1.4 GB less than one that builds.
type purpose string

const (
	serving  purpose = "serving"
	building purpose = "building"
)

// knownLibrary is what we know of a library that a GPU provider may need.
type knownLibrary struct {
	stem    string // of its name, up to the version
	what    string
	how     asked
	symbol  string
	version func([3]int) string
	cure    string
}

const (
	cureRuntime  = "`make deps-gpu` installs ONNX Runtime's GPU build with TensorRT, and says how to set " + EnvLibrary
	cureTensorRT = "`make deps-gpu` installs TensorRT beside ONNX Runtime"
	cureCUDA     = "`apt-get install cuda-toolkit-13-0` installs it, or set LD_LIBRARY_PATH to its folder, as in /usr/local/cuda-13.0/targets/x86_64-linux/lib"
	cureCuDNN    = "`apt-get install libcudnn9-cuda-13` installs it"
	cureDriver   = "`apt-get install nvidia-driver-580` or newer brings it, `nvidia-smi` says whether it runs; in a container, start it with --gpus all"
)

var knownLibraries = []knownLibrary{
	{"libonnxruntime_providers_", "ONNX Runtime's GPU build", 0, "", nil, cureRuntime},
	{"libnvinfer_builder_resource", "TensorRT's builder resource", 0, "", nil, cureTensorRT},
	{"libnvinfer.so", "TensorRT", returns, "getInferLibVersion", tensorRTVersion, cureTensorRT},
	{"libnvonnxparser.so", "TensorRT's ONNX parser", 0, "", nil, cureTensorRT},
	{"libcudart.so", "CUDA runtime", fills, "cudaRuntimeGetVersion", cudaVersion, cureCUDA},
	{"libcublas.so", "cuBLAS", properties, "cublasGetProperty", propertyVersion, cureCUDA},
	{"libcublasLt.so", "cuBLAS", returns, "cublasLtGetVersion", cublasLtVersion, cureCUDA},
	{"libcudnn.so", "cuDNN", returns, "cudnnGetVersion", cudnnVersion, cureCuDNN},
	{"libcuda.so", "NVIDIA's driver", fills, "cuDriverGetVersion", cudaVersion, cureDriver},
	{"libcu", "CUDA", 0, "", nil, cureCUDA}, // cuFFT, cuRAND and what else a build links
}

func know(name string) knownLibrary {
	i := slices.IndexFunc(knownLibraries, func(k knownLibrary) bool { return strings.HasPrefix(name, k.stem) })
	if i < 0 {
		return knownLibrary{what: "a library that ONNX Runtime's GPU build links", cure: "install the package that has it"}
	}
	return knownLibraries[i]
}

func tensorRTVersion(n [3]int) string {
	if n[0] < 100000 { // up to 8.6, a version had four digits
		return fmt.Sprintf("%d.%d.%d", n[0]/1000, n[0]/100%10, n[0]%100)
	}
	return decimals(n[0])
}

func cudnnVersion(n [3]int) string {
	if n[0] < 90000 {
		return fmt.Sprintf("%d.%d.%d", n[0]/1000, n[0]/100%10, n[0]%100)
	}
	return decimals(n[0])
}

func cublasLtVersion(n [3]int) string {
	if n[0] < 100000 {
		return fmt.Sprintf("%d.%d", n[0]/1000, n[0]/100%10)
	}
	return decimals(n[0])
}

func decimals(n int) string           { return fmt.Sprintf("%d.%d.%d", n/10000, n/100%100, n%100) }
func cudaVersion(n [3]int) string     { return fmt.Sprintf("%d.%d", n[0]/1000, n[0]%1000/10) }
func propertyVersion(n [3]int) string { return fmt.Sprintf("%d.%d.%d", n[0], n[1], n[2]) }

// foundLibrary is a library that was looked for.
type foundLibrary struct {
	name    string // that the loader wants, as in libcudart.so.13
	path    string
	version string // that it says of itself, else that its file's name says; "" when neither does
	missing error  // why it cannot be used; nil when it can
	absent  bool   // missing because there is nothing of the kind

	shared *sharedLibrary
}

var fileVersion = regexp.MustCompile(`\.so\.([0-9]+(?:\.[0-9]+)*)$`)

// find looks for a library beside ONNX Runtime, where its providers look first, and on the loader's path.
func find(name, folder string) foundLibrary {
	f := foundLibrary{name: name}
	known := know(name)
	where := lookBeside(name, folder)
	err := whole(where)
	var shared *sharedLibrary
	if err == nil {
		shared, err = openShared(where)
	}
	if err != nil {
		why := f.absence(folder, err)
		f.absent = why == ""
		f.missing = fmt.Errorf("%s (%s) %s; %s", name, known.what, why, known.cure)
		return f
	}
	f.shared, f.path = shared, shared.path
	if m := fileVersion.FindStringSubmatch(f.path); m != nil {
		f.version = m[1]
	}
	if known.version != nil {
		if numbers, ok := shared.ask(known.how, known.symbol); ok {
			f.version = known.version(numbers)
		} else {
			f.missing = fmt.Errorf("%s at %s is not %s: it has no %s that answers; %s", name, f.path, known.what, known.symbol, known.cure)
		}
	}
	return f
}

// lookBeside gives a library's path where it lies in the folder or in one of LD_LIBRARY_PATH, else the name for the loader to find.
func lookBeside(name, folder string) string {
	for _, dir := range append([]string{folder}, filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))...) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); dir != "" && err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return name
}

// whole refuses a library that is not all there, as a broken download leaves it: loading it ends the process with SIGBUS.
func whole(path string) error {
	if !filepath.IsAbs(path) {
		return nil // the system's
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("%s, %d bytes, is damaged or cut short: %w", path, info.Size(), err)
	}
	defer f.Close() //nolint:errcheck // only read
	for _, p := range f.Progs {
		if end := p.Off + p.Filesz; p.Type == elf.PT_LOAD && end > uint64(info.Size()) {
			return fmt.Errorf("%s is cut short: %d bytes, expected %d at least", path, info.Size(), end)
		}
	}
	return nil
}

// absence says what there is in a library's place: another version, or a file that does not load; "" for nothing.
func (f *foundLibrary) absence(folder string, err error) string {
	if !strings.Contains(err.Error(), f.name+": cannot open shared object file") {
		return fmt.Sprintf("does not load: %v", err)
	}
	stem, wanted, versioned := strings.Cut(f.name, ".so.")
	if versioned {
		for major := 8; major <= 20; major++ {
			other := fmt.Sprintf("%s.so.%d", stem, major)
			if other == f.name {
				continue
			}
			where := lookBeside(other, folder)
			if whole(where) != nil {
				continue
			}
			if shared, err := openShared(where); err == nil {
				defer shared.close()
				return fmt.Sprintf("not found: version %d is at %s, wanted is %s", major, shared.path, wanted)
			}
		}
	}
	return ""
}

// allMissing says what is missing, together what the same command helps.
func allMissing(libraries []foundLibrary, folder string) []error {
	var errs []error
	var cures []string
	names := map[string][]string{}
	for _, l := range libraries {
		known := know(l.name)
		switch {
		case l.absent:
			if names[known.cure] == nil {
				cures = append(cures, known.cure)
			}
			names[known.cure] = append(names[known.cure], fmt.Sprintf("%s (%s)", l.name, known.what))
		case l.missing != nil:
			errs = append(errs, l.missing)
		}
	}
	for _, cure := range cures {
		errs = append(errs, fmt.Errorf("not found in %s or on the loader's path: %s; %s", folder, strings.Join(names[cure], ", "), cure))
	}
	return errs
}

// providerFiles are the parts of ONNX Runtime that a provider is in. TensorRT's takes its memory through CUDA's.
func providerFiles(provider string) []string {
	files := []string{"libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"}
	if provider == ProviderTensorRT {
		files = append(files, "libonnxruntime_providers_tensorrt.so")
	}
	return files
}

// linkedByDefault is what the providers of the tested ONNX Runtime link, to be named while they are not there to ask.
func linkedByDefault(provider string) []string {
	names := []string{"libcudart.so.13", "libcublas.so.13", "libcublasLt.so.13", "libcurand.so.10"}
	if provider == ProviderTensorRT {
		names = append(names, "libnvinfer.so.10", "libnvonnxparser.so.10")
	}
	return names
}

// loadedLater is what ONNX Runtime's CUDA provider loads by itself when it first needs it.
var loadedLater = []string{"libcudnn.so.9", "libcuda.so.1"}

// linkedBy asks the providers themselves which libraries they need, and so which versions: their files say so.
func linkedBy(folder string, files []string) ([]string, error) {
	var names []string
	for _, file := range files {
		f, err := elf.Open(filepath.Join(folder, file))
		if err != nil {
			return nil, fmt.Errorf("%s in %s is no shared library: %w; %s", file, folder, err, cureRuntime)
		}
		linked, err := f.ImportedLibraries()
		if err := errors.Join(err, whole(filepath.Join(folder, file)), f.Close()); err != nil {
			return nil, fmt.Errorf("%s in %s: %w; %s", file, folder, err, cureRuntime)
		}
		for _, name := range linked {
			if !slices.Contains(names, name) && !slices.Contains(files, name) && !strings.HasPrefix(name, "ld-linux") {
				names = append(names, name)
			}
		}
	}
	return names, nil
}
