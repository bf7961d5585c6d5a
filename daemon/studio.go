package daemon

import (
	"errors"
	"fmt"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream"
)

// studio is what sessions are made of: the voices, their settings and the clock. The daemon has one for
// its speakers, an offline conversion one for itself.
type studio struct {
	cfg          Config
	clock        stream.Clock
	voices       *infer.Registry
	profiles     *Profiles
	defaultVoice string
	provider     infer.Provider // of the default voice, once it is open
	warnings     []string
	gpu          gpuFault
	separators   separators
	meters       meters
}

// newStudio opens the voices and loads the default one, so that what is missing shows now and not when
// somebody speaks.
func newStudio(cfg Config) (*studio, error) {
	s, err := enterStudio(cfg)
	if err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// enterStudio reads what voices there are, and finds the default one among them. It loads none yet.
func enterStudio(cfg Config) (*studio, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	voices, err := infer.NewRegistry(infer.Config{Policy: cfg.Infer.Policy, Models: cfg.Infer.Models})
	if err != nil {
		return nil, err
	}
	s := &studio{cfg: cfg, clock: stream.NewClock(), voices: voices, profiles: OpenProfiles(), defaultVoice: cfg.Voice.Name, separators: separators{policy: cfg.Infer.SeparatorPolicy()}}
	if s.defaultVoice == "" {
		s.defaultVoice = firstVoice(voices.Voices())
	}
	if _, _, err := s.target(s.defaultVoice); errors.Is(err, infer.ErrUnknownVoice) {
		err = keyErrorf("voice.name", "%q, allowed: a name that `autovoiced voices` lists: %v", s.defaultVoice, err)
		return nil, errors.Join(err, voices.Close())
	}
	return s, nil
}

// open loads the default voice. Where it runs on a GPU for the first time, that takes minutes.
func (s *studio) open() error {
	engine, _, err := s.speaker(s.defaultVoice)
	if err == nil {
		err = engine.Prepare(int(s.cfg.Stream.Chunk / engine.Hop()))
	}
	if err != nil {
		return fmt.Errorf("voice %s: %w", s.defaultVoice, err)
	}
	s.provider, s.warnings = engine.Provider(), engine.Warnings()
	if s.cfg.Separation.Mode == stream.ModeModel {
		return s.trySeparator()
	}
	return nil
}

// trySeparator makes the live separator once, so that its faults show before somebody speaks.
func (s *studio) trySeparator() error {
	model, err := infer.NewLiveSeparator(s.cfg.Infer)
	if err != nil {
		return keyErrorf("separation.mode", "%q, allowed: gate or bypass, as the model does not open: %v", stream.ModeModel, err)
	}
	return model.Close()
}

func (s *studio) close() error { return errors.Join(s.separators.close(), s.voices.Close()) }

// firstVoice is the first that speaks, else the first there is.
func firstVoice(voices []infer.VoiceInfo) string {
	for _, v := range voices {
		if v.Kind == infer.KindVoice {
			return v.Name
		}
	}
	if len(voices) == 0 {
		return ""
	}
	return voices[0].Name
}

// request says how one session shall sound; what is nil is as configured.
type request struct {
	kind   string
	voice  string
	target *infer.Target // in place of a voice
	format wire.Format
	pitch  *wire.PitchShift
	mix    *wire.Mix
	gate   *wire.GateChange
	// monitor and mute are nil when nobody says.
	monitor, mute *bool
}

// voiceError says what is wrong with a voice in the protocol's words.
func voiceError(err error) *wire.Error {
	switch {
	case errors.Is(err, infer.ErrUnknownVoice), errors.Is(err, ErrNoProfile):
		return wire.Errorf(wire.CodeUnknownVoice, "voice", "%v", err)
	case errors.Is(err, infer.ErrWrongTarget):
		return wire.Errorf(wire.CodeUnsupported, "voice", "%v", err)
	}
	if e := gpuError(err); e != nil {
		return e
	}
	return wire.Errorf(wire.CodeInternal, "voice", "%v", err)
}

func inferShift(p wire.PitchShift) infer.Shift {
	return infer.Shift{Auto: p.Auto, Semitones: p.Semitones}
}
