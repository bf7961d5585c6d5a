// Command figures makes the tables and the plot of what `make gpu-bench` measured: tensorrt.json as it came, tensorrt.md and
// tensorrt-chunk.svg, and tensorrt-sessions.svg where the crowds drew one.
//
//	figures build/gpu/results.json daemon/docs/results
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// chunk is one provider's time for a 10 ms chunk.
type chunk struct {
	name      string
	Precision string    `json:"precision"`
	Runs      int       `json:"runs"`
	Seconds   float64   `json:"seconds"`
	P50       float64   `json:"p50_ms"`
	P99       float64   `json:"p99_ms"`
	Max       float64   `json:"max_ms"`
	Quantiles []float64 `json:"quantiles_ms"`
	AfterIdle float64   `json:"first_after_10_s_of_silence_ms"`
	Allocs    float64   `json:"allocations_per_chunk"`
	Notes     []string  `json:"notes"`
}

type start struct{ Seconds float64 }

// results is what the tests write, as far as tables show it.
type results struct {
	Machine struct {
		Runtime  string `json:"onnxruntime"`
		TensorRT string `json:"tensorrt"`
		CUDA     string `json:"cuda"`
		CuDNN    string `json:"cudnn"`
		Driver   string `json:"driver"`
		GPU      string `json:"gpu"`
		Compute  string `json:"compute_capability"`
	} `json:"machine"`
	Processor string             `json:"processor"`
	FP16      *chunk             `json:"chunk_tensorrt_fp16"`
	FP32      *chunk             `json:"chunk_tensorrt_fp32"`
	CUDA      *chunk             `json:"chunk_cuda"`
	CPU       *chunk             `json:"chunk_cpu"`
	First16   float64            `json:"first_start_seconds_fp16"`
	First32   float64            `json:"first_start_seconds_fp32"`
	Second    *start             `json:"second_start"`
	NoBuilder *start             `json:"start_without_builder"`
	Ready     []float64          `json:"daemon_ready_seconds"`
	Memory    map[string]float64 `json:"gpu_memory_mib"`
	Song      map[string]any     `json:"song_30_s"`
	Sessions  *sessions          `json:"sessions"`
	Crowd500  *sessions          `json:"crowd_500"`
	Opened    map[string]float64 `json:"session_seconds"`
	Batches   *batches           `json:"batches"`
	Parts     []parts            `json:"batch_parts"`
	songs     []songRow
}

// batches are the engines that crowds share, by how many sessions a run of each serves.
type batches struct {
	Refused  []string `json:"refused"`
	OneByOne string   `json:"one_by_one"`
	Sizes    []struct {
		Sessions  int    `json:"sessions"`
		Least     int64  `json:"least"`
		Precision string `json:"precision"`
		Gate      *struct {
			LogSpectral float64 `json:"log_spectral_db"`
			SNR         float64 `json:"snr_db"`
		} `json:"gate"`
	} `json:"sizes"`
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: figures RESULTS.json FOLDER")
		os.Exit(2)
	}
	if err := render(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

func render(from, folder string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var r results
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	if r.songs, err = songsOf(text); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	if r.Machine.GPU == "" {
		return fmt.Errorf("%s tells of no GPU: expected what `make gpu-bench` writes on a machine with one", from)
	}
	write := func(name string, data []byte) error { return os.WriteFile(filepath.Join(folder, name), data, 0o644) }
	err = errors.Join(write("tensorrt.json", text), write("tensorrt.md", r.page()), write("tensorrt-chunk.svg", r.plot()))
	if drawn, e := os.ReadFile(filepath.Join(filepath.Dir(from), "sessions.svg")); e == nil {
		err = errors.Join(err, write("tensorrt-sessions.svg", drawn))
	}
	return err
}

// chunks are those that were measured.
func (r *results) chunks() (all []*chunk) {
	for _, c := range []struct {
		name string
		c    *chunk
	}{{"TensorRT fp16", r.FP16}, {"TensorRT fp32", r.FP32}, {"CUDA provider", r.CUDA}, {"CPU, one core", r.CPU}} {
		if c.c != nil {
			c.c.name = c.name
			all = append(all, c.c)
		}
	}
	return all
}

func (r *results) page() []byte {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "# On one %s\n\nMade by `make gpu-figures` from `tensorrt.json`, which `make gpu-bench` wrote.\n\n", m.GPU)
	fmt.Fprintf(&b, "%s (compute capability %s), driver %s, CUDA %s, cuDNN %s, TensorRT %s, ONNX Runtime %s; %s.\n", m.GPU, m.Compute, m.Driver, m.CUDA, m.CuDNN, m.TensorRT, m.Runtime, r.Processor)
	b.WriteString("\n## A 10 ms chunk of one session\n\n| On | p50 | p99 | most | over | first after 10 s of silence | allocations |\n|---|---|---|---|---|---|---|\n")
	for _, c := range r.chunks() {
		fmt.Fprintf(&b, "| %s | %.3f ms | %.3f ms | %.3f ms | %.0f s | %s | %g |\n", c.name, c.P50, c.P99, c.Max, c.Seconds, some(c.AfterIdle, "%.3f ms"), c.Allocs)
	}
	for _, c := range r.chunks() {
		for _, n := range c.Notes {
			fmt.Fprintf(&b, "\n%s: %s.\n", c.name, n)
		}
	}
	b.WriteString("\n![each provider's chunks by quantile](tensorrt-chunk.svg)\n\n## Starts\n\n| Start | Time |\n|---|---|\n")
	row := func(what string, seconds float64) { fmt.Fprintf(&b, "| %s | %s |\n", what, some(seconds, "%.2f s")) }
	row("first, fp16: builds the engine", r.First16)
	row("first, fp32", r.First32)
	if r.Second != nil {
		row("second: opens the EP-context model", r.Second.Seconds)
	}
	if r.NoBuilder != nil {
		row("the same where there is no builder", r.NoBuilder.Seconds)
	}
	if n := len(r.Ready); n > 0 {
		row("daemon, from its start until it serves", r.Ready[n-1])
	}
	for _, of := range [][2]string{{"from_nothing", "session alone, in a warm process: built"}, {"engine_cache", "the same from TensorRT's plain engine cache"}, {"ep_context", "the same from the EP-context model"}} {
		if r.Opened[of[0]] > 0 {
			row(of[1], r.Opened[of[0]])
		}
	}
	if len(r.Memory) > 0 {
		fmt.Fprintf(&b, "\n## GPU memory\n\nBefore %.0f MiB, with one session %.0f MiB, each further session %.2f MiB.\n", r.Memory["before"], r.Memory["with_one_session"], r.Memory["per_further_session"])
	}
	r.shared(&b)
	r.parted(&b)
	r.crowds(&b)
	if len(r.Song) > 0 {
		text, _ := json.MarshalIndent(r.Song, "", "  ") // it was read as JSON
		b.WriteString("\n## A song of 30 s, warm\n")
		if len(r.songs) > 0 {
			b.WriteString(songTable(r.songs))
		}
		fmt.Fprintf(&b, "\n```json\n%s\n```\n", text)
	}
	return []byte(b.String())
}

