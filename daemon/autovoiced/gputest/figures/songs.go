package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// songRow is what several runs of a song took, in one way.
type songRow struct {
	how     string // job or command
	what    string // separator's provider and preset
	P50     float64
	Max     float64
	FirstIn float64
	Stages  map[string]float64
}

// songsOf finds the figures of songs among all: song_30_s_job_tensorrt_fast and its like.
func songsOf(text []byte) ([]songRow, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	var rows []songRow
	for name, raw := range all {
		rest, ok := strings.CutPrefix(name, "song_30_s_")
		if !ok {
			continue
		}
		var f struct {
			P50    float64 `json:"elapsed_p50_seconds"`
			Max    float64 `json:"elapsed_max_seconds"`
			First  float64 `json:"first_wall_seconds"`
			Middle struct {
				Stages map[string]float64 `json:"stage_timings_ms"`
			} `json:"middle_run"`
		}
		if err := json.Unmarshal(raw, &f); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		how, what, _ := strings.Cut(rest, "_")
		rows = append(rows, songRow{how, strings.ReplaceAll(what, "_", " "), f.P50, f.Max, f.First, f.Middle.Stages})
	}
	slices.SortFunc(rows, func(a, b songRow) int {
		if a.how != b.how {
			return -strings.Compare(a.how, b.how)
		}
		if a.P50 < b.P50 {
			return -1
		}
		return 1
	})
	return rows, nil
}

// songTable shows them, quickest first.
func songTable(rows []songRow) string {
	var b strings.Builder
	b.WriteString("\n| As | Separator on, preset | p50 | longest | separation | f0 | conversion | mixing | first, until it was done |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		ms := r.Stages
		fmt.Fprintf(&b, "| %s | %s | %.3f s | %.3f s | %.0f ms | %.0f ms | %.0f ms | %.0f ms | %.1f s |\n",
			r.how, r.what, r.P50, r.Max, ms["separation"], ms["f0_extraction"], ms["conversion"], ms["mixing"], r.FirstIn)
	}
	b.WriteString("\nThe voice runs on TensorRT fp16 in each. The first includes what it builds: engines of the separator, where they were missing.\n")
	return b.String()
}
