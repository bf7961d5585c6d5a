package infer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	engineFormat   = 2
	engineManifest = "manifest.json"
	maxManifest    = 1 << 20
)

// EngineKey is everything that an engine depends on. An engine is only ever used under the key that it was built for.
type EngineKey struct {
	Model     string  `json:"model"` // SHA-256 of the ONNX file's bytes
	Shapes    string  `json:"shapes"`
	Hops      int     `json:"hops"`
	Precision string  `json:"precision"` // that was asked for
	Machine   Machine `json:"machine"`
}

// String is the name of the engine's folder: the SHA-256 of all that.
func (k EngineKey) String() string {
	text, err := json.Marshal(k)
	if err != nil {
		panic(err) // cannot be: strings and numbers
	}
	return hash(text)
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// BuiltEngine is an engine's manifest: what it is, how it came about, and its files.
type BuiltEngine struct {
	Format    int       `json:"format"`
	Key       EngineKey `json:"key"`
	Name      string    `json:"name"`      // of the pack
	Precision string    `json:"precision"` // that it has: fp32 where fp16 was too far from it
	// Chosen: in fp16, TensorRT chose what is; else the products of matrices are, and nothing else.
	Chosen bool `json:"chosen_by_tensorrt,omitempty"`
	// Gate is how far fp16 was from fp32; nil where fp32 was asked for. One for many sessions that is too far is not used.
	Gate    *Distance    `json:"gate,omitempty"`
	Nodes   Nodes        `json:"nodes"`
	Built   time.Time    `json:"built"`
	Seconds float64      `json:"build_seconds"`
	Files   []enginePart `json:"files"`

	dir string
}

type enginePart struct {
	Name   string `json:"name"` // with slashes, relative to the folder
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

func (b *BuiltEngine) context() string { return filepath.Join(b.dir, engineFile) }

// Unused says why a sound engine is left out all the same; nil where it is not.
func (b *BuiltEngine) Unused() error {
	if b.Precision == FP16 && b.Gate != nil && b.Gate.check() != nil {
		return fmt.Errorf("not used: %s is too far from fp32: %v", b.Precision, b.Gate)
	}
	return nil
}

// Size is that of all its files, in bytes.
func (b *BuiltEngine) Size() (n int64) {
	for _, f := range b.Files {
		n += f.Size
	}
	return n
}

// EngineCache is the folder of the engines, and that of the models that they are built of. It holds no state: several
// processes use one, and each engine comes and goes as a whole.
type EngineCache struct{ engines, models string }

// OpenEngineCache is the user's: autovoice/tensorrt_engines and autovoice/onnx_models in the cache folder.
func OpenEngineCache() (*EngineCache, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("engines: no cache folder: %w", err)
	}
	cache = filepath.Join(cache, "autovoice")
	return &EngineCache{filepath.Join(cache, "tensorrt_engines"), filepath.Join(cache, "onnx_models")}, nil
}

// Dir is the folder of the engines.
func (c *EngineCache) Dir() string { return c.engines }

func (c *EngineCache) timing() string { return filepath.Join(c.engines, ".timing") }

// export writes a model where TensorRT can read it, unless it is there already.
func (c *EngineCache) export(name string, hops int, model []byte) (string, error) {
	path := filepath.Join(c.models, fmt.Sprintf("%s-%d-%s.onnx", filepath.Base(name), hops, hash(model)[:12]))
	if there, err := os.ReadFile(path); err == nil && hash(there) == hash(model) {
		return path, nil
	}
	if err := os.MkdirAll(c.models, 0o755); err != nil {
		return "", fmt.Errorf("models for engines: %w", err)
	}
	return path, writeWhole(path, model)
}

// writeWhole writes a file under a temporary name and renames it.
func writeWhole(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// load reads an engine's manifest and holds the folder to it, file by file.
func (c *EngineCache) load(name string) (BuiltEngine, error) {
	m := BuiltEngine{dir: filepath.Join(c.engines, name)}
	info, err := os.Stat(filepath.Join(m.dir, engineManifest))
	if err == nil && info.Size() > maxManifest {
		err = fmt.Errorf("%d bytes", info.Size())
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(filepath.Join(m.dir, engineManifest))
	}
	if err != nil {
		return m, fmt.Errorf("manifest: %w", err)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("manifest: not JSON: %w", err)
	}
	switch {
	case m.Format != engineFormat:
		return m, fmt.Errorf("foreign: format %d, expected %d", m.Format, engineFormat)
	case m.Key.String() != name:
		return m, fmt.Errorf("foreign: its manifest is that of %.12s", m.Key.String())
	}
	return m, m.checkFiles()
}

// checkFiles holds the folder to the manifest's list.
func (b *BuiltEngine) checkFiles() error {
	listed := map[string]bool{engineManifest: true}
	found := false
	for _, f := range b.Files {
		if !filepath.IsLocal(f.Name) {
			return fmt.Errorf("foreign: file %q outside of its folder", f.Name)
		}
		listed[f.Name] = true
		found = found || f.Name == engineFile
		data, err := os.ReadFile(filepath.Join(b.dir, f.Name))
		if err != nil {
			return fmt.Errorf("corrupt: %w", err)
		}
		if int64(len(data)) != f.Size {
			return fmt.Errorf("corrupt: %s has %d bytes, expected %d", f.Name, len(data), f.Size)
		}
		if hash(data) != f.SHA256 {
			return fmt.Errorf("corrupt: %s is not what was built (SHA-256)", f.Name)
		}
	}
	if !found {
		return fmt.Errorf("corrupt: no %s among its files", engineFile)
	}
	return eachFile(b.dir, func(name string) error {
		if !listed[name] {
			return fmt.Errorf("foreign: %s was not built here", name)
		}
		return nil
	})
}

// list fills in the files that are in the folder.
func (b *BuiltEngine) list() error {
	b.Files = nil
	return eachFile(b.dir, func(name string) error {
		data, err := os.ReadFile(filepath.Join(b.dir, name))
		b.Files = append(b.Files, enginePart{Name: name, Size: int64(len(data)), SHA256: hash(data)})
		return err
	})
}

func eachFile(dir string, visit func(name string) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return visit(filepath.ToSlash(name))
	})
}

// once runs f for an identity that it has not yet succeeded for.
func (c *EngineCache) once(id string, f func() error) error {
	mark := filepath.Join(c.engines, ".tried-"+id)
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	if err := f(); err != nil {
		return err
	}
	// Without the mark the next start tries again, which costs a second: a folder that cannot be written is no reason to fail.
	_ = writeWhole(mark, []byte(time.Now().UTC().Format(time.RFC3339)+"\n")) //nolint:errcheck // see above
	return nil
}

// empty removes what is in a folder.
func (c *EngineCache) empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// isKey says whether a folder's name is that of an engine.
func isKey(name string) bool {
	_, err := hex.DecodeString(name)
	return err == nil && len(name) == 2*sha256.Size && strings.ToLower(name) == name
}
