package infer

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	ort "github.com/yalue/onnxruntime_go"
)

// BenchmarkVoice is one hop of the tiny voice, mel and noise included: the frame that the network
// of a real one is put in. x-real-time is the fraction of a core's time that a live session takes.
func BenchmarkVoice(b *testing.B) {
	c := open(b, load(b, tinyVoice), "tiny-low", SessionOptions{Shift: Shift{Auto: true}})
	benchmarkVoice(b, c, 240, 1)
}

// benchmarkVoice converts speech, so many hops a call; a hop of the voice has hopOut samples.
func benchmarkVoice(b *testing.B, c Converter, hopOut, hops int) {
	samples, f0 := speech(100 + hops)
	out := make([]float32, hops*hopOut)
	b.ReportAllocs()
	h, began := 0, cpuTime()
	for b.Loop() {
		if err := c.Convert(out, samples[h*160:(h+hops)*160], f0[h:h+hops]); err != nil {
			b.Fatal(err)
		}
		h = (h + 1) % 100
	}
	reportCPU(b, hops, began)
}

// BenchmarkBundled is one run of each graph of each bundled voice pack; cpu-ms/hop is a hop's share of it.
func BenchmarkBundled(b *testing.B) {
	r, err := NewRegistry(DefaultConfig())
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // not what is measured
	seen := map[string]bool{}
	for _, v := range r.Voices() {
		if v.Kind != KindVoice || seen[v.Pack] {
			continue
		}
		seen[v.Pack] = true
		needRuntime(b)
		e, err := r.Engine(v.Name)
		if err != nil {
			b.Fatal(err)
		}
		for n := 1; n <= maxHops; n++ {
			if e.contract.Run(n) != n {
				continue
			}
			b.Run(fmt.Sprintf("%s/hops=%d", v.Pack, n), func(b *testing.B) {
				c := open(b, e, v.Name, SessionOptions{Shift: Shift{Auto: true}, Hops: n})
				benchmarkVoice(b, c, v.OutRate/hopsPerSecond, n)
			})
		}
	}
}

// BenchmarkPassthrough is what ONNX Runtime costs a hop when the graph does nothing.
func BenchmarkPassthrough(b *testing.B) {
	c := open(b, load(b, passthrough), "passthrough", SessionOptions{})
	in, out := make([]float32, 480), make([]float32, 480)
	b.ReportAllocs()
	began := cpuTime()
	for b.Loop() {
		if err := c.Convert(out, in, nil); err != nil {
			b.Fatal(err)
		}
	}
	reportCPU(b, 1, began)
}

// reportCPU says what the loop since the given moment cost the processor: others who compute at the
// same time lengthen the wall's time, and this one less.
func reportCPU(b *testing.B, hops int, since time.Duration) {
	hop := (cpuTime() - since).Seconds() / float64(b.N*hops)
	b.ReportMetric(hop*1e3, "cpu-ms/hop")
	b.ReportMetric(hop*hopsPerSecond, "x-real-time")
}

// cpuTime is what the process has computed so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRun weighs the three ways that the binding offers to run a graph, on the tiny voice:
// I/O binding on a shared network (what sessions use), tensors bound to a network each, and tensors
// given at each run.
func BenchmarkRun(b *testing.B) {
	needRuntime(b)
	model := read(b, tinyVoice)
	c, err := ReadContract(tinyVoice)
	if err != nil {
		b.Fatal(err)
	}
	options, err := ort.NewSessionOptions()
	if err != nil {
		b.Fatal(err)
	}
	defer options.Destroy() //nolint:errcheck // always nil
	check(b, options.SetIntraOpNumThreads(1))
	values := func(tensors []tensor) (values []ort.Value) {
		for _, t := range tensors {
			v, err := ort.NewEmptyTensor[float32](ort.NewShape(t.shape...))
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { check(b, v.Destroy()) })
			values = append(values, v)
		}
		return values
	}
	in, out := values(c.inputs(1)), values(c.outputs(1))

	b.Run("binding", func(b *testing.B) {
		net, err := openNet(&c, model, DefaultPolicy(), "")
		if err != nil {
			b.Fatal(err)
		}
		defer net.Destroy() //nolint:errcheck // always nil
		bound, err := newBinding(&c, []network{{1, net}})
		if err != nil {
			b.Fatal(err)
		}
		defer bound.close() //nolint:errcheck // not what is measured
		b.ReportAllocs()
		for b.Loop() {
			check(b, bound.run(bound.single))
		}
	})
	b.Run("advanced", func(b *testing.B) {
		s, err := ort.NewAdvancedSessionWithONNXData(model, tensorNames(c.inputs(1)), tensorNames(c.outputs(1)), in, out, options)
		if err != nil {
			b.Fatal(err)
		}
		defer s.Destroy() //nolint:errcheck // always nil
		b.ReportAllocs()
		for b.Loop() {
			check(b, s.Run())
		}
	})
	b.Run("dynamic", func(b *testing.B) {
		net, err := openNet(&c, model, DefaultPolicy(), "")
		if err != nil {
			b.Fatal(err)
		}
		defer net.Destroy() //nolint:errcheck // always nil
		b.ReportAllocs()
		for b.Loop() {
			check(b, net.Run(in, out))
		}
	})
}

// BenchmarkPitchShift is the automatic shift on one voiced hop.
func BenchmarkPitchShift(b *testing.B) {
	p := newPitchShift(Shift{Auto: true}, 220)
	b.ReportAllocs()
	for b.Loop() {
		p.step(110)
	}
}

// BenchmarkCrowd is many live sessions of the bundled voice that all have a hop at the same time, with shared runs and without. A
// hop's share of the processor is cpu-ms/hop.
func BenchmarkCrowd(b *testing.B) {
	needRuntime(b)
	for _, shared := range []bool{false, true} {
		for _, n := range []int{1, 2, 4, 8, 16, 32} {
			b.Run(fmt.Sprintf("shared=%v/sessions=%d", shared, n), func(b *testing.B) {
				cfg := DefaultConfig()
				if !shared {
					cfg.Batch.Sessions = 1
				}
				r, err := NewRegistry(cfg)
				if err != nil {
					b.Fatal(err)
				}
				defer r.Close() //nolint:errcheck // not what is measured
				e, err := r.Engine("alma")
				if err != nil {
					b.Fatal(err)
				}
				benchmarkCrowd(b, e, n)
				if shared && n > 1 {
					s := e.Batching()
					var runs, rows uint64
					for _, z := range s.Sizes {
						runs, rows = runs+z.Runs, rows+z.Rows
					}
					b.ReportMetric(float64(rows)/float64(runs), "hops/run")
				}
			})
		}
	}
}

func benchmarkCrowd(b *testing.B, e *Engine, n int) {
	x, f0 := speech(256)
	start, done := make([]chan int, n), make(chan error, n)
	for who := range n {
		c := open(b, e, "alma", SessionOptions{Live: true, Seed: uint64(who)})
		out := make([]float32, 240)
		start[who] = make(chan int)
		go func() {
			for h := range start[who] {
				done <- c.Convert(out, x[h*160:(h+1)*160], f0[h:h+1])
			}
		}()
		defer close(start[who])
	}
	if n > 1 && e.Batching().Separate == "" {
		await(b, e.batch.shared.Load)
	}
	h := 0
	hop := func() {
		for who := range n {
			start[who] <- (h + 3*who) % 256
		}
		for range n {
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
		h++
	}
	for range 20 {
		hop()
	}
	b.ReportAllocs()
	b.ResetTimer()
	began := cpuTime()
	for range b.N {
		hop()
	}
	reportCPU(b, n, began)
}
