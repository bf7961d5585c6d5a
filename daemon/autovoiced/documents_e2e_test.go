//go:build e2e

package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Commands that go on until they are stopped, and what each has said once it is at work.
var lasting = []struct{ command, says *regexp.Regexp }{
	{regexp.MustCompile(`^((bin/)?autovoiced|make run)$`), regexp.MustCompile(`"message":"ready"`)},
	{regexp.MustCompile(`^(bin/)?autovoiced --profile$`), regexp.MustCompile(`(?m)^models on`)},
	{regexp.MustCompile(`^(bin/)?autovoiced live`), regexp.MustCompile(`(?m)^frames \d+ in`)},
}

// What the lines are run with. Make's words change the checkout, which the folder only links to. What would be installed into the
// system goes below a folder of its own, and there is no systemd to ask: the unit must be where that looks for it.
const shell = `set -euo pipefail
make() { command make -C "$CHECKOUT" "$@"; }
curl() { command curl --silent --show-error --fail-with-body "$@"; }
sudo() {
  local words=() word
  for word; do case "$word" in /usr/*|/etc/*|/var/*) word="$SYSTEM$word" ;; esac; words+=("$word"); done
  "${words[@]}"
}
systemctl() {
  local units="$SYSTEM/etc/systemd/system"
  if [ "$1" = --user ]; then units=~/.config/systemd/user; shift; fi
  [ "$1 $2" = "enable --now" ] && [ -s "$units/$3.service" ]
}
`

// reader is somebody who types what a document says, in a folder that is a checkout and has some recordings.
type reader struct {
	dir, port string
	env       []string
	daemon    *service
	sound     []string // settings of a sound card, once one was needed
}

// TestE2EDocuments runs every command of every document, from its first to its last line, as a reader would.
func TestE2EDocuments(t *testing.T) {
	python3 := python(t)
	for _, file := range documents(t) {
		t.Run(strings.ReplaceAll(file, "/", "_"), func(t *testing.T) {
			var r *reader
			for _, b := range blocksOf(t, file) {
				run, _ := b.isRun()
				if !run && b.info != "python" {
					continue
				}
				if r == nil {
					r = newReader(t)
				}
				if run {
					r.read(t, b)
				} else {
					r.python(t, python3, b)
				}
			}
			if file == "daemon/docs/operate.md" {
				r.tryInstalled(t)
			}
		})
	}
}

func newReader(t *testing.T) *reader {
	t.Helper()
	root, err := filepath.Abs(checkout)
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{dir: t.TempDir(), port: freePort(t)}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		switch entry.Name() {
		case "bin", ".cache", "validation_results":
		default:
			link(t, filepath.Join(root, entry.Name()), filepath.Join(r.dir, entry.Name()))
		}
	}
	home := t.TempDir()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	link(t, program, filepath.Join(r.dir, "bin/autovoiced"))
	link(t, filepath.Join(cache, "autovoice"), filepath.Join(home, ".cache/autovoice"))
	r.recordings(t)
	for _, kept := range os.Environ() {
		if !strings.HasPrefix(kept, "XDG_") && !strings.HasPrefix(kept, "AUTOVOICED_") && !strings.HasPrefix(kept, "MAKE") {
			r.env = append(r.env, kept)
		}
	}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} { // they are below the true home
		out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		r.env = append(r.env, name+"="+strings.TrimSpace(string(out)))
	}
	r.env = append(r.env, "HOME="+home, "GOBIN="+home+"/go/bin", "CHECKOUT="+root, "SYSTEM="+t.TempDir(), "AUTOVOICED_AUDIO_ENABLED=false",
		"AUTOVOICED_HTTP_LISTEN=127.0.0.1:"+r.port, "PATH="+r.dir+"/bin:"+os.Getenv("PATH"))
	return r
}

