package infer

/*
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// What the Go binding of ONNX Runtime leaves out: where a session wants its tensors, and tensors in a GPU's memory. OrtApi is a table of
// functions to which versions only ever append, so that each has its place in it for good; a test holds these to the header.
enum {
  GetErrorMessage = 2,
  SessionGetInputCount = 30,
  SessionGetOutputCount = 31,
  SessionGetInputName = 36,
  SessionGetOutputName = 37,
  CreateTensorWithDataAsOrtValue = 49,
  AllocatorFree = 76,
  GetAllocatorWithDefaultOptions = 78,
  ReleaseStatus = 93,
  ReleaseValue = 96,
  BindInput = 136,
  BindOutput = 137,
  MemoryInfoGetDeviceType = 225,
  SessionGetMemoryInfoForInputs = 380,
  SessionGetMemoryInfoForOutputs = 381,
};

enum { apiVersion = 24, maxTensors = 64, elementFloat = 1 };

typedef void *(*function)();

static const function *ort_functions(void *get_base) {
  struct { const function *(*get)(uint32_t); } *base = ((void *(*)(void))get_base)();
  return base ? base->get(apiVersion) : NULL;
}

static const char *ort_message(const function *ort, void *status) { return ((const char *(*)(void *))ort[GetErrorMessage])(status); }
static void ort_release(const function *ort, int which, void *p) { ((void (*)(void *))ort[which])(p); }

// Where a session wants the input, or leaves the output, of that name: NULL for no such.
static void *ort_place(const function *ort, void *session, int output, const char *wanted, const void **place) {
  const void *all[maxTensors];
  void *status, *allocator;
  size_t n;
  *place = NULL;
  if ((status = ((void *(*)(void *, size_t *))ort[output ? SessionGetOutputCount : SessionGetInputCount])(session, &n)) || n > maxTensors) return status;
  if ((status = ((void *(*)(void *, const void **, size_t))ort[output ? SessionGetMemoryInfoForOutputs : SessionGetMemoryInfoForInputs])(session, all, n))) return status;
  if ((status = ((void *(*)(void **))ort[GetAllocatorWithDefaultOptions])(&allocator))) return status;
  for (size_t i = 0; i < n && !*place; i++) {
    char *name;
    if ((status = ((void *(*)(void *, size_t, void *, char **))ort[output ? SessionGetOutputName : SessionGetInputName])(session, i, allocator, &name))) return status;
    if (!strcmp(name, wanted)) *place = all[i];
    ((void *(*)(void *, void *))ort[AllocatorFree])(allocator, name);
  }
  return NULL;
}

static int ort_device_type(const function *ort, const void *place) {
  int type = -1;
  ((void (*)(const void *, int *))ort[MemoryInfoGetDeviceType])(place, &type);
  return type;
}

// A tensor over memory that stays the caller's, bound under a name.
static void *ort_bind(const function *ort, void *binding, int output, const char *name, const void *place, void *data, size_t bytes,
                      const int64_t *shape, size_t dims, void **value) {
  void *status = ((void *(*)(const void *, void *, size_t, const int64_t *, size_t, int, void **))ort[CreateTensorWithDataAsOrtValue])(
      place, data, bytes, shape, dims, elementFloat, value);
  return status ? status : ((void *(*)(void *, const char *, void *))ort[output ? BindOutput : BindInput])(binding, name, *value);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"
)

// functions is ONNX Runtime's table of functions, of the library that runs.
var functions = sync.OnceValues(func() (*C.function, error) {
	shared, err := openShared(Library())
	if err != nil {
		return nil, err
	}
	base := shared.symbol("OrtGetApiBase")
	if base == nil {
		return nil, fmt.Errorf("%s has no OrtGetApiBase", shared.path)
	}
	table := C.ort_functions(base)
	if table == nil {
		return nil, fmt.Errorf("onnx runtime %s has no interface of version %d", Version(), C.apiVersion)
	}
	return table, nil
})

// pointer is one of ONNX Runtime's that the Go binding keeps to itself.
func pointer(of any, path ...string) unsafe.Pointer {
	v := reflect.ValueOf(of)
	for _, name := range path {
		v = v.Elem().FieldByName(name)
	}
	return v.UnsafePointer()
}

func ortError(table *C.function, status unsafe.Pointer) error {
	if status == nil {
		return nil
	}
	defer C.ort_release(table, C.ReleaseStatus, status)
	return errors.New(C.GoString(C.ort_message(table, status)))
}

// place is where a network wants an input or leaves an output: a description that belongs to its session.
type place struct {
	info unsafe.Pointer
	gpu  bool
}

func placeOf(net *netSession, output bool, name string) (place, error) {
	table, err := functions()
	if err != nil {
		return place{}, err
	}
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	var p place
	if err := ortError(table, C.ort_place(table, pointer(net, "s", "ortSession"), truth(output), text, &p.info)); err != nil {
		return place{}, fmt.Errorf("place of %q: %w", name, err)
	}
	if p.info == nil {
		return place{}, fmt.Errorf("place of %q: the network has no such tensor", name)
	}
	p.gpu = C.ort_device_type(table, p.info) == 1
	return p, nil
}

// boundValue is a tensor of ONNX Runtime's over memory of ours.
type boundValue struct{ value unsafe.Pointer }

// bindMemory binds memory that lies where the place says.
func bindMemory(io *ort.IoBinding, output bool, t tensor, at place, data unsafe.Pointer) (boundValue, error) {
	table, err := functions()
	if err != nil {
		return boundValue{}, err
	}
	text := C.CString(t.name)
	defer C.free(unsafe.Pointer(text))
	var b boundValue
	status := C.ort_bind(table, pointer(io, "o"), truth(output), text, at.info, data, C.size_t(4*t.floats()),
		(*C.int64_t)(&t.shape[0]), C.size_t(len(t.shape)), &b.value)
	if err := ortError(table, status); err != nil {
		return b, fmt.Errorf("bind %q: %w", t.name, err)
	}
	return b, nil
}

func (b *boundValue) release() {
	if table, err := functions(); err == nil && b.value != nil {
		C.ort_release(table, C.ReleaseValue, b.value)
		b.value = nil
	}
}

func (t tensor) floats() int {
	n := 1
	for _, d := range t.shape {
		n *= int(d)
	}
	return n
}

func truth(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
