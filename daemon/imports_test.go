package daemon_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/autovoiced/autovoiced"

// mayImport lists, for each package of ours, which others of ours it may import, and why no more.
// Tests may reach further; package code may not.
var mayImport = map[string]struct {
	ours []string
	why  string
}{
	"dsp":                               {nil, "functions on slices: each has its theory test and benchmark, and knows no queue, model or device"},
	"stream":                            {[]string{"stream/media", "dsp"}, "the pipeline is built and tested without a model, a GPU, a sound card or a network: it declares the Converter that it needs and is handed one"},
	"stream/streamtest":                 {[]string{"stream", "dsp"}, "the contract check serves every implementation, so it knows none"},
	"stream/media":                      {[]string{"dsp"}, "files in and out are told by their bytes: no queue, no model, and any program can use it alone"},
	"stream/portaudio":                  {[]string{"stream", "dsp"}, "a device is one Source and one Sink among others"},
	"stream/portaudio/jacktest":         {nil, "it measures from outside, as a stranger with two ports would"},
	"infer":                             {[]string{"dsp"}, "a model sees slices and state, not queues: it can be benchmarked alone"},
	"infer/train/follow":                {[]string{"dsp"}, "a training tool: it runs the live pitch tracker and nothing else"},
	"infer/train/apart":                 {[]string{"infer"}, "a measuring tool: it runs the separators that the program itself runs"},
	"client/wire":                       {nil, "the protocol is what both ends share, so it drags neither in"},
	"client/web":                        {nil, "the page is a client like any other"},
	"client/web/webtest":                {nil, "it opens pages for tests and knows none"},
	"client":                            {[]string{"client/wire"}, "a program that talks to the daemon must not link the daemon, ONNX Runtime or PortAudio"},
	"client/examples/pipe":              {nil, "it shows the protocol without any of our help"},
	"daemon/song":                       {[]string{"stream", "stream/media", "infer", "dsp"}, "songs without a service around them: a program that converts files links no sound card, no socket and no YAML"},
	"daemon/song/songtest":              {[]string{"stream/media", "dsp"}, "a song for tests, of the process's own and of others"},
	"daemon/report":                     {[]string{"stream/media", "dsp"}, "it reads what a run has left and needs nothing that runs"},
	"daemon":                            {[]string{"daemon/song", "stream", "stream/media", "stream/portaudio", "infer", "client/wire", "client/web", "dsp"}, "the one room that knows everyone; nobody but main imports it, so its configuration cannot leak"},
	"daemon/autovoiced/dash":            {[]string{"client/wire"}, "it shows a status and asks for changes; who gives the one and takes the other is main's"},
	"daemon/autovoiced/gputest/figures": {nil, "it draws what a run has left"},
	"daemon/autovoiced":                 {[]string{"daemon", "daemon/autovoiced/dash", "daemon/report", "daemon/song", "client", "client/wire", "dsp", "infer", "stream", "stream/media", "stream/portaudio"}, "main parses flags, prints, and maps errors to exit codes"},
}

// outside lists the libraries that only some packages may know, and why.
var outside = []struct {
	path string
	only []string
	why  string
}{
	{"github.com/yalue/onnxruntime_go", []string{"infer"}, "only infer knows ONNX Runtime: another runtime changes one room"},
	{"github.com/goccy/go-yaml", []string{"daemon"}, "only daemon reads YAML: the rooms have Config structs"},
	{"github.com/gorilla/websocket", []string{"daemon", "client", "client/examples/pipe"}, "only daemon and client know the socket library; the protocol is in client/wire"},
	{"github.com/gordonklaus/portaudio", []string{"stream/portaudio"}, "only stream/portaudio knows PortAudio: everything else builds and runs without a sound library"},
	{"github.com/rs/zerolog", []string{"daemon", "daemon/autovoiced"}, "only daemon logs, decides and exits; the others return errors"},
	{"net/http", []string{"daemon", "daemon/autovoiced", "client", "client/web", "client/examples/pipe"}, "audio code has no network"},
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func listPackages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-tags=e2e", "-json=ImportPath,Imports", module+"/...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestImportsPointDown(t *testing.T) {
	all := listPackages(t)
	if len(all) < 8 {
		t.Fatalf("%d packages: go list sees too few", len(all))
	}
	for _, p := range all {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		rule, known := mayImport[name]
		if !known {
			t.Errorf("package %s has no rule: say here what it may import and why", name)
			continue
		}
		for _, path := range p.Imports {
			if ours, ok := strings.CutPrefix(path, module+"/"); ok && !slices.Contains(rule.ours, ours) {
				t.Errorf("%s imports %s: %s", name, ours, rule.why)
			}
			for _, o := range outside {
				if (path == o.path || strings.HasPrefix(path, o.path+"/")) && !slices.Contains(o.only, name) {
					t.Errorf("%s imports %s: %s", name, path, o.why)
				}
			}
		}
	}
}
