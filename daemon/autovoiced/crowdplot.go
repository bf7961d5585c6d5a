package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// crowdPlot draws p50, p99 and the worst session's p99 against the number of sessions, both axes logarithmic, and the chunk that
// bounds them.
func crowdPlot(f *crowdFigures) []byte {
	const width, height, left, top, right, bottom = 760, 440, 70, 40, 20, 60
	crowds := slices.SortedFunc(slices.Values(f.Crowds), func(a, b crowdMeasured) int { return a.Sessions - b.Sessions })
	most, least, high := 1., math.Inf(1), f.ChunkMS*2
	for _, m := range crowds {
		most, least, high = max(most, float64(m.Sessions)), min(least, float64(m.Sessions)), max(high, m.WorstP99)
	}
	if most == least {
		least, most = least/2, most*2
	}
	const low = 0.1 // ms
	x := func(n float64) float64 { return left + (width-left-right)*math.Log(n/least)/math.Log(most/least) }
	y := func(ms float64) float64 {
		return top + (height-top-bottom)*(1-math.Log(max(ms, low)/low)/math.Log(high/low))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/><text x="%d" y="22" font-size="15">Delay beyond the algorithm's, voice %s on %s %s%s</text>`+"\n",
		width, height, left, f.Voice, f.Provider.Active, f.Provider.Precision, xmlText(" · "+first(f.GPU, f.CPU)))
	for _, ms := range []float64{0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000} {
		if ms >= low && ms <= high {
			fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%g ms</text>`+"\n", left, y(ms), width-right, left-6, y(ms)+4, ms)
		}
	}
	fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#c00" stroke-dasharray="6 4"/><text x="%d" y="%.1f" fill="#c00" text-anchor="end">one chunk</text>`+"\n",
		left, y(f.ChunkMS), width-right, width-right, y(f.ChunkMS)-5)
	for i, line := range []struct {
		name, colour string
		of           func(crowdMeasured) float64
	}{
		{"worst session's p99", "#d95f02", func(m crowdMeasured) float64 { return m.WorstP99 }},
		{"p99 of all replies", "#1b6ca8", func(m crowdMeasured) float64 { return m.Lateness.P99 }},
		{"p50", "#2a9d5c", func(m crowdMeasured) float64 { return m.Lateness.P50 }},
	} {
		path := ""
		for k, m := range crowds {
			path += fmt.Sprintf("%c%.1f %.1f", "ML"[min(k, 1)], x(float64(m.Sessions)), y(line.of(m)))
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`, x(float64(m.Sessions)), y(line.of(m)), line.colour)
		}
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/><text x="%d" y="%d" fill="%s">%s</text>`+"\n",
			path, line.colour, left+12, top+18+18*i, line.colour, xmlText(line.name))
	}
	for last, i := math.Inf(1), len(crowds)-1; i >= 0; i-- { // the largest has its number, others where there is room
		n := crowds[i].Sessions
		if at := x(float64(n)); last-at >= 40 {
			fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%d</text>`+"\n", at, height-bottom+20, n)
			last = at
		}
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">sessions in real time, %g s each</text></svg>`+"\n", (left+width-right)/2, height-14, f.Seconds)
	return []byte(b.String())
}

func xmlText(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
