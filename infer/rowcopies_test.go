package infer

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// The kernel assembles for the kinds of GPU that it is meant for.
func TestKernelAssembles(t *testing.T) {
	if _, err := exec.LookPath("ptxas"); err != nil {
		t.Skip(err, "; the package nvidia-cuda-nvcc of PyPI has it")
	}
	for _, kind := range []string{"sm_75", "sm_80", "sm_90"} {
		if out, err := exec.Command("ptxas", "-arch="+kind, "-o", filepath.Join(t.TempDir(), "rows"), "rows.ptx").CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", kind, err, out)
		}
	}
}

// What was opened for a kernel that cannot be had is given back, and the reason is told.
func TestKernelThatCannotBeHad(t *testing.T) {
	c := onHostCUDA(t)
	for name, want := range map[string]struct {
		set  func(int32)
		says string
	}{
		"load":  {func(v int32) { *c.noKernel = v }, "expected a driver that assembles PTX"},
		"wrong": {func(v int32) { *c.wrongKernel = v }, "otherwise than plain copies"},
		"lost":  {func(v int32) { *c.fail = 719 * v }, "719"},
	} {
		want.set(1)
		_, err := newRowCopies(6, 50)
		want.set(0)
		wantError(t, err, want.says)
		if *c.held != 0 {
			t.Errorf("%s: %d pieces of the GPU's memory not given back", name, *c.held)
		}
	}
	for _, rows := range []int{2, 4, 256} {
		for _, floats := range []int{1, 1023, 1024, 1025, 43264} {
			r, err := newRowCopies(rows, floats)
			if err != nil {
				t.Fatalf("%d rows of %d floats: %v", rows, floats, err)
			}
			check(t, r.close())
		}
	}
	openDriver = func() (*sharedLibrary, error) { return openShared("libnone.so.1") }
	_, err := newRowCopies(2, 1)
	wantError(t, err, "libnone.so.1", "nvidia-smi")
}
