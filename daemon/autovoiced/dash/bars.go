package dash

import (
	"math"
	"strings"

	"charm.land/lipgloss/v2"
)

// Colours are the terminal's own sixteen, so that they suit its background. Nothing is told by colour alone.
var (
	faint  = lipgloss.NewStyle().Faint(true)
	bold   = lipgloss.NewStyle().Bold(true)
	accent = lipgloss.NewStyle().Foreground(lipgloss.Cyan)
	good   = lipgloss.NewStyle().Foreground(lipgloss.Green)
	warn   = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
	alarm  = lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true)
)

var eighths = []rune("▏▎▍▌▋▊▉█")

// bar fills a part (0 to 1) of width columns, in eighths of a column.
func bar(part float64, width int, style lipgloss.Style) string {
	filled := int(math.Round(8 * float64(width) * max(0, min(part, 1))))
	text := strings.Repeat("█", filled/8)
	if rest := filled % 8; rest > 0 {
		text += string(eighths[rest-1])
	}
	return style.Render(text) + faint.Render(strings.Repeat("·", width-(filled+7)/8))
}

var sparkRunes = []rune("▁▂▃▄▅▆▇█")

// spark draws values from 0 to their largest, at the right of width columns.
func spark(values []float64, width int) string {
	top := 0.
	for _, v := range values {
		top = max(top, v)
	}
	var b strings.Builder
	for _, v := range values {
		at := 0
		if top > 0 {
			at = int(v / top * float64(len(sparkRunes)-1))
		}
		b.WriteRune(sparkRunes[at])
	}
	return strings.Repeat(" ", max(0, width-len(values))) + accent.Render(b.String())
}

const (
	meterFloor = -60 // dBFS at a meter's left end
	meterHigh  = -12 // from here on yellow
	meterHot   = -3  // and red
)

// levelBar draws RMS as a bar and peak as a mark.
func levelBar(rms, peak float64, width int) string {
	at := func(db float64) int {
		return int(math.Round(float64(width) * (1 - max(meterFloor, min(db, 0))/meterFloor)))
	}
	full, mark := at(rms), at(peak)
	var b strings.Builder
	for i := range width {
		zone := good
		switch db := meterFloor * (1 - float64(i)/float64(width)); {
		case db >= meterHot:
			zone = alarm
		case db >= meterHigh:
			zone = warn
		}
		switch {
		case i == mark-1:
			b.WriteString(zone.Bold(true).Render("▌"))
		case i < full:
			b.WriteString(zone.Render("█"))
		default:
			b.WriteString(faint.Render("·"))
		}
	}
	return b.String()
}
