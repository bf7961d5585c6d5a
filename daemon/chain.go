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
	stages     []stream.Stage
	separation *stream.Separation
	separator  infer.Separator // the first stage's model; nil: none
	conversion *stream.Conversion
	mixing     *stream.Mixing
	f0Delay    time.Duration
	hops       int // of the voice, at a time
}

// between is a test's to change: what stands between a chain and its voice.
var between = func(c infer.Converter) stream.Converter { return c }

// newChain builds the stages and the conversation with the target that stands in their middle; the caller
// closes the latter. Everything runs at the voice's own rates, so many hops of the voice at a time.
func (s *studio) newChain(e *infer.Engine, target infer.Target, hops int, sound wire.Settings) (c *chain, conv infer.Converter, err error) {
	contract := e.Contract()
	in, out := contract.SampleRateIn, contract.SampleRateOut
	c = &chain{hops: hops}
	defer func(made *chain) {
		if err != nil {
			err = errors.Join(err, made.close())
		}
	}(c)
	if err = c.separate(s.cfg, in, sound.Gate); err != nil {
		return nil, nil, err
	}
	f0, err := stream.NewF0Extraction(in, s.pitchConfig(contract.Kind))
	if err != nil {
		return nil, nil, err
	}
	c.f0Delay = f0.Delay()
	conv, err = c.cast(e, target, sound.Pitch)
	if err != nil {
		return nil, nil, err
	}
	c.conversion = stream.NewConversion(between(conv), conversionMode(e))
	c.mixing, err = stream.NewMixing(in, out, c.separation.Latency()+c.conversion.Latency(), s.mixingConfig(sound))
	if err != nil {
		return nil, nil, errors.Join(err, conv.Close())
	}
	c.stages = []stream.Stage{c.separation, f0, c.conversion, c.mixing}
	return c, conv, nil
}

// separate makes the first stage, with the model that it may want.
func (c *chain) separate(cfg Config, rate int, gate wire.Gate) (err error) {
	settings := cfg.Separation.config(gate)
	if cfg.Separation.Mode != stream.ModeModel {
		c.separation, err = stream.NewSeparation(rate, settings)
		return err
	}
	if c.separator, err = infer.NewLiveSeparator(cfg.Infer); err == nil {
		c.separation, err = stream.NewModelSeparation(rate, settings, c.separator)
	}
	return err
}

// close gives back what the stages hold, but for the converter. Nothing runs any more.
func (c *chain) close() error {
	if c.separator == nil {
		return nil
	}
	return c.separator.Close()
}

// cast starts a conversation with a target that fits between the stages. The caller closes it.
func (c *chain) cast(e *infer.Engine, target infer.Target, pitch wire.PitchShift) (infer.Converter, error) {
	return e.NewTargetSession(target, infer.SessionOptions{Shift: inferShift(pitch), F0Delay: c.f0Delay, Hops: c.hops, Live: true})
}

func conversionMode(e *infer.Engine) string {
	if e.Contract().Kind == infer.KindVoice {
		return "model"
	}
	return stream.ModeBypass
}

// gate is the noise gate as it is configured.
func (c SeparationConfig) gate() wire.Gate {
	return wire.Gate{On: c.Mode != stream.ModeBypass, OpenDB: c.GateOpenDB, CloseDB: c.GateCloseDB}
}

// config is the stage with a gate that may be another than configured. What is bypassed stays so until
// somebody asks for a gate.
func (c SeparationConfig) config(gate wire.Gate) stream.SeparationConfig {
	out := stream.DefaultSeparationConfig()
	out.Mode, out.HighPassHz = c.Mode, c.HighPassHz
	out.OpenDB, out.CloseDB, out.Hold = gate.OpenDB, gate.CloseDB, c.GateHold
	out.NoGate = !gate.On
	if gate.On && out.Mode == stream.ModeBypass {
		out.Mode = stream.ModeGate
	}
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

func (s *studio) mixingConfig(sound wire.Settings) stream.MixingConfig {
	m := s.cfg.Mixing
	return stream.MixingConfig{
		GainDB: sound.Mix.GainDB, DryWet: sound.Mix.DryWet, Monitor: sound.Monitor, Mute: sound.Mute,
		Limiter: m.Limiter, CeilingDB: m.Ceiling,
	}
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
