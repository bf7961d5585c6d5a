package infer

import (
	"fmt"
	"slices"
	"strings"
)

// Separator takes the voice out of a mixture as a stream, a hop at a time. One goroutine owns it and calls
// Process, Reset and, last, Close; Close may be called again. The other methods may be called from anywhere.
//
// What is not voice is the mixture, Latency frames late, less the vocals: the caller makes it, so that the two
// add up to the mixture exactly. To have the last of the vocals the caller feeds Latency frames of silence
// after the end.
type Separator interface {
	// Name is the model's, as NewSeparator takes it, SeparatorNone where nothing is separated.
	Name() string
	// Rate is the frames a second that it works at; Channels how many it takes and gives.
	Rate() int
	Channels() int
	// Hop is the frames that Process takes and gives. A model that hears long blocks does a block's work in
	// one of many calls, so a call's time says little; offline that does not matter.
	Hop() int
	// Latency is the frames by which the vocals are late: those that Process gives stand for the mixture that
	// it was given so much earlier. Before the beginning they are silence.
	Latency() int
	// Process takes Hop frames of each channel of a mixture and writes as many of the vocals. The slices are
	// the caller's and may be the same. It allocates nothing. What is not a number is heard as silence, and
	// the vocals are always finite. After an error the vocals are silence.
	Process(vocals, mixture [][]float32) error
	// Reset forgets the past signal.
	Reset()
	Close() error
}

// Bulk is a separator that takes many hops at once and has every processor at them.
type Bulk interface {
	Separator
	// ProcessMany is Process of any whole number of hops of each channel. It gives the same bytes, and may allocate.
	ProcessMany(vocals, mixture [][]float32) error
}

// ProcessHops has a separator do any whole number of hops, at once where it can.
func ProcessHops(s Separator, vocals, mixture [][]float32) error {
	if bulk, ok := s.(Bulk); ok {
		return bulk.ProcessMany(vocals, mixture)
	}
	if err := checkHops(s, vocals, mixture); err != nil {
		return err
	}
	from, to := make([][]float32, len(mixture)), make([][]float32, len(vocals))
	for at, hop := 0, s.Hop(); at < len(mixture[0]); at += hop {
		for c := range mixture {
			from[c], to[c] = mixture[c][at:at+hop], vocals[c][at:at+hop]
		}
		if err := s.Process(to, from); err != nil {
			return err
		}
	}
	return nil
}

// Placed is a model that says where it runs, and how that differs from what was asked for.
type Placed interface {
	Provider() (p Provider, warnings []string)
}

// Placement is where a model runs: the CPU, where it does not say.
func Placement(model any) (Provider, []string) {
	if placed, ok := model.(Placed); ok {
		return placed.Provider()
	}
	return Provider{Requested: ProviderCPU, Active: ProviderCPU, Precision: FP32}, nil
}

// SeparatorNone is the name of the separator that takes everything to be voice.
const SeparatorNone = "none"

// The presets of offline work, from the quickest to the best.
const (
	PresetFast     = "fast"
	PresetBalanced = "balanced"
	PresetQuality  = "quality"
)

// Presets lists the presets of offline work.
func Presets() []string { return []string{PresetFast, PresetBalanced, PresetQuality} }

// SeparatorNames lists the models for songs that are installed, the best first, and SeparatorNone.
func SeparatorNames() []string {
	if spleeterInstalled() {
		return []string{SeparatorSpleeter, SeparatorNone}
	}
	return []string{SeparatorNone}
}

// NewSeparator makes the separator for songs: stereo, 44.1 kHz, faster than real time on one core, not for live use. name is one of
// SeparatorNames, or "" for the best that is installed. The preset trades time for quality. It runs on the CPU. The caller closes it.
func NewSeparator(name, preset string) (Separator, error) {
	return NewSeparatorOn(DefaultPolicy(), name, preset)
}

// NewSeparatorOn is NewSeparator where the policy wants it.
func NewSeparatorOn(policy Policy, name, preset string) (Separator, error) {
	if !slices.Contains(Presets(), preset) {
		return nil, fmt.Errorf("separator: preset is %q, expected one of: %s", preset, strings.Join(Presets(), ", "))
	}
	if name == "" {
		name = SeparatorNames()[0]
	}
	switch name {
	case SeparatorNone:
		return noSeparator{}, nil
	case SeparatorSpleeter:
		return newSongSeparator(policy, preset)
	}
	return nil, fmt.Errorf("separator: no model %q, there are: %s, %s", name, SeparatorSpleeter, SeparatorNone)
}

// noSeparator passes everything as vocals.
type noSeparator struct{}

func (noSeparator) Name() string  { return SeparatorNone }
func (noSeparator) Rate() int     { return songRate }
func (noSeparator) Channels() int { return songChannels }
func (noSeparator) Hop() int      { return songHop }
func (noSeparator) Latency() int  { return 0 }
func (noSeparator) Reset()        {}
func (noSeparator) Close() error  { return nil }

func (s noSeparator) Process(vocals, mixture [][]float32) error {
	if err := checkFrames(s, vocals, mixture); err != nil {
		return err
	}
	for c := range vocals {
		if copy(vocals[c], mixture[c]); !finite(vocals[c]) {
			silenceOddities(vocals[c])
		}
	}
	return nil
}

// What separators of songs work at.
const (
	songRate     = 44100
	songChannels = 2
	songHop      = 1024
)

// checkFrames says what is wrong with the slices given to Process.
func checkFrames(s Separator, vocals, mixture [][]float32) error {
	for _, side := range []struct {
		name   string
		frames [][]float32
	}{{"vocals", vocals}, {"mixture", mixture}} {
		if len(side.frames) != s.Channels() {
			return fmt.Errorf("separator %s: %s has %d channels, expected %d", s.Name(), side.name, len(side.frames), s.Channels())
		}
		for _, c := range side.frames {
			if len(c) != s.Hop() {
				return fmt.Errorf("separator %s: a channel of %s has %d frames, expected %d", s.Name(), side.name, len(c), s.Hop())
			}
		}
	}
	return nil
}

// checkHops says what is wrong with the slices given to ProcessMany.
func checkHops(s Separator, vocals, mixture [][]float32) error {
	if len(vocals) != s.Channels() || len(mixture) != s.Channels() {
		return fmt.Errorf("separator %s: %d channels of a mixture and %d of vocals, expected %d", s.Name(), len(mixture), len(vocals), s.Channels())
	}
	n := len(mixture[0])
	for c := range mixture {
		if len(mixture[c]) != n || len(vocals[c]) != n || n%s.Hop() != 0 {
			return fmt.Errorf("separator %s: channels of %d and %d frames, expected as many in each, in whole hops of %d", s.Name(), len(mixture[c]), len(vocals[c]), s.Hop())
		}
	}
	return nil
}

// silenceOddities makes NaN and infinity zero.
func silenceOddities(x []float32) {
	for i, v := range x {
		if v*0 != 0 {
			x[i] = 0
		}
	}
}
