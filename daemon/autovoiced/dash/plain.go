package dash

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/charmbracelet/x/ansi"

	"github.com/autovoiced/autovoiced/client/wire"
)

// Lines are a status as a person reads it, of at most 80 columns. Times are in ms.
func Lines(s *wire.Status) []string {
	lines := []string{
		fmt.Sprintf("autovoiced %s  %s  up %s  sessions %d (%d since the start)", s.Version, s.State,
			clockText(s.UptimeSeconds), s.Totals.SessionsActive, s.Totals.Sessions),
		"models " + providerText(s.Provider) + "  " + countText("errors", s.Totals.Errors),
		deviceText(s.Device),
	}
	if s.Fault != "" {
		lines = append(lines, "fault "+s.Fault)
	}
	if b := s.Building; b != nil {
		lines = append(lines, buildingText(b))
	}
	if s.Device.State != "off" {
		lines = append(lines, xrunText(s.Device))
	}
	if busy(s.Jobs) {
		lines = append(lines, waitingText(s.Jobs))
		for i := range s.Jobs.Running {
			lines = append(lines, "song "+songText(&s.Jobs.Running[i]))
		}
	}
	for i := range s.Sessions {
		lines = append(append(lines, ""), sessionTable(&s.Sessions[i])...)
	}
	for i, l := range lines {
		lines[i] = strings.TrimRight(cut(clean(l), 80), " ")
	}
	return lines
}

func buildingText(b *wire.Building) string {
	text := "building"
	if b.Waiting {
		text = "another process builds"
	}
	text += fmt.Sprintf(" %s, %d hops, %s: %.0f s", clean(b.Pack), b.Hops, b.Precision, b.ElapsedSeconds)
	if b.EstimateSeconds > 0 {
		text += fmt.Sprintf(" of about %.0f s", b.EstimateSeconds)
	}
	return text
}

// busy says that there are songs to tell of.
func busy(j wire.Jobs) bool { return j.Queued+len(j.Running) > 0 }

func waitingText(j wire.Jobs) string {
	return fmt.Sprintf("songs %d running, %d waiting, %d done, %d failed", len(j.Running), j.Queued, j.Ended[wire.JobDone], j.Ended[wire.JobFailed])
}

// songText is which song it is and how far.
func songText(j *wire.Job) string {
	text := fmt.Sprintf("%3.0f %%  %s  %s", 100*j.Progress, cut(clean(j.Name), 20), j.Stage)
	if j.Speed > 0 {
		text += fmt.Sprintf("  %.1f×", j.Speed)
	}
	if j.ETASeconds > 0 {
		text += fmt.Sprintf("  %s left", clockText(j.ETASeconds))
	}
	return text
}

// sessionLine sums a session up.
func sessionLine(s *wire.Session) string {
	t := s.Total.Compute
	return fmt.Sprintf("%s  voice %s  load %.1f %%  total p50 %s p99 %s ms  %d in %d dropped", s.ID, s.Voice, s.LoadPercent,
		ms(t.P50), ms(t.P99), s.Ledger.In, s.Ledger.DroppedFrames())
}

func sessionTable(s *wire.Session) []string {
	head := fmt.Sprintf("%s  %s  voice %s  %s  %g ms chunks", s.ID, s.Kind, s.Voice, formatText(s.Format), s.ChunkMS)
	lines := append([]string{head}, pipelineTable(&s.Pipeline)...)
	return lines
}

// pipelineTable is what a pipeline measured: stages, sums, ledger and levels.
func pipelineTable(p *wire.Pipeline) []string {
	lines := []string{fmt.Sprintf("%-14s%-9s%8s%8s%8s%8s%8s%8s%7s%2s", "stage (ms)", "mode", "count", "last", "p50", "p95", "p99", "max", "wait", "q")}
	for i := range p.Stages {
		lines = append(lines, stageLine(&p.Stages[i]))
	}
	if w := p.Waits; w != nil {
		lines = append(lines, timesLine("capture", w.Capture), timesLine("sink queue", w.Sink), timesLine("delivery", w.Delivery))
	}
	return append(lines,
		timesLine(p.Total.Name, p.Total.Compute),
		loadText(p),
		Ledger(p.Ledger),
		"in  "+meter(p.Levels.InRMS, p.Levels.InPeak),
		"out "+meter(p.Levels.OutRMS, p.Levels.OutPeak),
	)
}

func stageLine(s *wire.Stage) string {
	return columns(s.Name, s.Mode, s.Compute) + fmt.Sprintf("%7s%2d", ms(s.Wait.P50), s.QueueLen)
}

// timesLine is for what has no queue of its own: the waits at the edges, and the total.
func timesLine(name string, t wire.Times) string { return columns(name, "", t) }

func columns(name, mode string, t wire.Times) string {
	return fmt.Sprintf("%-14s%-9s%8d%8s%8s%8s%8s%8s", name, cut(mode, 8), t.Count, ms(t.Last), ms(t.P50), ms(t.P95), ms(t.P99), ms(t.Max))
}

