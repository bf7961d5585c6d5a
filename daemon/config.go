package daemon

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream"
	"github.com/autovoiced/autovoiced/stream/portaudio"
)

// Config is everything that can be set, in the sections of config.yaml, where each key is explained
// by what it trades off. A key's allowed values stand in its tags: min and max (inclusive) or oneof.
type Config struct {
	HTTP       HTTPConfig       `yaml:"http"`
	Audio      AudioConfig      `yaml:"audio"`
	Stream     StreamConfig     `yaml:"stream"`
	Separation SeparationConfig `yaml:"separation"`
	Pitch      PitchConfig      `yaml:"pitch"`
	Voice      VoiceConfig      `yaml:"voice"`
	Mixing     MixingConfig     `yaml:"mixing"`
	Infer      infer.Config     `yaml:"infer"`
	Jobs       JobsConfig       `yaml:"jobs"`
	Status     StatusConfig     `yaml:"status"`
	Log        LogConfig        `yaml:"log"`
}

// HTTPConfig is the server for clients: where it listens, who may come, and how much they may ask.
type HTTPConfig struct {
	Listen         string        `yaml:"listen"`
	Token          string        `yaml:"token"`
	Origins        []string      `yaml:"origins"`
	MaxSessions    int           `yaml:"max_sessions" min:"1" max:"10000"`
	MaxLoad        float64       `yaml:"max_load" min:"0" max:"100"` // percent
	MaxFrameBytes  int           `yaml:"max_frame_bytes" min:"1024" max:"16777216"`
	StartTimeout   time.Duration `yaml:"start_timeout" min:"100ms" max:"1m"`
	IdleTimeout    time.Duration `yaml:"idle_timeout" min:"1s" max:"1h"`
	StallTimeout   time.Duration `yaml:"stall_timeout" min:"100ms" max:"1m"`
	ResumeTimeout  time.Duration `yaml:"resume_timeout" min:"0s" max:"1m"`
	RealTimeFactor float64       `yaml:"real_time_factor" min:"1" max:"1000"`
}

// AudioConfig is the sound card.
type AudioConfig struct {
	// Enabled is auto (use it when there is one), true (also keep looking for it) or false.
	Enabled          string `yaml:"enabled" oneof:"auto true false"`
	portaudio.Config `yaml:",inline"`
}

// StreamConfig is how chunks move.
type StreamConfig struct {
	Chunk        time.Duration `yaml:"chunk" oneof:"10ms 20ms 30ms 40ms"`
	Queue        int           `yaml:"queue" min:"1" max:"64"` // chunks
	DrainTimeout time.Duration `yaml:"drain_timeout" min:"100ms" max:"5m"`
}

// SeparationConfig is the first stage: what is taken away from the captured signal.
type SeparationConfig struct {
	Mode        string        `yaml:"mode" oneof:"gate model bypass"`
	HighPassHz  float64       `yaml:"high_pass_hz" min:"0" max:"500"`
	GateOpenDB  float64       `yaml:"gate_open_db" min:"-90" max:"0"`
	GateCloseDB float64       `yaml:"gate_close_db" min:"-90" max:"0"`
	GateHold    time.Duration `yaml:"gate_hold" min:"0s" max:"2s"`
}

// PitchConfig is where the pitch tracker looks.
type PitchConfig struct {
	MinHz float64 `yaml:"min_hz" min:"50" max:"200"`
	MaxHz float64 `yaml:"max_hz" min:"300" max:"1100"`
}

// VoiceConfig is the voice that is spoken with when nobody asks for another.
type VoiceConfig struct {
	// Name is from `autovoiced voices`; empty is the first of them.
	Name  string          `yaml:"name"`
	Pitch wire.PitchShift `yaml:"pitch"`
}

// MixingConfig is the last stage.
type MixingConfig struct {
	GainDB  float64 `yaml:"gain_db" min:"-48" max:"24"`
	DryWet  float64 `yaml:"dry_wet" min:"0" max:"1"`
	Monitor bool    `yaml:"monitor"`
	Limiter bool    `yaml:"limiter"`
	Ceiling float64 `yaml:"ceiling_db" min:"-24" max:"0"`
}

// JobsConfig is the songs that clients send.
type JobsConfig struct {
	MaxUploadMB int           `yaml:"max_upload_mb" min:"1" max:"16384"`
	Queue       int           `yaml:"queue" min:"1" max:"1000"`
	Workers     int           `yaml:"workers" min:"1" max:"64"`
	Keep        time.Duration `yaml:"keep" min:"1s" max:"168h"`
	Folder      string        `yaml:"folder"`
}

// StatusConfig is how often the status is told.
type StatusConfig struct {
	Hz float64 `yaml:"hz" min:"1" max:"50"`
}

