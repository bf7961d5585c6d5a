package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/stream"
)

// StartRecording keeps what a session says from now on in a WAV file, until StopRecording or its end.
func (d *Daemon) StartRecording(id, path string) error {
	s := d.sessions.find(id)
	if s == nil {
		return unknownSession(id)
	}
	return s.recorder.start(path, s.format.Rate)
}

// StopRecording completes the file and names it; "" where nothing was recorded.
func (d *Daemon) StopRecording(id string) (path string, err error) {
	s := d.sessions.find(id)
	if s == nil {
		return "", unknownSession(id)
	}
	return s.recorder.finish()
}

// recorder keeps what a session says in a WAV file, beside its audio. It is nobody's at first; the zero recorder is
// ready.
type recorder struct {
	tap stream.Tap

	mu   sync.Mutex // for start and stop; never held by audio
	path string     // "" while nothing is recorded
	stop context.CancelFunc
	done chan struct{}
	lost uint64
	err  error
}

// start begins a file of 24 bits at the rate of the session's outside.
func (r *recorder) start(path string, rate int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.path != "" {
		return fmt.Errorf("%s is being recorded already", r.path)
	}
	sink, err := stream.CreateWAV(path, rate, dsp.S24LE)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	r.path, r.stop, r.done = path, stop, make(chan struct{})
	begun := make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		lost, err := r.tap.Listen(ctx, sink, func() { close(begun) })
		r.lost, r.err = lost, errors.Join(err, sink.Close())
	}(r.done)
	select {
	case <-begun: // what is said once this returns is kept
	case <-r.done:
	}
	return nil
}

// finish completes the file and names it; "" when there is none.
func (r *recorder) finish() (path string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.path == "" {
		return "", nil
	}
	r.stop()
	<-r.done
	path, r.path = r.path, ""
	if r.err == nil && r.lost > 0 {
		return path, fmt.Errorf("%s: the disk was too slow, %d frames are missing", path, r.lost)
	}
	return path, r.err
}

func (r *recorder) recording() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.path != ""
}
