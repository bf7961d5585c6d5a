package infer

/*
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>

static void *open_library(const char *name) { return dlopen(name, RTLD_LAZY | RTLD_LOCAL); }

static const char *path_of(void *handle) {
  struct link_map *map = NULL;
  return dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 && map ? map->l_name : NULL;
}

static int returned(void *function) { return ((int (*)(void))function)(); }

static int filled(void *function, int *value) { return ((int (*)(int *))function)(value); }

static int property(void *function, int which, int *value) { return ((int (*)(int, int *))function)(which, value); }

typedef struct { char name[256]; int count, major, minor; } gpu;

// The first GPU, through the driver's own interface; the result is CUDA's error code.
static int first_gpu(void *driver, gpu *g) {
  int (*init)(unsigned) = (int (*)(unsigned))dlsym(driver, "cuInit");
  int (*count)(int *) = (int (*)(int *))dlsym(driver, "cuDeviceGetCount");
  int (*name)(char *, int, int) = (int (*)(char *, int, int))dlsym(driver, "cuDeviceGetName");
  int (*attribute)(int *, int, int) = (int (*)(int *, int, int))dlsym(driver, "cuDeviceGetAttribute");
  int err;
  if (!init || !count || !name || !attribute) return -1;
  if ((err = init(0)) || (err = count(&g->count)) || g->count == 0) return err;
  if ((err = name(g->name, sizeof g->name, 0))) return err;
  if ((err = attribute(&g->major, 75, 0))) return err; // compute capability, major and minor
  return attribute(&g->minor, 76, 0);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"path/filepath"
	"unsafe"
)

// sharedLibrary is a library in this process, looked into with dlsym.
type sharedLibrary struct {
	handle unsafe.Pointer
	path   string // as the loader found it
}

// openShared loads a library by its path, or by its bare name from the loader's path.
func openShared(name string) (*sharedLibrary, error) {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	handle := C.open_library(text)
	if handle == nil {
		return nil, errors.New(C.GoString(C.dlerror()))
	}
	l := &sharedLibrary{handle: handle, path: name}
	if path := C.path_of(handle); path != nil && C.GoString(path) != "" {
		l.path = C.GoString(path)
	}
	if target, err := filepath.EvalSymlinks(l.path); err == nil {
		l.path = target
	}
	return l, nil
}

func (l *sharedLibrary) close() { C.dlclose(l.handle) }

func (l *sharedLibrary) symbol(name string) unsafe.Pointer {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	return C.dlsym(l.handle, text)
}

// asked says how a library tells its version: what its function is like.
type asked int

const (
	returns    asked = iota + 1 // int f(void), or size_t: versions fit into an int
	fills                       // int f(int *version), 0 when it went well
	properties                  // int f(int which, int *value), for major, minor and patch
)

// ask calls the library's version function; false when it has none, or that fails.
func (l *sharedLibrary) ask(how asked, symbol string) (numbers [3]int, ok bool) {
	function := l.symbol(symbol)
	if function == nil {
		return numbers, false
	}
	var value C.int
	switch how {
	case returns:
		value = C.returned(function)
	case fills:
		if C.filled(function, &value) != 0 {
			return numbers, false
		}
	case properties:
		for which := range numbers {
			if C.property(function, C.int(which), &value) != 0 {
				return numbers, false
			}
			numbers[which] = int(value)
		}
		return numbers, true
	}
	numbers[0] = int(value)
	return numbers, true
}

// gpu is a GPU as the driver describes it.
type gpu struct {
	name    string
	compute string // compute capability, as in 9.0
}

// firstGPU asks the driver's library for the GPU that CUDA would use.
func firstGPU(driver *sharedLibrary) (gpu, error) {
	var g C.gpu
	switch code := C.first_gpu(driver.handle, &g); {
	case code == -1:
		return gpu{}, fmt.Errorf("%s is not a CUDA driver (cuInit, cuDeviceGetCount, cuDeviceGetName or cuDeviceGetAttribute not found)", driver.path)
	case code == 100 || code == 0 && g.count == 0: // CUDA_ERROR_NO_DEVICE
		return gpu{}, errors.New("the driver finds no GPU; `nvidia-smi -L` lists them, and CUDA_VISIBLE_DEVICES may hide them")
	case code != 0:
		return gpu{}, fmt.Errorf("the driver does not start (CUDA error %d); `nvidia-smi` says more", int(code))
	}
	return gpu{name: C.GoString(&g.name[0]), compute: fmt.Sprintf("%d.%d", int(g.major), int(g.minor))}, nil
}
