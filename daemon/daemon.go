package daemon

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/infer"
)

// Version is the program's, set by the linker.
var Version = "dev"

// States of a daemon, as status tells them.
const (
	stateStarting = "starting"
	stateRunning  = "running"
	stateFailed   = "failed" // it runs, and the GPU is lost
	stateStopping = "stopping"
)

// forcedStop bounds each step after the drain, all of which are prompt unless something hangs.
const forcedStop = 3 * time.Second

// Daemon is the running service: clients' streams, the sound card, and the status of both.
type Daemon struct {
	*studio
	log      *Log
	faults   *Folder
	feed     *feed
	live     *live
	sessions sessions
	guests   guests
	absent   absent
	sockets  sync.WaitGroup // handlers that may have taken a connection from HTTP
	watchers atomic.Int64
	uploads  atomic.Int64
	hearing  chan struct{} // full while recordings are heard
	jobs     *jobs
	hard     context.Context
	abandon  context.CancelFunc
	phase    atomic.Value // string
	building building
	ready    chan struct{}
	addr     atomic.Value // net.Addr
}

// New checks the configuration and finds the voices. It loads none and listens to nobody yet. Run must follow: it gives back what New
// has opened.
func New(cfg Config, log *Log) (*Daemon, error) {
	s, err := enterStudio(cfg)
	if err != nil {
		return nil, err
	}
	d := &Daemon{studio: s, log: log, ready: make(chan struct{}), hearing: make(chan struct{}, 1)}
	d.sessions.limit = cfg.HTTP.MaxSessions
	d.sessions.admit = newAdmission(cfg.HTTP).admit
	d.guests.limit = guestsPerSession*cfg.HTTP.MaxSessions + guestsAnyway
	d.hard, d.abandon = context.WithCancel(context.Background())
	d.phase.Store(stateStarting)
	d.feed = newFeed(d.Status)
	d.live = newLive(d)
	d.jobs = newJobs(d)
	return d, nil
}

// Ready is closed once the daemon answers.
func (d *Daemon) Ready() <-chan struct{} { return d.ready }

// Addr is where it listens, once it is ready.
func (d *Daemon) Addr() net.Addr {
	addr, _ := d.addr.Load().(net.Addr)
	return addr
}

func (d *Daemon) state() string {
	state := d.phase.Load().(string)
	if state == stateRunning && d.gpu.lost() != nil {
		return stateFailed
	}
	return state
}

// Run serves until ctx ends, and then stops in the order that doc.go tells. It returns nil when all is
// drained, and an error when it could not start or something had to be abandoned. It is called once.
func (d *Daemon) Run(ctx context.Context) error {
	d.faults = d.log.Folder()
	defer d.faults.Close()
	defer d.abandon()
	defer infer.WatchBuilding(ctx, d.tellBuilding)()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", d.cfg.HTTP.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("http.listen: %w", err), d.close())
	}
	d.addr.Store(listener.Addr())
	server := &http.Server{
		Handler: d.handler(), MaxHeaderBytes: wire.MaxControl,
		ReadHeaderTimeout: headerTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout,
		ErrorLog:    stdlog.New(httpFaults{d.faults}, "", 0),
		BaseContext: func(net.Listener) context.Context { return ctx }, // a stop ends what a request still waits for
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	// HTTP answers meanwhile, that it starts and how far it is: a GPU's engine may have to be built first. When ctx ends, so does that.
	if err := d.open(); err != nil {
		err = errors.Join(err, d.close(), d.leave(server))
		if ctx.Err() != nil { // told to stop before it had begun
			return nil
		}
		return &VoiceError{err}
	}
	d.live.start()
	d.jobs.start()
	d.phase.Store(stateRunning)
	close(d.ready)
	d.log.Info().Str("listen", "http://"+listener.Addr().String()).Str("voice", d.defaultVoice).
		Str("provider", d.provider.Active).Str("version", Version).Msg("ready")
	for _, w := range d.warnings {
		d.log.Warn().Msg(w)
	}
	select {
	case <-ctx.Done():
		err = nil
	case err = <-served: // the listener broke
	}
	return errors.Join(err, d.stop(server))
}

// stop ends everything in order: nobody new, sources end, pipelines drain, sessions close, songs are given up, models close,
// goodbye, HTTP last.
func (d *Daemon) stop(server *http.Server) error {
	began := time.Now()
	d.phase.Store(stateStopping)
	_, before := d.sessions.look()
	clients := d.guests.dismiss()
	d.jobs.cancel() // songs leave the processors to those who hear their voice
	d.live.finish()
	err := d.drain()
	active, after := d.sessions.look()
	d.log.Info().Int("streams", clients).Uint64("frames_out", after.Ledger.Out-before.Ledger.Out).
		Uint64("frames_dropped", after.Ledger.DroppedFrames()-before.Ledger.DroppedFrames()).Int("left", len(active)).
		Dur("took_ms", time.Since(began)).Msg("drained")

	return errors.Join(err, d.jobs.stop(), d.close(), d.leave(server))
}

// leave says goodbye to who watches and ends HTTP.
func (d *Daemon) leave(server *http.Server) (err error) {
	d.feed.goodbye()
	last, cancel := context.WithTimeout(context.Background(), forcedStop)
	defer cancel()
	if serr := server.Shutdown(last); serr != nil {
		err = errors.Join(fmt.Errorf("http: %w", serr), server.Close())
	}
	d.abandon()
	d.sockets.Wait() // each has a deadline
	return err
}

// VoiceError is why the default voice could not be opened.
type VoiceError struct{ Err error }

func (e *VoiceError) Error() string { return e.Err.Error() }
func (e *VoiceError) Unwrap() error { return e.Err }

// tellBuilding keeps what status shows of engines being built, and logs it now and then.
func (d *Daemon) tellBuilding(now infer.Building) {
	if d.building.watch(now) {
		d.log.Info().Msg(now.String())
	}
}

// drain waits until every session has ended, or ends them.
func (d *Daemon) drain() error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.guests.all.Wait()
		<-d.live.done()
	}()
	select {
	case <-done:
		return nil
	case <-time.After(d.cfg.Stream.DrainTimeout):
	}
	d.abandon()
	select {
	case <-done:
		return fmt.Errorf("not drained within %v (stream.drain_timeout): what was on its way is lost", d.cfg.Stream.DrainTimeout)
	case <-time.After(forcedStop):
		return fmt.Errorf("a session does not end %v after it was abandoned", forcedStop)
	}
}

// httpFaults folds what net/http complains of, which clients can provoke.
type httpFaults struct{ faults *Folder }

func (h httpFaults) Write(line []byte) (int, error) {
	h.faults.Reportf("http", "%s", line)
	return len(line), nil
}