func loadText(p *wire.Pipeline) string {
	text := fmt.Sprintf("load %.1f %%  RTF %.3f  algorithmic latency %.1f ms", p.LoadPercent, p.RTF, p.AlgorithmicLatencyMS)
	for _, c := range []struct {
		n    uint64
		what string
	}{{p.Overloads, "overloads"}, {p.Discontinuities, "gaps"}, {p.BadSamples, "bad samples"}} {
		if c.n > 0 {
			text += fmt.Sprintf("  %s %d", c.what, c.n)
		}
	}
	return text
}

// LiveLines are what a speaker wants to see: levels, delay, and whether anything was lost.
func LiveLines(s *wire.Status) []string {
	lines := []string{deviceText(s.Device)}
	for i := range s.Sessions {
		p := &s.Sessions[i]
		if p.Kind != "device" {
			continue
		}
		total := p.Total.Compute
		if r := total.Recent; r != nil && r.Count > 0 {
			total.P50, total.P99, total.Max = r.P50, r.P99, r.Max
		}
		lines = append(lines,
			fmt.Sprintf("voice %s  %s  on %s", p.Voice, formatText(p.Format), s.Provider.Active),
			"in  "+meter(p.Levels.InRMS, p.Levels.InPeak),
			"out "+meter(p.Levels.OutRMS, p.Levels.OutPeak),
			fmt.Sprintf("latency of the last 10 s, capture to playout: p50 %s  p99 %s  max %s ms", ms(total.P50), ms(total.P99), ms(total.Max)),
			loadText(&p.Pipeline),
			xrunText(s.Device),
			Ledger(p.Ledger),
		)
	}
	for i := range lines {
		lines[i] = cut(clean(lines[i]), 80)
	}
	return lines
}

// ms writes µs as ms in seven columns at most, with as many decimals as fit.
func ms(us float64) string {
	switch v := us / 1000; {
	case v < 100:
		return fmt.Sprintf("%.3f", v)
	case v < 10000:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}

// Ledger says what became of every frame.
func Ledger(l wire.Ledger) string {
	sign := "="
	if !l.Balanced() {
		sign = "≠"
	}
	text := fmt.Sprintf("frames %d in %s %d out + %d dropped + %d in flight", l.In, sign, l.Out, l.DroppedFrames(), l.InFlight)
	if l.DroppedFrames() > 0 {
		text += "  " + countText("", l.Dropped)
	}
	return text
}

// meter draws RMS as a bar and peak as a mark: 30 columns for 60 dB.
func meter(rms, peak float64) string {
	const width = 30
	at := func(db float64) int {
		return int(math.Round(width * (1 - max(meterFloor, min(db, 0))/meterFloor)))
	}
	bar := []rune(strings.Repeat("█", at(rms)) + strings.Repeat("·", width-at(rms)))
	if p := at(peak); p > 0 {
		bar[p-1] = '▌'
	}
	return fmt.Sprintf("%s %6.1f dBFS  peak %6.1f", string(bar), rms, peak)
}

func providerText(p wire.Provider) string {
	text := fmt.Sprintf("on %s %s", p.Active, p.Precision)
	if p.Requested != p.Active {
		text += fmt.Sprintf(" (asked: %s)", p.Requested)
	}
	return text + nodesText(p)
}

func nodesText(p wire.Provider) string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(p.Nodes)) {
		if n := p.Nodes[name]; n > 0 {
			text += fmt.Sprintf("  %s on %s", counted(uint64(n), "node"), name)
		}
	}
	return text
}

func deviceText(d wire.Device) string {
	text := "sound card " + d.State
	if d.Input != "" || d.Output != "" {
		text += fmt.Sprintf("  in %s  out %s", cut(d.Input, 24), cut(d.Output, 24))
	}
	if d.Error != "" {
		text += "  " + d.Error
	}
	return text
}

func xrunText(d wire.Device) string {
	x := d.Xruns
	return fmt.Sprintf("xruns in %d/%d out %d/%d  rebuffers %d  catch-ups %d  reconnects %d  drift %+.0f ppm",
		x.InputOverflow, x.InputUnderflow, x.OutputOverflow, x.OutputUnderflow, x.Rebuffers, x.Catchups, d.Reconnects, d.DriftPPM)
}

func formatText(f wire.Format) string {
	if f.Rate == 0 {
		return ""
	}
	kind := "mono"
	if f.Channels == 2 {
		kind = "stereo"
	}
	return fmt.Sprintf("%g kHz %s", float64(f.Rate)/1000, kind)
}

// countText lists counters in the order of their names.
func countText(title string, counts map[string]uint64) string {
	if len(counts) == 0 {
		return ""
	}
	parts := make([]string, 0, len(counts)+1)
	if title != "" {
		parts = append(parts, title)
	}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if counts[name] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
		}
	}
	return strings.Join(parts, " ")
}

func clockText(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}

// cut shortens to columns of the screen.
func cut(s string, columns int) string { return ansi.Truncate(s, columns, "…") }

// clean takes what would move a terminal's cursor out of text that came from elsewhere.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, ansi.Strip(s))
}
