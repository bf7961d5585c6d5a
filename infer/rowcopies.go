package infer

/*
#include <dlfcn.h>
#include <stddef.h>

typedef struct {
  int (*init)(unsigned);
  int (*retain)(void **, int);
  int (*use)(void *);
  int (*load)(void **, const void *);
  int (*unload)(void *);
  int (*find)(void **, void *, const char *);
  int (*copy)(void *, const void *, size_t, void *);
  int (*launch)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **, void **);
  void *context, *module, *kernel;
} rows;

static int rows_driver(void *library, rows *r) {
  struct { void **to; const char *name; } all[] = {
      {(void **)&r->init, "cuInit"}, {(void **)&r->retain, "cuDevicePrimaryCtxRetain"}, {(void **)&r->use, "cuCtxSetCurrent"},
      {(void **)&r->load, "cuModuleLoadData"}, {(void **)&r->unload, "cuModuleUnload"}, {(void **)&r->find, "cuModuleGetFunction"},
      {(void **)&r->copy, "cuMemcpyAsync"}, {(void **)&r->launch, "cuLaunchKernel"}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (!(*all[i].to = dlsym(library, all[i].name))) return 0;
  return 1;
}

// The context is the one that CUDA's runtime uses of the first GPU, so that its memory and streams are known there.
static int rows_load(rows *r, const char *program) {
  int err = r->init(0);
  if (!err) err = r->retain(&r->context, 0);
  if (!err) err = r->use(r->context);
  if (!err) err = r->load(&r->module, program);
  return err ? err : r->find(&r->kernel, r->module, "copy_rows");
}

static int rows_unload(rows *r) {
  int err = r->use(r->context);
  return err ? err : r->unload(r->module);
}

static int rows_launch(rows *r, void *table, unsigned rows, unsigned floats, void *stream) {
  void *parameters[] = {&table, &floats};
  int err = r->use(r->context); // a goroutine may be on another thread than before
  return err ? err : r->launch(r->kernel, (floats + 1023) / 1024, rows, 1, 256, 1, 1, 0, stream, parameters, NULL);
}

static int rows_table(rows *r, void *to, const void *from, size_t n, void *stream) {
  int err = r->use(r->context);
  return err ? err : r->copy(to, from, n, stream);
}
*/
import "C"

import (
	_ "embed"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"unsafe"

	"github.com/autovoiced/autovoiced/dsp"
)

// rowPair is where one row of floats is copied from and to, on the GPU; rows.ptx reads it so.
type rowPair struct{ from, to unsafe.Pointer }

// rowCopies copies rows of floats within a GPU's memory, all in one launch of a kernel. A copy of each by itself costs 2.5 µs, which for
// the states of 256 sessions, there and back, is more than the network takes.
type rowCopies struct {
	device *device
	driver *sharedLibrary
	c      C.rows
	floats int
	table  *block
	pairs  []rowPair // the table's side of the host: those of the way there, and behind them those of the way back
}

//go:embed rows.ptx
var rowsProgram string

// openDriver is a test's to change.
var openDriver = func() (*sharedLibrary, error) {
	return openShared(lookBeside("libcuda.so.1", filepath.Dir(Library())))
}

// newRowCopies is for up to so many rows, each way. Its kernel has been held to plain copies.
func newRowCopies(rows, floats int) (*rowCopies, error) {
	d, err := openDevice()
	if err != nil {
		return nil, err
	}
	r := &rowCopies{device: d, floats: floats}
	if err = r.load(); err == nil {
		r.table, err = d.allocate(2*rows*int(unsafe.Sizeof(rowPair{}))/4, true)
	}
	if err == nil {
		r.pairs = unsafe.Slice((*rowPair)(unsafe.Pointer(&r.table.host[0])), 2*rows)
		err = r.try()
	}
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *rowCopies) load() (err error) {
	if r.driver, err = openDriver(); err != nil {
		return fmt.Errorf("libcuda.so.1: %w; %s", err, cureDriver)
	}
	if C.rows_driver(r.driver.handle, &r.c) == 0 {
		return fmt.Errorf("%s is no CUDA driver: a function is missing; %s", r.driver.path, cureDriver)
	}
	program := append([]byte(rowsProgram), 0)
	if code := C.rows_load(&r.c, (*C.char)(unsafe.Pointer(&program[0]))); code != 0 {
		return fmt.Errorf("%s does not load a kernel: CUDA error %d, %s, expected a driver that assembles PTX 6.4 for compute capability 7.5 and later; %s",
			r.driver.path, int(code), r.device.cuda.name(code), cureDriver)
	}
	return nil
}

// there copies so many rows as the table says, in the stream's order; the table goes there with them.
func (r *rowCopies) there(rows int, d *device) error {
	bytes := C.size_t(2 * rows * int(unsafe.Sizeof(rowPair{})))
	if err := r.device.cuda.err("upload", C.rows_table(&r.c, r.table.at, unsafe.Pointer(&r.table.host[0]), bytes, d.stream)); err != nil {
		return err
	}
	return r.launch(r.table.at, rows, d)
}

// back copies as many rows as there did, by the other half of the table.
func (r *rowCopies) back(rows int, d *device) error {
	return r.launch(unsafe.Add(r.table.at, rows*int(unsafe.Sizeof(rowPair{}))), rows, d)
}

func (r *rowCopies) launch(table unsafe.Pointer, rows int, d *device) error {
	return r.device.cuda.err("launch", C.rows_launch(&r.c, table, C.uint(rows), C.uint(r.floats), d.stream))
}

// try copies rows in another order, half of them there and half back, and compares all with plain copies.
func (r *rowCopies) try() error {
	d, err := openDevice()
	if err != nil {
		return err
	}
	defer d.close()               //nolint:errcheck // nothing is lost with it
	order := [...]int{2, 0, 4, 3} // of five: the second place stays as it is
	rows := min(len(order), len(r.pairs)) &^ 1
	var blocks [3]*block
	for i := range blocks {
		if blocks[i], err = d.allocate((len(order)+1)*r.floats, true); err != nil {
			return err
		}
	}
	from, by, plain := blocks[0], blocks[1], blocks[2]
	dsp.NewNoise(1).Normal(from.host)
	if err := d.upload(from, from.floats, nil); err != nil {
		return err
	}
	row := func(b *block, i int) unsafe.Pointer { return unsafe.Add(b.at, 4*i*r.floats) }
	var pairs []rowPair
	for i, place := range order[:rows] {
		r.pairs[i] = rowPair{row(from, i), row(by, place)}
		pairs = append(pairs, rowPair{row(from, i), row(plain, place)})
	}
	err = errors.Join(r.there(rows/2, d), r.back(rows/2, d), d.copyRows(pairs, r.floats),
		d.download(by, 0, by.floats), d.download(plain, 0, plain.floats))
	if err == nil && !slices.Equal(by.host, plain.host) {
		err = fmt.Errorf("the kernel that copies rows of %d floats does otherwise than plain copies do; is the driver of the GPU's kind?", r.floats)
	}
	return err
}

// close may be called on what is half opened. The driver's library stays: it is CUDA's as well.
func (r *rowCopies) close() error {
	var err error
	if r.c.module != nil {
		err = r.device.cuda.err("free", C.rows_unload(&r.c))
		r.c.module = nil
	}
	return errors.Join(err, r.device.close())
}
