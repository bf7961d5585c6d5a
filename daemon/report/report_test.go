package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const results = "../../testdata/report/"

var update = flag.Bool("update", false, "write what is expected anew; then look at the difference")

func load(t *testing.T, name string) *Report {
	t.Helper()
	r, err := Load(results + name)
	if err != nil {
		t.Fatal(err)
	}
	r.Folder = "validation_results" // wherever the test lies
	for i, s := range r.Skipped {
		r.Skipped[i] = strings.ReplaceAll(s, filepath.Clean(results+name), r.Folder)
	}
	return r
}

func TestMarkdown(t *testing.T) {
	for _, name := range []string{"full", "no-tensorrt", "does-not-add"} {
		var b bytes.Buffer
		if err := load(t, name).Markdown(&b); err != nil {
			t.Fatal(err)
		}
		golden := results + name + ".md"
		if *update {
			if err := os.WriteFile(golden, b.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != string(want) {
			t.Errorf("%s is\n%s\nexpected\n%s", name, b.String(), want)
		}
	}
}

// parse goes through a page as XML, which is stricter than any browser, and returns its elements and texts.
func parse(t *testing.T, page []byte) (elements map[string]int, text string) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(withoutPictures(page)))
	d.Entity = xml.HTMLEntity
	elements = map[string]int{}
	var b strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return elements, b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			elements[token.Name.Local]++
			for _, a := range token.Attr {
				if n := a.Name.Local; strings.HasPrefix(n, "on") || n == "href" || n == "src" && !strings.HasPrefix(a.Value, "data:image/png;base64,") {
					t.Errorf("<%s %s=%.40q>", token.Name.Local, n, a.Value)
				}
			}
		case xml.CharData:
			b.Write(token)
		}
	}
}

func TestPageNeedsNothingBesideItself(t *testing.T) {
	r := load(t, "full")
	r.Before, r.After = listen(t, "a<b>.wav", 0), listen(t, "after.wav", 3)
	var b bytes.Buffer
	if err := r.HTML(&b); err != nil {
		t.Fatal(err)
	}
	elements, text := parse(t, b.Bytes())
	rest := withoutPictures(b.Bytes())
	if elements["script"]+elements["link"]+elements["iframe"] > 0 || regexp.MustCompile(`url\(|@import|https?:`).Match(rest) {
		t.Error("the page fetches something")
	}
	if elements["img"] != 2 || elements["svg"] != 4 || elements["figure"] != 4 {
		t.Errorf("%d pictures, %d drawings, %d figures", elements["img"], elements["svg"], elements["figure"])
	}
	for _, want := range []string{"2026-11-20 10:11:12", "0.131", "7.6× real time", "f0_extraction", "236.3", "85 %", "fp16", "met", "a<b>.wav", "+3.0"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
	for _, no := range []string{"NaN", "ZgotmplZ", "%!", "+Inf", "-Inf", "Skipped"} {
		if bytes.Contains(rest, []byte(no)) {
			t.Errorf("%q is on the page", no)
		}
	}
}

// withoutPictures leaves out what is long and may by chance spell any word.
func withoutPictures(page []byte) []byte {
	return regexp.MustCompile(`(data:image/png;base64,)[^"]*`).ReplaceAll(page, []byte("$1"))
}

func TestPageSaysWhatIsMissingOrDoesNotAdd(t *testing.T) {
	var b bytes.Buffer
	if err := load(t, "does-not-add").HTML(&b); err != nil {
		t.Fatal(err)
	}
	elements, text := parse(t, b.Bytes())
	if elements["script"] > 0 || elements["b"] != 4 { // those of the tiles
		t.Errorf("names became elements: %v", elements)
	}
	for _, want := range []string{"beyond ±15 %", "a|b <script>", "<b>cpu</b>", "TensorRT Latency Test: there is no validation_results/latency_tensorrt.json"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
}

func TestDamagedResultsAreRefusedByName(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ name, text, want string }{
		{PerformanceFile, "{", "performance_breakdown.json is not what"},
		{PerformanceFile, `{"rtf": "fast"}`, "rtf"},
		{PerformanceFile, `{}`, "total"},
		{TensorRTFile, `[]`, "latency_tensorrt.json is not what"},
		{GPUFile, `{"average_utilization": "high"}`, "gpu_utilization.json"},
	} {
		path := filepath.Join(dir, c.name)
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %q: %v, expected %q", c.name, c.text, err, c.want)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := Load(dir); err != nil || !r.Empty() {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := Load(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	if _, err := Load(results + "full/" + GPUFile); err == nil || !strings.Contains(err.Error(), "is a file") {
		t.Errorf("a file: %v", err)
	}
}
