package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/daemon"
	"github.com/autovoiced/autovoiced/daemon/autovoiced/dash"
)

// display says how statuses are shown: drawn on a terminal, as blocks of lines elsewhere, or as JSON.
type display struct {
	json     bool
	plain    func(*wire.Status) []string
	prefer   string // the kind of session drawn first
	controls dash.Controls
	check    func(*wire.Status) error // ends it; may be nil
}

// Snapshots a second: as many as a screen needs, or as a file should grow by; JSON is as the daemon is set.
const (
	screenHz = 10
	plainHz  = 1
)

func (d display) drawn(out *os.File) bool { return !d.json && dash.IsTerminal(out) }

func (d display) hz(out *os.File) float64 {
	switch {
	case d.json:
		return 0
	case d.drawn(out):
		return screenHz
	default:
		return plainHz
	}
}

// present shows what watch gives until watch ends, its context does, or somebody at the terminal has enough. What was drawn
// last stays on the terminal as lines.
func present(e *env, look display, watch func(ctx context.Context, show func(*wire.Status)) error) error {
	if !look.drawn(e.out) {
		return watch(e.ctx, func(s *wire.Status) { look.print(e.out, s) })
	}
	screen := dash.NewScreen(e.ctx, e.out, dash.Options{Prefer: look.prefer, Controls: look.controls})
	return draw(e.ctx, screen, look, e.out, watch)
}

func draw(ctx context.Context, screen *dash.Screen, look display, out io.Writer, watch func(context.Context, func(*wire.Status)) error) error {
	run, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		defer screen.Quit()
		ended <- watch(run, screen.Show)
	}()
	err := screen.Run(ctx)
	stop()
	watched := <-ended
	if last := screen.Last(); last != nil {
		fmt.Fprintln(out, strings.Join(look.plain(last), "\n"))
	}
	if interrupted(watched) {
		watched = nil
	}
	return errors.Join(err, watched)
}

// print writes a status below the one before. A reader that has gone is noticed by the next signal that Go gets for it.
func (d display) print(out io.Writer, s *wire.Status) {
	if !d.json {
		fmt.Fprint(out, strings.Join(d.plain(s), "\n"), "\n\n")
		return
	}
	if data, err := wire.Encode(s); err == nil {
		fmt.Fprintf(out, "%s\n", data)
	}
}

// presentOwn runs a daemon in this process and shows it, its log with it.
func presentOwn(e *env, cfg daemon.Config, look display) error {
	own := &inProcess{started: make(chan struct{}), check: look.check}
	look.controls = own
	run, stop := context.WithCancel(e.ctx)
	defer stop()
	watch := func(ctx context.Context, show func(*wire.Status)) error {
		return own.watch(ctx, cfg, look.hz(e.out), show)
	}
	ended := make(chan error, 1)
	begin := func(logTo io.Writer, over func()) {
		go func() {
			defer over()
			ended <- runDaemon(run, cfg, logTo, own.start)
		}()
	}
	var err error
	if look.drawn(e.out) {
		if cfg.Log.Format == "auto" {
			cfg.Log.Format = "console"
		}
		screen := dash.NewScreen(e.ctx, e.out, dash.Options{Prefer: look.prefer, Controls: own, Log: e.errOut})
		begin(screen, screen.Quit)
		err = draw(e.ctx, screen, look, e.out, watch)
	} else {
		watching, over := context.WithCancel(e.ctx)
		begin(e.errOut, over)
		err = watch(watching, func(s *wire.Status) { look.print(e.out, s) })
		over()
	}
	stop()
	if interrupted(err) {
		err = nil
	}
	return errors.Join(err, <-ended)
}

// inProcess is a daemon of this process, for the keys and the screen.
type inProcess struct {
	started chan struct{}
	daemon  *daemon.Daemon // once started
	check   func(*wire.Status) error
}

func (p *inProcess) start(d *daemon.Daemon) {
	p.daemon = d
	close(p.started)
}

// watch shows the daemon's status so often, from its start on.
func (p *inProcess) watch(ctx context.Context, cfg daemon.Config, hz float64, show func(*wire.Status)) error {
	if hz == 0 {
		hz = cfg.Status.Hz
	}
	select {
	case <-p.started:
	case <-ctx.Done():
		return ctx.Err()
	}
	tick := time.NewTicker(time.Duration(float64(time.Second) / hz))
	defer tick.Stop()
	for {
		status := p.daemon.Status()
		if p.check != nil {
			if err := p.check(status); err != nil {
				return err
			}
		}
		show(status)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *inProcess) ready() (*daemon.Daemon, error) {
	select {
	case <-p.started:
		return p.daemon, nil
	default:
		return nil, errors.New("the daemon is still starting")
	}
}

// Voices implements dash.Controls.
func (p *inProcess) Voices(context.Context) ([]wire.Voice, error) {
	d, err := p.ready()
	if err != nil {
		return nil, err
	}
	return d.Voices(), nil
}

// Update implements dash.Controls.
func (p *inProcess) Update(ctx context.Context, session string, u *wire.Update) error {
	d, err := p.ready()
	if err != nil {
		return err
	}
	if _, werr := d.Update(ctx, session, u); werr != nil {
		return werr
	}
	return nil
}

// Record implements dash.Controls.
func (p *inProcess) Record(_ context.Context, session string) (string, error) {
	d, err := p.ready()
	if err != nil {
		return "", err
	}
	if path, err := d.StopRecording(session); path != "" || err != nil {
		return path + " is complete", err
	}
	path := time.Now().Format("autovoiced-20060102-150405.wav")
	if err := d.StartRecording(session, path); err != nil {
		return "", err
	}
	return "recording to " + path + "; r again ends it", nil
}
