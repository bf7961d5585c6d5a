package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/daemon"
)

type liveCmd struct {
	Input   *string    `placeholder:"DEVICE" help:"Microphone: an index or a part of a name from 'autovoiced devices'."`
	Output  *string    `placeholder:"DEVICE" help:"Loudspeaker or virtual cable."`
	HostAPI *string    `name:"host-api" placeholder:"NAME" help:"Sound system, as in jack or alsa."`
	Voice   *string    `placeholder:"NAME" help:"A name from 'autovoiced voices'."`
	Pitch   *pitchFlag `placeholder:"SEMITONES" help:"Shift in semitones, or auto."`
	Monitor bool       `help:"Hear the captured voice instead of the converted one, to set levels."`
}

const (
	liveHz    = 10
	liveFirst = 15 * time.Second // for a sound system to open
)

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
	s := newScreen(e.out)
	defer s.close()
	var logTo io.Writer = e.errOut
	if s.live {
		logTo, cfg.Log.Format = s, "console"
	}
	run, stop := context.WithCancel(e.ctx)
	defer stop()
	started := make(chan *daemon.Daemon, 1)
	ended := make(chan error, 1)
	go func() { ended <- runDaemon(run, cfg, logTo, func(d *daemon.Daemon) { started <- d }) }()
	select {
	case err := <-ended:
		return err
	case d := <-started:
		err := watchLive(run, s, d)
		stop()
		return errors.Join(err, <-ended)
	}
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

// watchLive shows the sound card's session. A card that cannot be opened at all is the end; one that is lost
// later is waited for.
func watchLive(ctx context.Context, s *screen, d *daemon.Daemon) error {
	every := time.Second
	if s.live {
		every = time.Second / liveHz
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	deadline := time.Now().Add(liveFirst)
	for opened := false; ; {
		status := d.Status()
		opened = opened || status.Device.State == "running"
		switch {
		case opened:
			s.show(liveLines(status))
		case status.Device.State == "unavailable":
			return codedf(exitDevice, "%s", status.Device.Error)
		case time.Now().After(deadline):
			return codedf(exitDevice, "the sound card does not open within %v", liveFirst)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// liveLines is what a speaker wants to see: levels, delay, and whether anything was lost.
func liveLines(s *wire.Status) []string {
	lines := []string{deviceText(s.Device)}
	for i := range s.Sessions {
		p := &s.Sessions[i]
		if p.Kind != "device" {
			continue
		}
		total := p.Total.Compute
		if r := total.Recent; r != nil && r.Count > 0 {
			total.P50, total.P99, total.Max = r.P50, r.P99, r.Max
		}
		lines = append(lines,
			fmt.Sprintf("voice %s  %s  on %s", p.Voice, formatText(p.Format), s.Provider.Active),
			"",
			"in  "+meter(p.Levels.InRMS, p.Levels.InPeak),
			"out "+meter(p.Levels.OutRMS, p.Levels.OutPeak),
			"",
			fmt.Sprintf("latency of the last 10 s, capture to playout: p50 %s  p99 %s  max %s ms", ms(total.P50), ms(total.P99), ms(total.Max)),
			loadText(&p.Pipeline),
			xrunText(s.Device),
			ledgerText(p.Ledger),
		)
	}
	for i := range lines {
		lines[i] = cut(lines[i], 80)
	}
	return append(lines, "", "Ctrl-C stops")
}
