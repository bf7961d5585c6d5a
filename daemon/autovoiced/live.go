package main

import (
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/daemon"
	"github.com/autovoiced/autovoiced/daemon/autovoiced/dash"
)

type liveCmd struct {
	Input   *string    `placeholder:"DEVICE" help:"Microphone: an index or a part of a name from 'autovoiced devices'."`
	Output  *string    `placeholder:"DEVICE" help:"Loudspeaker or virtual cable."`
	HostAPI *string    `name:"host-api" placeholder:"NAME" help:"Sound system, as in jack or alsa."`
	Voice   *string    `placeholder:"NAME" help:"A name from 'autovoiced voices'."`
	Pitch   *pitchFlag `placeholder:"SEMITONES" help:"Shift in semitones, or auto."`
	JSON    bool       `name:"json" help:"Print the status as JSON, one a line, instead of drawing it."`
	Monitor bool       `help:"Hear the captured voice instead of the converted one, to set levels."`
}

// liveFirst is how long a sound system may take to open.
const liveFirst = 15 * time.Second

// Run speaks until it is told to stop.
func (c *liveCmd) Run(e *env) error {
	cfg, err := e.config()
	if err != nil {
		return err
	}
	c.apply(&cfg)
	if err := cfg.Validate(); err != nil {
		return coded(exitUsage, err)
	}
	return presentOwn(e, cfg, display{json: c.JSON, plain: dash.LiveLines, prefer: "device", check: soundCheck()})
}

// apply puts the flags over the settings. The socket is not what one asked for, so it takes any free port of
// this machine and is in nobody's way.
func (c *liveCmd) apply(cfg *daemon.Config) {
	set := func(to, from *string) {
		if from != nil {
			*to = *from
		}
	}
	set(&cfg.Audio.Input, c.Input)
	set(&cfg.Audio.Output, c.Output)
	set(&cfg.Audio.HostAPI, c.HostAPI)
	set(&cfg.Voice.Name, c.Voice)
	if c.Pitch != nil {
		cfg.Voice.Pitch = *c.Pitch.shift
	}
	cfg.Mixing.Monitor = cfg.Mixing.Monitor || c.Monitor
	cfg.Audio.Enabled = "auto" // no device ends the command, a lost one does not
	cfg.HTTP.Listen = "127.0.0.1:0"
}

// soundCheck looks after the sound card: one that cannot be opened at all is the end, one that is lost later is waited for.
func soundCheck() func(*wire.Status) error {
	deadline, opened := time.Now().Add(liveFirst), false
	return func(s *wire.Status) error {
		opened = opened || s.Device.State == "running"
		switch {
		case opened:
			return nil
		case s.Device.State == "unavailable":
			return codedf(exitDevice, "%s", s.Device.Error)
		case time.Now().After(deadline):
			return codedf(exitDevice, "the sound card does not open within %v", liveFirst)
		}
		return nil
	}
}
