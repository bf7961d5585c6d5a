package report

import (
	"fmt"
	"io"
	"strings"
)

// Markdown writes the report as Markdown.
func (r *Report) Markdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# autovoiced report\n")
	if p := r.Performance; p != nil {
		fmt.Fprintf(&b, "\nMeasured %s; files in `%s`.\n", p.Timestamp, r.Folder)
		p.markdown(&b)
	}
	if r.TensorRT != nil {
		r.TensorRT.markdown(&b)
	}
	r.sounds(&b)
	if len(r.Skipped) > 0 {
		b.WriteString("\n## Skipped\n\n")
		for _, s := range r.Skipped {
			fmt.Fprintf(&b, "- %s.\n", s)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (p *Performance) markdown(b *strings.Builder) {
	b.WriteString("\n## Performance Benchmarks\n\n")
	for _, f := range p.facts() {
		fmt.Fprintf(b, "- **%s**: %s\n", f.Name, cell(f.Value))
	}
	b.WriteString("\n### Stage Breakdown\n\n| Stage | Time (ms) | Percentage |\n|---|---:|---:|\n")
	for _, s := range p.Stages() {
		fmt.Fprintf(b, "| %s | %.1f | %.1f %% |\n", cell(s.Name), s.MS, s.Percent)
	}
	fmt.Fprintf(b, "| **total** | **%.1f** | **100.0 %%** |\n\n%s\n", p.Total(), p.verdict())
}

// fact is a line of a report.
type fact struct{ Name, Value string }

func (p *Performance) facts() []fact {
	gpu := "not measured"
	if p.GPUUtilization != nil {
		gpu = fmt.Sprintf("%.1f %%", *p.GPUUtilization)
	}
	return []fact{
		{"Device", p.Device},
		{"Audio duration", fmt.Sprintf("%.2f s", p.AudioDurationSeconds)},
		{"Total time", fmt.Sprintf("%.3f s", p.TotalTimeSeconds)},
		{"RTF", fmt.Sprintf("%.2fx", p.RTF)},
		{"Average GPU utilization", gpu},
	}
}

func (p *Performance) verdict() string {
	if p.Adds() {
		return fmt.Sprintf("The stages add up to %.1f %% of the total (±%d %% are allowed).", p.Sum(), sumTolerance)
	}
	return fmt.Sprintf("**The stages add up to %.1f %% of the total, which is beyond ±%d %%: time went elsewhere.**", p.Sum(), sumTolerance)
}

func (t *TensorRT) markdown(b *strings.Builder) {
	b.WriteString("\n## TensorRT Latency Test\n\n")
	for _, f := range t.facts() {
		fmt.Fprintf(b, "- **%s**: %s\n", f.Name, cell(f.Value))
	}
}

func (t *TensorRT) facts() []fact {
	precision := "none"
	if t.Precision != nil && *t.Precision != "" {
		precision = *t.Precision
	}
	target := "not met"
	if t.TargetMet {
		target = "met"
	}
	if !t.Enabled {
		target += ", and TensorRT was not active"
	}
	return []fact{
		{"Audio duration", fmt.Sprintf("%.2f s", t.DurationSeconds)},
		{"Conversion time", fmt.Sprintf("%.3f s", t.ElapsedSeconds)},
		{"RTF", fmt.Sprintf("%.2fx", t.RTF)},
		{"Preset", t.Preset},
		{"TensorRT requested", yes(t.Requested)},
		{"TensorRT enabled", yes(t.Enabled)},
		{"Precision", precision},
		{"Target (30 s in less than 5 s)", target},
	}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// sounds writes what is known of the recordings.
func (r *Report) sounds(b *strings.Builder) {
	rows := soundRows(r.Before, r.After)
	if len(rows) == 0 {
		return
	}
	b.WriteString("\n## Sound\n\n| | Before | After |\n|---|---|---|\n")
	for _, row := range rows {
		fmt.Fprintf(b, "| %s | %s | %s |\n", row[0], cell(row[1]), cell(row[2]))
	}
	if r.Before != nil && r.After != nil {
		if l, ok := Compare(r.Before, r.After); ok {
			fmt.Fprintf(b, "\nPitch: %s.\n", l)
		}
	}
}

// cell keeps a name from ending its cell of a table, and from being anything but a text.
func cell(s string) string { return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(s) }

// soundRows are name, before, after.
func soundRows(before, after *Sound) (rows [][3]string) {
	if before == nil && after == nil {
		return nil
	}
	for _, row := range []struct {
		name string
		of   func(*Sound) string
	}{
		{"Recording", func(s *Sound) string { return s.Name }},
		{"Format", func(s *Sound) string {
			return fmt.Sprintf("%s, %d Hz, %s", s.Format, s.Rate, plural(s.Channels, "channel"))
		}},
		{"Duration", func(s *Sound) string { return fmt.Sprintf("%.2f s", s.Seconds) }},
		{"Level (RMS)", func(s *Sound) string { return fmt.Sprintf("%.1f dBFS", s.Level) }},
		{"Peak", func(s *Sound) string { return fmt.Sprintf("%.1f dBFS", s.Peak) }},
		{"Median pitch", func(s *Sound) string {
			if s.Median() == 0 {
				return "no voice"
			}
			return fmt.Sprintf("%.0f Hz (%s)", s.Median(), note(s.Median()))
		}},
		{"Pitch range (5 to 95 %)", func(s *Sound) string {
			low, high := s.Range()
			if low == 0 {
				return "no voice"
			}
			return fmt.Sprintf("%.0f to %.0f Hz (%s to %s)", low, high, note(low), note(high))
		}},
		{"Voiced", func(s *Sound) string { return fmt.Sprintf("%.0f %%", 100*s.Voiced()) }},
	} {
		cells := [3]string{row.name, "not given", "not given"}
		for i, s := range []*Sound{before, after} {
			if s != nil {
				cells[i+1] = row.of(s)
			}
		}
		rows = append(rows, cells)
	}
	return rows
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
