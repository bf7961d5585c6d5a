package infer

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

//go:embed voices
var bundled embed.FS

// bundledPrefix stands before the names of bundled files in errors.
const bundledPrefix = "bundled:"

// VoiceInfo is one voice as lists show it.
type VoiceInfo struct {
	Name        string  `json:"name"`
	Pack        string  `json:"pack"`
	Kind        string  `json:"kind"`
	Sex         string  `json:"sex,omitempty"`
	MedianHz    float64 `json:"median_hz,omitempty"`
	Description string  `json:"description,omitempty"`
	Licence     string  `json:"licence"`
	InRate      int     `json:"sample_rate_in"`
	OutRate     int     `json:"sample_rate_out"`
	LookaheadMS float64 `json:"lookahead_ms"`
	Reference   bool    `json:"reference"` // Reference has a recording of the speaker
}

// Registry knows the voices at hand and loads the packs they are in, each once, when it is first
// asked for. It owns the engines it hands out. It is safe from any goroutine.
type Registry struct {
	policy Policy
	voices []VoiceInfo
	packs  map[string]*pack // by voice name

	loaded atomic.Pointer[[]*Engine] // as they came; for who looks and must not wait

	mu     sync.Mutex // held while a pack loads, so that it loads once
	closed bool
}

// pack is one ONNX file and where it lies.
type pack struct {
	file     string // for errors
	files    fs.FS
	path     string // within files
	contract Contract
	engine   *Engine
}

// NewRegistry reads the contracts of the bundled packs and of those in the folder; no network is
// built and ONNX Runtime is not loaded yet. A file that is no pack, or a voice name that is taken,
// is an error: what the operator put there should work or be seen.
func NewRegistry(cfg Config) (*Registry, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := &Registry{policy: cfg.Policy, packs: map[string]*pack{}}
	r.loaded.Store(new([]*Engine))
	inside, err := fs.Sub(bundled, "voices")
	if err != nil {
		return nil, fmt.Errorf("bundled voices: %w", err)
	}
	if err := r.addFolder(inside, bundledPrefix); err != nil {
		return nil, err
	}
	if cfg.Models == "" {
		return r, nil
	}
	if info, err := os.Stat(cfg.Models); err != nil {
		return nil, fmt.Errorf("infer: 'models': %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("infer: 'models': %s is a file, expected a folder of packs", cfg.Models)
	}
	if err := r.addFolder(os.DirFS(cfg.Models), filepath.Clean(cfg.Models)+string(filepath.Separator)); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Registry) addFolder(files fs.FS, prefix string) error {
	names, err := fs.Glob(files, "*.onnx")
	if err != nil {
		return fmt.Errorf("voices: %w", err)
	}
	for _, name := range names {
		if name == speakerFile || name == separatorFile {
			continue
		}
		model, err := fs.ReadFile(files, name)
		if err != nil {
			return fmt.Errorf("model %s: %w", prefix+name, err)
		}
		contract, err := ReadContractBytes(prefix+name, model)
		if err != nil {
			return err
		}
		if err := r.addPack(&pack{file: prefix + name, files: files, path: name, contract: contract}); err != nil {
			return err
		}
	}
	return nil
}

func (r *Registry) addPack(p *pack) error {
	c := &p.contract
	for _, v := range c.Voices {
		if other, taken := r.packs[v.Name]; taken {
			return fmt.Errorf("model %s: voice %q is already in %s; rename one", p.file, v.Name, other.file)
		}
		r.packs[v.Name] = p
		licence := v.Licence
		if licence == "" {
			licence = c.Licence
		}
		r.voices = append(r.voices, VoiceInfo{
			Name: v.Name, Pack: c.Name, Kind: c.Kind, Sex: v.Sex, MedianHz: v.MedianHz,
			Description: v.Description, Licence: licence,
			InRate: c.SampleRateIn, OutRate: c.SampleRateOut, LookaheadMS: c.LookaheadMS,
			Reference: v.Reference != "",
		})
	}
	return nil
}

// Voices lists what there is, bundled packs first.
func (r *Registry) Voices() []VoiceInfo { return append([]VoiceInfo(nil), r.voices...) }

// Find returns a voice by its name; the error lists what there is.
func (r *Registry) Find(name string) (VoiceInfo, error) {
	names := make([]string, len(r.voices))
	for i, v := range r.voices {
		if v.Name == name {
			return v, nil
		}
		names[i] = v.Name
	}
	return VoiceInfo{}, fmt.Errorf("%w %q; there are: %s", ErrUnknownVoice, name, strings.Join(names, ", "))
}

// ErrUnknownVoice is what a lookup by a wrong name wraps.
var ErrUnknownVoice = errors.New("unknown voice")

// Engine returns the engine of the voice's pack, loaded and warm. The registry closes it.
func (r *Registry) Engine(voice string) (*Engine, error) {
	if _, err := r.Find(voice); err != nil {
		return nil, err
	}
	p := r.packs[voice]
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errors.New("voices: the registry is closed")
	}
	if p.engine != nil {
		return p.engine, nil
	}
	model, err := fs.ReadFile(p.files, p.path)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", p.file, err)
	}
	if p.engine, err = LoadBytes(p.file, model, r.policy); err == nil {
		engines := append(slices.Clone(*r.loaded.Load()), p.engine)
		r.loaded.Store(&engines)
	}
	return p.engine, err
}

// Batching is how the live sessions of each engine that is loaded share its runs. Nobody waits for a look.
func (r *Registry) Batching() []BatchStats {
	var all []BatchStats
	for _, e := range *r.loaded.Load() {
		if e.batch != nil {
			all = append(all, e.Batching())
		}
	}
	return all
}

// NewSession starts a conversation with a voice; the caller closes it.
func (r *Registry) NewSession(voice string, o SessionOptions) (Converter, error) {
	e, err := r.Engine(voice)
	if err != nil {
		return nil, err
	}
	return e.NewSession(voice, o)
}

// Reference returns a recording of the voice's speaker, as FLAC.
func (r *Registry) Reference(voice string) ([]byte, error) {
	if _, err := r.Find(voice); err != nil {
		return nil, err
	}
	p := r.packs[voice]
	v, err := p.contract.voice(voice)
	if err != nil {
		return nil, err
	}
	if v.Reference == "" {
		return nil, fmt.Errorf("voice %q has no reference recording", voice)
	}
	flac, err := fs.ReadFile(p.files, path.Join("references", v.Reference))
	if err != nil {
		return nil, fmt.Errorf("voice %q in %s: reference: %w", voice, p.file, err)
	}
	return flac, nil
}

// Close closes the engines; sessions that still run keep theirs until they close.
func (r *Registry) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	var errs []error
	for _, p := range r.packs {
		if p.engine != nil {
			errs = append(errs, p.engine.Close())
			p.engine = nil
		}
	}
	return errors.Join(errs...)
}
