package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
)

// chart is a plot over time: drawings that are stretched to whatever room there is, with labels that are not.
type chart struct {
	Title, Note string
	Legend      []legend
	Rows        []row
	Times       []label // along the bottom
}

type legend struct{ Class, Name string }

// row is one of a chart's fields, above the others.
type row struct {
	Class   string
	Picture template.URL // a picture behind everything
	SVG     template.HTML
	Values  []label // along the left
	Name    string
}

// label is a text at a share of the way, in percent from the left or from the top.
type label struct {
	At   float64
	Text string
}

// The field that drawings are made in, whatever size they are shown at.
const (
	wide = 1000
	high = 200
)

// pitchChart shows the pitch of one or two recordings, and below when there is a voice.
func pitchChart(before, after *Sound) *chart {
	if before == nil && after == nil {
		return nil
	}
	c := &chart{Title: "Pitch", Note: pitchNote(before, after)}
	low, top := math.Inf(1), math.Inf(-1)
	sounds := present(before, after)
	for _, s := range sounds {
		l, h := s.Range()
		if l > 0 {
			low, top = min(low, l), max(top, h)
		}
	}
	if low > top { // nobody sings
		return nil
	}
	low, top = low*math.Pow(2, -5./12), top*math.Pow(2, 5./12)
	seconds := longest(sounds)
	y := func(hz float64) float64 { return high * (1 - math.Log(hz/low)/math.Log(top/low)) }
	var plot strings.Builder
	var values []label
	for key := 33; key <= 93; key++ {
		if key%12 != 9 && key%12 != 4 { // each A and each E
			continue
		}
		if hz := 440 * math.Pow(2, float64(key-69)/12); hz > low && hz < top {
			fmt.Fprintf(&plot, `<path class="line" d="M0 %.1fH%d"/>`, y(hz), wide)
			values = append(values, label{100 * y(hz) / high, fmt.Sprintf("%.0f", hz)})
		}
	}
	main := row{Class: "tall", Values: values, Name: "Hz"}
	var strips []row
	for _, s := range sounds {
		class := classOf(s, before)
		fmt.Fprintf(&plot, `<path class="curve %s" d="%s"/>`, class, pitchPath(s, seconds, low, top, y))
		c.Legend = append(c.Legend, legend{class, nameOf(s, before)})
		strips = append(strips, row{Class: "strip", SVG: voicingStrip(s, seconds, class)})
	}
	main.SVG = template.HTML(plot.String()) //nolint:gosec // numbers and our own words
	c.Rows = append([]row{main}, strips...)
	c.Times = timeLabels(seconds)
	return c
}

func pitchNote(sounds ...*Sound) string {
	of := "of all that sounds, music too"
	if present(sounds...)[0].Separated {
		of = "of the voice, taken out of the music"
	}
	return "Fundamental frequency " + of + ", every 10 ms; the strips show where it is voiced."
}

// pitchPath draws at most a few thousand points: of a longer recording, each is the median of its neighbours.
func pitchPath(s *Sound, seconds, low, top float64, y func(float64) float64) string {
	const most = 3000
	group := max(1, len(s.pitch)/most)
	var b strings.Builder
	drawing, before := false, 0.0
	for i := 0; i < len(s.pitch); i += group {
		hz := median(voiced(s.pitch[i:min(i+group, len(s.pitch))]))
		if hz < low || hz > top {
			drawing = false
			continue
		}
		command := byte('L')
		if !drawing || math.Abs(math.Log2(hz/before)) > 0.5 { // a jump is no glide
			command = 'M'
		}
		fmt.Fprintf(&b, "%c%.1f %.1f", command, float64(i)/pitchEvery/seconds*wide, y(hz))
		if command == 'M' {
			b.WriteString("h.6") // one hop alone would not be seen
		}
		drawing, before = true, hz
	}
	return b.String()
}

