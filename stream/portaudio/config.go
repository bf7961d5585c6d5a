package portaudio

import (
	"fmt"
	"time"
)

// Config says which devices to open and how. The zero values of Input, Output and HostAPI mean
// "the default one", zero Rate, Period and Latency mean "what the device likes best for speed".
type Config struct {
	// Input and Output are a device's index or a part of its name, case ignored; "" the default
	// device, "none" no device at all.
	Input  string `yaml:"input" json:"input"`
	Output string `yaml:"output" json:"output"`
	// HostAPI is a part of a host API's name ("alsa", "jack"); "" takes JACK where a server runs,
	// else PortAudio's default.
	HostAPI string `yaml:"host_api" json:"host_api"`
	// Rate is in Hz, 8000 to 48000; 0 takes 48000, else 44100, else what the device offers.
	Rate int `yaml:"rate" json:"rate"`
	// Period is how much audio one callback handles, 0 to 100 ms; 0 leaves it to the device.
	Period time.Duration `yaml:"period" json:"period"`
	// Latency is asked of the device's own buffers, 0 to 1 s; 0 takes the device's low latency.
	Latency time.Duration `yaml:"latency" json:"latency"`
	// Slack is how much later than due a converted chunk may come before playout runs dry: it is
	// part of the delay that one hears, and what rides out a busy machine. 0 to 200 ms.
	Slack time.Duration `yaml:"slack" json:"slack"`
	// Buffer is how much audio waits at most at each edge before the oldest is lost; it adds no
	// delay by itself. 50 ms to 5 s.
	Buffer time.Duration `yaml:"buffer" json:"buffer"`
	// Mix makes mono of the input: "first" takes channel 1, "average" the mean of the first two.
	Mix string `yaml:"mix" json:"mix"`
	// Deadline is how long a call into PortAudio may take before it is reported as hung and the
	// library is quarantined, 1 to 60 s. ALSA with PulseAudio behind it may need 2 s.
	Deadline time.Duration `yaml:"deadline" json:"deadline"`
	// Stall is how long callbacks may stay away before the device counts as lost, 0.2 to 30 s.
	Stall time.Duration `yaml:"stall" json:"stall"`
	// RetryMin and RetryMax bound the pause before a lost device is tried again; it doubles from
	// the one to the other. 0.05 to 60 s.
	RetryMin time.Duration `yaml:"retry_min" json:"retry_min"`
	RetryMax time.Duration `yaml:"retry_max" json:"retry_max"`
}

// The values of Config.Mix, and the name of no device.
const (
	MixFirst   = "first"
	MixAverage = "average"
	NoDevice   = "none"
)

// Rates that a device may run at, in Hz.
const (
	MinRate = 8000
	MaxRate = 48000
)

// Default is the default devices at the least latency that they offer.
func Default() Config {
	return Config{
		Slack:    4 * time.Millisecond,
		Buffer:   250 * time.Millisecond,
		Mix:      MixFirst,
		Deadline: 8 * time.Second,
		Stall:    time.Second,
		RetryMin: 250 * time.Millisecond,
		RetryMax: 5 * time.Second,
	}
}

// Validate checks each value by itself; whether the devices exist and agree shows in Open.
func (c Config) Validate() error {
	if c.Input == NoDevice && c.Output == NoDevice {
		return fmt.Errorf("input and output are both %q: at least one device is needed", NoDevice)
	}
	if c.Rate != 0 && (c.Rate < MinRate || c.Rate > MaxRate) {
		return fmt.Errorf("rate: %d Hz, expected 0 (the device's) or %d to %d", c.Rate, MinRate, MaxRate)
	}
	if c.Mix != MixFirst && c.Mix != MixAverage {
		return fmt.Errorf("mix: %q, expected %q or %q", c.Mix, MixFirst, MixAverage)
	}
	for _, d := range []struct {
		key      string
		is       time.Duration
		min, max time.Duration
	}{
		{"period", c.Period, 0, 100 * time.Millisecond},
		{"latency", c.Latency, 0, time.Second},
		{"slack", c.Slack, 0, 200 * time.Millisecond},
		{"buffer", c.Buffer, 50 * time.Millisecond, 5 * time.Second},
		{"deadline", c.Deadline, time.Second, time.Minute},
		{"stall", c.Stall, 200 * time.Millisecond, 30 * time.Second},
		{"retry_min", c.RetryMin, 50 * time.Millisecond, time.Minute},
		{"retry_max", c.RetryMax, 50 * time.Millisecond, time.Minute},
	} {
		if d.is < d.min || d.is > d.max {
			return fmt.Errorf("%s: %s, expected %s to %s", d.key, d.is, d.min, d.max)
		}
	}
	if c.RetryMin > c.RetryMax {
		return fmt.Errorf("retry_min: %s is longer than retry_max, %s", c.RetryMin, c.RetryMax)
	}
	return nil
}
