package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/autovoiced/autovoiced/client"
	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/daemon"
)

// Snapshots a second: as many as a person can read, or as a file should grow by.
const (
	profileHz      = 5
	profilePlainHz = 1
)

// profile shows the status of the running daemon, or starts one and shows that.
func profile(e *env, cfg daemon.Config) error {
	server := serverURL(cfg.HTTP.Listen)
	s := newScreen(e.out)
	err := watch(e.ctx, s, server, cfg.HTTP.Token)
	if errors.Is(err, syscall.ECONNREFUSED) {
		err = profileOwn(e, cfg, s, server)
	} else if err != nil && !interrupted(err) {
		err = coded(exitDaemon, fmt.Errorf("status of %s: %w", server, err))
	}
	s.close()
	if interrupted(err) {
		return nil
	}
	return err
}

// profileOwn runs a daemon in this process, its log under the table, and watches it as any other
// client would.
func profileOwn(e *env, cfg daemon.Config, s *screen, server string) error {
	var logTo io.Writer = e.errOut
	if s.live {
		logTo = s
		if cfg.Log.Format == "auto" {
			cfg.Log.Format = "console"
		}
	}
	run, stop := context.WithCancel(e.ctx)
	defer stop()
	ended := make(chan error, 1)
	ready := make(chan struct{})
	go func() {
		ended <- runDaemon(run, cfg, logTo, func(*daemon.Daemon) { close(ready) })
	}()
	select {
	case err := <-ended:
		return err
	case <-ready:
	}
	err := watch(e.ctx, s, server, cfg.HTTP.Token)
	stop()
	return errors.Join(<-ended, unlessInterrupted(err))
}

func unlessInterrupted(err error) error {
	if interrupted(err) {
		return nil
	}
	return err
}

// watch shows the feed until the daemon says goodbye or the context ends.
func watch(ctx context.Context, s *screen, server, token string) error {
	hz := float64(profilePlainHz)
	if s.live {
		hz = profileHz
	}
	err := client.Watch(ctx, server, token, hz, func(status *wire.Status) error {
		s.show(statusTable(status, s.height()))
		return nil
	})
	if errors.Is(err, io.EOF) { // goodbye
		return nil
	}
	return err
}

// serverURL is where a daemon that listens there is reached from this machine.
func serverURL(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "http://" + listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port)
}
