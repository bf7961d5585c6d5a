//go:build e2e

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/autovoiced/autovoiced/client"
	"github.com/autovoiced/autovoiced/client/wire"
)

// pane is a real terminal, tmux's, in which a program runs.
type pane struct {
	t             *testing.T
	socket        string
	width, height int
}

// openPane runs a line of shell in a terminal of a size. What the line exits with is shown as "exit N".
func openPane(t *testing.T, width, height int, env []string, line string) *pane {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("tmux is not installed")
	}
	dir, err := os.MkdirTemp("", "pane") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	p := &pane{t, filepath.Join(dir, "s"), width, height}
	cmd := p.tmux("-u", "-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), line+"; echo exit $?; exec sleep 1000")
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		_ = p.tmux("kill-server").Run()
		_ = os.RemoveAll(dir)
	})
	return p
}

func (p *pane) tmux(args ...string) *exec.Cmd {
	return exec.Command("tmux", append([]string{"-S", p.socket}, args...)...)
}

func (p *pane) press(keys ...string) {
	p.t.Helper()
	if out, err := p.tmux(append([]string{"send-keys"}, keys...)...).CombinedOutput(); err != nil {
		p.t.Fatalf("send-keys %q: %v\n%s", keys, err, out)
	}
}

// screen is what stands in the terminal, with the codes of colours if escapes.
func (p *pane) screen(escapes bool) string {
	p.t.Helper()
	args := []string{"capture-pane", "-p"}
	if escapes {
		args = append(args, "-e")
	}
	out, err := p.tmux(args...).Output()
	if err != nil {
		p.t.Fatal(err)
	}
	return string(out)
}

// wait gives the first screen that shows all the words.
func (p *pane) wait(words ...string) string {
	p.t.Helper()
	return p.until(fmt.Sprintf("%q", words), func(screen string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(screen, w) })
	})
}

// until gives the first screen that is as it should be.
func (p *pane) until(what string, ok func(screen string) bool) string {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		screen := p.screen(false)
		if ok(screen) {
			return screen
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("the terminal does not show %s:\n%s", what, screen)
		}
	}
}

