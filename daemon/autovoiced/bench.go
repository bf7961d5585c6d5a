package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/daemon"
)

type benchCmd struct {
	JSON     bool          `name:"json" help:"As one JSON object."`
	Sessions []int         `placeholder:"N,…" help:"Instead, have crowds of N clients speak at once through sockets, and say how late they were."`
	For      time.Duration `default:"20s" placeholder:"DURATION" help:"How long each crowd speaks."`
	Rate     int           `default:"16000" placeholder:"HZ" help:"Of the clients; the voices' own is 16000."`
	Voice    string        `placeholder:"NAME" help:"Of the clients; the one of the settings unless told."`
	Plot     string        `placeholder:"OUT.svg" help:"Draw the delay against the number of sessions."`
}

// Run measures this machine with the configured voice.
func (c *benchCmd) Run(e *env) error {
	cfg, err := e.config()
	if err != nil {
		return err
	}
	if len(c.Sessions) > 0 {
		return c.crowds(e, cfg)
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

// crowds measures with clients; what was measured is shown even where a later crowd fails.
func (c *benchCmd) crowds(e *env, cfg daemon.Config) error {
	if i := slices.IndexFunc(c.Sessions, func(n int) bool { return n < 1 || n > 10000 }); i >= 0 {
		return coded(exitUsage, fmt.Errorf("--sessions: %d, allowed: 1 to 10000", c.Sessions[i]))
	}
	if c.For < time.Second || c.Rate < wire.MinRate || c.Rate > wire.MaxRate {
		return coded(exitUsage, fmt.Errorf("--for %v and --rate %d, allowed: 1s and more, %d to %d", c.For, c.Rate, wire.MinRate, wire.MaxRate))
	}
	f, err := (&crowdBench{Sizes: c.Sessions, Length: c.For, Rate: c.Rate, Voice: c.Voice}).run(e, cfg)
	if f == nil || len(f.Crowds) == 0 {
		return err
	}
	if c.JSON {
		text := json.NewEncoder(e.out)
		text.SetIndent("", "  ")
		err = errors.Join(err, text.Encode(f))
	} else {
		err = errors.Join(err, crowdTable(e.out, f))
	}
	if c.Plot != "" {
		err = errors.Join(err, coded(exitFile, os.WriteFile(c.Plot, crowdPlot(f), 0o644)))
	}
	return err
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
