package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/autovoiced/autovoiced/daemon/song"
)

// TestBarsStandBelowEachOther: in 80 columns, whatever is known of a stage yet.
func TestBarsStandBelowEachOther(t *testing.T) {
	lines := progressBars(song.Progress{
		Song: time.Minute, Done: 0.5, Elapsed: 10 * time.Second, Left: 10 * time.Second,
		Stages: [...]song.StageProgress{
			{Name: "separation", Done: time.Minute, Speed: 1234.5},
			{Name: "f0_extraction", Done: 30 * time.Second, Speed: 12.5, Left: 3 * time.Second},
			{Name: "conversion", Left: 3 * time.Hour},
			{},
		},
	}, 80)
	if len(lines) != 4 {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	column := func(line, of string) int { return utf8.RuneCountInString(line[:strings.Index(line, of)+len(of)]) }
	if a, b := column(lines[1], "×"), column(lines[0], "×"); a != b {
		t.Errorf("speeds end in columns %d and %d", a, b)
	}
	for _, line := range lines[2:] {
		if a, b := column(lines[1], "left"), column(line, "left"); a != b {
			t.Errorf("times end in columns %d and %d:\n%s", a, b, strings.Join(lines, "\n"))
		}
	}
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n > 79 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}

// TestNothingIsLeftOfTheBars: as many lines are gone up as were drawn, and the rest of the screen is cleared.
func TestNothingIsLeftOfTheBars(t *testing.T) {
	path := filepath.Join(t.TempDir(), "screen")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	b := &barProgress{out: out}
	b.draw("opening")
	b.draw("one", "two")
	b.draw("three", "four")
	b.close()
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const want = "\r\x1b[Kopening\n" + "\x1b[1A\r\x1b[Kone\n\r\x1b[Ktwo\n" + "\x1b[2A\r\x1b[Kthree\n\r\x1b[Kfour\n" + "\x1b[2A\x1b[J"
	if string(text) != want {
		t.Errorf("drawn was\n%q, want\n%q", text, want)
	}
}
