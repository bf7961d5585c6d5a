package infer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// wantError fails unless the error holds every one of the words.
func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, expected one with %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

// In a process of its own: once a library is loaded, the loader finds it again by its bare name.
func TestLibraryNotFound(t *testing.T) {
	if cache := os.Getenv("TEST_LIBRARY_NOT_FOUND"); cache != "" {
		_, _, err := findLibrary()
		wantError(t, err, RuntimeVersion, cache, EnvLibrary, "make deps")
		return
	}
	if _, err := libraryVersion("libonnxruntime.so.1"); err == nil && Library() == "" {
		t.Skip("this machine has an onnx runtime on the loader's path")
	}
	cache := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestLibraryNotFound$")
	child.Env = append(os.Environ(), "TEST_LIBRARY_NOT_FOUND="+cache, "XDG_CACHE_HOME="+cache, EnvLibrary+"=")
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestLibraryNamedByEnvironment(t *testing.T) {
	t.Setenv(EnvLibrary, "/nowhere/libonnxruntime.so")
	_, _, err := findLibrary()
	wantError(t, err, EnvLibrary, "/nowhere/libonnxruntime.so", "make deps")
}

func TestLibraryIsATextFile(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv(EnvLibrary, "")
	path, err := cachedLibrary()
	if err != nil {
		t.Fatal(err)
	}
	check(t, os.MkdirAll(filepath.Dir(path), 0o755))
	check(t, os.WriteFile(path, []byte("not a library"), 0o600))
	_, _, err = findLibrary()
	wantError(t, err, path, "make deps")
}

// A library of an older version must be refused by its number, and one that is something else by
// what it lacks: both are built here.
func TestLibraryOfTheWrongVersion(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler, which cgo needs as well: ", err)
	}
	build := func(name, source string) string {
		lib := filepath.Join(t.TempDir(), name)
		cmd := exec.Command(cc, "-shared", "-fPIC", "-x", "c", "-", "-o", lib)
		cmd.Stdin = strings.NewReader(source)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return lib
	}
	old := build("libold.so", `
		static const char *version(void) { return "1.20.3"; }
		static const void *api(unsigned v) { return 0; }
		static struct { const void *(*get)(unsigned); const char *(*version)(void); } base = { api, version };
		void *OrtGetApiBase(void) { return &base; }`)
	t.Setenv(EnvLibrary, old)
	_, _, err = findLibrary()
	wantError(t, err, old, "1.20.3", "1.24", RuntimeVersion, "make deps")

	t.Setenv(EnvLibrary, build("libother.so", "int nothing;"))
	_, _, err = findLibrary()
	wantError(t, err, "OrtGetApiBase", "make deps")
}

func TestCheckVersion(t *testing.T) {
	for version, ok := range map[string]bool{
		"1.24.0": true, "1.31.1": true, "1.40.2-rc1": true,
		"1.23.9": false, "2.0.0": false, "0.31.1": false, "": false, "banana": false, "1.31": false,
	} {
		if err := checkVersion("lib", version); (err == nil) != ok {
			t.Errorf("version %q: %v", version, err)
		}
	}
}

func TestLogLevel(t *testing.T) {
	for _, level := range []string{"", "fatal", "error", "warning", "info", "verbose"} {
		t.Setenv(EnvLog, level)
		if option, err := logLevel(); err != nil || option == nil {
			t.Errorf("level %q: %v", level, err)
		}
	}
	t.Setenv(EnvLog, "loud")
	_, err := logLevel()
	wantError(t, err, EnvLog, "loud", "verbose")
}

func TestStartTwice(t *testing.T) {
	needRuntime(t)
	check(t, Start())
	check(t, checkVersion(Library(), Version()))
}

// ONNX Runtime says nothing on stderr, neither when it starts nor when it refuses a model: all it
// has to say is in the error. In a process of its own, whose stderr is ours to read.
func TestStderrIsQuiet(t *testing.T) {
	needRuntime(t)
	if os.Getenv("TEST_STDERR_IS_QUIET") != "" {
		model := strings.ReplaceAll(string(read(t, tinyVoice)), "Softmax", "Hardmux")
		_, err := LoadBytes("nonsense.onnx", []byte(model), DefaultPolicy())
		wantError(t, err, "Hardmux")
		load(t, passthrough)
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^TestStderrIsQuiet$")
	var stderr strings.Builder
	child.Stderr = &stderr
	child.Env = append(os.Environ(), "TEST_STDERR_IS_QUIET=1", EnvLog+"=")
	if out, err := child.Output(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v: %s; stderr: %q", err, out, stderr.String())
	}
}
