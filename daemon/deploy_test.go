package daemon

import (
	"encoding/json"
	"net/http"
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

// TestAlertsByPromtool has Prometheus' own tool read the alerts, where it is installed.
func TestAlertsByPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: Debian has it in prometheus")
	}
	out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", "deploy/alerts.yml").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "SUCCESS") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestUnits has systemd read the units.
func TestUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("systemd-analyze: .ci/deps test installs it with systemd")
		}
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

// TestYAML: what a container runs on, and what the documents show, is YAML; Kubernetes looks where the daemon is.
func TestYAML(t *testing.T) {
	docs, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, doc := range docs {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range regexp.MustCompile("(?ms)^```yaml\n(.*?)^```").FindAllSubmatch(text, -1) {
			shown++
			var anything map[string]any
			if err := yaml.UnmarshalWithOptions(b[1], &anything, yaml.Strict()); err != nil || len(anything) == 0 {
				t.Errorf("%s: %v\n%s", doc, err, b[1])
			}
		}
	}
	if shown == 0 {
		t.Error("the documents show no YAML")
	}
	type probe struct {
		HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
	}
	var deployment struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Ports []struct {
							Name          string
							ContainerPort int `yaml:"containerPort"`
						}
						Startup         probe                              `yaml:"startupProbe"`
						Readiness       probe                              `yaml:"readinessProbe"`
						Liveness        probe                              `yaml:"livenessProbe"`
						VolumeMounts    []struct{ Name, MountPath string } `yaml:"volumeMounts"`
						SecurityContext map[string]any                     `yaml:"securityContext"`
					}
					Volumes []struct{ Name string }
				}
			}
		}
	}
	text, err := os.ReadFile("deploy/kubernetes.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &deployment) // its first document
	}
	if err != nil || len(deployment.Spec.Template.Spec.Containers) != 1 {
		t.Fatalf("%v: %+v", err, deployment)
	}
	c := deployment.Spec.Template.Spec.Containers[0]
	d := serve(t)
	for name, p := range map[string]probe{"startup": c.Startup, "readiness": c.Readiness, "liveness": c.Liveness} {
		answer, err := http.Get(d.url + p.HTTPGet.Path)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK || p.HTTPGet.Port != c.Ports[0].Name {
			t.Errorf("the %s probe asks %+v, which answers %d", name, p.HTTPGet, answer.StatusCode)
		}
	}
	for _, m := range c.VolumeMounts {
		if !slices.ContainsFunc(deployment.Spec.Template.Spec.Volumes, func(v struct{ Name string }) bool { return v.Name == m.Name }) {
			t.Errorf("no volume %s for %s", m.Name, m.MountPath)
		}
	}
}

// TestEveryVariableIsASetting: no document and no file for deployment names a variable that nothing reads.
func TestEveryVariableIsASetting(t *testing.T) {
	known := []string{
		"AUTOVOICED_SECTION_KEY",                                                                   // how they are made up
		"AUTOVOICED_SOAK", "AUTOVOICED_SCREENSHOTS", "AUTOVOICED_FIGURES", "AUTOVOICED_SONG_BENCH", // of tests
	}
	cfg := Default()
	for _, s := range settings(&cfg) {
		known = append(known, envName(s.path))
	}
	seen := 0
	for _, pattern := range []string{"../*.md", "docs/*.md", "deploy/*", "../client/wire/*.md", "autovoiced/help.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range regexp.MustCompile(`AUTOVOICED_[A-Z_]*[A-Z]`).FindAllString(string(text), -1) {
				seen++
				if !slices.Contains(known, name) {
					t.Errorf("%s: nothing reads %s", file, name)
				}
			}
		}
	}
	if seen < 15 {
		t.Errorf("%d variables are seen", seen)
	}
}
