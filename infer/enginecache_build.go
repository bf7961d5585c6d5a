package infer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	lockEvery     = 100 * time.Millisecond
	progressEvery = time.Second
)

// The folder's names beside the engines' own.
const (
	lockFile   = ".lock"
	newPrefix  = ".new-" // being built, or left by a builder that died
	badInfix   = ".bad-" // set aside: KEY.bad-TIME
	triedMarks = ".tried-"
)

// usualBuild is how long building takes where nothing is known yet, as measured with a graph of 11 M parameters on one H200.
func usualBuild(precision string) time.Duration {
	if precision == FP16 {
		return 70 * time.Second
	}
	return 28 * time.Second
}

// buildWatch is who is told of builds, and whose end ends them.
type buildWatch struct {
	ctx  context.Context
	tell func(Building)
}

var buildWatcher atomic.Pointer[buildWatch]

// WatchBuilding has f told about once a second how far the building of an engine is, for as long as one is built or waited for, and
// once when it is Done. When the context ends, so does the build: nothing of it is left. The function that is returned ends the watch.
func WatchBuilding(ctx context.Context, f func(Building)) (end func()) {
	w := &buildWatch{ctx, f}
	was := buildWatcher.Swap(w)
	return func() { buildWatcher.CompareAndSwap(w, was) }
}

func tellBuilding(b Building) {
	if w := buildWatcher.Load(); w != nil {
		w.tell(b)
	}
}

func buildContext() context.Context {
	if w := buildWatcher.Load(); w != nil {
		return w.ctx
	}
	return context.Background()
}

// get returns the engine of a key, and builds it when it is not there or not sound: in a folder under a temporary name, renamed
// when it is complete, one builder at a time across processes. What is not sound is set aside first. build leaves the files in
// the folder and fills in what it knows.
func (c *EngineCache) get(ctx context.Context, key EngineKey, name string, build func(dir string, b *BuiltEngine) error) (BuiltEngine, error) {
	if b, err := c.load(key.String()); err == nil {
		return b, nil
	}
	if err := os.MkdirAll(c.engines, 0o755); err != nil {
		return BuiltEngine{}, fmt.Errorf("engines: %w", c.helped(err))
	}
	progress := Building{Model: name, Hops: key.Hops, Precision: key.Precision, Estimate: c.estimate(key)}
	unlock, err := c.lock(ctx, progress)
	if err != nil {
		return BuiltEngine{}, fmt.Errorf("engines: %w", c.helped(err))
	}
	defer unlock()
	defer func() { tellBuilding(Building{Model: name, Hops: key.Hops, Precision: key.Precision, Done: true}) }()
	b, err := c.load(key.String())
	if err == nil { // another process was quicker
		return b, nil
	}
	if exists(b.dir) {
		if err := os.Rename(b.dir, fmt.Sprintf("%s%s%d", b.dir, badInfix, time.Now().UnixNano())); err != nil {
			return BuiltEngine{}, fmt.Errorf("engines: %w", err)
		}
	}
	b, err = c.make(key, name, build, progress)
	if err != nil {
		return BuiltEngine{}, fmt.Errorf("engine of %s for %d hops: %w", name, key.Hops, c.helped(err))
	}
	return b, nil
}

// leastFree is how little room on the disk explains why a build failed: TensorRT does not say that it could not write.
const leastFree = 16 << 20

// helped adds what helps where the folder is what is wrong.
func (c *EngineCache) helped(err error) error {
	var disk unix.Statfs_t
	full := unix.Statfs(c.engines, &disk) == nil && disk.Bavail*uint64(disk.Bsize) < leastFree
	switch {
	case errors.Is(err, unix.EROFS), errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w; engines are built in %s: make it writable, choose another cache folder with XDG_CACHE_HOME, or carry engines there that were built elsewhere", err, c.engines)
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
	case full && !errors.Is(err, context.Canceled):
		err = fmt.Errorf("%w: %w", unix.ENOSPC, err)
	default:
		return err
	}
	return fmt.Errorf("%w; `autovoiced engines clean` frees room in %s, XDG_CACHE_HOME chooses another cache folder", err, c.engines)
}

// make builds under the lock.
func (c *EngineCache) make(key EngineKey, name string, build func(dir string, b *BuiltEngine) error, progress Building) (b BuiltEngine, err error) {
	if err := c.sweep(); err != nil {
		return b, err
	}
	temporary, err := os.MkdirTemp(c.engines, newPrefix)
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
	b = BuiltEngine{Format: engineFormat, Key: key, Name: name, Precision: key.Precision, dir: temporary}
	began := time.Now()
	done := tellUntil(progress)
	err = build(temporary, &b)
	done()
	if err != nil {
		return b, err
	}
	b.Built, b.Seconds = time.Now().UTC().Truncate(time.Second), time.Since(began).Seconds()
	if err := b.list(); err != nil {
		return b, err
	}
	text, err := json.MarshalIndent(&b, "", "  ")
	if err == nil {
		err = writeWhole(filepath.Join(temporary, engineManifest), append(text, '\n'))
	}
	if err == nil {
		err = errors.Join(os.Chmod(temporary, 0o755), os.Rename(temporary, filepath.Join(c.engines, key.String())))
	}
	if err != nil {
		return b, err
	}
	return c.load(key.String())
}

