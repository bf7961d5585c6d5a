package report

import (
	_ "embed" // the page
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"percent": func(v float64) string { return fmt.Sprintf("%.1f %%", v) },
	"ms":      func(v float64) string { return fmt.Sprintf("%.1f", v) },
	"style":   func(v float64) template.CSS { return template.CSS(fmt.Sprintf("%.3f%%", v)) }, //nolint:gosec // a number
}).Parse(pageText))

// tile is a figure that one sees first.
type tile struct{ Name, Value, Note string }

// bar is a stage as it is drawn.
type bar struct {
	Stage
	Class string
	Width float64 // percent of the longest
	From  float64 // percent of the total before it
}

// pageData is what the page shows.
type pageData struct {
	*Report
	Title    string
	Tiles    []tile
	Bars     []bar
	Rest     float64 // percent of the total that is in no stage
	Ends     []label
	TensorRT []fact
	Sounds   [][3]string
	Likeness string
	Charts   []*chart
}

// HTML writes the report as a page that needs nothing beside itself.
func (r *Report) HTML(w io.Writer) error {
	d := pageData{Report: r, Title: "autovoiced report", Sounds: soundRows(r.Before, r.After)}
	if p := r.Performance; p != nil {
		d.Tiles, d.Bars = p.tiles(), p.bars()
		d.Rest = max(0, 100-p.Sum())
		d.Ends = timeLabels(p.Total() / 1000)
	}
	if r.TensorRT != nil {
		d.TensorRT = r.TensorRT.facts()
	}
	if r.Before != nil && r.After != nil {
		if l, ok := Compare(r.Before, r.After); ok {
			d.Likeness = l.String()
		}
	}
	for _, c := range []*chart{pitchChart(r.Before, r.After), levelChart(r.Before, r.After)} {
		if c != nil {
			d.Charts = append(d.Charts, c)
		}
	}
	for _, s := range present(r.Before, r.After) {
		c, err := spectrogramChart(s, nameOf(s, r.Before))
		if err != nil {
			return err
		}
		d.Charts = append(d.Charts, c)
	}
	return page.Execute(w, d)
}

func (p *Performance) tiles() []tile {
	speed := "—"
	if p.RTF > 0 {
		speed = fmt.Sprintf("%.1f× real time", 1/p.RTF)
	}
	all := []tile{
		{"Real-time factor", fmt.Sprintf("%.3f", p.RTF), speed},
		{"Total time", fmt.Sprintf("%.2f s", p.TotalTimeSeconds), fmt.Sprintf("for %.2f s of audio", p.AudioDurationSeconds)},
		{"Device", p.Device, p.Timestamp},
	}
	if p.GPUUtilization != nil {
		all = append(all, tile{"GPU utilization", fmt.Sprintf("%.0f %%", *p.GPUUtilization), "average"})
	}
	sum := "within ±15 %"
	if !p.Adds() {
		sum = "beyond ±15 %: time went elsewhere"
	}
	return append(all, tile{"Stages of total", fmt.Sprintf("%.1f %%", p.Sum()), sum})
}

func (p *Performance) bars() (all []bar) {
	longest, from := 0.0, 0.0
	for _, s := range p.Stages() {
		longest = max(longest, s.MS)
	}
	scale := max(p.Total(), p.Total()*p.Sum()/100) // stages that overlap do not run out of the picture
	for i, s := range p.Stages() {
		class := fmt.Sprintf("s%d", min(i, 4))
		all = append(all, bar{Stage: Stage{s.Name, s.MS, s.Percent}, Class: class, Width: 100 * s.MS / math.Max(longest, 1e-9), From: from})
		from += 100 * s.MS / scale
	}
	return all
}

// Share is how much of the time line the stage takes, in percent.
func (b bar) Share(p *Performance) float64 {
	return 100 * b.MS / max(p.Total(), p.Total()*p.Sum()/100)
}

func spectrogramChart(s *Sound, which string) (*chart, error) {
	b, err := s.spectrogram.png()
	if err != nil {
		return nil, err
	}
	picture := template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b)) //nolint:gosec // base64
	return &chart{
		Title: "Spectrogram " + which, Note: fmt.Sprintf("%s; octaves upwards, %.0f dB from black to white.", s.Name, darkest),
		Rows:  []row{{Class: "tall", Picture: picture, Values: s.spectrogram.labels(), Name: "Hz"}},
		Times: timeLabels(s.Seconds),
	}, nil
}