// LogConfig is the log on standard error.
type LogConfig struct {
	Level  string `yaml:"level" oneof:"debug info warn error"`
	Format string `yaml:"format" oneof:"auto console json"`
}

// Default is what runs with no file at all. config.yaml says the same, by test.
func Default() Config {
	return Config{
		HTTP: HTTPConfig{
			Listen:         "127.0.0.1:8484",
			MaxSessions:    1000,
			MaxLoad:        90,
			MaxFrameBytes:  256 << 10,
			StartTimeout:   10 * time.Second,
			IdleTimeout:    time.Minute,
			StallTimeout:   5 * time.Second,
			ResumeTimeout:  5 * time.Second,
			RealTimeFactor: 100,
		},
		Audio: AudioConfig{Enabled: "auto", Config: portaudio.Default()},
		Stream: StreamConfig{
			Chunk:        10 * time.Millisecond,
			Queue:        stream.DefaultConfig().Queue,
			DrainTimeout: 5 * time.Second,
		},
		Separation: SeparationConfig{
			Mode:        "gate",
			HighPassHz:  70,
			GateOpenDB:  -50,
			GateCloseDB: -56,
			GateHold:    200 * time.Millisecond,
		},
		Pitch:  PitchConfig{MinHz: 55, MaxHz: 1000},
		Voice:  VoiceConfig{Pitch: wire.PitchShift{Auto: true}},
		Mixing: MixingConfig{DryWet: 1, Limiter: true, Ceiling: -1},
		Infer:  infer.DefaultConfig(),
		Jobs:   JobsConfig{MaxUploadMB: 1024, Queue: 8, Workers: 1, Keep: time.Hour},
		Status: StatusConfig{Hz: 10},
		Log:    LogConfig{Level: "info", Format: "auto"},
	}
}

// Validate says which keys are wrong, each with what it may be, and which go ill together.
func (c *Config) Validate() error {
	var errs []error
	for _, s := range settings(c) {
		if err := s.check(); err != nil {
			errs = append(errs, err)
		}
	}
	if err := c.Infer.Policy.Validate(); err != nil {
		errs = append(errs, inSection("infer", err))
	}
	if err := c.Audio.Validate(); err != nil {
		errs = append(errs, inSection("audio", err))
	}
	if c.Separation.GateCloseDB > c.Separation.GateOpenDB {
		errs = append(errs, keyErrorf("separation.gate_close_db", "%v, allowed: at most gate_open_db (%v), or the gate flutters",
			c.Separation.GateCloseDB, c.Separation.GateOpenDB))
	}
	return errors.Join(append(errs, c.HTTP.validate())...)
}

// validate keeps the daemon from being open to a network without anybody having said so.
func (h *HTTPConfig) validate() error {
	host, _, err := net.SplitHostPort(h.Listen)
	if err != nil {
		return keyErrorf("http.listen", "%q, allowed: ADDRESS:PORT, as in 127.0.0.1:8484", h.Listen)
	}
	for _, o := range h.Origins {
		if !strings.HasPrefix(o, "http://") && !strings.HasPrefix(o, "https://") {
			return keyErrorf("http.origins", "%q, allowed: scheme and host, as in https://studio.example", o)
		}
	}
	if isLoopback(host) {
		return nil
	}
	if h.Token == "" {
		return keyErrorf("http.token", `"", allowed: at least 16 characters when http.listen is %s, which others can reach; `+
			"listen on 127.0.0.1 to need none", h.Listen)
	}
	if len(h.Token) < 16 {
		return keyErrorf("http.token", "%d characters long, allowed: at least 16 when http.listen is %s", len(h.Token), h.Listen)
	}
	if len(h.Origins) == 0 {
		return keyErrorf("http.origins", "[], allowed: the list of pages that may connect when http.listen is %s, "+
			"as in [https://studio.example]", h.Listen)
	}
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// keyError is a fault in one key: path as in config.yaml, then what it is and what it may be.
type keyError struct {
	path, text string
}

func (e *keyError) Error() string { return fmt.Sprintf("'%s' is %s", e.path, e.text) }

func keyErrorf(path, format string, args ...any) error {
	return &keyError{path, fmt.Sprintf(format, args...)}
}

var roomError = regexp.MustCompile(`^'?([a-z0-9_]+)'?(?: is |: )`)

// inSection puts a room's own message, "'key' is ..." or "key: ...", under the section's name.
func inSection(section string, err error) error {
	text := err.Error()
	m := roomError.FindStringSubmatch(text)
	if m == nil {
		return fmt.Errorf("'%s': %w", section, err)
	}
	return &keyError{section + "." + m[1], text[len(m[0]):]}
}
