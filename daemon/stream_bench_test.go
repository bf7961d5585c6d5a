package daemon

import (
	"syscall"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
)

// cpuTime is what this process has computed so far.
func cpuTime(b testing.TB) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkStreamRoundTrip is one 10 ms chunk at 48 kHz from a client to the daemon and back: client, both
// ends of the socket, all stages around the pass-through engine.
func BenchmarkStreamRoundTrip(b *testing.B) {
	d := serve(b, transparent, func(c *Config) { c.HTTP.RealTimeFactor = 1000 })
	s := dial(b, d.url, wire.Start{Format: mono48k})
	chunk := noise(480, 1)
	b.ReportAllocs()
	began := cpuTime(b)
	for b.Loop() {
		if err := s.Send(b.Context(), chunk); err != nil {
			b.Fatal(err)
		}
		for {
			ev, err := s.Recv(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			if ev.Audio != nil {
				break
			}
		}
	}
	b.ReportMetric(float64((cpuTime(b)-began).Nanoseconds())/1e3/float64(b.N), "cpu-µs/chunk")
	p := d.Status().Sessions[0].Pipeline
	var compute float64
	for _, stage := range p.Stages {
		compute += stage.Compute.Mean
	}
	b.ReportMetric(compute, "stages-µs/chunk")
	b.ReportMetric(p.Waits.Delivery.Mean, "delivery-µs/chunk")
}

// BenchmarkStatus is one look at a daemon with one session, as a watcher costs it.
func BenchmarkStatus(b *testing.B) {
	d := serve(b, transparent)
	dial(b, d.url, wire.Start{Format: mono48k})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wire.Encode(d.Status()); err != nil {
			b.Fatal(err)
		}
	}
}
