package dash

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/autovoiced/autovoiced/client/wire"
)

// View implements tea.Model: a head, what is shown, what is left for the log, and the keys.
func (m *model) View() tea.View {
	v := tea.NewView(strings.Join(m.draw(), "\n"))
	v.AltScreen, v.WindowTitle = true, "autovoiced"
	return v
}

// draw gives exactly as many lines as the terminal has, none wider than it.
func (m *model) draw() []string {
	var lines []string
	switch {
	case m.help:
		lines = append(m.head(), wrap(m.helpLines(), m.width)...)
	case m.picker != nil:
		lines = append(m.head(), m.picker.lines(m.height-5)...)
	default:
		lines = append(m.head(), m.body()...)
	}
	room := max(0, m.height-1)
	if tail := m.tail(room - len(lines)); len(tail) > 0 {
		lines = append(lines, tail...)
	}
	for len(lines) < room {
		lines = append(lines, "")
	}
	lines = append(lines[:room], m.foot())
	for i, line := range lines {
		lines[i] = ansi.Truncate(line, m.width, "…")
	}
	return lines
}

// head is the daemon, its models and its sound card.
func (m *model) head() []string {
	s := m.status
	if s == nil {
		return []string{bold.Render("autovoiced") + "  " + warn.Render("starting") + " …"}
	}
	state := good.Render("● " + s.State)
	if s.State != "running" {
		state = warn.Render("○ " + s.State)
	}
	lines := []string{
		m.sides(bold.Render("autovoiced")+" "+clean(s.Version)+"  "+state+"  up "+clockText(s.UptimeSeconds),
			fmt.Sprintf("%d of %s", s.Totals.SessionsActive, counted(s.Totals.Sessions, "session"))),
		m.sides(m.provider(s.Provider), trouble(s)),
	}
	if s.Fault != "" {
		lines = append(lines, alarm.Render(clean(s.Fault)))
	}
	if b := s.Building; b != nil {
		lines = append(lines, m.building(b))
	}
	for i := range s.Batching {
		if b := &s.Batching[i]; b.Sessions > 1 {
			lines = append(lines, m.batching(b))
		}
	}
	if s.Device.State != "off" {
		lines = append(lines, m.device(s.Device))
	}
	return append(lines, songs(s.Jobs)...)
}

// songs are those that are converted now, a line each, the first with how many wait.
func songs(j wire.Jobs) []string {
	var lines []string
	for i := range j.Running {
		one := &j.Running[i]
		lines = append(lines, faint.Render("song   ")+bar(one.Progress, 16, accent)+" "+songText(one))
	}
	if len(lines) > 0 && j.Queued > 0 {
		lines[0] += faint.Render(fmt.Sprintf("  +%d waiting", j.Queued))
	}
	return lines
}

// batching is how many share the model, and how much more it can bear.
func (m *model) batching(b *wire.Batching) string {
	text := fmt.Sprintf("%s: %d conversations, load %.0f %%, %d hops wait", clean(b.Pack), b.Sessions, b.LoadPercent, b.Waiting)
	if b.Late > 0 {
		text += warn.Render(fmt.Sprintf(", %d late", b.Late))
	}
	return faint.Render("share  ") + text
}

// building shows how far an engine is, as far as anybody knows.
func (m *model) building(b *wire.Building) string {
	text := buildingText(b)
	if b.EstimateSeconds > 0 && !b.Waiting {
		text = bar(b.ElapsedSeconds/b.EstimateSeconds, 20, accent) + " " + text
	}
	return faint.Render("engine ") + text
}

// provider tells what runs from what was asked for.
func (m *model) provider(p wire.Provider) string {
	text := faint.Render("models ") + accent.Render(p.Active+" "+p.Precision)
	if p.Requested != p.Active {
		asked := "asked: " + p.Requested
		if p.Requested == "auto" {
			asked = faint.Render(asked)
		} else {
			asked = alarm.Render(asked)
		}
		text += " (" + asked + ")"
	}
	return text + nodesText(p)
}

func trouble(s *wire.Status) string {
	if text := countText("errors", s.Totals.Errors); text != "" {
		return warn.Render(text)
	}
	return ""
}

func (m *model) device(d wire.Device) string {
	style := warn
	switch d.State {
	case "running":
		style = good
	case "unavailable", "failed":
		style = alarm
	}
	text := faint.Render("sound  ") + style.Render(d.State)
	if d.Input != "" || d.Output != "" {
		each := max(12, (m.width-30)/2)
		text += "  " + ansi.Truncate(clean(d.Input), each, "…") + faint.Render(" → ") + ansi.Truncate(clean(d.Output), each, "…")
	}
	if d.Error != "" {
		text += "  " + clean(d.Error)
	}
	return text
}

// body is the session shown, and the others in a line each.
func (m *model) body() []string {
	s := m.shown()
	if s == nil {
		return wrap([]string{"", "Nobody speaks. Sessions show here while a client streams to /v1/stream, or a sound card is open: " +
			"`autovoiced live`, or audio.enabled in the settings."}, m.width)
	}
	lines := append([]string{m.rule(s)}, m.stageTable(s)...)
	lines = append(lines, m.gauges(s)...)
	for i := range m.status.Sessions {
		if other := &m.status.Sessions[i]; other.ID != s.ID {
			lines = append(lines, faint.Render(sessionLine(other)))
		}
	}
	return lines
}