func link(t *testing.T, to, from string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(from), 0o700)
	if err == nil {
		err = os.Symlink(to, from)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// recordings are what the documents call them.
func (r *reader) recordings(t *testing.T) {
	t.Helper()
	speech := filepath.Join(r.dir, "in.wav")
	autovoiced(t, "convert", "../../testdata/audio/sample.flac", "-o", speech, "--voice", passthrough).wantSuccess(t)
	for _, name := range []string{"one.wav", "talk.wav", "recording.wav"} {
		link(t, speech, filepath.Join(r.dir, name))
	}
	for name, from := range map[string]string{"two.flac": "pitch/kumo-plain.flac", "song.mp3": "formats/vbr.mp3"} {
		write(t, filepath.Join(r.dir, name), read(t, "../../testdata/audio/"+from))
	}
}

// read runs the lines of a block. Those that export stay in force.
func (r *reader) read(t *testing.T, b block) {
	t.Helper()
	exports := ""
	for i, line := range b.lines {
		if strings.HasPrefix(line, "export ") {
			exports += line + "\n"
			continue
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		began := time.Now()
		out, err := r.run(t, exports, strings.ReplaceAll(line, "8484", r.port))
		if err != nil {
			t.Errorf("%s: %s: %v\n%s", b.where(i), line, err, out)
		}
		t.Logf("%v %s: %s", time.Since(began).Round(10*time.Millisecond), b.where(i), line)
	}
}

// presumes says whether a command talks to a daemon that runs.
var presumes = regexp.MustCompile(`autovoiced (stream|--profile)|http://127\.0\.0\.1`)

func (r *reader) run(t *testing.T, exports, line string) (string, error) {
	t.Helper()
	if presumes.MatchString(line) && r.daemon == nil {
		r.daemon = startServiceAt(t, "127.0.0.1:"+r.port, r.env...)
	}
	env := r.env
	if strings.HasPrefix(command(line), "bin/autovoiced live") {
		if r.sound == nil {
			r.sound = append(startJACK(t).Env(), "AUTOVOICED_AUDIO_ENABLED=true")
		}
		env = append(env, r.sound...)
	}
	for _, l := range lasting {
		if l.command.MatchString(command(line)) {
			if r.daemon != nil && !strings.Contains(line, "--profile") {
				env = append(env, "AUTOVOICED_HTTP_LISTEN=127.0.0.1:"+freePort(t))
			}
			return r.runUntil(t, env, exports+line, l.says)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", shell+exports+line)
	cmd.Dir, cmd.Env = r.dir, env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// runUntil stops a command, by Ctrl+C, once it has said something.
func (r *reader) runUntil(t *testing.T, env []string, line string, says *regexp.Regexp) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-c", shell+line)
	cmd.Dir, cmd.Env = r.dir, env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var said output
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return "", err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stopped := false
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		select {
		case err := <-ended:
			switch {
			case !stopped:
				err = errors.Join(errors.New("it ended by itself"), err)
			case strings.Contains(said.String(), `"message":"drained"`): // make says that it was interrupted, whatever its program did
				err = nil
			}
			return said.String(), err
		default:
		}
		if !stopped && says.MatchString(said.String()) {
			stopped = true
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		}
		if time.Now().After(deadline) {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			return said.String(), errors.New("it does not say what is expected, or does not stop: " + says.String())
		}
	}
}

// output is what a process has said so far.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// python runs a program that defines convert(pcm), and holds it to what it says: as much comes back as was sent.
func (r *reader) python(t *testing.T, python3 string, b block) {
	t.Helper()
	if r.daemon == nil {
		r.daemon = startServiceAt(t, "127.0.0.1:"+r.port, r.env...)
	}
	text := strings.ReplaceAll(strings.Join(b.lines, "\n"), "8484", r.port) + "\nassert len(asyncio.run(convert(bytes(32000)))) == 32000\n"
	cmd := exec.CommandContext(t.Context(), python3, "-c", text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", b.where(0), err, out)
	}
}