// voicingStrip fills where there is a pitch.
func voicingStrip(s *Sound, seconds float64, class string) template.HTML {
	var b strings.Builder
	on := -1
	x := func(i int) float64 { return float64(i) / pitchEvery / seconds * wide }
	for i := 0; i <= len(s.pitch); i++ {
		has := i < len(s.pitch) && s.pitch[i] > 0
		if has && on < 0 {
			on = i
		}
		if !has && on >= 0 {
			if len(s.pitch) < 60_000 || x(i)-x(on) > 0.5 { // of ten minutes and more, what is seen
				fmt.Fprintf(&b, "M%.1f 0H%.1fV%dH%.1fz", x(on), x(i), high, x(on))
			}
			on = -1
		}
	}
	return template.HTML(fmt.Sprintf(`<path class="fill %s" d="%s"/>`, class, b.String())) //nolint:gosec // as above
}

// levelChart shows how loud the recordings are.
func levelChart(before, after *Sound) *chart {
	sounds := present(before, after)
	if len(sounds) == 0 {
		return nil
	}
	const floor = -60.0
	seconds := longest(sounds)
	c := &chart{Title: "Level", Note: "RMS.", Times: timeLabels(seconds)}
	y := func(db float64) float64 { return high * min(1, max(0, db/floor)) }
	var plot strings.Builder
	r := row{Class: "short", Name: "dBFS"}
	for db := -15.0; db > floor; db -= 15 {
		fmt.Fprintf(&plot, `<path class="line" d="M0 %.1fH%d"/>`, y(db), wide)
		r.Values = append(r.Values, label{100 * y(db) / high, fmt.Sprintf("%.0f", db)})
	}
	for _, s := range sounds {
		class := classOf(s, before)
		fmt.Fprintf(&plot, `<path class="curve %s" d="`, class)
		for i, db := range s.levels {
			fmt.Fprintf(&plot, "%c%.1f %.1f", "LM"[btoi(i == 0)], (float64(i)+0.5)/columns*wide*s.Seconds/seconds, y(db))
		}
		plot.WriteString(`"/>`)
		c.Legend = append(c.Legend, legend{class, nameOf(s, before)})
	}
	r.SVG = template.HTML(plot.String()) //nolint:gosec // as above
	c.Rows = []row{r}
	return c
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// present are those that there are.
func present(sounds ...*Sound) []*Sound {
	return slices.DeleteFunc(slices.Clone(sounds), func(s *Sound) bool { return s == nil })
}

func longest(sounds []*Sound) float64 {
	most := 1e-3
	for _, s := range sounds {
		most = max(most, s.Seconds)
	}
	return most
}

func classOf(s, before *Sound) string {
	if s == before {
		return "before"
	}
	return "after"
}

func nameOf(s, before *Sound) string {
	if s == before {
		return "before"
	}
	return "after"
}

// timeLabels are at round times, about six of them.
func timeLabels(seconds float64) (all []label) {
	step := 0.001
	for _, s := range []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600} {
		if step = s; seconds/s <= 7 {
			break
		}
	}
	for i := 0; float64(i)*step <= seconds*0.95; i++ { // a text at the very end would stand out of the field
		t := float64(i) * step
		all = append(all, label{100 * t / seconds, clock(t, step)})
	}
	return all
}

func clock(t, step float64) string {
	switch {
	case step >= 10:
		return fmt.Sprintf("%d:%02d", int(t)/60, int(t)%60)
	case step >= 1:
		return fmt.Sprintf("%.0f s", t)
	case step >= 0.1:
		return fmt.Sprintf("%.1f s", t)
	}
	return fmt.Sprintf("%.2f s", t)
}

// frequencyLabels are those of a spectrogram.
func (s *spectrogram) labels() (all []label) {
	for _, hz := range []float64{100, 200, 500, 1000, 2000, 5000, 10000} {
		if hz > s.top*0.95 {
			break
		}
		text := fmt.Sprintf("%.0f", hz)
		if hz >= 1000 {
			text = fmt.Sprintf("%.0fk", hz/1000)
		}
		all = append(all, label{100 * (1 - math.Log(hz/lowest)/math.Log(s.top/lowest)), text})
	}
	return all
}

// note names the key nearest to a frequency: A4 is 440 Hz.
func note(hz float64) string {
	if hz <= 0 {
		return "none"
	}
	names := []string{"C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"}
	key := int(math.Round(69 + 12*math.Log2(hz/440)))
	return fmt.Sprintf("%s%d", names[((key%12)+12)%12], key/12-1)
}
