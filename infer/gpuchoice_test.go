package infer

import (
	"os"
	"testing"
)

func TestPickGPU(t *testing.T) {
	for _, c := range []struct {
		device, visible string
		told            bool
		want, err       string
	}{
		{"1", "", false, "1", ""},
		{"1", "2,3", true, "3", ""},
		{"0", "GPU-abc, 3", true, "GPU-abc", ""},
		{"GPU-abc", "2,3", true, "GPU-abc", ""},
		{"2", "2,3", true, "", "CUDA_VISIBLE_DEVICES=2,3"},
		{"0", "", true, "", "leaves it out"},
	} {
		got, err := pickGPU(c.device, c.visible, c.told)
		if c.err != "" {
			wantError(t, err, c.err)
		} else if err != nil || got != c.want {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
}

// A process has one GPU, which children and nvidia-smi are told of as well.
func TestChooseGPU(t *testing.T) {
	if os.Getenv("TEST_CHOOSE_GPU") == "" {
		if text, err := rerun(t, "TEST_CHOOSE_GPU=1", visibleDevices+"=4,5"); err != nil {
			t.Errorf("%v: %s", err, text)
		}
		return
	}
	check(t, chooseGPU(""))
	if GPU() != "4" {
		t.Errorf("%s before anything is chosen", GPU())
	}
	check(t, chooseGPU("1"))
	check(t, chooseGPU("1"))
	if got := os.Getenv(visibleDevices); got != "5" || GPU() != "5" {
		t.Errorf("%q, %q, expected GPU 5", got, GPU())
	}
	wantError(t, chooseGPU("0"), "uses GPU 1")
	policy := DefaultPolicy()
	policy.Device = "the big one"
	wantError(t, policy.Validate(), "'device'", "the big one", "nvidia-smi -L")
}