func (m *model) rule(s *wire.Session) string {
	text := fmt.Sprintf("── %s  voice %s  %s  %g ms chunks ", s.ID, clean(s.Voice), formatText(s.Format), s.ChunkMS)
	if n := len(m.status.Sessions); n > 1 {
		text += fmt.Sprintf(" %d/%d ", m.shownAt()+1, n)
	}
	text = ansi.Truncate(text, m.width, "…")
	return bold.Render(text) + faint.Render(strings.Repeat("─", max(0, m.width-ansi.StringWidth(text))))
}

const labelWidth = 8

func label(s string) string { return faint.Render(pad(s, labelWidth)) }

// gauges are load, delay, levels, and what was lost.
func (m *model) gauges(s *wire.Session) []string {
	width := max(10, min(40, m.width-48))
	p50, _, p99, most := m.percentiles(s.Total.Compute)
	lines := []string{
		label("load") + bar(s.LoadPercent/100, width, loadStyle(s.LoadPercent)) + fmt.Sprintf(" %5.1f %%  RTF %.3f%s", s.LoadPercent, s.RTF, faults(s)),
		label("delay") + fmt.Sprintf("p50 %s  p99 %s  max %s ms  algorithmic latency %.1f ms", ms(p50), ms(p99), ms(most), s.AlgorithmicLatencyMS),
		label("in") + levelBar(s.Levels.InRMS, s.Levels.InPeak, width) + levelText(s.Levels.InRMS, s.Levels.InPeak),
		label("out") + levelBar(s.Levels.OutRMS, s.Levels.OutPeak, width) + levelText(s.Levels.OutRMS, s.Levels.OutPeak),
		ledgerLine(s.Ledger),
	}
	if s.Kind == "device" {
		lines = append(lines, xrunLine(m.status.Device))
	}
	if s.Settings != nil {
		lines = append(lines, label("sounds")+settingsText(s))
	}
	return lines
}

func loadStyle(percent float64) lipgloss.Style {
	switch {
	case percent >= 90:
		return alarm
	case percent >= 60:
		return warn
	default:
		return good
	}
}

func faults(s *wire.Session) string {
	text := ""
	for _, c := range []struct {
		n    uint64
		what string
	}{{s.Overloads, "overloads"}, {s.Discontinuities, "gaps"}, {s.BadSamples, "bad samples"}} {
		if c.n > 0 {
			text += "  " + warn.Render(fmt.Sprintf("%s %d", c.what, c.n))
		}
	}
	return text
}

func levelText(rms, peak float64) string { return fmt.Sprintf(" %6.1f dBFS  peak %6.1f", rms, peak) }

func ledgerLine(l wire.Ledger) string {
	text := strings.TrimPrefix(Ledger(l), "frames ")
	if !l.Balanced() {
		text = alarm.Render(text)
	} else if l.DroppedFrames() > 0 {
		text = warn.Render(text)
	}
	return label("frames") + text
}

func xrunLine(d wire.Device) string {
	text := strings.TrimPrefix(xrunText(d), "xruns ")
	if x := d.Xruns; x.InputOverflow+x.InputUnderflow+x.OutputOverflow+x.OutputUnderflow+x.Rebuffers > 0 {
		text = warn.Render(text)
	}
	return label("xruns") + text
}

func settingsText(one *wire.Session) string {
	s := one.Settings
	on := func(is bool, what string) string {
		if is {
			return warn.Render(strings.ToUpper(what))
		}
		return faint.Render(what + " off")
	}
	parts := []string{"pitch auto"}
	if !s.Pitch.Auto {
		parts[0] = fmt.Sprintf("pitch %+.1f", s.Pitch.Semitones)
	}
	if s.Mix.GainDB != 0 {
		parts = append(parts, fmt.Sprintf("gain %+.1f dB", s.Mix.GainDB))
	}
	if s.Mix.DryWet != 1 {
		parts = append(parts, fmt.Sprintf("converted %.0f %%", 100*s.Mix.DryWet))
	}
	parts = append(parts, on(s.Mute, "mute"), on(s.Monitor, "monitor"))
	if one.Recording {
		parts = append(parts, alarm.Render("● recording"))
	}
	return strings.Join(parts, "  ")
}

// tail is the log's last lines in the room that is left, under a line that keeps them apart.
func (m *model) tail(room int) []string {
	n := min(len(m.log), room-1)
	if n < 1 {
		return nil
	}
	return append([]string{faint.Render("── log " + strings.Repeat("─", max(0, m.width-7)))}, m.log[len(m.log)-n:]...)
}

// foot is what the last key came to, else the keys.
func (m *model) foot() string {
	if m.told.text != "" && time.Since(m.told.at) < toldTime {
		style := accent
		if m.told.wrong {
			style = alarm
		}
		return style.Render(clean(m.told.text))
	}
	return m.keyLine()
}

// sides puts two texts at the ends of a line; the right one goes where both do not fit.
func (m *model) sides(left, right string) string {
	room := m.width - ansi.StringWidth(left) - ansi.StringWidth(right)
	if right == "" || room < 2 {
		return left
	}
	return left + strings.Repeat(" ", room) + right
}

func wrap(lines []string, width int) []string {
	var out []string
	for _, line := range lines {
		out = append(out, strings.Split(ansi.Wordwrap(line, width, ""), "\n")...)
	}
	return out
}

func counted(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
