package infer

import (
	"fmt"
	"slices"
)

// Config is the section "infer" of the configuration.
type Config struct {
	Policy `yaml:",inline"`
	// Models is a folder with further packs (*.onnx, and references/*.flac for their speakers), and
	// with the encoder (speaker.onnx) of targets for them when it is not the bundled one; "" for the
	// bundled voices alone.
	Models string `yaml:"models" json:"models"`
	// Separator is the provider of the separator of songs, where it is not to run where the voices do: cpu, cuda or tensorrt; "" for
	// Provider.
	Separator string `yaml:"separator" json:"separator"`
}

// SeparatorPolicy says where the separator of songs is to run.
func (c Config) SeparatorPolicy() Policy {
	p := c.Policy
	if c.Separator != "" {
		p.Provider = c.Separator
	}
	if p.Provider != ProviderTensorRT {
		p.Precision = FP32 // the others have no fp16
	}
	return p
}

// DefaultConfig is the default policy and the bundled voices.
func DefaultConfig() Config { return Config{Policy: DefaultPolicy()} }

// Validate quotes the key that is wrong. Whether the folder is there is seen when it is opened.
func (c Config) Validate() error {
	if err := c.Policy.Validate(); err != nil {
		return fmt.Errorf("infer: %w", err)
	}
	if allowed := []string{"", ProviderCPU, ProviderCUDA, ProviderTensorRT}; !slices.Contains(allowed, c.Separator) {
		return fmt.Errorf("infer: 'separator' is %q, allowed: cpu, cuda, tensorrt, or nothing for 'provider'", c.Separator)
	}
	return nil
}
