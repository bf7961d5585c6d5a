package infer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Machine is what a GPU provider runs with here: whatever an engine depends on beside its model.
type Machine struct {
	Runtime  string `json:"onnxruntime"`
	TensorRT string `json:"tensorrt,omitempty"`
	CUDA     string `json:"cuda"`
	CuDNN    string `json:"cudnn"`
	Driver   string `json:"driver"`
	GPU      string `json:"gpu"`
	Compute  string `json:"compute_capability"`
}

// survey is a Machine with its libraries open.
type survey struct {
	machine   Machine
	libraries []foundLibrary
}

// surveyMachine looks for all that a provider needs before ONNX Runtime is told of it: ONNX Runtime would
// give the reason to its log alone, and a missing builder resource would end the process. The error names everything
// that is missing. The libraries stay loaded, so that the providers find them wherever they were found.
func surveyMachine(provider, runtime string, to purpose) (*survey, error) {
	folder := filepath.Dir(runtime)
	s := &survey{machine: Machine{Runtime: Version()}}
	files := providerFiles(provider)
	var missing []error
	var absent []string
	for _, file := range files {
		if _, err := os.Stat(filepath.Join(folder, file)); err != nil {
			absent = append(absent, file)
		}
	}
	linked := linkedByDefault(provider)
	if len(absent) > 0 {
		missing = append(missing, fmt.Errorf("beside %s, which is ONNX Runtime %s for the cpu alone, not found: %s; %s", runtime, Version(), strings.Join(absent, ", "), cureRuntime))
	} else if names, err := linkedBy(folder, files); err != nil {
		missing = append(missing, err)
	} else {
		linked = names
	}
	for _, name := range loadedLater {
		if !slices.Contains(linked, name) {
			linked = append(linked, name)
		}
	}
	for _, name := range linked {
		s.libraries = append(s.libraries, find(name, folder))
	}
	unmet := s.meet()
	if to == building && provider == ProviderTensorRT && s.machine.TensorRT != "" {
		s.libraries = append(s.libraries, s.builder(folder))
	}
	missing = append(missing, allMissing(s.libraries, folder)...)
	if len(missing) == 0 {
		missing = append(unmet, s.refused(to)...)
	}
	if len(missing) > 0 {
		s.close()
		return nil, fmt.Errorf("provider %s is not available for %s: %w", provider, to, listed(missing))
	}
	return s, nil
}

// listed joins errors into one line.
func listed(errs []error) error {
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	return errors.New(strings.Join(texts, "; "))
}

// meet reads the versions and asks the driver for its GPU.
func (s *survey) meet() []error {
	s.machine.TensorRT = s.version("libnvinfer.so")
	s.machine.CUDA = s.version("libcudart.so")
	s.machine.CuDNN = s.version("libcudnn.so")
	driver := s.found("libcuda.so")
	s.machine.Driver = driverVersion("/proc/driver/nvidia/version")
	if driver != nil && s.machine.Driver == "" { // where the kernel does not say, the library's file has it in its name
		if m := fileVersion.FindStringSubmatch(driver.path); m != nil && strings.Contains(m[1], ".") {
			s.machine.Driver = m[1]
		}
	}
	if driver == nil || driver.missing != nil {
		return nil
	}
	g, err := firstGPU(driver.shared)
	if err != nil {
		return []error{err}
	}
	s.machine.GPU, s.machine.Compute = g.name, g.compute
	return nil
}

// builder looks for what TensorRT loads when it builds, by the names it would use: one file for all GPUs, or one
// for this one. Without it, creating the builder ends the process.
func (s *survey) builder(folder string) foundLibrary {
	whole := find("libnvinfer_builder_resource.so."+s.machine.TensorRT, folder)
	if whole.missing == nil || s.machine.Compute == "" {
		return whole
	}
	own := find(fmt.Sprintf("libnvinfer_builder_resource_sm%s.so.%s", strings.ReplaceAll(s.machine.Compute, ".", ""), s.machine.TensorRT), folder)
	if own.missing != nil {
		own.absent = false
		own.missing = fmt.Errorf("neither %s nor %s (TensorRT's builder resource) is in %s or on the loader's path, and without one "+
			"TensorRT %s cannot build for compute capability %s; %s, a machine that only serves needs none",
			whole.name, own.name, folder, s.machine.TensorRT, s.machine.Compute, cureTensorRT)
	}
	return own
}

