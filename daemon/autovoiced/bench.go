package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/autovoiced/autovoiced/daemon"
)

type benchCmd struct {
	JSON bool `name:"json" help:"As one JSON object."`
}

// Run measures this machine with the configured voice.
func (c *benchCmd) Run(e *env) error {
	cfg, err := e.config()
	if err != nil {
		return err
	}
	f, err := daemon.Benchmark(e.ctx, cfg)
	if err != nil {
		return coded(exitModel, err)
	}
	if c.JSON {
		return json.NewEncoder(e.out).Encode(f)
	}
	return benchTable(e.out, f)
}

// benchTable shows each figure beside its bar.
func benchTable(out io.Writer, f *daemon.Figures) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "autovoiced %s, voice %s on %s, %d CPUs, chunks of %g ms\t\t\n", f.Version, f.Voice, f.Provider, f.CPUs, f.ChunkMS)
	row := func(what, found, bar string) { fmt.Fprintf(w, "%s\t%s\t%s\n", what, found, bar) }
	row("FIGURE", "FOUND", "BAR")
	row("pass-through, all stages, CPU a chunk", fmt.Sprintf("%.1f µs", f.PassthroughCPU), "≤ 50 µs")
	row("  the same in real time", fmt.Sprintf("%.1f µs", f.PacedCPU), "")
	row("pass-through, allocations a chunk", fmt.Sprintf("%.3f", f.PassthroughAllocs), "0")
	row("voice, share of one core (RTF)", fmt.Sprintf("%.3f", f.VoiceRTF), "≤ 0.25")
	row("profiling on ÷ off, CPU", fmt.Sprintf("%.3f", f.ProfilingOverhead), "")
	row("algorithmic latency", fmt.Sprintf("%.1f ms", f.AlgorithmicLatency), "≤ 30 ms")
	row("  with resamplers for 48 kHz", fmt.Sprintf("%.1f ms", f.AlgorithmicLatencyAt48k), "")
	for _, stage := range []string{"separation", "f0_extraction", "conversion", "mixing"} {
		if us, ok := f.StageCPU[stage]; ok {
			row("voice, CPU a chunk: "+stage, fmt.Sprintf("%.1f µs", us), "")
		}
	}
	row("same audio twice, same bytes", fmt.Sprint(f.SameTwice), "true")
	row("cut at random, same bytes", fmt.Sprint(f.SameCut), "true")
	return w.Flush()
}
