package infer

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// A process uses one GPU: the others are hidden from CUDA before it starts, so that ONNX Runtime, TensorRT, our own copies and every child
// see the same one, as number 0.

const (
	visibleDevices = "CUDA_VISIBLE_DEVICES"
	deviceOrder    = "CUDA_DEVICE_ORDER" // CUDA's own order is by speed, nvidia-smi's is by slot
)

var chosenGPU struct {
	sync.Mutex
	device string
}

// checkDevice says what a device may be called.
func checkDevice(device string) error {
	if device == "" || strings.HasPrefix(device, "GPU-") || strings.HasPrefix(device, "MIG-") {
		return nil
	}
	if n, err := strconv.Atoi(device); err == nil && n >= 0 {
		return nil
	}
	return fmt.Errorf("'device' is %q, allowed: a number from 0, or a UUID (GPU-...), as `nvidia-smi -L` lists them", device)
}

// chooseGPU hides all GPUs but one, for good: CUDA looks once.
func chooseGPU(device string) error {
	if device == "" {
		return nil
	}
	chosenGPU.Lock()
	defer chosenGPU.Unlock()
	if was := chosenGPU.device; was != "" {
		if was != device {
			return fmt.Errorf("GPU %s was asked for, and this process uses GPU %s: one process has one GPU", device, was)
		}
		return nil
	}
	visible, told := os.LookupEnv(visibleDevices)
	want, err := pickGPU(device, visible, told)
	if err != nil {
		return err
	}
	if !told {
		if err := os.Setenv(deviceOrder, "PCI_BUS_ID"); err != nil {
			return fmt.Errorf("choose a GPU: %w", err)
		}
	}
	if err := os.Setenv(visibleDevices, want); err != nil {
		return fmt.Errorf("choose a GPU: %w", err)
	}
	chosenGPU.device = device
	return nil
}

// pickGPU finds a device among those that the environment leaves visible, which are counted from 0 as CUDA counts them.
func pickGPU(device, visible string, told bool) (string, error) {
	n, err := strconv.Atoi(device)
	if !told || err != nil { // a UUID speaks for itself
		return device, nil
	}
	all := strings.Split(visible, ",")
	if visible == "" || n >= len(all) {
		return "", fmt.Errorf("GPU %d was asked for, and %s=%s leaves it out; expected a number below the length of that list", n, visibleDevices, visible)
	}
	return strings.TrimSpace(all[n]), nil
}

// GPU is the one that this process uses, as nvidia-smi's --id takes it: a number or a UUID.
func GPU() string {
	first, _, _ := strings.Cut(os.Getenv(visibleDevices), ",")
	if first = strings.TrimSpace(first); first == "" {
		return "0"
	}
	return first
}