// shared are the runs for several sessions, without sockets, and how far the fp16 of each is from fp32.
func (r *results) shared(b *strings.Builder) {
	if r.Batches == nil {
		return
	}
	b.WriteString("\n## Runs for several sessions\n\n| Sessions a run | takes | for each | precision | log-spectral distance from fp32 | SNR |\n|---|---|---|---|---|---|\n")
	for _, z := range r.Batches.Sizes {
		far, snr := "", ""
		if z.Gate != nil {
			far, snr = fmt.Sprintf("%.2f dB", z.Gate.LogSpectral), fmt.Sprintf("%.0f dB", z.Gate.SNR)
		}
		fmt.Fprintf(b, "| %d | %.3f ms | %.1f µs | %s | %s | %s |\n", z.Sessions, float64(z.Least)/1e6, float64(z.Least)/1e3/float64(max(1, z.Sessions)), z.Precision, far, snr)
	}
	for _, why := range r.Batches.Refused {
		fmt.Fprintf(b, "\nNot used: %s.\n", why)
	}
	if r.Batches.OneByOne != "" {
		fmt.Fprintf(b, "\nStates are copied one by one: %s.\n", r.Batches.OneByOne)
	}
}

// some is a figure, or that there is none.
func some(v float64, format string) string {
	if v == 0 {
		return "not measured"
	}
	return fmt.Sprintf(format, v)
}

// plot draws each provider's chunks by quantile, time logarithmic, and the bars of 0.8 ms at 50 % and 1.5 ms at 99 %.
func (r *results) plot() []byte {
	const width, height, left, top, right, bottom = 760, 420, 70, 40, 20, 50
	low, high := 0.05, 2.
	for _, c := range r.chunks() {
		high = max(high, c.Max)
	}
	x := func(q float64) float64 { return left + (width-left-right)*q/100 }
	y := func(ms float64) float64 {
		return top + (height-top-bottom)*(1-math.Log(max(ms, low)/low)/math.Log(high/low))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/><text x="%d" y="22" font-size="15">One 10 ms chunk of one session, %s</text>`+"\n", width, height, left, r.Machine.GPU)
	for _, ms := range []float64{0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100} {
		if ms <= high {
			fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%g ms</text>`+"\n", left, y(ms), width-right, left-6, y(ms)+4, ms)
		}
	}
	for _, bar := range [][2]float64{{50, 0.8}, {99, 1.5}} {
		fmt.Fprintf(&b, `<path d="M%.1f %.1fh12m-6 0v-6" stroke="#c00" stroke-width="2" fill="none"/>`+"\n", x(bar[0])-6, y(bar[1]))
	}
	for i, c := range r.chunks() {
		colour := []string{"#1b6ca8", "#2a9d5c", "#d95f02", "#777"}[i]
		path := ""
		for q, ms := range c.Quantiles {
			at := min(float64(q), 99+float64(q-99)/2) // 99, 99.9 and 100 % close together at the end
			path += fmt.Sprintf("%c%.1f %.1f", "ML"[min(q, 1)], x(at), y(ms))
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/><text x="%d" y="%d" fill="%s">%s</text>`+"\n", path, colour, left+12, top+18+18*i, colour, c.name)
	}
	for q := 0.; q <= 100; q += 25 {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%g %%</text>`+"\n", x(q), height-bottom+20, q)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">of chunks were done in so long; red: the bars for TensorRT fp16</text></svg>`+"\n", (left+width-right)/2, height-12)
	return []byte(b.String())
}
