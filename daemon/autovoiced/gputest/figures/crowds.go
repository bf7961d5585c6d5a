package main

import (
	"fmt"
	"strings"
)

type sessions struct {
	Most    int     `json:"most_sessions_in_time"`
	Seconds float64 `json:"seconds"`
	Crowds  []crowd `json:"crowds"`
}

type crowd struct {
	Sessions int                `json:"sessions"`
	Lateness map[string]float64 `json:"lateness_ms"`
	SentLate map[string]float64 `json:"clients_sent_late_ms"`
	Worst    float64            `json:"worst_session_p99_ms"`
	InTime   int                `json:"sessions_in_time"`
	Dropped  uint64             `json:"dropped_frames"`
	Cores    float64            `json:"cores_used"`
	GPU      float64            `json:"gpu_memory_mib"`
	Hops     float64            `json:"hops_per_run"`
	Slow     uint64             `json:"slow_runs"`
	Daemon   *hiccups           `json:"hiccups"`
	Clients  *hiccups           `json:"client_hiccups"`
}

// hiccups are what kept a process from running.
type hiccups struct {
	Longest     float64 `json:"longest_ms"`
	Over        uint64  `json:"over_10_ms"`
	Collections uint32  `json:"collections"`
	Stolen      float64 `json:"stolen_cores"`
}

// parts are of one run for so many sessions, in µs.
type parts struct {
	Sessions   int     `json:"sessions"`
	Collect    float64 `json:"collect_us"`
	Enter      float64 `json:"enter_us"`
	Run        float64 `json:"run_us"`
	Leave      float64 `json:"leave_us"`
	Deal       float64 `json:"deal_us"`
	Tell       float64 `json:"tell_us"`
	PlainEnter float64 `json:"plain_enter_us"`
	PlainLeave float64 `json:"plain_leave_us"`
}

func (r *results) crowds(b *strings.Builder) {
	var all []*sessions
	most := 0
	for _, s := range []*sessions{r.Crowd500, r.Sessions} {
		if s != nil {
			all, most = append(all, s), max(most, s.Most)
		}
	}
	if all == nil {
		return
	}
	fmt.Fprintf(b, "\n## Sessions in real time\n\nThe largest crowd all of whom were in time, with nothing lost: %d.\n\n", most)
	b.WriteString("| Sessions | over | in time | p50 | p99 | worst session's p99 | frames lost | hops a run | cores | GPU memory |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, s := range all {
		for _, c := range s.Crowds {
			fmt.Fprintf(b, "| %d | %.0f s | %d | %.2f ms | %.2f ms | %.2f ms | %d | %.1f | %.1f | %s |\n",
				c.Sessions, s.Seconds, c.InTime, c.Lateness["p50"], c.Lateness["p99"], c.Worst, c.Dropped, c.Hops, c.Cores, some(c.GPU, "%.0f MiB"))
		}
	}
	b.WriteString("\n![delay against the number of sessions](tensorrt-sessions.svg)\n")
	stood(b, all)
}

// stood tells of each crowd what held the machine up.
func stood(b *strings.Builder, all []*sessions) {
	head := "\n| Sessions | runs of more than 10 ms | daemon stood still at most | clients | garbage collections of both | cores taken by the machine's host | clients sent late, p99 and most |\n|---|---|---|---|---|---|---|\n"
	for _, s := range all {
		for _, c := range s.Crowds {
			if c.Daemon == nil || c.Clients == nil {
				continue
			}
			fmt.Fprintf(b, "%s| %d | %d | %.1f ms | %.1f ms | %d, %d | %.2f | %.2f ms, %.1f ms |\n", head, c.Sessions, c.Slow, c.Daemon.Longest, c.Clients.Longest,
				c.Daemon.Collections, c.Clients.Collections, c.Daemon.Stolen, c.SentLate["p99"], c.SentLate["max"])
			head = ""
		}
	}
}

// parted tells what each part of a run takes.
func (r *results) parted(b *strings.Builder) {
	if len(r.Parts) == 0 {
		return
	}
	b.WriteString("\nOf which, medians in µs; in brackets with the states copied one by one:\n\n| Sessions a run | collect | to the GPU | network | from the GPU | deal | wake who waits |\n|---|---|---|---|---|---|---|\n")
	for _, p := range r.Parts {
		fmt.Fprintf(b, "| %d | %.0f | %.0f (%.0f) | %.0f | %.0f (%.0f) | %.0f | %.0f |\n", p.Sessions, p.Collect, p.Enter, p.PlainEnter, p.Run, p.Leave, p.PlainLeave, p.Deal, p.Tell)
	}
}
