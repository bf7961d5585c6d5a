package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/autovoiced/autovoiced/daemon/song"
)

// ResultsFolder is where the figures of a conversion go, in the working directory, unless told otherwise.
const ResultsFolder = "validation_results"

// The files in it. Their fields are those of the reports that read them and stay as they are.
const (
	BreakdownFile   = "performance_breakdown.json"
	LatencyFile     = "latency_tensorrt.json"
	UtilizationFile = "gpu_utilization.json"
)

// targetRTF is what a conversion is held against: 30 s of song in 5 s.
const targetRTF = 5. / 30

// StageTimes are a value for each stage and for all, in the reports' names.
type StageTimes struct {
	Separation   float64 `json:"separation"`
	F0Extraction float64 `json:"f0_extraction"`
	Conversion   float64 `json:"conversion"`
	Mixing       float64 `json:"mixing"`
	Total        float64 `json:"total"`
}

// StageShares are each stage's part of the total in percent.
type StageShares struct {
	Separation   float64 `json:"separation"`
	F0Extraction float64 `json:"f0_extraction"`
	Conversion   float64 `json:"conversion"`
	Mixing       float64 `json:"mixing"`
}

// Breakdown is BreakdownFile.
type Breakdown struct {
	Timestamp            string      `json:"timestamp"` // YYYY-MM-DD HH:MM:SS
	Device               string      `json:"device"`    // cpu or cuda
	AudioDurationSeconds float64     `json:"audio_duration_seconds"`
	StageTimingsMS       StageTimes  `json:"stage_timings_ms"`
	StagePercentages     StageShares `json:"stage_percentages"`
	TotalTimeSeconds     float64     `json:"total_time_seconds"`
	RTF                  float64     `json:"rtf"`
	GPUUtilization       *float64    `json:"gpu_utilization"` // percent; null where it was not measured
}

// Latency is LatencyFile.
type Latency struct {
	DurationSeconds   float64 `json:"duration_seconds"`
	ElapsedSeconds    float64 `json:"elapsed_seconds"`
	RTF               float64 `json:"rtf"`
	Preset            string  `json:"preset"`
	TensorRTRequested bool    `json:"tensorrt_requested"`
	TensorRTEnabled   bool    `json:"tensorrt_enabled"`
	TensorRTPrecision *string `json:"tensorrt_precision"` // null where it is not enabled
	TargetMet         bool    `json:"target_met"`         // 30 s of song within 5 s, or as fast
}

// Utilization is UtilizationFile.
type Utilization struct {
	AverageUtilization float64 `json:"average_utilization"` // percent
	PeakUtilization    float64 `json:"peak_utilization"`
	Samples            int     `json:"samples"`
	Source             string  `json:"source"`
}

func stageTimes(t song.Timings) *StageTimes {
	ms := func(d time.Duration) float64 { return milliseconds(d) }
	return &StageTimes{ms(t.Separation), ms(t.F0Extraction), ms(t.Conversion), ms(t.Mixing), ms(t.Total)}
}

// Lacks is the part of the total that the stages do not add up to, 0 to 1.
func (t *StageTimes) Lacks() float64 {
	return 1 - (t.Separation+t.F0Extraction+t.Conversion+t.Mixing)/max(t.Total, 1e-9)
}

// WriteResults writes the figures of a conversion, not of PresetLive, into a folder, which it makes. What was measured of a
// GPU meanwhile, by whomever, is taken from UtilizationFile if that is there.
func WriteResults(folder string, r Result) error {
	if r.StageTimingsMS == nil {
		return errors.New("results: this conversion measured no stages")
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return fmt.Errorf("results: %w", err)
	}
	gpu, err := readUtilization(folder)
	if err != nil {
		return err
	}
	t := *r.StageTimingsMS
	share := func(ms float64) float64 { return 100 * ms / max(t.Total, 1e-9) }
	breakdown := Breakdown{
		Timestamp: time.Now().Format(time.DateTime), Device: device(r.Provider.Active), AudioDurationSeconds: r.AudioSeconds,
		StageTimingsMS:   t,
		StagePercentages: StageShares{share(t.Separation), share(t.F0Extraction), share(t.Conversion), share(t.Mixing)},
		TotalTimeSeconds: r.ElapsedSeconds, RTF: r.RTF, GPUUtilization: gpu,
	}
	latency := Latency{
		DurationSeconds: r.AudioSeconds, ElapsedSeconds: r.ElapsedSeconds, RTF: r.RTF, Preset: r.Preset,
		TensorRTRequested: r.Provider.TensorRT != nil && r.Provider.TensorRT.Requested,
		TensorRTEnabled:   r.Metadata.TensorRT.Enabled, TensorRTPrecision: r.Metadata.TensorRT.Precision,
		TargetMet: r.RTF < targetRTF,
	}
	return errors.Join(writeResult(folder, BreakdownFile, breakdown), writeResult(folder, LatencyFile, latency))
}

// device is what the reports call a provider.
func device(provider string) string {
	if provider == "cpu" {
		return "cpu"
	}
	return "cuda" // TensorRT as well
}

// readUtilization is the average of UtilizationFile; nil where there is none.
func readUtilization(folder string) (*float64, error) {
	path := filepath.Join(folder, UtilizationFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("results: %w", err)
	}
	var u struct {
		Average *float64 `json:"average_utilization"`
	}
	if err := json.Unmarshal(data, &u); err != nil || u.Average == nil {
		return nil, fmt.Errorf(`results: %s: expected {"average_utilization": percent}, found %.40q; remove it, or measure again`, path, data)
	}
	return u.Average, nil
}

// writeResult replaces a file whole or not at all.
func writeResult(folder, name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("results: %s: %w", name, err)
	}
	f, err := os.CreateTemp(folder, "."+name+".*.part")
	if err != nil {
		return fmt.Errorf("results: %w", err)
	}
	_, err = f.Write(append(data, '\n'))
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(folder, name))
	}
	if err != nil {
		return fmt.Errorf("results: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
