package infer

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// onSmallDisk runs the test that calls it again in a process that may mount, with a disk of 512 kB at the folder that it returns there; ""
// here. It skips where that is not allowed.
func onSmallDisk(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("TEST_SMALL_DISK"); dir != "" {
		if err := errors.Join(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("tmpfs", dir, "tmpfs", 0, "size=512k")); err != nil {
			t.Skip("no disk of its own: ", err)
		}
		return dir
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), "TEST_SMALL_DISK="+t.TempDir())
	child.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := child.CombinedOutput()
	switch {
	case child.ProcessState == nil:
		t.Skip("no process that may mount: ", err)
	case err != nil:
		t.Errorf("%v: %s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("%s", out)
	}
	return ""
}

// onlyLock says that a failed build has left nothing and that the next may begin.
func onlyLock(t *testing.T, c *EngineCache) {
	t.Helper()
	left, err := os.ReadDir(c.Dir())
	check(t, err)
	for _, f := range left {
		if f.Name() != lockFile {
			t.Errorf("%s was left", f.Name())
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	unlock, err := c.lock(ctx, Building{})
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

// A disk that fills in the middle of a build is named, also where TensorRT does not say so; nothing is left, and an engine that
// fits is built after it. A folder that cannot be written still serves.
func TestDiskIsFullAndThenReadOnly(t *testing.T) {
	dir := onSmallDisk(t)
	if dir == "" {
		return
	}
	c := cacheAt(t, dir)
	large := func(dir string, _ *BuiltEngine) error {
		return os.WriteFile(filepath.Join(dir, "graph.engine"), make([]byte, 1<<20), 0o600)
	}
	silent := func(dir string, b *BuiltEngine) error {
		_ = large(dir, b)
		return errors.New("the engine cannot be read")
	}
	for _, build := range []func(string, *BuiltEngine) error{large, silent} {
		_, err := c.get(context.Background(), someKey(), "tiny", build)
		if !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%v, expected that there is no space", err)
		}
		wantError(t, err, "engine of tiny", "no space left on device", "autovoiced engines clean", "XDG_CACHE_HOME", c.Dir())
		onlyLock(t, c)
	}
	small := &builder{}
	built(t, c, small)

	check(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	built(t, c, small)
	if small.times != 1 {
		t.Errorf("built %d times, expected once", small.times)
	}
	check(t, c.once("id", func() error { return nil }))
	other := someKey()
	other.Precision = FP32
	_, err := c.get(context.Background(), other, "tiny", small.build)
	wantError(t, err, "engines", "read-only file system", "make it writable", "XDG_CACHE_HOME", "built elsewhere")
}

// Ctrl+C while an engine is built ends the child that builds, and leaves neither files nor the lock.
func TestBuildIsGivenUp(t *testing.T) {
	t.Setenv("TEST_TRIAL_SIGNAL", "18") // SIGCONT: the child says its last words and hangs
	r := trialOf(t, tinyVoice)
	c := cacheAt(t, t.TempDir())
	ctx, cancel := context.WithCancel(context.Background())
	var told []Building
	defer WatchBuilding(ctx, func(b Building) {
		told = append(told, b)
		time.AfterFunc(200*time.Millisecond, cancel)
	})()
	b := &engineBuilder{ctx: buildContext(), contract: r.Contract, policy: r.Policy, hops: 1, cache: c, model: read(t, tinyVoice)}
	began := time.Now()
	_, err := c.get(buildContext(), someKey(), "tiny", b.build)
	if !errors.Is(err, context.Canceled) || time.Since(began) > 20*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	wantError(t, err, "building was given up")
	onlyLock(t, c)
	if n := len(told); n < 2 || !told[n-1].Done || !strings.Contains(told[n-1].String(), "done") {
		t.Errorf("told %v, expected progress and that it is done", told)
	}
}
