package daemon

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	dto "github.com/prometheus/client_model/go"
)

var (
	metricName = regexp.MustCompile(`\b(?:autovoiced|process|go)_[a-z0-9_]+`)
	labelList  = regexp.MustCompile(`\bby \(([a-z, ]+)\)|\{([^}]*)\}`)
	labelName  = regexp.MustCompile(`([a-z_]+)(?:[=!]~?|,|$)`)
)

// TestDashboardAndAlerts: every query names metrics and labels that a scrape has.
func TestDashboardAndAlerts(t *testing.T) {
	d := serve(t, func(c *Config) { c.Voice.Name = tinyVoice })
	speaking(t, d, 1600)
	names, labels := scraped(scrape(t, d))
	for _, f := range newMetrics(d.Daemon).families { // those of which nothing has happened yet
		if f.spread == nil {
			names[f.name] = true
		}
		for _, l := range f.labels {
			labels[l] = true
		}
	}
	queries := append(dashboardQueries(t), alertQueries(t)...)
	if len(queries) < 30 {
		t.Fatalf("%d queries: the files are not read as they are meant", len(queries))
	}
	for _, q := range queries {
		used := metricName.FindAllString(q, -1)
		if len(used) == 0 {
			t.Errorf("no metric in %q", q)
		}
		for _, name := range used {
			if !names[name] {
				t.Errorf("no metric %s, which %q asks for", name, q)
			}
		}
		for _, list := range labelList.FindAllStringSubmatch(q, -1) {
			for _, l := range labelName.FindAllStringSubmatch(list[1]+list[2], -1) {
				if name := strings.TrimSpace(l[1]); !labels[name] {
					t.Errorf("no label %s, which %q asks for", name, q)
				}
			}
		}
	}
}

// scraped are the names of all series and labels; Prometheus itself adds instance and le.
func scraped(families map[string]*dto.MetricFamily) (names, labels map[string]bool) {
	names, labels = map[string]bool{}, map[string]bool{"instance": true, "job": true, "le": true}
	for name, f := range families {
		names[name] = f.GetType() != dto.MetricType_HISTOGRAM
		if f.GetType() == dto.MetricType_HISTOGRAM {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				names[name+suffix] = true
			}
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = true
			}
		}
	}
	return names, labels
}

func dashboardQueries(t *testing.T) (queries []string) {
	t.Helper()
	var board struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	data, err := os.ReadFile("deploy/grafana.json")
	if err == nil {
		err = json.Unmarshal(data, &board)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		if len(p.Targets) == 0 && p.Type != "row" {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			queries = append(queries, target.Expr)
		}
	}
	return queries
}

func alertQueries(t *testing.T) (queries []string) {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	data, err := os.ReadFile("deploy/alerts.yml")
	if err == nil {
		err = yaml.Unmarshal(data, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	manual, err := os.ReadFile("docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			queries = append(queries, r.Expr)
			if !strings.Contains(string(manual), "`"+r.Alert+"`") {
				t.Errorf("docs/operate.md does not say what helps against %s", r.Alert)
			}
		}
	}
	return queries
}

// TestEveryMetricIsExplained: docs/operate.md lists all of them, and none that is not.
func TestEveryMetricIsExplained(t *testing.T) {
	manual, err := os.ReadFile("docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(autovoiced_[a-z_]+)`").FindAllStringSubmatch(string(manual), -1) {
		listed = append(listed, row[1])
	}
	var want []string
	for _, f := range newMetrics(serve(t).Daemon).families {
		want = append(want, f.name)
		if !slices.Contains(listed, f.name) {
			t.Errorf("docs/operate.md lacks %s: %s", f.name, f.help)
		}
	}
	for _, name := range listed {
		if !slices.Contains(want, name) {
			t.Errorf("docs/operate.md lists %s, which is no metric", name)
		}
	}
}

// TestUnits has systemd read the units, where it is installed.
func TestUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	program := regexp.MustCompile(`(?m)^ExecStart=\S+`)
	for unit, scope := range map[string]string{"autovoiced.service": "--system", "autovoiced-user.service": "--user"} {
		text, err := os.ReadFile("deploy/" + unit)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		path := filepath.Join(dir, unit)
		if err := os.WriteFile(path, program.ReplaceAll(text, []byte("ExecStart=/bin/true")), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), analyze, scope, "verify", path)
		cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir)
		out, err := cmd.CombinedOutput()
		if err != nil || strings.Contains(string(out), unit) {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
}
