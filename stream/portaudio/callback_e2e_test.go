//go:build e2e

package portaudio

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	pa "github.com/gordonklaus/portaudio"

	"github.com/autovoiced/autovoiced/stream/portaudio/jacktest"
)

// Why the callback is C: with every processor busy in Go, a Go callback waits for one.
func TestE2ECallbackGapsUnderLoad(t *testing.T) {
	const busy, duration = 2, 3 * time.Second
	server := serve(t, jacktest.Options{Rate: 48000, Period: 128})

	c := convert(t, Default())
	stop := burn(busy)
	time.Sleep(duration)
	stop()
	s := c.Stats()
	c.stop(t)

	gaps := goCallbackGaps(t, busy, duration)
	slices.Sort(gaps)
	p99 := gaps[len(gaps)*99/100]
	t.Logf("%d busy goroutines, period 2.67 ms: gap p50, p99, max: C %s, %s, %s, %d xruns; Go %s, %s, %s; %d xruns in jackd's log",
		busy, s.GapP50, s.GapP99, s.GapMax, s.Xruns, gaps[len(gaps)/2], p99, gaps[len(gaps)-1], server.Xruns())
	if server.Realtime() && s.GapP99 > 2*2667*time.Microsecond {
		t.Errorf("p99 of the gaps is %s, expected less than two periods", s.GapP99)
	}
}

// burn keeps n goroutines busy until stop is called.
func burn(n int) (stop func()) {
	var over atomic.Bool
	done := make(chan struct{})
	for range n {
		go func() {
			x := 1.0
			for !over.Load() {
				for range 1000 {
					x = x*1.0000001 + 1e-9
				}
			}
			_ = x
			done <- struct{}{}
		}()
	}
	return func() {
		over.Store(true)
		for range n {
			<-done
		}
	}
}

// goCallbackGaps runs the same copy by the binding's own callback.
func goCallbackGaps(t *testing.T, busy int, duration time.Duration) []time.Duration {
	t.Helper()
	gaps, err := enter(paLane, time.Minute, func(step func(string)) ([]time.Duration, error) {
		if err := acquire(step); err != nil {
			return nil, err
		}
		defer release(step)
		hosts, err := pa.HostApis()
		if err != nil {
			return nil, err
		}
		host := preferred(hosts)
		p := pa.LowLatencyParameters(host.DefaultInputDevice, host.DefaultOutputDevice)
		p.Input.Channels, p.Output.Channels, p.SampleRate = 1, 2, 48000
		p.FramesPerBuffer = pa.FramesPerBufferUnspecified
		gaps := make([]time.Duration, 0, 1<<16)
		var last time.Time
		s, err := pa.OpenStream(p, func(in, out [][]float32) {
			for _, c := range out {
				copy(c, in[0])
			}
			now := time.Now()
			if !last.IsZero() && len(gaps) < cap(gaps) {
				gaps = append(gaps, now.Sub(last))
			}
			last = now
		})
		if err != nil {
			return nil, err
		}
		defer s.Close()
		if err := s.Start(); err != nil {
			return nil, err
		}
		stop := burn(busy)
		time.Sleep(duration)
		stop()
		return gaps, s.Stop()
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return gaps
}
