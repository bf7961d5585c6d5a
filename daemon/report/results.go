package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// The files that a run leaves.
const (
	PerformanceFile = "performance_breakdown.json"
	TensorRTFile    = "latency_tensorrt.json"
	GPUFile         = "gpu_utilization.json"
)

// Performance is what PerformanceFile says.
type Performance struct {
	Timestamp            string             `json:"timestamp"`
	Device               string             `json:"device"`
	AudioDurationSeconds float64            `json:"audio_duration_seconds"`
	StageTimingsMS       map[string]float64 `json:"stage_timings_ms"` // with total
	StagePercentages     map[string]float64 `json:"stage_percentages"`
	TotalTimeSeconds     float64            `json:"total_time_seconds"`
	RTF                  float64            `json:"rtf"`
	GPUUtilization       *float64           `json:"gpu_utilization"` // in percent
}

// TensorRT is what TensorRTFile says.
type TensorRT struct {
	DurationSeconds float64 `json:"duration_seconds"`
	ElapsedSeconds  float64 `json:"elapsed_seconds"`
	RTF             float64 `json:"rtf"`
	Preset          string  `json:"preset"`
	Requested       bool    `json:"tensorrt_requested"`
	Enabled         bool    `json:"tensorrt_enabled"`
	Precision       *string `json:"tensorrt_precision"`
	TargetMet       bool    `json:"target_met"`
}

// gpu is what GPUFile says.
type gpu struct {
	AverageUtilization *float64 `json:"average_utilization"`
}

// Report is what there is to tell.
type Report struct {
	Folder        string
	Performance   *Performance
	TensorRT      *TensorRT
	Before, After *Sound // nil: not given
	Skipped       []string
}

// Load reads what a folder holds.
func Load(folder string) (*Report, error) {
	if i, err := os.Stat(folder); err != nil {
		return nil, fmt.Errorf("%w; `autovoiced convert` writes the files that a report is made of", err)
	} else if !i.IsDir() {
		return nil, fmt.Errorf("%s is a file, expected a folder with %s", folder, PerformanceFile)
	}
	r := &Report{Folder: folder}
	var err error
	if r.Performance, err = read[Performance](folder, PerformanceFile); err != nil {
		return nil, err
	}
	if r.TensorRT, err = read[TensorRT](folder, TensorRTFile); err != nil {
		return nil, err
	}
	g, err := read[gpu](folder, GPUFile)
	if err != nil {
		return nil, err
	}
	if p := r.Performance; p != nil {
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(folder, PerformanceFile), err)
		}
		if p.GPUUtilization == nil && g != nil {
			p.GPUUtilization = g.AverageUtilization
		}
	} else {
		r.skip("Performance Benchmarks and Stage Breakdown", PerformanceFile, "`autovoiced convert SONG` writes it")
	}
	if r.TensorRT == nil {
		r.skip("TensorRT Latency Test", TensorRTFile, "`autovoiced convert SONG` writes it")
	}
	return r, nil
}

func (r *Report) skip(what, file, helps string) {
	r.Skipped = append(r.Skipped, fmt.Sprintf("%s: there is no %s; %s", what, filepath.Join(r.Folder, file), helps))
}

// read is nil where there is no such file.
func read[T any](folder, name string) (*T, error) {
	path := filepath.Join(folder, name)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	v := new(T)
	if err := json.Unmarshal(b, v); err != nil {
		return nil, fmt.Errorf("%s is not what `autovoiced convert` writes: %w", path, err)
	}
	return v, nil
}

func (p *Performance) check() error {
	if total := p.StageTimingsMS[total]; total <= 0 {
		return fmt.Errorf("stage_timings_ms.total is %v, expected the time of the whole run", total)
	}
	return nil
}

const total = "total"

// order is that of the stages.
var order = []string{"separation", "f0_extraction", "conversion", "mixing"}

// Stage is one of a run.
type Stage struct {
	Name    string
	MS      float64
	Percent float64 // of the total
}

// Stages are in the order in which they run, without the total.
func (p *Performance) Stages() []Stage {
	names := slices.Clone(order)
	var others []string
	for name := range p.StageTimingsMS {
		if name != total && !slices.Contains(order, name) {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	var all []Stage
	for _, name := range append(names, others...) {
		ms, ok := p.StageTimingsMS[name]
		if !ok {
			continue
		}
		percent, ok := p.StagePercentages[name]
		if !ok {
			percent = 100 * ms / p.Total()
		}
		all = append(all, Stage{name, ms, percent})
	}
	return all
}

// Total is in milliseconds.
func (p *Performance) Total() float64 { return p.StageTimingsMS[total] }

// Sum is how much of the total the stages add up to, in percent.
func (p *Performance) Sum() float64 {
	var sum float64
	for _, s := range p.Stages() {
		sum += s.MS
	}
	return 100 * sum / p.Total()
}

// sumTolerance is by how many percent the stages may miss the total.
const sumTolerance = 15

// Adds says whether the stages add up to the total.
func (p *Performance) Adds() bool {
	return p.Sum() >= 100-sumTolerance && p.Sum() <= 100+sumTolerance
}

// Empty says that there is nothing to tell.
func (r *Report) Empty() bool {
	return r.Performance == nil && r.TensorRT == nil && r.Before == nil && r.After == nil
}
