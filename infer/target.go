package infer

import (
	"errors"
	"fmt"
)

const minMedianHz, maxMedianHz = 40, 1100

// Target is who a voice speaks as: one of a pack's own speakers, or anybody whose embedding fits.
type Target struct {
	Name string
	// Embedding is the speaker in the terms of the pack, as long as its input "speaker"; empty for
	// the passthrough. It is shared: nobody changes it once the target is in use.
	Embedding []float32
	// MedianHz is the pitch that the speaker is at home at, where the automatic shift goes.
	MedianHz float64
	// Tone is what the voice's sound lacks of the speaker's, as gains in dB of ToneBands bands, see FitTone; empty for none. It is
	// shared, as Embedding is.
	Tone []float32
}

// speaking is a target made ready to be spoken as.
type speaking struct {
	Target
	filter []float32 // of its tone; nil for none
}

func (e *Engine) speaking(t Target) *speaking {
	return &speaking{t, toneFilter(t.Tone, e.contract.SampleRateOut)}
}

// ErrWrongTarget is what a target wraps that a pack cannot speak as.
var ErrWrongTarget = errors.New("the target does not fit")

// SpeakerSize is how many values of embedding the pack takes; 0 for a passthrough.
func (c *Contract) SpeakerSize() int {
	if c.Kind != KindVoice {
		return 0
	}
	return len(c.Voices[0].Embedding)
}

// checkTarget says whether the pack can speak as the target, which may come from a file.
func (c *Contract) checkTarget(t Target) error {
	if n := c.SpeakerSize(); len(t.Embedding) != n {
		return fmt.Errorf("%w: %s has an embedding of %d values, pack %s takes %d; a speaker encoder made for that pack is needed",
			ErrWrongTarget, t.Name, len(t.Embedding), c.Name, n)
	}
	if c.Kind != KindVoice {
		return nil
	}
	if !finite(t.Embedding) {
		return fmt.Errorf("%w: %s has an embedding with NaN or infinity in it", ErrWrongTarget, t.Name)
	}
	if !(t.MedianHz >= minMedianHz && t.MedianHz <= maxMedianHz) {
		return fmt.Errorf("%w: %s has a median pitch of %g Hz, expected %d to %d", ErrWrongTarget, t.Name, t.MedianHz, minMedianHz, maxMedianHz)
	}
	if err := CheckTone(t.Tone); err != nil {
		return fmt.Errorf("%w: %s has %w", ErrWrongTarget, t.Name, err)
	}
	return nil
}

func (v VoiceContract) target() Target {
	return Target{Name: v.Name, Embedding: v.Embedding, MedianHz: v.MedianHz}
}

// Target is one of the pack's own voices.
func (e *Engine) Target(voice string) (Target, error) {
	v, err := e.contract.voice(voice)
	return v.target(), err
}

// NewTargetSession starts a conversation in which the pack speaks as the target: a *Voice, or a
// *Passthrough when the pack is one. The caller closes it.
func (e *Engine) NewTargetSession(t Target, o SessionOptions) (Converter, error) {
	if err := e.contract.checkTarget(t); err != nil {
		return nil, fmt.Errorf("model %s: %w", e.file, err)
	}
	if e.contract.Kind == KindPassthrough {
		p, err := newPassthrough(e, t.Name)
		if err != nil {
			return nil, err
		}
		return p, nil
	}
	v, err := newVoice(e, t, o)
	if err != nil {
		return nil, err
	}
	return v, nil
}

// SetTarget makes the pack speak as somebody else from the next Convert on. From any goroutine.
func (v *Voice) SetTarget(t Target) error {
	if err := v.engine.contract.checkTarget(t); err != nil {
		return err
	}
	v.speaker.Store(v.engine.speaking(t))
	return nil
}

// EngineFor returns the engine of the pack that speaks as the target, see Fit. The registry closes it.
func (r *Registry) EngineFor(t Target, near string) (*Engine, error) {
	v, err := r.Fit(t, near)
	if err != nil {
		return nil, err
	}
	return r.Engine(v.Name)
}

// Fit finds a voice whose pack can speak as the target: the one called near when its pack can, else
// the first whose pack does.
func (r *Registry) Fit(t Target, near string) (VoiceInfo, error) {
	var errs []error
	for _, voice := range append([]string{near}, r.names()...) {
		p, known := r.packs[voice]
		if !known || p.contract.Kind != KindVoice {
			continue
		}
		err := p.contract.checkTarget(t)
		if err == nil {
			return r.Find(voice)
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return VoiceInfo{}, fmt.Errorf("%w: there is no pack that could speak as %s", ErrWrongTarget, t.Name)
	}
	return VoiceInfo{}, errs[0]
}

func (r *Registry) names() []string {
	names := make([]string, len(r.voices))
	for i, v := range r.voices {
		names[i] = v.Name
	}
	return names
}
