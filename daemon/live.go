package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/stream/portaudio"
)

// Values of audio.enabled, and states of the device that only we know.
const (
	audioAuto = "auto"
	audioOff  = "false"

	deviceOff          = "off"
	deviceStarting     = "starting"
	deviceUnavailable  = "unavailable"
	deviceReconnecting = "reconnecting"
	deviceStopped      = "stopped"
)

// live is the sound card's session: microphone, voice, loudspeaker, for as long as the daemon runs. Its goroutine opens
// the device, and opens it again where portaudio itself cannot. Without a device the daemon serves all the same.
type live struct {
	d     *Daemon
	ended chan struct{}
	quit  chan struct{} // closed by finish
	once  sync.Once

	mu     sync.Mutex // for status and finish; never held by audio or during a call into PortAudio
	state  string
	fault  error
	duplex *portaudio.Duplex // nil while there is none
	past   wire.Device       // counters of devices before this one
}

func newLive(d *Daemon) *live {
	return &live{d: d, ended: make(chan struct{}), quit: make(chan struct{}), state: deviceOff}
}

// start opens the device in the background, if there shall be one.
func (l *live) start() {
	if l.d.cfg.Audio.Enabled == audioOff {
		close(l.ended)
		return
	}
	l.set(deviceStarting, nil)
	go l.run()
}

// finish ends the capture; what was captured is still converted and played.
func (l *live) finish() {
	l.once.Do(func() { close(l.quit) })
	l.mu.Lock()
	duplex := l.duplex
	l.mu.Unlock()
	if duplex != nil {
		if source := duplex.Source(); source != nil {
			_ = source.Close() // only marks and wakes
		}
	}
}

// done is closed when the session has ended.
func (l *live) done() <-chan struct{} { return l.ended }

func (l *live) stopping() bool {
	select {
	case <-l.quit:
		return true
	default:
		return false
	}
}

func (l *live) set(state string, fault error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state, l.fault = state, fault
}

// run opens and speaks until the daemon stops, or until there is no device and nobody asked to wait for one.
func (l *live) run() {
	defer close(l.ended)
	ctx, cancel := context.WithCancel(l.d.hard)
	defer cancel()
	go func() { // a stop does not wait for a device that is slow to open
		select {
		case <-l.quit:
			cancel()
		case <-ctx.Done():
		}
	}()
	for !l.stopping() {
		err := l.speak(ctx)
		if err == nil || l.stopping() {
			break
		}
		l.set(deviceUnavailable, err)
		if l.d.gpu.lost() != nil {
			l.d.log.Error().Err(err).Msg("the sound card has no voice any more")
			return
		}
		if errors.Is(err, portaudio.ErrRateChanged) {
			l.d.log.Warn().Err(err).Msg("sound card changed")
			continue
		}
		if l.d.cfg.Audio.Enabled == audioAuto {
			l.d.log.Warn().Err(err).Msg("no sound card: serving clients only (audio.enabled true keeps looking)")
			return
		}
		l.d.faults.Reportf("audio", "no sound card: %v", err)
		select {
		case <-l.quit:
		case <-time.After(l.d.cfg.Audio.RetryMax):
		}
	}
	l.set(deviceStopped, nil)
}

// speak runs one session on one opened device.
func (l *live) speak(opening context.Context) (err error) {
	format := wire.Format{Encoding: wire.F32LE, Rate: portaudio.MaxRate, Channels: 1}
	s, werr := l.d.newSession(request{kind: kindDevice, format: format})
	if werr != nil {
		return werr
	}
	defer func() { err = errors.Join(err, s.close()) }()
	duplex, err := portaudio.Open(opening, l.d.cfg.Audio.Config, portaudio.Options{
		Clock: l.d.clock, Chunk: l.d.cfg.Stream.Chunk, Ledger: s.ledger, Notify: l.notify,
	})
	if err != nil {
		return explained(err)
	}
	defer func() { err = errors.Join(err, duplex.Close()) }()
	source, sink := duplex.Source(), duplex.Sink()
	if source == nil || sink == nil {
		return errors.New("a microphone and a loudspeaker are needed: audio.input or audio.output is none")
	}
	format.Rate = source.Rate()
	s.setFormat(format)
	if werr := l.d.sessions.add(s); werr != nil {
		return werr
	}
	defer l.d.sessions.remove(s)
	l.take(duplex)
	defer l.leave()
	l.d.log.Info().Stringer("device", duplex.Opening()).Str("voice", s.voice).Msg("sound card open")
	ctx, cancel := context.WithCancel(l.d.hard)
	attended := make(chan struct{})
	go func() {
		defer close(attended)
		s.attend(ctx, l.overloaded)
	}()
	defer func() {
		cancel()
		<-attended
	}()
	return s.run(ctx, source, sink)
}

func (l *live) overloaded(n *wire.Notice) {
	l.d.sessions.countNotice(n.Code)
	l.d.log.Warn().Str("kind", n.Code).Uint64("chunks", n.Count).Msg(n.Message)
}

// take makes the device known, and ends it at once if the stop came before.
func (l *live) take(duplex *portaudio.Duplex) {
	l.mu.Lock()
	l.duplex, l.state, l.fault = duplex, string(portaudio.Running), nil
	l.mu.Unlock()
	if l.stopping() {
		l.finish()
	}
}

// leave keeps the counters of the device that was.
func (l *live) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.past = l.figures(l.duplex.Stats())
	l.duplex, l.state = nil, deviceStopped // until run knows better
}

func (l *live) notify(state portaudio.State, err error) {
	switch state {
	case portaudio.Running, portaudio.Closed:
		l.d.log.Info().Str("state", string(state)).Msg("sound card")
	default:
		l.d.faults.Reportf("audio", "sound card %s: %v", state, err)
	}
}

// status is the device as the feed shows it.
func (l *live) status() wire.Device {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.past
	if l.duplex != nil {
		stats := l.duplex.Stats()
		out = l.figures(stats)
		out.State, out.Error = string(stats.State), stats.Fault
		if stats.State == portaudio.Lost || stats.State == portaudio.Hung {
			out.State = deviceReconnecting
		}
		if in := stats.Opening.Input; in != nil {
			out.Input = in.Name
		}
		if o := stats.Opening.Output; o != nil {
			out.Output = o.Name
		}
		return out
	}
	out.State, out.DriftPPM = l.state, 0
	if l.fault != nil {
		out.Error = l.fault.Error()
	}
	return out
}

// figures adds a device's counters to those of the devices before it.
func (l *live) figures(s portaudio.Stats) wire.Device {
	d := l.past
	d.Xruns.InputOverflow += s.InputOverflows
	d.Xruns.InputUnderflow += s.InputUnderflows
	d.Xruns.OutputOverflow += s.OutputOverflows
	d.Xruns.OutputUnderflow += s.OutputUnderflows
	d.Xruns.Rebuffers += s.Playout.Underruns
	d.Xruns.Catchups += s.Playout.CatchUps
	d.Reconnects += s.Reconnects
	d.DriftPPM = s.Playout.DriftPPM
	return d
}
