//go:build e2e

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	unitVariables = regexp.MustCompile(`(?m)^Environment=(.*)$`)
	unitProgram   = regexp.MustCompile(`(?m)^ExecStart=(.*)$`)
)

// tryInstalled starts what daemon/docs/operate.md has installed, with the settings of its unit and nothing else that this machine
// has, and has a song converted.
func (r *reader) tryInstalled(t *testing.T) {
	t.Helper()
	system := r.value("SYSTEM")
	unit := string(read(t, filepath.Join(system, "etc/systemd/system/autovoiced.service")))
	moved := func(text string) []string { // its absolute paths are below another root here
		return strings.Fields(regexp.MustCompile(`(^|[= ])/`).ReplaceAllString(text, "${1}"+system+"/"))
	}
	words := moved(unitProgram.FindStringSubmatch(unit)[1])
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Dir = t.TempDir()
	port := freePort(t)
	environment := strings.TrimSpace(string(read(t, filepath.Join(system, "etc/autovoiced/environment"))))
	cmd.Env = []string{"AUTOVOICED_HTTP_LISTEN=127.0.0.1:" + port, environment}
	for _, line := range unitVariables.FindAllStringSubmatch(unit, -1) {
		cmd.Env = append(cmd.Env, moved(line[1])...)
	}
	said := &output{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, token, _ := strings.Cut(environment, "=")
	client := exec.CommandContext(ctx, "bash", "-c", shell+`
ask() { curl --header "Authorization: Bearer $TOKEN" "$@"; }
until command curl --silent --fail "$URL/readyz" >/dev/null; do sleep 0.1; done
job="$(ask -F song=@song.mp3 "$URL/v1/convert" | grep -o '"id":"[^"]*"' | cut -d '"' -f 4)"
until ask "$URL/v1/convert/$job" | grep -E '"state":"(done|failed)"'; do sleep 0.2; done`)
	client.Dir, client.Env = r.dir, append(r.env, "URL=http://127.0.0.1:"+port, "TOKEN="+token)
	out, err := client.CombinedOutput()
	if err != nil || !strings.Contains(string(out), `"separation":"spleeter"`) {
		t.Errorf("a song in the installed service: %v\n%s\nit said:\n%s", err, out, said)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM) // what the unit's KillSignal is
	if err := cmd.Wait(); err != nil {
		t.Errorf("the installed service ended: %v\n%s", err, said)
	}
}

// value is a variable of the reader's environment.
func (r *reader) value(name string) string {
	for _, entry := range r.env {
		if value, found := strings.CutPrefix(entry, name+"="); found {
			return value
		}
	}
	return os.Getenv(name)
}
