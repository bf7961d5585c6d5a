package daemon

import (
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/stream"
)

// The annotated sample teaches the defaults, so it must be them: every key, in the same order.
func TestSampleEqualsDefaults(t *testing.T) {
	data, err := os.ReadFile("../config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseConfig("config.yaml", data, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	for _, s := range settings(&want) {
		section, key, _ := strings.Cut(s.path, ".")
		if !strings.Contains(string(data), "\n"+section+":\n") || !strings.Contains(string(data), "\n  "+key+": ") {
			t.Errorf("config.yaml does not show %s", s.path)
		}
	}
	if !reflect.DeepEqual(got, want) {
		a, b := settings(&got), settings(&want)
		for i := range a {
			if a[i].text() != b[i].text() {
				t.Errorf("%s is %s in config.yaml and %s in Default", a[i].path, a[i].text(), b[i].text())
			}
		}
		t.Fatal("config.yaml differs from Default()")
	}
}

// The sample must name each bound that the code enforces.
func TestSampleStatesBounds(t *testing.T) {
	data, err := os.ReadFile("../config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := Default()
	section, comment, afterKey, text := "", "", false, map[string]string{}
	for line := range strings.Lines(string(data)) {
		trimmed := strings.TrimSpace(line)
		key, _, isKey := strings.Cut(trimmed, ":")
		switch {
		case strings.HasPrefix(trimmed, "#"):
			if afterKey { // the next key's comment begins; one comment may serve neighbours
				comment, afterKey = "", false
			}
			comment += trimmed
		case isKey && !strings.HasPrefix(line, " "):
			section, comment = key, ""
		case isKey:
			text[section+"."+key], afterKey = comment, true
		}
	}
	for _, s := range settings(&c) {
		for _, tag := range []string{"min", "max"} {
			bound, ok := s.tag.Lookup(tag)
			if ok && s.path != "mixing.dry_wet" && !strings.Contains(text[s.path], bound) {
				t.Errorf("the comment of %s does not name its %s, %s", s.path, tag, bound)
			}
		}
		for word := range strings.FieldsSeq(s.tag.Get("oneof")) {
			if !strings.Contains(text[s.path], word) {
				t.Errorf("the comment of %s does not name %s", s.path, word)
			}
		}
	}
}

// The stages' own defaults are what is shown as the default.
func TestDefaultsAreTheRooms(t *testing.T) {
	c := Default()
	if got, want := c.Separation.config(c.Separation.gate()), stream.DefaultSeparationConfig(); got != want {
		t.Errorf("separation is %+v, the stage's default %+v", got, want)
	}
	mixing := stream.MixingConfig{
		GainDB: c.Mixing.GainDB, DryWet: c.Mixing.DryWet, Monitor: c.Mixing.Monitor, Limiter: c.Mixing.Limiter, CeilingDB: c.Mixing.Ceiling,
	}
	if want := stream.DefaultMixingConfig(); mixing != want {
		t.Errorf("mixing is %+v, the stage's default %+v", mixing, want)
	}
	if want := stream.DefaultF0Config(); c.Pitch.MinHz != want.MinHz || c.Pitch.MaxHz != want.MaxHz {
		t.Errorf("pitch is %+v, the stage's default %+v", c.Pitch, want)
	}
}

func TestTagsParse(t *testing.T) {
	c := Default()
	for _, s := range settings(&c) {
		for _, tag := range []string{"min", "max"} {
			bound, ok := s.tag.Lookup(tag)
			if !ok {
				continue
			}
			var err error
			if s.value.Type() == durationType {
				_, err = time.ParseDuration(bound)
			} else {
				_, err = strconv.ParseFloat(bound, 64)
			}
			if err != nil {
				t.Errorf("%s: %s: %v", s.path, tag, err)
			}
		}
	}
}

// Each bad file starts with "# want: " lines: every one of them must be in the message.
func TestBadConfigs(t *testing.T) {
	files, err := filepath.Glob("../testdata/config/*.bad.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d bad configurations, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = parseConfig(filepath.Base(file), data, nil)
			if err == nil {
				t.Fatal("accepted")
			}
			wants := 0
			for line := range strings.Lines(string(data)) {
				want, ok := strings.CutPrefix(strings.TrimSpace(line), "# want: ")
				if !ok {
					break
				}
				wants++
				if !strings.Contains(err.Error(), want) {
					t.Errorf("message is\n  %v\nwant in it\n  %s", err, want)
				}
			}
			if n := strings.Count(err.Error(), filepath.Base(file)); n > 2*wants {
				t.Errorf("the place is named %d times: %v", n, err)
			}
			if wants == 0 {
				t.Error("the file does not say what it wants")
			}
		})
	}
}

