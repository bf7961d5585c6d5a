package main

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestACrowdsPlotCanBeRead: whatever the order, lines go from left to right, and no number stands on another.
func TestACrowdsPlotCanBeRead(t *testing.T) {
	f := &crowdFigures{ChunkMS: 10, Seconds: 1, Voice: "alma"}
	for _, n := range []int{1000, 1, 64, 750, 500} {
		var m crowdMeasured
		m.Sessions, m.WorstP99 = n, 20
		m.Lateness.P50, m.Lateness.P99 = 1, 10
		f.Crowds = append(f.Crowds, m)
	}
	plot := string(crowdPlot(f))
	ascend := func(what string, least float64, found [][]string) {
		t.Helper()
		for i, last := 0, -1e9; i < len(found); i++ {
			x, err := strconv.ParseFloat(found[i][1], 64)
			if err != nil || x < last+least {
				t.Errorf("%s: %q after %g, %v", what, found[i][0], last, err)
			}
			last = x
		}
	}
	for _, path := range regexp.MustCompile(`<path d="(M[^"]*L[^"]*)"`).FindAllStringSubmatch(plot, -1) {
		ascend("a line", 0, regexp.MustCompile(`[ML]([\d.]+) `).FindAllStringSubmatch(path[1], -1))
	}
	labels := regexp.MustCompile(`<text x="([\d.]+)"[^>]*middle">\d+<`).FindAllStringSubmatch(plot, -1)
	for i := range labels { // drawn from the right
		labels[i][1] = "-" + labels[i][1]
	}
	ascend("numbers", 40, labels)
	if !strings.Contains(plot, ">1000<") || !strings.Contains(plot, ">1<") || len(labels) < 3 {
		t.Errorf("numbers are %v", labels)
	}
}
