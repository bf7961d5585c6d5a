package daemon

import (
	"bufio"
	"context"
	"os/exec"
	"strconv"
	"strings"

	"github.com/autovoiced/autovoiced/infer"
)

// WatchGPU measures how busy the GPU is that this process uses, by its driver's own tool (nvidia-smi, which asks NVML), until stop is called, which says
// what came of it; false where there is no such tool or it measured nothing.
func WatchGPU(ctx context.Context) (stop func() (Utilization, bool)) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, "nvidia-smi", "--id="+infer.GPU(), "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=50")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return func() (Utilization, bool) { return Utilization{}, false }
	}
	measured := make(chan Utilization, 1)
	go func() {
		u := Utilization{Source: "nvidia-smi"}
		for lines := bufio.NewScanner(out); lines.Scan(); {
			percent, err := strconv.ParseFloat(strings.TrimSpace(lines.Text()), 64)
			if err != nil {
				continue // "[N/A]" where the card does not tell
			}
			u.Samples++
			u.AverageUtilization += (percent - u.AverageUtilization) / float64(u.Samples)
			u.PeakUtilization = max(u.PeakUtilization, percent)
		}
		_ = cmd.Wait() // it was killed
		measured <- u
	}()
	return func() (Utilization, bool) {
		cancel()
		u := <-measured
		return u, u.Samples > 0
	}
}

// WriteUtilization keeps what WatchGPU measured beside the other results; call it before WriteResults.
func WriteUtilization(folder string, u Utilization) error {
	return writeResult(folder, UtilizationFile, u)
}
