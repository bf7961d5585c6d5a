package infer

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// cacheAt is a cache in a folder of the test's, found as the user's is.
func cacheAt(t *testing.T, dir string) *EngineCache {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", dir)
	c, err := OpenEngineCache()
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "autovoice", "tensorrt_engines"); c.Dir() != want {
		t.Fatalf("%s, expected %s", c.Dir(), want)
	}
	return c
}

func someKey() EngineKey {
	return EngineKey{
		Model: hash([]byte("model")), Shapes: "mel float [1,80,1]\n", Hops: 1, Precision: FP16,
		Machine: Machine{Runtime: "1.31.1", TensorRT: "10.6.0", CUDA: "13.0", CuDNN: "9.14.0", Driver: "580.159.04", GPU: "NVIDIA H200", Compute: "9.0"},
	}
}

// builder writes what TensorRT would leave, and counts how often.
type builder struct {
	mu    sync.Mutex
	times int
	fail  error
}

func (b *builder) build(dir string, e *BuiltEngine) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.times++
	e.Nodes = Nodes{TensorRT: 1}
	err := errors.Join(os.Mkdir(filepath.Join(dir, "engine"), 0o755),
		os.WriteFile(filepath.Join(dir, engineFile), []byte("names engine/graph.engine"), 0o600),
		os.WriteFile(filepath.Join(dir, "engine", "graph.engine"), []byte(strings.Repeat("machine code ", 1000)), 0o600))
	return errors.Join(err, b.fail)
}

func built(t *testing.T, c *EngineCache, b *builder) BuiltEngine {
	t.Helper()
	e, err := c.get(context.Background(), someKey(), "tiny", b.build)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// The second start builds nothing: the builder is not asked and no file is touched.
func TestEngineIsBuiltOnce(t *testing.T) {
	c, b := cacheAt(t, t.TempDir()), &builder{}
	first := built(t, c, b)
	times := changed(t, c.Dir())
	second := built(t, c, b)
	if b.times != 1 || first.Built != second.Built || second.Nodes.TensorRT != 1 || len(second.Files) != 2 {
		t.Errorf("built %d times: %+v, then %+v", b.times, first, second)
	}
	if second.context() != filepath.Join(c.Dir(), someKey().String(), engineFile) {
		t.Error(second.context())
	}
	for name, at := range changed(t, c.Dir()) {
		if !times[name].Equal(at) {
			t.Errorf("%s was written at the second start", name)
		}
	}
	if entries, err := c.Entries(); err != nil || len(entries) != 1 || entries[0].Problem != nil {
		t.Errorf("%+v, %v", entries, err)
	}
}

func changed(t *testing.T, dir string) map[string]time.Time {
	t.Helper()
	times := map[string]time.Time{}
	check(t, eachFile(dir, func(name string) error {
		info, err := os.Stat(filepath.Join(dir, name))
		if err == nil && name != lockFile {
			times[name] = info.ModTime()
		}
		return err
	}))
	return times
}

// Whatever an engine depends on changes its name.
func TestEngineKey(t *testing.T) {
	seen := map[string]string{someKey().String(): "the same"}
	for what, change := range map[string]func(*EngineKey){
		"model": func(k *EngineKey) { k.Model = hash([]byte("other")) }, "shapes": func(k *EngineKey) { k.Shapes = "" }, "hops": func(k *EngineKey) { k.Hops = 4 },
		"precision": func(k *EngineKey) { k.Precision = FP32 }, "runtime": func(k *EngineKey) { k.Machine.Runtime = "1.32.0" },
		"tensorrt": func(k *EngineKey) { k.Machine.TensorRT = "10.7.0" }, "cuda": func(k *EngineKey) { k.Machine.CUDA = "13.1" },
		"cudnn": func(k *EngineKey) { k.Machine.CuDNN = "9.15.0" }, "driver": func(k *EngineKey) { k.Machine.Driver = "590.1" },
		"gpu": func(k *EngineKey) { k.Machine.GPU = "NVIDIA H100" }, "compute": func(k *EngineKey) { k.Machine.Compute = "8.9" },
	} {
		k := someKey()
		change(&k)
		if other, taken := seen[k.String()]; taken || !isKey(k.String()) {
			t.Errorf("%s: the name %s is that of %s", what, k, other)
		}
		seen[k.String()] = what
	}
}

// What is not exactly what was built is set aside and built again.
func TestUnsoundEngineIsRebuilt(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(dir string) error
		word  string
	}{
		"truncated engine":  {func(dir string) error { return os.Truncate(filepath.Join(dir, "engine", "graph.engine"), 100) }, "has 100 bytes, expected 13000"},
		"flipped bit":       {func(dir string) error { return flip(filepath.Join(dir, "engine", "graph.engine")) }, "SHA-256"},
		"empty context":     {func(dir string) error { return os.Truncate(filepath.Join(dir, engineFile), 0) }, "has 0 bytes"},
		"lost engine":       {func(dir string) error { return os.RemoveAll(filepath.Join(dir, "engine")) }, "corrupt"},
		"lost manifest":     {func(dir string) error { return os.Remove(filepath.Join(dir, engineManifest)) }, "manifest"},
		"broken manifest":   {func(dir string) error { return os.Truncate(filepath.Join(dir, engineManifest), 20) }, "not JSON"},
		"another's":         {func(dir string) error { return edit(dir, "NVIDIA H200", "NVIDIA H100") }, "foreign"},
		"a later format":    {func(dir string) error { return edit(dir, `"format": 2`, `"format": 3`) }, "format 3, expected 2"},
		"file beside":       {func(dir string) error { return os.WriteFile(filepath.Join(dir, "engine", "x.engine"), nil, 0o600) }, "not built here"},
		"file from outside": {func(dir string) error { return edit(dir, `"engine/graph.engine"`, `"../../graph.engine"`) }, "outside"},
	} {
		t.Run(name, func(t *testing.T) {
			cache, b := cacheAt(t, t.TempDir()), &builder{}
			dir := filepath.Dir(func() string { e := built(t, cache, b); return e.context() }())
			check(t, c.spoil(dir))
			entries, err := cache.Entries()
			check(t, err)
			wantError(t, entries[0].Problem, c.word)
			built(t, cache, b)
			aside, _ := filepath.Glob(dir + badInfix + "*")
			if b.times != 2 || len(aside) != 1 {
				t.Errorf("built %d times, set aside: %q", b.times, aside)
			}
			gone, err := cache.Clean(context.Background(), false)
			if err != nil || len(gone) != 1 || exists(aside[0]) || !exists(dir) {
				t.Errorf("cleaned %q, %v", gone, err)
			}
		})
	}
}

