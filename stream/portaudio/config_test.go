package portaudio

import (
	"strings"
	"testing"
	"time"
)

func TestDefaultIsValid(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateNamesTheKey(t *testing.T) {
	for key, spoil := range map[string]func(*Config){
		"rate: 500000":    func(c *Config) { c.Rate = 500000 },
		"rate: 7999":      func(c *Config) { c.Rate = 7999 },
		"rate: -1":        func(c *Config) { c.Rate = -1 },
		`mix: "both"`:     func(c *Config) { c.Mix = "both" },
		"period: 1s":      func(c *Config) { c.Period = time.Second },
		"period: -1ns":    func(c *Config) { c.Period = -1 },
		"latency: 2s":     func(c *Config) { c.Latency = 2 * time.Second },
		"slack: 1s":       func(c *Config) { c.Slack = time.Second },
		"buffer: 1ms":     func(c *Config) { c.Buffer = time.Millisecond },
		"deadline: 0s":    func(c *Config) { c.Deadline = 0 },
		"stall: 1ms":      func(c *Config) { c.Stall = time.Millisecond },
		"retry_min: 1ms":  func(c *Config) { c.RetryMin = time.Millisecond },
		"retry_max: 1h":   func(c *Config) { c.RetryMax = time.Hour },
		"longer than":     func(c *Config) { c.RetryMin = 10 * time.Second },
		"at least one":    func(c *Config) { c.Input, c.Output = NoDevice, NoDevice },
		"expected 0 (the": func(c *Config) { c.Rate = 96000 },
	} {
		c := Default()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("expected an error with %q, got %v", key, err)
		}
	}
}
