package infer

/*
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// CUDA's runtime, as far as we use it. Each function gives CUDA's error code.
typedef struct {
  int (*malloc)(void **, size_t);
  int (*free)(void *);
  int (*malloc_host)(void **, size_t);
  int (*free_host)(void *);
  int (*copy)(void *, const void *, size_t, int, void *);
  int (*set)(void *, int, size_t, void *);
  int (*new_stream)(void **, unsigned);
  int (*free_stream)(void *);
  int (*wait)(void *);
  int (*memory)(size_t *, size_t *);
  const char *(*error_name)(int);
} cuda;

static int load_cuda(void *library, cuda *c) {
  struct { void **to; const char *name; } all[] = {
      {(void **)&c->malloc, "cudaMalloc"}, {(void **)&c->free, "cudaFree"},
      {(void **)&c->malloc_host, "cudaMallocHost"}, {(void **)&c->free_host, "cudaFreeHost"},
      {(void **)&c->copy, "cudaMemcpyAsync"}, {(void **)&c->set, "cudaMemsetAsync"},
      {(void **)&c->new_stream, "cudaStreamCreateWithFlags"}, {(void **)&c->free_stream, "cudaStreamDestroy"},
      {(void **)&c->wait, "cudaStreamSynchronize"}, {(void **)&c->memory, "cudaMemGetInfo"},
      {(void **)&c->error_name, "cudaGetErrorName"}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (!(*all[i].to = dlsym(library, all[i].name))) return 0;
  return 1;
}

static int cuda_malloc(cuda *c, void **p, size_t n) { return c->malloc(p, n); }
static int cuda_free(cuda *c, void *p) { return c->free(p); }
static int cuda_malloc_host(cuda *c, void **p, size_t n) { return c->malloc_host(p, n); }
static int cuda_free_host(cuda *c, void *p) { return c->free_host(p); }
static int cuda_new_stream(cuda *c, void **s) { return c->new_stream(s, 1); } // of its own: it waits for no other
static int cuda_free_stream(cuda *c, void *s) { return c->free_stream(s); }
static const char *cuda_error(cuda *c, int code) { return c->error_name(code); }
static int cuda_memory(cuda *c, size_t *free, size_t *total) { return c->memory(free, total); }

static int cuda_zero(cuda *c, void *p, size_t n, void *stream) {
  int err = c->set(p, 0, n, stream);
  return err ? err : c->wait(stream);
}

// Copies and waits: 1 is to the device, 2 from it.
static int cuda_copy(cuda *c, void *to, const void *from, size_t n, int kind, void *stream) {
  int err = c->copy(to, from, n, kind, stream);
  return err ? err : c->wait(stream);
}

// Copies rows within the device, in the stream's order; each has two addresses, from and to.
static int cuda_rows(cuda *c, void **pairs, int rows, size_t n, void *stream) {
  int err = 0;
  for (int i = 0; i < rows && !err; i++) err = c->copy(pairs[2 * i + 1], pairs[2 * i], n, 3, stream);
  return err;
}

static int cuda_wait(cuda *c, void *stream) { return c->wait(stream); }

static int cuda_upload(cuda *c, void *to, const void *from, size_t n, void *to2, const void *from2, size_t n2, void *stream) {
  int err = c->copy(to, from, n, 1, stream);
  if (!err && n2) err = c->copy(to2, from2, n2, 1, stream);
  return err ? err : c->wait(stream);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"unsafe"
)

// A network on a GPU wants its tensors there. ONNX Runtime copies what is bound in the host's memory once, when it is bound, and
// never again: so each binding has memory of the GPU for its tensors, which never move, and copies what is heard to it before a
// run and the audio from it after. The state never leaves the GPU.

// cudaRuntime is CUDA's runtime library, which the survey has found.
type cudaRuntime struct{ c C.cuda }

// loadCUDA is the runtime that ONNX Runtime's own CUDA provider is linked to: memory of another would be no memory of its.
var loadCUDA = sync.OnceValues(func() (*cudaRuntime, error) {
	folder := filepath.Dir(Library())
	names, err := linkedBy(folder, providerFiles(ProviderCUDA))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if strings.HasPrefix(name, "libcudart.so") {
			return openCUDA(lookBeside(name, folder))
		}
	}
	return nil, fmt.Errorf("onnx runtime's cuda provider in %s links no CUDA runtime; %s", folder, cureRuntime)
})

func openCUDA(name string) (*cudaRuntime, error) {
	shared, err := openShared(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; %s", name, err, cureCUDA)
	}
	r := new(cudaRuntime)
	if C.load_cuda(shared.handle, &r.c) == 0 {
		shared.close()
		return nil, fmt.Errorf("%s is no CUDA runtime: a function is missing; %s", shared.path, cureCUDA)
	}
	return r, nil
}

// ErrGPUMemory: the GPU has no memory left for what was asked. ErrGPULost: it failed while it ran, and with it everything that this
// process has there; only a new process can use it again.
var (
	ErrGPUMemory = errors.New("the GPU's memory is full: close sessions, or other programs that `nvidia-smi` lists")
	ErrGPULost   = errors.New("the GPU failed while it ran, `nvidia-smi` says whether it is there: restart autovoiced")
)

const cudaOutOfMemory = 2

func (r *cudaRuntime) err(what string, code C.int) error {
	if code == 0 {
		return nil
	}
	kind := ErrGPULost
	if code == cudaOutOfMemory {
		kind = ErrGPUMemory
	}
	return fmt.Errorf("%w (%s: CUDA error %d, %s)", kind, what, int(code), r.name(code))
}

func (r *cudaRuntime) name(code C.int) string { return C.GoString(C.cuda_error(&r.c, code)) }

// gpuFailure types what ONNX Runtime says of a run on a GPU that failed. Such an error stays: CUDA refuses all that follows.
func gpuFailure(err error) error {
	if full := gpuFull(err); errors.Is(full, ErrGPUMemory) {
		return full
	}
	return fmt.Errorf("%w: %w", ErrGPULost, err)
}

// gpuFull types an error that is one of memory, in the words of CUDA, cuBLAS, cuDNN, TensorRT and ONNX Runtime.
func gpuFull(err error) error {
	for _, sign := range []string{"out of memory", "OutOfMemory", "OUT_OF_MEMORY", "Failed to allocate memory", "_ALLOC_FAILED"} {
		if err != nil && strings.Contains(err.Error(), sign) {
			return fmt.Errorf("%w: %w", ErrGPUMemory, err)
		}
	}
	return err
}

// memory is what the GPU has free, and has, in bytes.
func (r *cudaRuntime) memory() (free, total uint64, err error) {
	var f, t C.size_t
	err = r.err("memory", C.cuda_memory(&r.c, &f, &t))
	return uint64(f), uint64(t), err
}

// device is one binding's memory on a GPU.
type device struct {
	cuda    *cudaRuntime
	stream  unsafe.Pointer
	blocks  []*block
	zeroing error // of the last zero, told by the next upload: there is nobody else to tell

	everything bool // a test's: all tensors are ours, also those that the network wants on the host
}

// openDevice gives a binding its memory on the GPU.
var openDevice = func() (*device, error) {
	r, err := loadCUDA()
	if err != nil {
		return nil, err
	}
	return newDevice(r)
}

// block is memory that the host and the GPU each have a copy of, in floats. The host's is pinned, so that copies are quick.
type block struct {
	host   []float32 // nil where the host never looks
	at     unsafe.Pointer
	floats int
}

func newDevice(r *cudaRuntime) (*device, error) {
	d := &device{cuda: r}
	if err := r.err("new stream", C.cuda_new_stream(&r.c, &d.stream)); err != nil {
		return nil, err
	}
	return d, nil
}

// allocate gives so many floats, zero, on the GPU, and where mirrored on the host as well.
func (d *device) allocate(floats int, mirrored bool) (*block, error) {
	b := &block{floats: floats}
	d.blocks = append(d.blocks, b)
	if err := d.cuda.err("memory", C.cuda_malloc(&d.cuda.c, &b.at, b.bytes())); err != nil {
		return nil, err
	}
	if mirrored {
		var host unsafe.Pointer
		if err := d.cuda.err("pinned memory", C.cuda_malloc_host(&d.cuda.c, &host, b.bytes())); err != nil {
			return nil, err
		}
		b.host = unsafe.Slice((*float32)(host), floats)
	}
	d.zero(b)
	return b, d.zeroing
}

func (b *block) bytes() C.size_t { return C.size_t(4 * b.floats) }

// zero clears both sides.
func (d *device) zero(b *block) {
	clear(b.host)
	d.zeroing = errors.Join(d.zeroing, d.cuda.err("clear", C.cuda_zero(&d.cuda.c, b.at, b.bytes(), d.stream)))
}

// upload copies the first floats of one block, and all of another where there is one, to the GPU.
func (d *device) upload(b *block, floats int, also *block) error {
	if d.zeroing != nil {
		return d.zeroing
	}
	var at2, host2 unsafe.Pointer
	var n2 C.size_t
	if also != nil {
		at2, host2, n2 = also.at, unsafe.Pointer(&also.host[0]), also.bytes()
	}
	return d.cuda.err("upload", C.cuda_upload(&d.cuda.c, b.at, unsafe.Pointer(&b.host[0]), C.size_t(4*floats), at2, host2, n2, d.stream))
}

// download copies floats from the GPU, from an offset on.
func (d *device) download(b *block, from, to int) error {
	at := unsafe.Add(b.at, 4*from)
	return d.cuda.err("download", C.cuda_copy(&d.cuda.c, unsafe.Pointer(&b.host[from]), at, C.size_t(4*(to-from)), 2, d.stream))
}

// copyRows copies so many floats each from place to place on the GPU, before whatever the device is told next.
func (d *device) copyRows(pairs []rowPair, floats int) error {
	return d.cuda.err("copy", C.cuda_rows(&d.cuda.c, &pairs[0].from, C.int(len(pairs)), C.size_t(4*floats), d.stream))
}

// wait returns when all is done that the device was told.
func (d *device) wait() error { return d.cuda.err("wait", C.cuda_wait(&d.cuda.c, d.stream)) }

// close gives everything back. It may be called again.
func (d *device) close() error {
	var errs []error
	for _, b := range d.blocks {
		if b.at != nil {
			errs = append(errs, d.cuda.err("free", C.cuda_free(&d.cuda.c, b.at)))
		}
		if b.host != nil {
			errs = append(errs, d.cuda.err("free", C.cuda_free_host(&d.cuda.c, unsafe.Pointer(&b.host[0]))))
		}
		b.at, b.host = nil, nil
	}
	d.blocks = nil
	if d.stream != nil {
		errs = append(errs, d.cuda.err("free", C.cuda_free_stream(&d.cuda.c, d.stream)))
		d.stream = nil
	}
	return errors.Join(errs...)
}