func flip(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	return os.WriteFile(path, data, 0o600)
}

func edit(dir, from, to string) error {
	path := filepath.Join(dir, engineManifest)
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !strings.Contains(string(data), from) {
		return errors.New("nothing to edit: " + from)
	}
	return os.WriteFile(path, []byte(strings.Replace(string(data), from, to, 1)), 0o600)
}

// A build that fails leaves nothing behind and does not harm the next.
func TestFailedBuildLeavesNothing(t *testing.T) {
	c, b := cacheAt(t, t.TempDir()), &builder{fail: unix.ENOSPC}
	_, err := c.get(context.Background(), someKey(), "tiny", b.build)
	wantError(t, err, "engine of tiny for 1 hops", "no space left on device")
	if entries, err := c.Entries(); err != nil || len(entries) != 0 {
		t.Errorf("left: %+v, %v", entries, err)
	}
	b.fail = nil
	built(t, c, b)
}

// What a builder that died has left goes with the next build.
func TestLeftoversAreSwept(t *testing.T) {
	c, b := cacheAt(t, t.TempDir()), &builder{}
	check(t, os.MkdirAll(filepath.Join(c.Dir(), newPrefix+"123", "engine"), 0o755))
	if entries, _ := c.Entries(); len(entries) != 1 || !entries[0].Aside {
		t.Errorf("%+v", entries)
	}
	built(t, c, b)
	if entries, _ := c.Entries(); len(entries) != 1 || entries[0].Problem != nil {
		t.Errorf("%+v", entries)
	}
}

func TestCacheThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "autovoice"), nil, 0o600))
	c := cacheAt(t, dir)
	_, err := c.get(context.Background(), someKey(), "tiny", (&builder{}).build)
	wantError(t, err, "engines", filepath.Join(dir, "autovoice"))
	_, err = c.export("tiny", 1, []byte("model"))
	wantError(t, err, filepath.Join(dir, "autovoice"))
}

