package dash

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/autovoiced/autovoiced/client/wire"
)

// stageRow is one line of the stage table: time computed, and the wait and queue before it.
type stageRow struct {
	name, mode string
	times      wire.Times
	wait       *wire.Times
	queue      int // chunks; -1 where there is no queue
}

const (
	rowCapture  = "capture"
	rowDelivery = "delivery"
)

// stageRows are the parts of a chunk's way in order, and their sum at the end.
func stageRows(s *wire.Session) []stageRow {
	var rows []stageRow
	if s.Waits != nil {
		rows = append(rows, stageRow{name: rowCapture, times: s.Waits.Capture, queue: -1})
	}
	for i := range s.Stages {
		stage := &s.Stages[i]
		rows = append(rows, stageRow{stage.Name, stage.Mode, stage.Compute, &stage.Wait, stage.QueueLen})
	}
	if s.Waits != nil {
		rows = append(rows, stageRow{rowDelivery, "", s.Waits.Delivery, &s.Waits.Sink, s.Total.QueueLen})
	}
	return append(rows, stageRow{name: s.Total.Name, times: s.Total.Compute, queue: -1})
}

// stageColumns says which columns a width has room for.
type stageColumns struct {
	mode, wait bool
	trend      int
}

const (
	nameWidth, modeWidth, timeWidth, queueWidth = 14, 9, 8, 6
	minTrend                                    = 8
)

func fitColumns(width int) stageColumns {
	left := width - nameWidth - 4*timeWidth - queueWidth - 1
	c := stageColumns{}
	if left-timeWidth >= minTrend {
		c.wait, left = true, left-timeWidth
	}
	if left-modeWidth >= minTrend {
		c.mode, left = true, left-modeWidth
	}
	c.trend = max(0, left)
	return c
}

// stageTable is a line of titles and one for each part.
func (m *model) stageTable(s *wire.Session) []string {
	c := fitColumns(m.width)
	lines := []string{c.titles(m.since)}
	for _, r := range stageRows(s) {
		lines = append(lines, m.stageLine(s, r, c))
	}
	return lines
}

func (c stageColumns) titles(since bool) string {
	window := "ms, last 10 s"
	if since {
		window = "ms, all the time"
	}
	head := pad("", nameWidth)
	if c.mode {
		head += pad("", modeWidth)
	}
	for _, title := range []string{"p50", "p95", "p99", "max"} {
		head += fmt.Sprintf("%*s", timeWidth, title)
	}
	if c.wait {
		head += fmt.Sprintf("%*s", timeWidth, "wait")
	}
	head += " " + pad("queue", queueWidth)
	trend := fmt.Sprintf("%*s", c.trend, fmt.Sprintf("last %d s", c.trend))
	if len(trend) <= c.trend {
		head += trend
	}
	return faint.Render(window + head[len(window):]) // the percentiles' titles are further right
}

func (m *model) stageLine(s *wire.Session, r stageRow, c stageColumns) string {
	name := pad(r.name, nameWidth)
	if r.name == s.Total.Name {
		name = bold.Render(name)
	}
	line := name
	if c.mode {
		line += faint.Render(pad(r.mode, modeWidth))
	}
	p50, p95, p99, most := m.percentiles(r.times)
	for _, v := range []float64{p50, p95, p99, most} {
		line += fmt.Sprintf("%*s", timeWidth, ms(v))
	}
	if c.wait {
		wait := ""
		if r.wait != nil {
			v, _, _, _ := m.percentiles(*r.wait)
			wait = ms(v)
		}
		line += fmt.Sprintf("%*s", timeWidth, wait)
	}
	return line + " " + queueBar(r.queue, s.QueueCap) + spark(m.trends.of(s.ID, r.name, c.trend), c.trend)
}

// percentiles are of the last 10 s, or since the start.
func (m *model) percentiles(t wire.Times) (p50, p95, p99, most float64) {
	if r := t.Recent; !m.since && r != nil && r.Count > 0 {
		return r.P50, r.P95, r.P99, r.Max
	}
	return t.P50, t.P95, t.P99, t.Max
}

// queueBar shows how full a queue is, in queueWidth columns.
func queueBar(n, capacity int) string {
	if n < 0 {
		return strings.Repeat(" ", queueWidth)
	}
	cells := queueWidth - 2
	if capacity > 0 {
		cells = min(capacity, cells)
	}
	full := min(n, cells)
	if capacity > cells { // one that is not empty shows
		full = (n*cells + capacity - 1) / capacity
	}
	style := good
	if full == cells {
		style = warn
	}
	return pad(style.Render(strings.Repeat("▮", full))+faint.Render(strings.Repeat("▯", cells-full)), queueWidth)
}

// pad cuts or fills to a width on the screen.
func pad(s string, width int) string {
	s = ansi.Truncate(s, width-1, "…")
	return s + strings.Repeat(" ", max(0, width-ansi.StringWidth(s)))
}
