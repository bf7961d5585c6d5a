package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/daemon"
	"github.com/autovoiced/autovoiced/infer"
)

// crowdWarmup is how long a crowd speaks before it counts: by then the networks for many are open.
const crowdWarmup = 3 * time.Second

// crowdBench is a daemon of this process and clients of another that all speak in real time through real sockets.
type crowdBench struct {
	Sizes  []int
	Length time.Duration
	Rate   int
	Voice  string
}

// crowdFigures is what the machine was and what each crowd met.
type crowdFigures struct {
	Started     time.Time       `json:"started"`
	Version     string          `json:"version"`
	CPUs        int             `json:"cpus"`
	CPU         string          `json:"cpu"`
	GPU         string          `json:"gpu,omitempty"`
	Provider    wire.Provider   `json:"provider"`
	Voice       string          `json:"voice"`
	Rate        int             `json:"client_rate_hz"`
	ChunkMS     float64         `json:"chunk_ms"`
	Seconds     float64         `json:"seconds"`
	MostInTime  int             `json:"most_sessions_in_time"` // the largest crowd all of whom were, with nothing lost
	Definitions string          `json:"definitions"`
	Crowds      []crowdMeasured `json:"crowds"`
}

const crowdDefinitions = "lateness: from the client's send of a chunk's last sample until the reply is read, less the algorithmic latency that `ready` tells of and " +
	"the chunk itself; a session is in time when its p99 is within one chunk and nothing of it was lost; cpu_us is of the daemon's process alone"

// crowdMeasured is one crowd.
type crowdMeasured struct {
	Sessions int `json:"sessions"`
	crowdHeard
	CPUPerChunk   float64    `json:"cpu_us_per_chunk"`
	Cores         float64    `json:"cores_used"`
	ClientCores   float64    `json:"client_cores_used"`
	MemoryMB      float64    `json:"memory_mb"`
	GPUMemoryMiB  float64    `json:"gpu_memory_mib,omitempty"`
	StageMeansUS  stageMeans `json:"stage_means_us"`
	DroppedFrames uint64     `json:"dropped_frames"`
	HopsPerRun    float64    `json:"hops_per_run"`
	// SlowRuns took longer than a hop lasts. Hiccups are of the daemon's process.
	SlowRuns uint64          `json:"slow_runs"`
	Hiccups  hiccups         `json:"hiccups"`
	Batching []wire.Batching `json:"batching"`
}

type stageMeans map[string]float64

func (b *crowdBench) run(e *env, cfg daemon.Config) (*crowdFigures, error) {
	cfg.HTTP.Listen, cfg.HTTP.Token, cfg.Audio.Enabled = "127.0.0.1:0", "", "false"
	cfg.HTTP.MaxSessions, cfg.HTTP.MaxLoad = 10000, 0 // the measurement is what this machine can do
	cfg.Log.Level = "error"
	if b.Voice != "" {
		cfg.Voice.Name = b.Voice
	}
	f := &crowdFigures{
		Started: time.Now().UTC().Truncate(time.Second), Version: daemon.Version, CPUs: runtime.NumCPU(), CPU: cpuName(),
		GPU:  nvidia("name"),
		Rate: b.Rate, ChunkMS: float64(cfg.Stream.Chunk.Microseconds()) / 1000, Seconds: b.Length.Seconds(), Definitions: crowdDefinitions,
	}
	for _, n := range b.Sizes {
		m, err := b.crowd(e, cfg, n, f)
		if err != nil {
			return f, fmt.Errorf("%d sessions: %w", n, err)
		}
		f.Crowds = append(f.Crowds, *m)
		if m.InTime == n {
			f.MostInTime = max(f.MostInTime, n)
		}
		fmt.Fprintf(e.errOut, "%d sessions: p99 %.2f ms late, %d of them in time\n", n, m.Lateness.P99, m.InTime)
	}
	return f, nil
}

// crowd serves n clients with a daemon of their own.
func (b *crowdBench) crowd(e *env, cfg daemon.Config, n int, f *crowdFigures) (*crowdMeasured, error) {
	log, err := daemon.NewLog(cfg.Log, e.errOut)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	d, err := daemon.New(cfg, log)
	if err != nil {
		return nil, coded(exitModel, err)
	}
	ctx, cancel := context.WithCancel(e.ctx)
	served := make(chan error, 1)
	go func() { served <- d.Run(ctx) }()
	defer func() {
		cancel()
		<-served //nolint:errcheck // what was measured is measured
	}()
	select {
	case <-d.Ready():
	case err := <-served:
		served <- nil
		return nil, err
	}
	f.Provider = d.Status().Provider
	return b.measure(ctx, d, n, f)
}

