package daemon

import (
	"errors"
	"fmt"
	"strings"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/infer"
)

// kindProfile marks a profile among voices, whose other kinds are a pack's.
const kindProfile = "profile"

// cast finds who speaks in a session, and the engine that speaks as them.
func (s *studio) cast(r request) (*infer.Engine, infer.Target, error) {
	if r.target != nil {
		engine, err := s.voices.EngineFor(*r.target, s.cfg.Voice.Name)
		return engine, *r.target, err
	}
	name := r.voice
	if name == "" {
		name = s.defaultVoice
	}
	return s.speaker(name)
}

// speaker finds the engine for a voice or profile.
func (s *studio) speaker(name string) (*infer.Engine, infer.Target, error) {
	target, profile, err := s.target(name)
	if err != nil {
		return nil, infer.Target{}, err
	}
	if profile {
		engine, err := s.voices.EngineFor(target, s.cfg.Voice.Name)
		return engine, target, err
	}
	engine, err := s.voices.Engine(name)
	if err != nil {
		return nil, infer.Target{}, err
	}
	target, err = engine.Target(name)
	return engine, target, err
}

// target looks a name up among the voices and then among the profiles, afresh: profiles come and go
// while the daemon runs. Of a voice it gives the name alone.
func (s *studio) target(name string) (t infer.Target, profile bool, err error) {
	_, unknown := s.voices.Find(name)
	if unknown == nil {
		return infer.Target{Name: name}, false, nil
	}
	pr, err := s.profiles.Find(name)
	if err == nil {
		return pr.Target(), true, nil
	}
	if !errors.Is(err, ErrNoProfile) {
		return infer.Target{}, false, err
	}
	if all, _ := s.profiles.List(); len(all) > 0 {
		names := make([]string, len(all))
		for i, pr := range all {
			names[i] = pr.Name
		}
		unknown = fmt.Errorf("%w; and profiles: %s", unknown, strings.Join(names, ", "))
	}
	return infer.Target{}, false, unknown
}

// profileTarget is the target that a client asked for as a profile; nil when it did not.
func (s *studio) profileTarget(name string) (*infer.Target, *wire.Error) {
	if name == "" {
		return nil, nil
	}
	pr, err := s.profiles.Find(name)
	if err != nil {
		werr := voiceError(err)
		werr.Param = "profile"
		return nil, werr
	}
	target := pr.Target()
	return &target, nil
}

// cards lists voices and profiles. What could not be read is in the error.
func (s *studio) cards() ([]infer.VoiceInfo, error) {
	return Voices(s.voices, s.profiles, s.cfg.Voice.Name)
}

// Voices lists what can speak: the voices of the packs, and then the profiles, each with the figures of
// the pack that speaks as it; that of the voice called near when it can. A profile that shares its name
// with a voice is left out, as it is when somebody asks for the name. Profiles that cannot be read are
// told in the error.
func Voices(registry *infer.Registry, profiles *Profiles, near string) ([]infer.VoiceInfo, error) {
	all := registry.Voices()
	kept, err := profiles.List()
	for _, pr := range kept {
		if _, unknown := registry.Find(pr.Name); unknown == nil {
			continue
		}
		card := infer.VoiceInfo{
			Name: pr.Name, Kind: kindProfile, MedianHz: pr.MedianHz, Licence: "the speaker's own", Reference: len(pr.Clips) > 0,
			Description: fmt.Sprintf("profile of %.0f s of speech", pr.SpeechSeconds),
		}
		if like, err := registry.Fit(pr.Target(), near); err != nil {
			card.Description += ", unusable: " + err.Error()
		} else {
			card.Pack, card.InRate, card.OutRate, card.LookaheadMS = like.Pack, like.InRate, like.OutRate, like.LookaheadMS
		}
		all = append(all, card)
	}
	return all, err
}