// keepSpeaking is a client that speaks until the test ends.
func keepSpeaking(t *testing.T, url string) {
	t.Helper()
	s, err := client.Dial(t.Context(), url, client.Options{Start: wire.Start{Voice: passthrough, Format: wire.Format{Encoding: wire.F32LE, Rate: 48000, Channels: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{}, 2)
	go func() {
		defer func() { done <- struct{}{} }()
		frame := make([]float32, 480)
		for i := range frame {
			frame[i] = 0.1 * float32(i%48) / 48
		}
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for s.Send(ctx, frame) == nil {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		for {
			if _, err := s.Recv(ctx); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		stop()
		<-done
		<-done
		_ = s.Close()
	})
}

var shapes = []struct{ pattern, shape string }{
	{`  (overloads|gaps|bad samples) \d+`, ""}, // of a busy machine
	{`[▁▂▃▄▅▆▇█][▁▂▃▄▅▆▇█ ]*$`, "~"},
	{`[▮▯]+`, "▯"},
	{`[█▏▎▍▌▋▊▉·]+`, "~"},
	{`[-+]?\d+(\.\d+)?`, "#"},
	{` +`, " "},
	{` $`, ""},
}

// shape leaves of a line what stays from run to run: no figure, no bar, no room between columns.
func shape(line string) string {
	for _, s := range shapes {
		line = regexp.MustCompile(s.pattern).ReplaceAllString(line, s.shape)
	}
	return line
}

const profileShape = `autovoiced dev ● running up #:#:# # of # session
models cpu fp# (asked: auto) # node on cpu
── stream# voice passthrough # kHz mono # ms chunks ─────────────────────────────────
ms, last # s p# p# p# max wait queue last # s
capture # # # # ~
separation gate # # # # # ▯ ~
f#_extraction bypass # # # # # ▯ ~
conversion bypass # # # # # ▯ ~
mixing limiter # # # # # ▯ ~
delivery # # # # # ▯ ~
total # # # # ~
load ~ # % RTF #
delay p# # p# # max # ms algorithmic latency # ms
in ~ # dBFS peak #
out ~ # dBFS peak #
frames # in = # out + # dropped + # in flight
sounds pitch # mute off monitor off






v voice ↑ ↓ pitch m mute o monitor r record ? help q quit`

// TestE2EProfileScreen looks at the screen as a person does, at 80 × 24 and in other sizes, and presses its keys.
func TestE2EProfileScreen(t *testing.T) {
	s := startService(t, "AUTOVOICED_VOICE_NAME="+passthrough, "AUTOVOICED_VOICE_PITCH=0")
	keepSpeaking(t, s.url)
	env := []string{"AUTOVOICED_HTTP_LISTEN=" + strings.TrimPrefix(s.url, "http://"), "NO_COLOR="}
	p := openPane(t, 80, 24, env, program+" --profile")
	screen := p.wait("stream-1", "total", "q quit", "█")
	compareShapes(t, screen)
	columnsAlign(t, screen)
	if !strings.Contains(p.screen(true), "\x1b[3") {
		t.Error("no colours")
	}
	p.press("m")
	p.wait("MUTE")
	p.press("o")
	p.wait("MONITOR")
	p.press("Up", "Up", "Left")
	p.wait("pitch +1.9")
	p.press("+")
	p.wait("gain +1.0 dB")
	p.press("v")
	p.wait("Voices", "› "+passthrough)
	p.press("Escape")
	p.wait("total")
	p.press("?")
	p.wait("Keys", "Ctrl-C too")
	p.press("?", "r")
	p.wait("autovoiced live")
	for _, size := range [][2]int{{60, 24}, {200, 50}, {100, 12}} {
		if out, err := p.tmux("resize-window", "-x", fmt.Sprint(size[0]), "-y", fmt.Sprint(size[1])).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		p.until(fmt.Sprintf("a screen of %d × %d", size[0], size[1]), func(screen string) bool {
			lines := strings.Split(strings.TrimSuffix(screen, "\n"), "\n")
			rule := slices.IndexFunc(lines, func(l string) bool {
				return strings.HasPrefix(l, "── stream-1") && utf8.RuneCountInString(l) == size[0]
			})
			return rule > 0 && len(lines) == size[1] && strings.HasPrefix(lines[0], "autovoiced") && strings.HasSuffix(lines[size[1]-1], "q quit")
		})
	}
	p.press("q")
	if screen := p.wait("exit 0"); !strings.Contains(screen, "in flight") {
		t.Errorf("the last look does not stay:\n%s", screen)
	}

	plain := openPane(t, 80, 24, append(env, "NO_COLOR=1"), program+" --profile")
	plain.wait("stream-1", "q quit")
	if colour := regexp.MustCompile(`\x1b\[[0-9;]*(3[0-7]|9[0-7]|38)[;m]`).FindString(plain.screen(true)); colour != "" {
		t.Errorf("NO_COLOR is set, and there is %q", colour)
	}
	s.signal(t, syscall.SIGTERM) // the feed says goodbye
	plain.wait("exit 0")
}

func compareShapes(t *testing.T, screen string) {
	t.Helper()
	got, want := strings.Split(strings.TrimSuffix(screen, "\n"), "\n"), strings.Split(profileShape, "\n")
	if len(got) != len(want) {
		t.Errorf("%d lines, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		// The line above the table is filled up to the edge.
		if a, b := strings.TrimRight(shape(got[i]), "─"), strings.TrimRight(want[i], "─"); a != b {
			t.Errorf("line %d is shaped\n%s, want\n%s, in\n%s", i+1, a, b, got[i])
		}
	}
	if t.Failed() {
		t.Log("\n" + screen)
	}
}

// columnsAlign: the figures of the table stand below their titles.
func columnsAlign(t *testing.T, screen string) {
	t.Helper()
	var titles string
	for _, line := range strings.Split(screen, "\n") {
		switch {
		case strings.Contains(line, "p50") && strings.Contains(line, "p95"):
			titles = line
		case strings.HasPrefix(line, "conversion"), strings.HasPrefix(line, "total"):
			row := []rune(line)
			for _, title := range []string{"p50", "p95", "p99", "max"} {
				end := strings.Index(titles, title) + len(title)
				if last := row[end-1]; last < '0' || last > '9' || row[end] != ' ' {
					t.Errorf("no figure ends below %s:\n%s\n%s", title, titles, line)
				}
			}
		}
	}
}

// TestE2ELiveScreen speaks on JACK's dummy sound card, and records.
func TestE2ELiveScreen(t *testing.T) {
	server, dir := startJACK(t), t.TempDir()
	p := openPane(t, 80, 24, server.Env(), "cd "+dir+" && "+program+" live --voice "+passthrough+" --pitch 0")
	p.wait("── device-1", "sound  running", "xruns", "q quit")
	p.press("r")
	p.wait("recording to ", "● recording")
	time.Sleep(time.Second) // of silence
	p.press("r")
	p.wait("is complete")
	files, err := filepath.Glob(filepath.Join(dir, "*.wav"))
	if err != nil || len(files) != 1 {
		t.Fatalf("recordings %q, %v, want one", files, err)
	}
	if x, rate, err := readRecording(t.Context(), files[0]); err != nil || rate != jackRate || len(x) < jackRate/2 {
		t.Errorf("%d frames of %d Hz recorded, %v; want about a second of %d", len(x), rate, err, jackRate)
	}
	p.press("m")
	p.wait("MUTE")
	p.press("C-c")
	p.wait("exit 0", "in flight")
}

// TestE2EJSON: each line for programs is a status.
func TestE2EJSON(t *testing.T) {
	s := startService(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--profile", "--json")
	cmd.Env = append(os.Environ(), "AUTOVOICED_HTTP_LISTEN="+strings.TrimPrefix(s.url, "http://"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for range 3 {
		var status wire.Status
		if !lines.Scan() {
			t.Fatal("the feed ends early", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &status); err != nil || status.State != "running" {
			t.Errorf("%v: %s", err, lines.Text())
		}
	}
	_ = cmd.Process.Signal(os.Interrupt)
	for lines.Scan() { // what is left
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestE2ECompletion lets each shell complete as it does for a person.
func TestE2ECompletion(t *testing.T) {
	path := "PATH=" + filepath.Dir(program) + ":" + os.Getenv("PATH")
	run := func(shell, script string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), shell, "-c", script)
		cmd.Env = append(os.Environ(), path)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
		return string(out)
	}
	got := run("bash", `source <(autovoiced completion bash); COMP_WORDS=(autovoiced profiles re) COMP_CWORD=2; _autovoiced; echo "${COMPREPLY[@]}"
		COMP_WORDS=(autovoiced live --voice = pass) COMP_CWORD=4; _autovoiced; echo "${COMPREPLY[@]}"; complete -p autovoiced`)
	if want := "remove refresh\npassthrough\ncomplete -F _autovoiced autovoiced\n"; got != want {
		t.Errorf("bash completes %q, want %q", got, want)
	}
	if _, err := exec.LookPath("fish"); err == nil || os.Getenv("CI") != "" {
		got := run("fish", "autovoiced completion fish | source; complete -C 'autovoiced profiles re'; complete -C 'autovoiced live --voice=pass'")
		for _, want := range []string{"remove\t", "refresh\t", "--voice=passthrough\t"} {
			if !strings.Contains(got, want) {
				t.Errorf("fish completes %q, want %q in it", got, want)
			}
		}
	}
	if _, err := exec.LookPath("zsh"); err != nil && os.Getenv("CI") == "" {
		t.Skip("zsh is not installed")
	}
	p := openPane(t, 80, 24, []string{path}, "zsh -f")
	p.press("autoload -Uz compinit && compinit -u -D && source <(autovoiced completion zsh) && echo loaded now", "Enter")
	p.wait("\nloaded now")
	p.press("autovoiced prof", "Tab", "ref", "Tab")
	p.wait("autovoiced profiles refresh")
	p.press("C-u", "autovoiced live --voice=passt", "Tab")
	p.wait("--voice=passthrough")
	p.press("C-u", "autovoiced profiles ", "Tab")
	p.wait("Make a profile of recordings of one speaker.")
}
