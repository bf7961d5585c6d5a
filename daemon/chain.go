package daemon

import (
	"errors"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream"
)

// chain is the four stages around one voice.
type chain struct {
	stages []stream.Stage
	mixing *stream.Mixing
}

// newChain builds the stages and the conversation with the target that stands in their middle; the caller
// closes the latter. Everything runs at the voice's own rates, so many hops of the voice at a time.
func (s *studio) newChain(e *infer.Engine, target infer.Target, hops int, pitch wire.PitchShift, mix wire.Mix) (c *chain, conv infer.Converter, err error) {
	contract := e.Contract()
	in, out := contract.SampleRateIn, contract.SampleRateOut
	separation, err := stream.NewSeparation(in, s.cfg.Separation.config())
	if err != nil {
		return nil, nil, err
	}
	f0, err := stream.NewF0Extraction(in, s.pitchConfig(contract.Kind))
	if err != nil {
		return nil, nil, err
	}
	conv, err = e.NewTargetSession(target, infer.SessionOptions{Shift: inferShift(pitch), F0Delay: f0.Delay(), Hops: hops})
	if err != nil {
		return nil, nil, err
	}
	mode := stream.ModeBypass
	if contract.Kind == infer.KindVoice {
		mode = "model"
	}
	conversion := stream.NewConversion(conv, mode)
	mixing, err := stream.NewMixing(in, out, conversion.Latency(), s.mixingConfig(mix))
	if err != nil {
		return nil, nil, errors.Join(err, conv.Close())
	}
	return &chain{stages: []stream.Stage{separation, f0, conversion, mixing}, mixing: mixing}, conv, nil
}

func (c SeparationConfig) config() stream.SeparationConfig {
	out := stream.DefaultSeparationConfig()
	out.Mode, out.HighPassHz = c.Mode, c.HighPassHz
	out.OpenDB, out.CloseDB, out.Hold = c.GateOpenDB, c.GateCloseDB, c.GateHold
	return out
}

// pitchConfig tracks pitch only for who listens to it.
func (s *studio) pitchConfig(kind string) stream.F0Config {
	out := stream.DefaultF0Config()
	out.MinHz, out.MaxHz = s.cfg.Pitch.MinHz, s.cfg.Pitch.MaxHz
	if kind == infer.KindPassthrough {
		out.Mode = stream.ModeBypass
	}
	return out
}

func (s *studio) mixingConfig(mix wire.Mix) stream.MixingConfig {
	m := s.cfg.Mixing
	return stream.MixingConfig{
		GainDB: mix.GainDB, DryWet: mix.DryWet, Monitor: m.Monitor, Limiter: m.Limiter, CeilingDB: m.Ceiling,
	}
}

func (c *chain) setMix(mix wire.Mix) error {
	cfg := c.mixing.Config()
	cfg.GainDB, cfg.DryWet = mix.GainDB, mix.DryWet
	return c.mixing.Set(cfg)
}

func (c *chain) latency() time.Duration {
	var sum time.Duration
	for _, s := range c.stages {
		sum += s.Latency()
	}
	return sum
}

// resampling is how long a signal waits to have its rate changed.
func resampling(from, to int) time.Duration {
	if from == to {
		return 0
	}
	return dsp.ResamplerLatency(from, to)
}
