package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/autovoiced/autovoiced/daemon"
)

type serveCmd struct {
	Profile bool `help:"Show the status of the running daemon, or start one."`
	JSON    bool `name:"json" help:"With --profile: the status as JSON, one a line, for programs."`
	Check   bool `help:"Check the settings and exit."`
}

// Run is the bare `autovoiced`.
func (c *serveCmd) Run(e *env) error {
	if e.flags.ShowVersion {
		return versionCmd{}.Run(e)
	}
	cfg, err := e.config()
	switch {
	case err != nil:
		return err
	case c.Check:
		_, err := fmt.Fprintln(e.out, "the configuration is sound")
		return err
	case c.Profile:
		return profile(e, cfg, c.JSON)
	case c.JSON:
		return codedf(exitUsage, "--json goes with --profile")
	default:
		return runDaemon(e.ctx, cfg, e.errOut, func(*daemon.Daemon) {})
	}
}

// runDaemon runs a daemon until the context ends and it has drained; ready is called once it serves.
func runDaemon(ctx context.Context, cfg daemon.Config, logTo io.Writer, ready func(*daemon.Daemon)) error {
	log, err := daemon.NewLog(cfg.Log, logTo)
	if err != nil {
		return coded(exitConfig, err)
	}
	defer log.Close() //nolint:errcheck // there is nowhere left to say it
	d, err := daemon.New(cfg, log)
	if err != nil { // the settings are sound by now
		return coded(exitModel, err)
	}
	go func() {
		select {
		case <-d.Ready():
			ready(d)
		case <-ctx.Done():
		}
	}()
	err = d.Run(ctx)
	var voice *daemon.VoiceError
	switch {
	case errors.As(err, &voice):
		return coded(exitModel, err)
	case errors.Is(err, syscall.EADDRINUSE):
		return codedf(exitAddress, "%w; another daemon may run already: `autovoiced --profile` attaches to it, "+
			"AUTOVOICED_HTTP_LISTEN chooses another address", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EACCES):
		return coded(exitAddress, err)
	default:
		return err
	}
}
