package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/autovoiced/autovoiced/daemon/song"
)

// progress shows how far a song is.
type progress interface {
	show(p song.Progress)
	close()
}

// progress is bars on a terminal, lines of JSON where they are wanted, and nothing elsewhere.
func (c *convertCmd) progress(e *env) progress {
	switch {
	case c.Quiet:
		return noProgress{}
	case c.JSON:
		return &jsonProgress{out: e.out}
	case term.IsTerminal(int(e.errOut.Fd())):
		b := &barProgress{out: e.errOut}
		b.draw("opening the voice and the models of songs …") // seconds, in which nothing else would be seen
		return b
	}
	return noProgress{}
}

type noProgress struct{}

func (noProgress) show(song.Progress) {}
func (noProgress) close()             {}

// jsonEvery is how often a program hears of it.
const jsonEvery = 500 * time.Millisecond

// jsonProgress is a line for a program.
type jsonProgress struct {
	out  io.Writer
	last time.Time
}

func (j *jsonProgress) show(p song.Progress) {
	if now := time.Now(); now.Sub(j.last) >= jsonEvery {
		j.last = now
		_ = writeLine(j.out, progressLine(p)) // whoever reads has gone: the result tells
	}
}

func (j *jsonProgress) close() {}

// progressFields is a line of progress, in the words of a job's.
type progressFields struct {
	Type           string        `json:"type"`
	Stage          string        `json:"stage"`
	Progress       float64       `json:"progress"`
	AudioSeconds   float64       `json:"audio_seconds"`
	ElapsedSeconds float64       `json:"elapsed_seconds"`
	ETASeconds     float64       `json:"eta_seconds"`
	Stages         []stageFields `json:"stages"`
}

type stageFields struct {
	Name        string  `json:"name"`
	DoneSeconds float64 `json:"done_seconds"`
	Speed       float64 `json:"speed"`
	ETASeconds  float64 `json:"eta_seconds"`
}

func progressLine(p song.Progress) progressFields {
	out := progressFields{
		Type: "progress", Stage: p.Stage, Progress: p.Done,
		AudioSeconds: p.Song.Seconds(), ElapsedSeconds: p.Elapsed.Seconds(), ETASeconds: p.Left.Seconds(), Stages: []stageFields{},
	}
	for _, s := range p.Stages {
		if s.Name != "" {
			out.Stages = append(out.Stages, stageFields{s.Name, s.Done.Seconds(), s.Speed, s.Left.Seconds()})
		}
	}
	return out
}

func writeLine(out io.Writer, v any) error {
	return json.NewEncoder(out).Encode(v)
}

// barProgress is a bar for each stage, drawn over the last one's.
type barProgress struct {
	out   *os.File
	lines int // on the screen
}

func (b *barProgress) show(p song.Progress) {
	width, _, err := term.GetSize(int(b.out.Fd()))
	if err != nil {
		width = 80
	}
	b.draw(progressBars(p, width)...)
}

func (b *barProgress) draw(lines ...string) {
	var text strings.Builder
	if b.lines > 0 {
		fmt.Fprintf(&text, "\x1b[%dA", b.lines)
	}
	for _, line := range lines {
		text.WriteString("\r\x1b[K" + line + "\n")
	}
	b.lines = len(lines)
	fmt.Fprint(b.out, text.String())
}

// close takes the bars away: the line that follows says it all.
func (b *barProgress) close() {
	if b.lines > 0 {
		fmt.Fprintf(b.out, "\x1b[%dA\x1b[J", b.lines)
	}
}

// progressBars are a line for each stage: how far, how many times faster than real time, and how long still.
func progressBars(p song.Progress, width int) (lines []string) {
	for _, s := range p.Stages {
		if s.Name != "" {
			lines = append(lines, progressBar(s.Name, part(s.Done, p.Song), s.Speed, s.Left, width))
		}
	}
	speed := 0.
	if p.Elapsed > 0 {
		speed = p.Done * p.Song.Seconds() / p.Elapsed.Seconds()
	}
	return append(lines, progressBar("all", p.Done, speed, p.Left, width))
}

func part(done, all time.Duration) float64 {
	if all <= 0 {
		return 0
	}
	return min(1, float64(done)/float64(all))
}

// progressTexts is how wide a line is without its bar.
const progressTexts = len("f0_extraction  ") + len("  100 %   1000.0×   00:00:00 left")

func progressBar(name string, done, speed float64, left time.Duration, width int) string {
	wide := max(5, min(40, width-1-progressTexts))
	n := int(float64(wide) * done)
	line := fmt.Sprintf("%-13s  %s%s  %3.0f %%", name, strings.Repeat("█", n), strings.Repeat("·", wide-n), 100*done)
	times, rest := "", ""
	if speed > 0 {
		times = fmt.Sprintf("%.1f×", speed)
	}
	if left > 0 {
		rest = clockText(left) + " left"
	}
	return strings.TrimRight(line+fmt.Sprintf("   %7s   %s", times, rest), " ")
}

func clockText(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}
