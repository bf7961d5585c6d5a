package infer

import "fmt"

// Config is the section "infer" of the configuration.
type Config struct {
	Policy `yaml:",inline"`
	// Models is a folder with further packs (*.onnx, and references/*.flac for their speakers), and
	// with the encoder (speaker.onnx) of targets for them when it is not the bundled one; "" for the
	// bundled voices alone.
	Models string `yaml:"models" json:"models"`
}

// DefaultConfig is the default policy and the bundled voices.
func DefaultConfig() Config { return Config{Policy: DefaultPolicy()} }

// Validate quotes the key that is wrong. Whether the folder is there is seen when it is opened.
func (c Config) Validate() error {
	if err := c.Policy.Validate(); err != nil {
		return fmt.Errorf("infer: %w", err)
	}
	return nil
}
