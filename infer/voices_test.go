package infer

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func registry(t testing.TB, folder string) *Registry {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Models = folder
	r, err := NewRegistry(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, r.Close()) })
	return r
}

// put copies a file into a folder.
func put(t *testing.T, folder, name, from string) {
	t.Helper()
	check(t, os.MkdirAll(folder, 0o755))
	check(t, os.WriteFile(filepath.Join(folder, name), read(t, from), 0o600))
}

func TestBundledVoices(t *testing.T) {
	r := registry(t, "")
	v, err := r.Find("passthrough")
	if err != nil || v.Kind != KindPassthrough || v.InRate != 48000 || v.OutRate != 48000 || v.LookaheadMS != 0 || v.Licence == "" {
		t.Errorf("%+v, %v", v, err)
	}
	for _, v := range r.Voices() {
		if v.Kind != KindVoice {
			continue
		}
		if v.Sex == "" || v.MedianHz == 0 || v.Licence == "" || !v.Reference {
			t.Errorf("bundled voice %+v lacks something", v)
		}
		if flac, err := r.Reference(v.Name); err != nil || string(flac[:4]) != "fLaC" {
			t.Errorf("bundled voice %s: reference: %v", v.Name, err)
		}
	}
}

// Every bundled pack loads and gives sound of its own, live and deterministic.
func TestBundledVoicesRun(t *testing.T) {
	needRuntime(t)
	r := registry(t, "")
	samples, f0 := speech(60)
	for _, v := range r.Voices() {
		if v.Kind != KindVoice {
			continue
		}
		var outs [2][]float32
		for i := range outs {
			c, err := r.NewSession(v.Name, SessionOptions{Shift: Shift{Auto: true}})
			if err != nil {
				t.Fatal(err)
			}
			outs[i] = convert(t, c, samples, f0, 1)
			if c.Faults() != (Faults{}) || energy(outs[i]) == 0 {
				t.Errorf("voice %s: faults %+v, energy %g", v.Name, c.Faults(), energy(outs[i]))
			}
			check(t, c.Close())
		}
		if !same(outs[0], outs[1]) {
			t.Errorf("voice %s: the same input gave other bytes", v.Name)
		}
	}
}

func TestVoicesOfAFolder(t *testing.T) {
	folder := t.TempDir()
	put(t, folder, "tiny.onnx", tinyVoice)
	put(t, folder, "README.txt", "voices.go") // no pack, not looked at
	r := registry(t, folder)
	var names []string
	for _, v := range r.Voices() {
		names = append(names, v.Name)
	}
	if n := len(names); names[0] == "tiny-low" || !slices.Equal(names[n-2:], []string{"tiny-low", "tiny-high"}) {
		t.Errorf("voices %q, expected the bundled ones first and the folder's last", names)
	}
	v, err := r.Find("tiny-high")
	want := VoiceInfo{
		Name: "tiny-high", Pack: "tiny-voice", Kind: KindVoice, Sex: "female", MedianHz: 220, Description: "a high buzz",
		Licence: "Apache-2.0", InRate: 16000, OutRate: 24000, LookaheadMS: 10,
	}
	if err != nil || v != want {
		t.Errorf("%+v, %v, expected %+v", v, err, want)
	}
	_, err = r.Find("nobody")
	wantError(t, err, `"nobody"`, "passthrough", "tiny-low, tiny-high")
	if !errors.Is(err, ErrUnknownVoice) {
		t.Errorf("%v is not ErrUnknownVoice", err)
	}
	_, err = r.Reference("tiny-low")
	wantError(t, err, "tiny-low", "no reference")
	_, err = r.Reference("nobody")
	wantError(t, err, "nobody")
}

func TestRegistryLoadsAPackOnce(t *testing.T) {
	needRuntime(t)
	folder := t.TempDir()
	put(t, folder, "tiny.onnx", tinyVoice)
	r := registry(t, folder)
	low, err := r.Engine("tiny-low")
	if err != nil {
		t.Fatal(err)
	}
	high, err := r.Engine("tiny-high")
	if err != nil || low != high {
		t.Errorf("two voices of a pack have engines %p and %p, %v", low, high, err)
	}
	c, err := r.NewSession("tiny-high", SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.NewSession("nobody", SessionOptions{})
	wantError(t, err, "nobody", "tiny-high")
	check(t, r.Close())
	samples, f0 := speech(3)
	convert(t, c, samples, f0, 1)
	check(t, c.Close())
	_, err = r.Engine("tiny-low")
	wantError(t, err, "closed")
}

func TestReferenceOfAFolder(t *testing.T) {
	folder := t.TempDir()
	model := read(t, tinyVoice)
	contract, err := ReadContractBytes("tiny", model)
	if err != nil {
		t.Fatal(err)
	}
	r := &Registry{packs: map[string]*pack{}}
	contract.Voices[0].Reference = "LOW.flac"
	contract.Voices[1].Reference = "../tiny.onnx"
	check(t, r.addPack(&pack{file: "tiny.onnx", files: os.DirFS(folder), path: "tiny.onnx", contract: contract}))
	_, err = r.Reference("tiny-low")
	wantError(t, err, "tiny-low", "tiny.onnx", "LOW.flac")
	put(t, filepath.Join(folder, "references"), "LOW.flac", tinyVoice)
	if flac, err := r.Reference("tiny-low"); err != nil || len(flac) == 0 {
		t.Errorf("%d bytes, %v", len(flac), err)
	}
	if _, err := r.Reference("tiny-high"); err == nil {
		t.Error("a reference outside its folder was read")
	}
}

func TestFoldersThatDoNotServe(t *testing.T) {
	open := func(folder string) error {
		cfg := DefaultConfig()
		cfg.Models = folder
		_, err := NewRegistry(cfg)
		return err
	}
	wantError(t, open("/nowhere/at/all"), "'models'", "/nowhere/at/all")
	wantError(t, open("voices.go"), "'models'", "voices.go", "folder")

	folder := t.TempDir()
	put(t, folder, "text.onnx", "voices.go")
	wantError(t, open(folder), filepath.Join(folder, "text.onnx"), "ONNX")

	folder = t.TempDir()
	put(t, folder, "a.onnx", tinyVoice)
	put(t, folder, "b.onnx", tinyVoice)
	wantError(t, open(folder), "b.onnx", `"tiny-low"`, "a.onnx")

	cfg := DefaultConfig()
	cfg.Threads = 0
	_, err := NewRegistry(cfg)
	wantError(t, err, "'threads'")
}