// tellUntil tells how far it is once a second until the returned function is called.
func tellUntil(progress Building) func() {
	began, stop, stopped := time.Now(), make(chan struct{}), make(chan struct{})
	tellBuilding(progress)
	go func() {
		defer close(stopped)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				progress.Elapsed = time.Since(began)
				tellBuilding(progress)
			case <-stop:
				return
			}
		}
	}()
	return func() { close(stop); <-stopped }
}

// lock waits until no other process builds. The lock goes with the process that holds it.
func (c *EngineCache) lock(ctx context.Context, progress Building) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(c.engines, lockFile), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	began, told := time.Now(), time.Time{}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
		}
		if time.Since(told) >= progressEvery {
			progress.Waiting, progress.Elapsed, told = true, time.Since(began), time.Now()
			tellBuilding(progress)
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("another process builds engines: %w", ctx.Err()), f.Close())
		case <-time.After(lockEvery):
		}
	}
}

// sweep removes what builders that died have left. Under the lock nobody else builds.
func (c *EngineCache) sweep() error {
	left, err := filepath.Glob(filepath.Join(c.engines, newPrefix+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// estimate is how long the newest engine of the same precision took.
func (c *EngineCache) estimate(key EngineKey) time.Duration {
	found, newest := usualBuild(key.Precision), time.Time{}
	for _, e := range c.entries() {
		if e.Problem == nil && e.Engine.Key.Precision == key.Precision && e.Engine.Built.After(newest) {
			found, newest = time.Duration(e.Engine.Seconds*float64(time.Second)), e.Engine.Built
		}
	}
	return found
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// EngineEntry is what is under one name in the engines' folder.
type EngineEntry struct {
	Name   string
	Engine BuiltEngine // as far as its manifest can be read
	// Problem says why the engine is not used; nil where it is sound.
	Problem error
	// Aside: it was not sound and has been replaced, or its builder died.
	Aside bool
}

// entries looks at everything in the folder.
func (c *EngineCache) entries() []EngineEntry {
	dirs, err := os.ReadDir(c.engines)
	if err != nil {
		return nil
	}
	var all []EngineEntry
	for _, d := range dirs {
		name := d.Name()
		e := EngineEntry{Name: name}
		switch {
		case isKey(name):
			e.Engine, e.Problem = c.load(name)
		case strings.Contains(name, badInfix):
			e.Aside, e.Problem = true, errors.New("set aside: it was not sound")
		case strings.HasPrefix(name, newPrefix):
			e.Aside, e.Problem = true, errors.New("not finished")
		case strings.HasPrefix(name, "."):
			continue
		default:
			e.Problem = errors.New("foreign: its name is no engine's")
		}
		all = append(all, e)
	}
	return all
}

// Entries lists the engines; an empty or absent folder has none.
func (c *EngineCache) Entries() ([]EngineEntry, error) {
	if _, err := os.ReadDir(c.engines); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("engines: %w", err)
	}
	return c.entries(), nil
}

// Clean removes what is not sound, and with all the engines and the exported models as well. It waits for a builder.
// It returns the names of what is gone.
func (c *EngineCache) Clean(ctx context.Context, all bool) ([]string, error) {
	if !exists(c.engines) {
		return nil, nil
	}
	unlock, err := c.lock(ctx, Building{Model: "any pack"})
	if err != nil {
		return nil, fmt.Errorf("engines: %w", err)
	}
	defer unlock()
	var gone []string
	remove := func(path string) {
		if e := os.RemoveAll(path); e != nil {
			err = errors.Join(err, e)
			return
		}
		gone = append(gone, filepath.Base(path))
	}
	for _, e := range c.entries() {
		if e.Aside || isKey(e.Name) && (all || e.Problem != nil) { // what is not ours by its name stays
			remove(filepath.Join(c.engines, e.Name))
		}
	}
	if all {
		marks, _ := filepath.Glob(filepath.Join(c.engines, triedMarks+"*")) // the pattern is sound
		models, _ := filepath.Glob(filepath.Join(c.models, "*.onnx"))
		for _, path := range append(append(marks, models...), c.timing()) {
			if exists(path) {
				remove(path)
			}
		}
	}
	return gone, err
}
