package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/autovoiced/autovoiced/client"
	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/daemon"
	"github.com/autovoiced/autovoiced/daemon/autovoiced/dash"
)

const knockTime = 5 * time.Second

// profile shows the status of the running daemon, or starts one and shows that.
func profile(e *env, cfg daemon.Config, asJSON bool) error {
	server := serverURL(cfg.HTTP.Listen)
	there, err := listens(e.ctx, cfg.HTTP.Listen)
	if err != nil {
		return coded(exitDaemon, fmt.Errorf("status of %s: %w", server, err))
	}
	look := display{json: asJSON, plain: dash.Lines}
	if !there {
		return presentOwn(e, cfg, look)
	}
	look.controls = &remote{server, cfg.HTTP.Token}
	hz := look.hz(e.out)
	err = present(e, look, func(ctx context.Context, show func(*wire.Status)) error {
		return client.Watch(ctx, server, cfg.HTTP.Token, hz, func(s *wire.Status) error {
			show(s)
			return nil
		})
	})
	switch {
	case err == nil, errors.Is(err, io.EOF), interrupted(err): // goodbye, or enough
		return nil
	default:
		return coded(exitDaemon, fmt.Errorf("status of %s: %w", server, err))
	}
}

// listens says whether anybody answers there. What answers may still not be ours; the watch will tell.
func listens(ctx context.Context, listen string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, knockTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", reachable(listen))
	if errors.Is(err, syscall.ECONNREFUSED) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, conn.Close()
}

// reachable is where a daemon that listens there is reached from this machine.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

func serverURL(listen string) string { return "http://" + reachable(listen) }

// remote lets the keys act on a daemon elsewhere, through its protocol.
type remote struct{ server, token string }

func (r *remote) Voices(ctx context.Context) ([]wire.Voice, error) {
	return client.Voices(ctx, r.server, r.token)
}

func (r *remote) Update(ctx context.Context, session string, u *wire.Update) error {
	_, err := client.Update(ctx, r.server, r.token, session, *u)
	return err
}

func (r *remote) Record(context.Context, string) (string, error) {
	return "", errors.New("recording works where the voice runs: in `autovoiced live`")
}
