package daemon

import (
	"errors"

	"github.com/autovoiced/autovoiced/infer"
)

// tune gives the study its tone. A target can do without, so what goes wrong is told and no more.
func (s *student) tune(cfg Config) {
	tone, err := fitTone(cfg, s.study.Target(""), s.clips)
	if err != nil {
		s.say("", verdictNoTone, "the voice's sound is not fitted to the recordings, only its speaker is: %v", err)
	}
	s.study.Tone = tone
}

// fitTone finds the tone of a target with an engine of its own of the pack that speaks as it, on the CPU whatever the voices run on:
// it takes a second or less there, and a GPU's engine may have to be built first.
func fitTone(cfg Config, target infer.Target, clips []*clip) (tone []float32, err error) {
	cfg.Infer.Provider, cfg.Infer.Precision = infer.ProviderCPU, infer.FP32
	registry, err := infer.NewRegistry(cfg.Infer)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, registry.Close()) }()
	engine, err := registry.EngineFor(target, cfg.Voice.Name)
	if errors.Is(err, infer.ErrWrongTarget) {
		return nil, nil // nobody speaks as it yet
	}
	if err != nil {
		return nil, err
	}
	return engine.FitTone(target, func(yield func([]float32) bool) {
		for _, c := range clips {
			if !yield(c.at(engine.Contract().SampleRateOut)) {
				return
			}
		}
	})
}