// Two processes want one engine: one builds, the other waits, says so, and uses it.
func TestOneBuilderAcrossProcesses(t *testing.T) {
	if dir := os.Getenv("TEST_BUILDER"); dir != "" {
		c, b := cacheAt(t, dir), &builder{}
		waited := false
		defer WatchBuilding(t.Context(), func(now Building) { waited = waited || now.Waiting })()
		_, err := c.get(context.Background(), someKey(), "tiny", func(dir string, e *BuiltEngine) error {
			time.Sleep(300 * time.Millisecond)
			return b.build(dir, e)
		})
		check(t, err)
		check(t, os.WriteFile(filepath.Join(dir, "by-"+time.Now().Format("150405.000000")), []byte{byte('0' + b.times), map[bool]byte{true: 'w', false: '-'}[waited]}, 0o600))
		return
	}
	dir := t.TempDir()
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			child := exec.Command(os.Args[0], "-test.run=^TestOneBuilderAcrossProcesses$")
			child.Env = append(os.Environ(), "TEST_BUILDER="+dir)
			if out, err := child.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	group.Wait()
	marks, _ := filepath.Glob(filepath.Join(dir, "by-*"))
	var builds, waits int
	for _, m := range marks {
		text := read(t, m)
		builds += int(text[0] - '0')
		if text[1] == 'w' {
			waits++
		}
	}
	if len(marks) != 3 || builds != 1 || waits == 0 {
		t.Errorf("%d processes built %d times, %d waited; expected 3, 1 and some", len(marks), builds, waits)
	}
}

// Whoever waits for a builder can give up; a lock goes with its process, not with its file.
func TestWaitingForABuilderEnds(t *testing.T) {
	c := cacheAt(t, t.TempDir())
	check(t, os.MkdirAll(c.Dir(), 0o755))
	unlock, err := c.lock(context.Background(), Building{})
	check(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = c.get(ctx, someKey(), "tiny", (&builder{}).build)
	wantError(t, err, "another process builds")
	unlock()
	built(t, c, &builder{})
}

// The wait for a build is told, with an estimate that the last build taught.
func TestBuildingIsTold(t *testing.T) {
	c := cacheAt(t, t.TempDir())
	var told []Building
	defer WatchBuilding(t.Context(), func(b Building) { told = append(told, b) })()
	built(t, c, &builder{})
	if len(told) == 0 || told[0].Estimate != usualBuild(FP16) || told[0].Model != "tiny" || !strings.Contains(told[0].String(), "in fp16: 0 of about 70 s") {
		t.Errorf("%v", told)
	}
	if e := c.estimate(someKey()); e <= 0 || e > 5*time.Second {
		t.Errorf("estimate %v after a build of no time", e)
	}
}

func TestExportedModel(t *testing.T) {
	c := cacheAt(t, t.TempDir())
	model := read(t, tinyVoice)
	path, err := c.export("tiny/../voice", 4, model)
	check(t, err)
	if filepath.Dir(path) != filepath.Join(filepath.Dir(c.Dir()), "onnx_models") || !strings.HasPrefix(filepath.Base(path), "voice-4-") {
		t.Error(path)
	}
	check(t, os.Truncate(path, 10))
	again, err := c.export("tiny/../voice", 4, model)
	check(t, err)
	if again != path || hash(read(t, path)) != hash(model) {
		t.Error("a truncated model was not written again")
	}
}

func TestFirstSessionIsTriedOnce(t *testing.T) {
	c := cacheAt(t, t.TempDir())
	check(t, os.MkdirAll(c.Dir(), 0o755))
	times := 0
	crash := errors.New("crash")
	for _, result := range []error{crash, nil, nil} {
		if err := c.once("id", func() error { times++; return result }); err != result && times < 3 {
			t.Error(err)
		}
	}
	if times != 2 {
		t.Errorf("tried %d times, expected 2: until it went well", times)
	}
	check(t, c.once("other", func() error { times++; return nil }))
	if times != 3 {
		t.Error("another set-up was not tried")
	}
}

func TestCleanAll(t *testing.T) {
	c := cacheAt(t, t.TempDir())
	if gone, err := c.Clean(context.Background(), true); err != nil || len(gone) != 0 {
		t.Errorf("%q, %v of no folder", gone, err)
	}
	built(t, c, &builder{})
	_, err := c.export("tiny", 1, []byte("model"))
	check(t, err)
	notes := filepath.Join(c.Dir(), "notes.txt")
	check(t, os.WriteFile(notes, nil, 0o600))
	gone, err := c.Clean(context.Background(), true)
	if err != nil || len(gone) != 2 || !exists(notes) {
		t.Errorf("%q, %v; what is not ours must stay", gone, err)
	}
}