func (b *crowdBench) measure(ctx context.Context, d *daemon.Daemon, n int, f *crowdFigures) (*crowdMeasured, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	request, err := json.Marshal(crowdRequest{
		URL: "http://" + d.Addr().String(), Sessions: n, Rate: b.Rate, Chunk: time.Duration(f.ChunkMS * float64(time.Millisecond)),
		Warmup: crowdWarmup, Measure: b.Length,
	})
	if err != nil {
		return nil, err
	}
	clients := exec.CommandContext(ctx, self, "bench-clients")
	clients.Cancel = func() error { return clients.Process.Signal(syscall.SIGTERM) }
	clients.WaitDelay = 5 * time.Second
	var complaints bytes.Buffer
	clients.Stderr = &complaints
	out, err1 := clients.StdoutPipe()
	in, err2 := clients.StdinPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if err := clients.Start(); err != nil {
		return nil, err
	}
	m := &crowdMeasured{Sessions: n}
	_, err = in.Write(request)
	if err == nil {
		err = m.follow(json.NewDecoder(out), in, d, f)
	}
	if werr := clients.Wait(); werr != nil {
		err = errors.Join(fmt.Errorf("clients: %w: %s", werr, strings.TrimSpace(complaints.String())), err)
	}
	return m, err
}

// follow reads what the clients tell: that they begin to count, that they have counted, and, when they are told to end by the
// end of their input, what they heard.
func (m *crowdMeasured) follow(answers *json.Decoder, in io.Closer, d *daemon.Daemon, f *crowdFigures) error {
	var mark crowdMark
	if err := answers.Decode(&mark); err != nil {
		return err
	}
	watch := newPulse()
	defer close(watch.stop)
	before, began, theirs := processTime(), time.Now(), mark.CPU
	first := d.Status()
	hops, runs, slow := countRuns(first.Batching)
	if err := answers.Decode(&mark); err != nil {
		return err
	}
	used, took := processTime()-before, time.Since(began)
	m.Hiccups = watch.seen()
	status := d.Status()
	m.Cores, m.ClientCores = used.Seconds()/took.Seconds(), (mark.CPU-theirs).Seconds()/took.Seconds()
	m.CPUPerChunk = m.Cores / float64(m.Sessions) * f.ChunkMS * 1000
	m.MemoryMB, m.Batching = memoryMB(), status.Batching
	m.GPUMemoryMiB, _ = strconv.ParseFloat(nvidia("memory.used"), 64)
	moreHops, moreRuns, moreSlow := countRuns(status.Batching)
	m.SlowRuns = moreSlow - slow
	if moreRuns > runs {
		m.HopsPerRun = float64(moreHops-hops) / float64(moreRuns-runs)
	}
	m.StageMeansUS = stageMeans{}
	for _, s := range status.Sessions {
		f.Voice = s.Voice
		for _, stage := range s.Stages {
			m.StageMeansUS[stage.Name] += stage.Compute.Mean / float64(len(status.Sessions))
		}
		m.StageMeansUS["delivery"] += s.Waits.Delivery.Mean / float64(len(status.Sessions))
	}
	m.DroppedFrames = status.Totals.Ledger.DroppedFrames() - first.Totals.Ledger.DroppedFrames()
	return errors.Join(in.Close(), answers.Decode(&m.crowdHeard))
}

func countRuns(all []wire.Batching) (hops, runs, slow uint64) {
	for _, b := range all {
		for _, z := range b.Sizes {
			hops, runs, slow = hops+z.Hops, runs+z.Runs, slow+z.Slow
		}
	}
	return hops, runs, slow
}

// crowdTable shows each crowd in a line.
func crowdTable(out io.Writer, f *crowdFigures) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "autovoiced %s, voice %s on %s %s, %d CPUs (%s), chunks of %g ms, clients at %d Hz, %g s each\n",
		f.Version, f.Voice, f.Provider.Active, f.Provider.Precision, f.CPUs, f.CPU, f.ChunkMS, f.Rate, f.Seconds)
	fmt.Fprintln(w, "SESSIONS\tLATE P50\tP99\tWORST P99\tMAX ms\tIN TIME\tLOST\tCPU µs/CHUNK\tCORES\tHOPS/RUN\t")
	for _, m := range f.Crowds {
		fmt.Fprintf(w, "%d\t%.2f\t%.2f\t%.2f\t%.1f\t%d\t%d\t%.0f\t%.2f\t%.1f\t\n", m.Sessions, m.Lateness.P50, m.Lateness.P99, m.WorstP99,
			m.Lateness.Max, m.InTime, m.LostReplies, m.CPUPerChunk, m.Cores, m.HopsPerRun)
	}
	return w.Flush()
}

func processTime() time.Duration {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		panic(err) // cannot be: the arguments are constants
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// memoryMB is what this process has resident.
func memoryMB() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident int
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0
	}
	return float64(resident*os.Getpagesize()) / 1e6
}

func cpuName() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	_, name, _ := strings.Cut(string(text), "model name")
	name, _, _ = strings.Cut(name, "\n")
	return strings.Trim(name, "\t :")
}

// nvidia asks the driver's own tool; "" where there is none.
func nvidia(what string) string {
	out, err := exec.Command("nvidia-smi", "--id="+infer.GPU(), "--query-gpu="+what, "--format=csv,noheader,nounits").Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}