func TestGoodConfigs(t *testing.T) {
	files, err := filepath.Glob("../testdata/config/*.good.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d good configurations, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c, err := parseConfig(filepath.Base(file), data, nil)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if strings.HasPrefix(filepath.Base(file), "open") {
			if c.HTTP.Listen != "0.0.0.0:9000" || !reflect.DeepEqual(c.HTTP.Origins, []string{"https://studio.example", "http://localhost:3000"}) {
				t.Errorf("%s was read as %+v", file, c.HTTP)
			}
			if c.Voice.Pitch != (wire.PitchShift{Semitones: -3.5}) || c.Stream.Chunk != 20*time.Millisecond || c.Audio.Input != "3" {
				t.Errorf("%s was read as %+v %+v %+v", file, c.Voice, c.Stream, c.Audio)
			}
		}
	}
}

func TestEnvironment(t *testing.T) {
	c, err := parseConfig("config.yaml", []byte("http:\n  listen: 127.0.0.1:1\n  max_sessions: 3\n"), []string{
		"AUTOVOICED_HTTP_LISTEN=[::1]:2", "AUTOVOICED_HTTP_ORIGINS=https://a.example, https://b.example",
		"AUTOVOICED_INFER_THREADS=2", "AUTOVOICED_VOICE_PITCH=auto", "AUTOVOICED_OTHER=x", "PATH=/bin",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP.Listen != "[::1]:2" || c.HTTP.MaxSessions != 3 || len(c.HTTP.Origins) != 2 || c.Infer.Threads != 2 || !c.Voice.Pitch.Auto {
		t.Errorf("read as %+v", c)
	}
	for _, bad := range []struct{ entry, want string }{
		{"AUTOVOICED_STREAM_QUEUE=many", `environment AUTOVOICED_STREAM_QUEUE: 'stream.queue' is "many", allowed: 1 to 64`},
		{"AUTOVOICED_STREAM_QUEUE=65", `environment AUTOVOICED_STREAM_QUEUE: 'stream.queue' is 65, allowed: 1 to 64`},
		{"AUTOVOICED_INFER_PROVIDER=gpu", `environment AUTOVOICED_INFER_PROVIDER: 'infer.provider' is "gpu", allowed: auto, cpu, cuda, tensorrt`},
		{"AUTOVOICED_MIXING_DRY_WET=NaN", `'mixing.dry_wet' is NaN, allowed: 0 to 1`},
	} {
		if _, err := parseConfig("", nil, []string{bad.entry}); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: %v, want %s", bad.entry, err, bad.want)
		}
	}
}

func TestLoadMissingFile(t *testing.T) {
	t.Chdir(t.TempDir())
	if c, err := Load(""); err != nil || !reflect.DeepEqual(c, Default()) {
		t.Errorf("no file at all: %v", err)
	}
	if _, err := Load("absent.yaml"); err == nil || !strings.Contains(err.Error(), "absent.yaml") {
		t.Errorf("a named file that is absent: %v", err)
	}
}

func FuzzConfig(f *testing.F) {
	sample, err := os.ReadFile("../config.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sample)
	for _, seed := range []string{"", "a", "[]", "http:\n  listen: [1]\n", "http: *a", "? [a]: b", "---\n---\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := parseConfig("f", data, nil); err == nil {
			if err := c.Validate(); err != nil {
				t.Errorf("accepted, but %v", err)
			}
		}
	})
}
