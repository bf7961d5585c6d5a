package main

import (
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"github.com/autovoiced/autovoiced/infer"
)

type enginesCmd struct {
	List   enginesList   `cmd:"" help:"List the engines, with what each was built for."`
	Build  enginesBuild  `cmd:"" help:"Build what is missing for the voices at hand, on this machine's GPU."`
	Verify enginesVerify `cmd:"" help:"Hold every engine to what was built; exit code 6 when one is not."`
	Clean  enginesClean  `cmd:"" help:"Remove engines that are not sound, or all."`
}

type enginesList struct {
	JSON bool `name:"json" help:"As JSON."`
}

// engineRow is an engine as lists show it.
type engineRow struct {
	Name    string            `json:"name"`
	Engine  infer.BuiltEngine `json:"engine"`
	Problem string            `json:"problem,omitempty"`
}

// Run lists what is there.
func (c *enginesList) Run(e *env) error {
	cache, rows, err := engineRows()
	if err != nil {
		return err
	}
	if c.JSON {
		return writeIndented(e.out, rows)
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintf(e.out, "no engines in %s; `autovoiced engines build` builds them on a machine with a GPU\n", cache.Dir())
		return err
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ENGINE\tPACK\tHOPS\tPRECISION\tFROM FP32\tGPU\tTENSORRT\tSIZE\tBUILT\tSTATE")
	for _, r := range rows {
		b, state := r.Engine, "sound"
		if r.Problem != "" {
			state = r.Problem
		}
		precision := b.Precision
		if b.Key.Precision != b.Precision {
			precision += " (asked: " + b.Key.Precision + ")"
		}
		far := "-"
		if g := b.Gate; g != nil {
			far = fmt.Sprintf("%.2f dB, SNR %.0f dB", g.LogSpectral, g.SNR)
		}
		if problem := b.Unused(); problem != nil && r.Problem == "" {
			state = problem.Error()
		}
		fmt.Fprintf(w, "%.12s\t%s\t%d\t%s\t%s\t%s\t%s\t%.1f MB\t%s, %.0f s\t%s\n", r.Name, b.Name, b.Key.Hops, precision, far,
			b.Key.Machine.GPU, b.Key.Machine.TensorRT, float64(b.Size())/1e6, b.Built.Format(time.DateTime), b.Seconds, state)
	}
	return w.Flush()
}

func engineRows() (*infer.EngineCache, []engineRow, error) {
	cache, err := infer.OpenEngineCache()
	if err != nil {
		return nil, nil, coded(exitModel, err)
	}
	entries, err := cache.Entries()
	if err != nil {
		return nil, nil, coded(exitModel, err)
	}
	rows := []engineRow{}
	for _, entry := range entries {
		row := engineRow{Name: entry.Name, Engine: entry.Engine}
		if entry.Problem != nil {
			row.Problem = entry.Problem.Error()
		}
		rows = append(rows, row)
	}
	return cache, rows, nil
}

type enginesBuild struct {
	Precision string `placeholder:"fp32|fp16" help:"As in the settings unless told."`
	Hops      []int  `placeholder:"N,…" help:"Of these hops a run alone (1 is live); unless told, of every number that a pack has a graph for."`
	Alone     bool   `negatable:"" help:"Without those that several sessions share."`
	Songs     bool   `help:"Those that separate songs as well, where --hops would leave them out."`
}

// Run builds the engines of every voice pack, for every number of hops that it has a graph for, and for many sessions; and
// those of the separator of songs.
func (c *enginesBuild) Run(e *env) error {
	cfg, err := e.config()
	if err != nil {
		return err
	}
	cfg.Infer.Provider, cfg.Infer.Fallback = infer.ProviderTensorRT, false
	if c.Precision != "" {
		cfg.Infer.Precision = c.Precision
	}
	if err := cfg.Infer.Policy.Validate(); err != nil {
		return coded(exitUsage, err)
	}
	registry, err := infer.NewRegistry(cfg.Infer)
	if err != nil {
		return coded(exitModel, err)
	}
	defer registry.Close()
	var done []string
	for _, v := range registry.Voices() {
		if v.Kind != infer.KindVoice || slices.Contains(done, v.Pack) {
			continue
		}
		done = append(done, v.Pack)
		if err := c.pack(e, registry, v.Name); err != nil {
			return coded(exitModel, err)
		}
	}
	if len(c.Hops) == 0 || c.Songs {
		if err := infer.PrepareSeparators(cfg.Infer.SeparatorPolicy()); err != nil {
			return coded(exitModel, err)
		}
	}
	return (&enginesList{}).Run(e)
}

func (c *enginesBuild) pack(e *env, registry *infer.Registry, voice string) error {
	engine, err := registry.Engine(voice)
	if err != nil {
		return err
	}
	for _, hops := range engine.Contract().Hops {
		if len(c.Hops) > 0 && !slices.Contains(c.Hops, hops) {
			continue
		}
		if err := e.ctx.Err(); err != nil {
			return err
		}
		if err := engine.Prepare(hops); err != nil {
			return err
		}
	}
	if !c.Alone {
		if err := engine.PrepareBatches(); err != nil {
			return err
		}
	}
	for _, w := range engine.Warnings() {
		fmt.Fprintln(e.errOut, w)
	}
	return nil
}

// tellBuilding shows progress in place on a terminal, else a line every 10 s.
func tellBuilding(out *os.File, b infer.Building) {
	switch terminal := term.IsTerminal(int(out.Fd())); {
	case terminal && b.Done:
		fmt.Fprintf(out, "\r\x1b[K%v\n", b)
	case terminal:
		fmt.Fprintf(out, "\r\x1b[K%v", b)
	case b.Done || int(b.Elapsed.Seconds())%10 == 0:
		fmt.Fprintln(out, b)
	}
}

type enginesVerify struct{}

// Run checks every file of every engine.
func (enginesVerify) Run(e *env) error {
	cache, rows, err := engineRows()
	if err != nil {
		return err
	}
	bad := 0
	for _, r := range rows {
		state := "sound"
		if r.Problem != "" {
			state = r.Problem
			bad++
		}
		fmt.Fprintf(e.out, "%s: %s\n", r.Name, state)
	}
	if bad > 0 {
		return codedf(exitModel, "%d of %d engines in %s are not sound; they are not used, and the next start builds them anew; "+
			"`autovoiced engines clean` removes them", bad, len(rows), cache.Dir())
	}
	_, err = fmt.Fprintf(e.out, "%d engines in %s, all sound\n", len(rows), cache.Dir())
	return err
}

type enginesClean struct {
	All bool `help:"Sound ones as well, and the exported models: the next start builds everything anew."`
}

// Run removes engines.
func (c *enginesClean) Run(e *env) error {
	cache, err := infer.OpenEngineCache()
	if err != nil {
		return coded(exitModel, err)
	}
	gone, err := cache.Clean(e.ctx, c.All)
	for _, name := range gone {
		fmt.Fprintln(e.out, "removed", name)
	}
	if err != nil {
		return coded(exitModel, err)
	}
	if len(gone) == 0 {
		_, err = fmt.Fprintln(e.out, "nothing to remove in", cache.Dir())
	}
	return err
}

type trySessionCmd struct{}

// Run is the child's side of a first session that may end the process.
func (trySessionCmd) Run(e *env) error {
	return coded(exitUsage, infer.Trial(os.Stdin, e.out))
}
