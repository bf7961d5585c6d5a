package infer

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	ort "github.com/yalue/onnxruntime_go"
)

// countNodes proves where a model's nodes run: it builds the network once more with ONNX Runtime's
// profiler on, runs two hops in a temporary folder, and counts the nodes in the profile by
// provider. Never on the live session: a profile grows with every run.
func countNodes(c *Contract, model []byte, policy Policy) (nodes Nodes, err error) {
	dir, err := os.MkdirTemp("", "autovoice-profile-")
	if err != nil {
		return nodes, fmt.Errorf("profile: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	net, err := openNet(c, model, policy, filepath.Join(dir, "warmup"))
	if err != nil {
		return nodes, fmt.Errorf("profile: %w", err)
	}
	err = profiledRuns(c, net)
	if err = errors.Join(err, net.Destroy()); err != nil { // destroying writes the file
		return nodes, fmt.Errorf("profile: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "warmup*.json"))
	if err != nil || len(files) != 1 {
		return nodes, fmt.Errorf("profile: one file expected, %d found", len(files))
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return nodes, fmt.Errorf("profile: %w", err)
	}
	return parseProfile(text)
}

func profiledRuns(c *Contract, net *ort.DynamicAdvancedSession) error {
	b, err := newBinding(c, []network{{1, net}})
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

// parseProfile counts the distinct nodes of a profile by provider: each run of a node is one event.
func parseProfile(text []byte) (Nodes, error) {
	var events []struct {
		Category string `json:"cat"`
		Name     string `json:"name"`
		Args     struct {
			Provider string `json:"provider"`
			Index    string `json:"node_index"`
		} `json:"args"`
	}
	if err := json.Unmarshal(text, &events); err != nil {
		return Nodes{}, fmt.Errorf("profile: %w", err)
	}
	var nodes Nodes
	seen := map[string]bool{}
	for _, e := range events {
		id := e.Args.Index + "/" + e.Name
		if e.Category != "Node" || e.Args.Provider == "" || seen[id] {
			continue
		}
		seen[id] = true
		switch e.Args.Provider {
		case "TensorrtExecutionProvider":
			nodes.TensorRT++
		case "CUDAExecutionProvider":
			nodes.CUDA++
		case "CPUExecutionProvider":
			nodes.CPU++
		default:
			return Nodes{}, fmt.Errorf("profile: node %s ran on unknown provider %s", e.Name, e.Args.Provider)
		}
	}
	if nodes == (Nodes{}) {
		return nodes, errors.New("profile: no node ran on any provider")
	}
	return nodes, nil
}
