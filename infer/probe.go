package infer

/*
#cgo linux LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

// The head of onnxruntime_c_api.h: stable since its first version.
typedef struct {
  const void *(*GetApi)(uint32_t version);
  const char *(*GetVersionString)(void);
} ort_api_base;

static const char *ort_version(void *handle) {
  const ort_api_base *(*base)(void) = (const ort_api_base *(*)(void))dlsym(handle, "OrtGetApiBase");
  if (!base) return NULL;
  const ort_api_base *api = base();
  return api ? api->GetVersionString() : NULL;
}
*/
import "C"

import (
	"errors"
	"unsafe"
)

// libraryVersion loads a shared library and asks it for ONNX Runtime's version. We ask before the
// binding does: it would fail with a bare number, and ONNX Runtime would explain on stderr. On
// success the library stays loaded; the binding's own load then only counts one more user.
func libraryVersion(path string) (string, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	handle := C.dlopen(name, C.RTLD_NOW|C.RTLD_LOCAL)
	if handle == nil {
		return "", errors.New(C.GoString(C.dlerror()))
	}
	version := C.ort_version(handle)
	if version == nil {
		C.dlclose(handle)
		return "", errors.New("no ONNX Runtime in it (OrtGetApiBase not found)")
	}
	return C.GoString(version), nil
}
