package infer

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	ort "github.com/yalue/onnxruntime_go"
)

// netSession is ONNX Runtime's session of one network.
type netSession = ort.DynamicAdvancedSession

// placement is where a network's nodes run.
type placement struct {
	Nodes
	names map[string][]string // by provider, as in ProviderCPU
}

// prove fails when a node runs elsewhere than on the provider that was settled on, and names it.
func (p placement) prove(provider string) error {
	var elsewhere []string
	for _, other := range []string{ProviderTensorRT, ProviderCUDA, ProviderCPU} {
		for _, name := range p.names[other] {
			if other != provider {
				elsewhere = append(elsewhere, name+" on "+other)
			}
		}
	}
	if len(elsewhere) == 0 {
		return nil
	}
	const most = 8
	text := strings.Join(elsewhere[:min(most, len(elsewhere))], ", ")
	if n := len(elsewhere) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return fmt.Errorf("%d of %d nodes do not run on %s: %s", len(elsewhere), p.TensorRT+p.CUDA+p.CPU, provider, text)
}

// prove records where the engine's graph for one hop runs, and fails where that is not what was settled on. An engine of
// TensorRT was proven when it was built, in a process of its own.
func (e *Engine) prove() error {
	if e.policy.Provider == ProviderTensorRT {
		return nil
	}
	placed, err := countNodes(&e.contract, 1, func(profile string) (*netSession, error) {
		return openNet(&e.contract, e.model, e.policy, profile)
	})
	if err == nil && e.policy.Provider == ProviderCUDA {
		err = placed.prove(ProviderCUDA)
		if err != nil && e.policy.Fallback {
			e.warnings = append(e.warnings, err.Error()+"; as fallback allows")
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("warm-up: %w", err)
	}
	e.provider.Nodes = placed.Nodes
	return nil
}

// countNodes proves where a network's nodes run: it opens it once more with ONNX Runtime's profiler on, runs it twice, and
// counts the nodes in the profile by provider. Never on the live session: a profile grows with every run.
func countNodes(c *Contract, hops int, open func(profile string) (*netSession, error)) (placed placement, err error) {
	dir, err := os.MkdirTemp("", "autovoice-profile-")
	if err != nil {
		return placed, fmt.Errorf("profile: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	net, err := open(filepath.Join(dir, "warmup"))
	if err != nil {
		return placed, fmt.Errorf("profile: %w", err)
	}
	err = profiledRuns(c, network{hops, net})
	if err = errors.Join(err, net.Destroy()); err != nil { // destroying writes the file
		return placed, fmt.Errorf("profile: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "warmup*.json"))
	if err != nil || len(files) != 1 {
		return placed, fmt.Errorf("profile: one file expected, %d found", len(files))
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return placed, fmt.Errorf("profile: %w", err)
	}
	return parseProfile(text)
}

func profiledRuns(c *Contract, net network) error {
	b, err := newBinding(c, []network{net})
	if err != nil {
		return err
	}
	for range 2 {
		if err := b.run(b.single); err != nil {
			return errors.Join(err, b.close())
		}
	}
	return b.close()
}

// parseProfile tells the distinct nodes of a profile by provider: each run of a node is one event.
func parseProfile(text []byte) (placement, error) {
	var events []struct {
		Category string `json:"cat"`
		Name     string `json:"name"`
		Args     struct {
			Provider string `json:"provider"`
			Index    string `json:"node_index"`
		} `json:"args"`
	}
	if err := json.Unmarshal(text, &events); err != nil {
		return placement{}, fmt.Errorf("profile: %w", err)
	}
	placed := placement{names: map[string][]string{}}
	seen := map[string]bool{}
	for _, e := range events {
		id := e.Args.Index + "/" + e.Name
		if e.Category != "Node" || e.Args.Provider == "" || seen[id] {
			continue
		}
		seen[id] = true
		var on string
		switch e.Args.Provider {
		case "TensorrtExecutionProvider":
			on = ProviderTensorRT
			placed.TensorRT++
		case "CUDAExecutionProvider":
			on = ProviderCUDA
			placed.CUDA++
		case "CPUExecutionProvider":
			on = ProviderCPU
			placed.CPU++
		default:
			return placement{}, fmt.Errorf("profile: node %s ran on unknown provider %s", e.Name, e.Args.Provider)
		}
		placed.names[on] = append(placed.names[on], strings.TrimSuffix(e.Name, "_kernel_time"))
	}
	if placed.Nodes == (Nodes{}) {
		return placed, errors.New("profile: no node ran on any provider")
	}
	return placed, nil
}
