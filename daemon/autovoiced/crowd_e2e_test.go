//go:build e2e

package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A crowd is heard and answered, all of it; what was measured adds up. How late it was is the machine's affair.
func TestE2EBenchSessions(t *testing.T) {
	plot := filepath.Join(t.TempDir(), "plot.svg")
	r := autovoiced(t, "bench", "--sessions", "1,3", "--for", "2s", "--voice", "passthrough", "--rate", "48000", "--json", "--plot", plot)
	if r.code != 0 {
		t.Fatalf("exit %d: %s", r.code, r.err)
	}
	var f crowdFigures
	if err := json.Unmarshal([]byte(r.out), &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Crowds) != 2 || f.Voice != "passthrough" || f.Rate != 48000 || f.Provider.Active != "cpu" || f.CPUs < 1 {
		t.Fatalf("%+v", f)
	}
	for i, n := range []int{1, 3} {
		m := f.Crowds[i]
		// Replies are counted between two moments: those on their way at either are not.
		if m.Sessions != n || m.Replies < n*100 || m.CPUPerChunk <= 0 || m.Lateness.P50 > m.Lateness.P99 || m.Lateness.P99 > m.Lateness.Max ||
			m.WorstP99 < m.MedianP99 || m.InTime > n || m.StageMeansUS["conversion"] <= 0 {
			t.Errorf("%d sessions: %+v", n, m)
		}
	}
	text, err := os.ReadFile(plot)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(string(text))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the plot is no XML: %v", err)
		}
	}
	if !strings.Contains(string(text), "one chunk") {
		t.Error("the plot does not show the bound")
	}
	for _, args := range [][]string{{"--sessions", "0"}, {"--sessions", "1", "--rate", "100"}} {
		if r := autovoiced(t, append([]string{"bench"}, args...)...); r.code != exitUsage || !strings.Contains(r.err, "allowed") {
			t.Errorf("%v: exit %d, %s", args, r.code, r.err)
		}
	}
}
