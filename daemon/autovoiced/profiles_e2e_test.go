//go:build e2e

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/autovoiced/autovoiced/daemon"
)

// ownFolders gives the programs under test a folder for profiles, and a pack and a speaker encoder that
// fit each other, of 10 kB.
func ownFolders(t *testing.T) {
	t.Helper()
	models := t.TempDir()
	for name, from := range map[string]string{"tiny.onnx": "tiny-voice/tiny-voice.onnx", "speaker.onnx": "tiny-speaker/tiny-speaker.onnx"} {
		model, err := os.ReadFile("../../testdata/models/" + from)
		if err == nil {
			err = os.WriteFile(filepath.Join(models, name), model, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("AUTOVOICED_INFER_MODELS", models)
}

func TestE2EProfiles(t *testing.T) {
	ownFolders(t)
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	man := []string{"../../testdata/audio/pitch/kumo-plain.flac", "../../testdata/audio/pitch/kumo-high.flac"}

	r := autovoiced(t, "profiles", "add", "he", man[0], man[1]).wantSuccess(t)
	if !strings.Contains(r.out, "he: 5.") || !strings.Contains(r.err, "warning: only 5.") {
		t.Errorf("it said:\n%s%s", r.out, r.err)
	}
	autovoiced(t, "profiles", "add", "he", man[0], man[1]).wantFailure(t, exitFile, `"he"`, "already")
	autovoiced(t, "profiles", "add", "tiny-low", man[0], man[1]).wantFailure(t, exitFile, "tiny-low", "built-in")
	autovoiced(t, "profiles", "add", "she", man[0]).wantFailure(t, exitFile, "2.9 s of speech", "at least 5 s")
	autovoiced(t, "profiles", "add", "she", path("none.wav")).wantFailure(t, exitFile, "none.wav")
	autovoiced(t, "profiles", "add", "she").wantFailure(t, exitUsage)

	var kept []daemon.Profile
	if err := json.Unmarshal([]byte(autovoiced(t, "profiles", "list", "--json").wantSuccess(t).out), &kept); err != nil || len(kept) != 1 || kept[0].Name != "he" {
		t.Errorf("%+v, %v", kept, err)
	}
	if out := autovoiced(t, "profiles", "show", "he").wantSuccess(t).out; !strings.Contains(out, "kumo-high.flac") || !strings.Contains(out, "tone") || !strings.Contains(out, "dB") {
		t.Errorf("show:\n%s", out)
	}
	if out := autovoiced(t, "voices").wantSuccess(t).out; !strings.Contains(out, "he           profile") {
		t.Errorf("voices:\n%s", out)
	}
	if out := autovoiced(t, "convert", sample, "-o", path("a.wav"), "--voice", "he").wantSuccess(t).out; !strings.Contains(out, "voice he ") {
		t.Errorf("convert:\n%s", out)
	}
	autovoiced(t, "convert", sample, "-o", path("b.wav"), "--reference", man[0], "--reference", man[1]).wantSuccess(t)
	if a, b := fileBytes(t, path("a.wav")), fileBytes(t, path("b.wav")); a != b {
		t.Error("the profile and its recordings as references do not sound alike")
	}
	autovoiced(t, "convert", sample, "-o", path("c.wav"), "--reference", man[0]).wantFailure(t, exitFile, "2.9 s of speech")
	autovoiced(t, "convert", sample, "-o", path("c.wav"), "--reference", man[0], "--voice", "he").wantFailure(t, exitUsage, "--voice", "--reference")
	if _, err := os.Stat(path("c.wav")); err == nil {
		t.Error("c.wav is there")
	}

	autovoiced(t, "profiles", "export", "he", "-o", path("he.zip")).wantSuccess(t)
	autovoiced(t, "profiles", "import", path("he.zip")).wantFailure(t, exitFile, "already")
	autovoiced(t, "profiles", "remove", "he").wantSuccess(t)
	autovoiced(t, "profiles", "remove", "he").wantFailure(t, exitFile, `no profile "he"`)
	autovoiced(t, "convert", sample, "-o", path("c.wav"), "--voice", "he").wantFailure(t, exitModel, `"he"`, "tiny-low")
	autovoiced(t, "profiles", "import", path("he.zip"), "--name", "him").wantSuccess(t)
	autovoiced(t, "profiles", "refresh", "him").wantSuccess(t)
	autovoiced(t, "convert", sample, "-o", path("d.wav"), "--voice", "him").wantSuccess(t)
	if a, d := fileBytes(t, path("a.wav")), fileBytes(t, path("d.wav")); a != d {
		t.Error("what was exported and imported does not sound as before")
	}
	// The bundled encoder's embeddings do not fit the small pack, nor the small encoder's the bundled ones.
	t.Setenv("AUTOVOICED_INFER_MODELS", "")
	autovoiced(t, "convert", sample, "-o", path("e.wav"), "--voice", "him").wantFailure(t, exitModel, "him", "8 values", "takes")
	if out := autovoiced(t, "profiles", "list").wantSuccess(t).out; !strings.Contains(out, "profiles refresh him") {
		t.Errorf("the list does not say that the encoder is another:\n%s", out)
	}
}

func fileBytes(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Of several programs that add one name at once, one succeeds, and the others say why not.
func TestE2EProfilesAtOnce(t *testing.T) {
	ownFolders(t)
	man := []string{"../../testdata/audio/pitch/kumo-plain.flac", "../../testdata/audio/pitch/kumo-high.flac"}
	results := make([]result, 4)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() { results[i] = autovoiced(t, "profiles", "add", "he", man[0], man[1]) })
	}
	all.Wait()
	won := 0
	for _, r := range results {
		if r.code == exitOK {
			won++
			continue
		}
		r.wantFailure(t, exitFile, "already")
	}
	if won != 1 {
		t.Errorf("%d of %d added the profile, want 1", won, len(results))
	}
	entries, err := os.ReadDir(filepath.Join(os.Getenv("XDG_DATA_HOME"), "autovoice", "profiles"))
	if err != nil || len(entries) != 1 {
		t.Errorf("left: %v, %v", entries, err)
	}
}
