package infer

import (
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// rerun runs the test that calls it again in a process of its own.
func rerun(t *testing.T, env ...string) (string, error) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), env...)
	out, err := child.CombinedOutput()
	return string(out), err
}

func survive(t *testing.T, dir string) {
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGTERM)
	load := func() error {
		_, err := openShared(filepath.Join(dir, "libhandlers.so"))
		return err
	}
	if os.Getenv("TEST_SIGNALS_KEPT") != "" {
		check(t, keepSignals(load))
	} else {
		check(t, load())
	}
	check(t, syscall.Kill(os.Getpid(), syscall.SIGTERM))
	select {
	case <-heard:
	case <-time.After(5 * time.Second):
		t.Error("no SIGTERM heard")
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic of a nil pointer, which Go makes of SIGSEGV")
		}
	}()
	var nothing *Engine
	_ = nothing.File()
}
