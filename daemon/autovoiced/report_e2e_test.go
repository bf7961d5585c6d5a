//go:build e2e

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestE2EReport(t *testing.T) {
	const results = "../../testdata/report/full"
	dir := filepath.Join(t.TempDir(), "new")
	r := autovoiced(t, "report", results, "-o", dir, "--before", sample, "--after", "../../testdata/audio/formats/cbr.mp3").wantSuccess(t)
	text, err := os.ReadFile(filepath.Join(dir, "report.md"))
	if err != nil || string(text) != r.out {
		t.Errorf("%v, report.md:\n%s\nprinted:\n%s", err, text, r.out)
	}
	for _, want := range []string{"## Performance Benchmarks", "### Stage Breakdown", "## TensorRT Latency Test", "| Recording | kumo-plain.flac | cbr.mp3 |"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("%q is not in it:\n%s", want, r.out)
		}
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil || !strings.HasPrefix(string(page), "<!DOCTYPE html>") || !strings.HasSuffix(string(page), "</html>\n") {
		t.Errorf("a page of %d bytes, %v", len(page), err)
	}
	autovoiced(t, "report", "no/such/folder").wantFailure(t, exitFile, "no/such/folder", "autovoiced convert")
	autovoiced(t, "report", t.TempDir()).wantFailure(t, exitFile, "nothing to report", "performance_breakdown.json")
	autovoiced(t, "report", results, "-o", dir, "--before", "no.wav").wantFailure(t, exitFile, "no.wav")
}