// id is the same as long as the libraries are the same files on the same machine.
func (s *survey) id() string {
	host, _ := os.Hostname()
	text := fmt.Sprintln(host, s.machine)
	for _, l := range s.libraries {
		if info, err := os.Stat(l.path); err == nil {
			text += fmt.Sprintln(l.path, info.Size(), info.ModTime().UnixNano())
		}
	}
	return hash([]byte(text))[:16]
}

func (s *survey) found(stem string) *foundLibrary {
	for i := range s.libraries {
		if strings.HasPrefix(s.libraries[i].name, stem) {
			return &s.libraries[i]
		}
	}
	return nil
}

func (s *survey) version(stem string) string {
	if l := s.found(stem); l != nil {
		return l.version
	}
	return ""
}

func (s *survey) close() {
	for i := range s.libraries {
		if shared := s.libraries[i].shared; shared != nil {
			shared.close()
			s.libraries[i].shared = nil
		}
	}
}

// refused names the pairs of versions that are known not to work together.
func (s *survey) refused(to purpose) []error {
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	m := s.machine
	cuda, driver := major(m.CUDA), s.version("libcuda.so")
	if have := major(driver); have < cuda {
		refuse("NVIDIA's driver %s knows CUDA %s at most, and CUDA %s is in use, which needs a driver for %d.0 or newer; %s",
			m.Driver, driver, m.CUDA, cuda, cureDriver)
	}
	for _, stem := range []string{"libcublas.so", "libcublasLt.so"} {
		if v := s.version(stem); v != "" && major(v) != cuda {
			refuse("cuBLAS %s and CUDA %s do not work together: both must be %d; %s", v, m.CUDA, cuda, cureCUDA)
		}
	}
	if l := s.found("libcudnn.so"); l != nil && l.shared != nil {
		if n, ok := l.shared.ask(returns, "cudnnGetCudartVersion"); ok && n[0]/1000 != cuda {
			refuse("cuDNN %s at %s is for CUDA %s and does not work with CUDA %s; %s", l.version, l.path, cudaVersion(n), m.CUDA, cureCuDNN)
		}
	}
	if parser := s.version("libnvonnxparser.so"); strings.Contains(parser, ".") && minor(parser) != minor(m.TensorRT) {
		refuse("TensorRT %s and its ONNX parser %s do not work together: both must be %s; %s", m.TensorRT, parser, minor(m.TensorRT), cureTensorRT)
	}
	if compute, err := strconv.ParseFloat(m.Compute, 64); err == nil && cuda >= 13 && compute < 7.5 {
		refuse("CUDA %s has left out GPUs as old as this %s: compute capability %s, wanted is 7.5 or newer; another GPU, or provider cpu", m.CUDA, m.GPU, m.Compute)
	}
	if m.TensorRT != "" && major(m.TensorRT) != 10 {
		refuse("TensorRT %s and ONNX Runtime %s do not work together: wanted is TensorRT 10 (tested: %s); %s", m.TensorRT, m.Runtime, TensorRTVersion, cureTensorRT)
	}
	return errs
}

// major is the first number of a version, 0 when there is none; minor its first two.
func major(version string) int {
	text, _, _ := strings.Cut(version, ".")
	n, _ := strconv.Atoi(text)
	return n
}

func minor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

var driverNumber = regexp.MustCompile(`Kernel Module(?: for \S+)?\s+([0-9.]+)`)

// driverVersion reads the version that the kernel's module gives, "" when there is none.
func driverVersion(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	if m := driverNumber.FindStringSubmatch(string(text)); m != nil {
		return m[1]
	}
	return ""
}
