//go:build e2e

package jacktest

/*
#cgo pkg-config: jack
#include <stdlib.h>
#include "probe.h"
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unsafe"
)

// ErrServerGone says that the JACK server has ended.
var ErrServerGone = errors.New("the JACK server is gone")

// Probe is a JACK client with one port out, which feeds a converter, and one in, which records it.
type Probe struct {
	p      *C.jt_probe
	name   string
	Rate   int
	Period int
}

// Recording is what came back. Samples[n] arrived in the same frame in which signal[n] was sent.
type Recording struct {
	Samples []float32
	Rate    int
	Skipped int // frames of cycles that the server did not give to the probe
	Xruns   int // reported by the server meanwhile
}

// Probe connects a new client to the server.
func (s *Server) Probe() (*Probe, error) {
	name := fmt.Sprintf("jacktest%d", serial.Add(1))
	cs, cn := C.CString(s.Name), C.CString(name)
	defer C.free(unsafe.Pointer(cs))
	defer C.free(unsafe.Pointer(cn))
	p := C.jt_open(cs, cn)
	if p == nil {
		return nil, fmt.Errorf("no JACK client on server %s", s.Name)
	}
	return &Probe{
		p: p, name: name,
		Rate: int(C.jack_get_sample_rate(p.client)), Period: int(C.jack_get_buffer_size(p.client)),
	}, nil
}

// Ports lists the server's ports, "client:port".
func (p *Probe) Ports() []string {
	list := C.jack_get_ports(p.p.client, nil, nil, 0)
	if list == nil {
		return nil
	}
	defer C.jack_free(unsafe.Pointer(list))
	var names []string
	for _, c := range unsafe.Slice(list, 1<<16) {
		if c == nil {
			break
		}
		names = append(names, C.GoString(c))
	}
	return names
}

// Connect waits until a client whose name starts with prefix has an input and an output, and puts
// the probe on the first of each.
func (p *Probe) Connect(ctx context.Context, prefix string) error {
	for {
		ports := slices.DeleteFunc(p.Ports(), func(name string) bool { return !strings.HasPrefix(name, prefix) })
		in := slices.IndexFunc(ports, func(name string) bool { return strings.Contains(name, ":in_") })
		out := slices.IndexFunc(ports, func(name string) bool { return strings.Contains(name, ":out_") })
		if in >= 0 && out >= 0 {
			return errors.Join(p.join(p.name+":feed", ports[in]), p.join(ports[out], p.name+":record"))
		}
		if C.jt_down(p.p) != 0 {
			return ErrServerGone
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no client %q with an input and an output among %v: %w", prefix, p.Ports(), ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *Probe) join(from, to string) error {
	cf, ct := C.CString(from), C.CString(to)
	defer C.free(unsafe.Pointer(cf))
	defer C.free(unsafe.Pointer(ct))
	const exists = 17 // EEXIST
	if r := C.jack_connect(p.p.client, cf, ct); r != 0 && r != exists {
		return fmt.Errorf("connect %s to %s: JACK says %d", from, to, int(r))
	}
	return nil
}

// Run sends signal, then silence for tail frames, and records all the while. Before that comes a
// second of silence, in which the converter's playout finds its level.
func (p *Probe) Run(ctx context.Context, signal []float32, tail int) (Recording, error) {
	if len(signal) == 0 {
		return Recording{}, errors.New("nothing to send")
	}
	frames := len(signal) + tail
	if C.jt_run(p.p, (*C.float)(&signal[0]), C.uint32_t(len(signal)), C.uint32_t(frames), C.uint32_t(p.Rate)) != 0 {
		return Recording{}, errors.New("no memory for the recording")
	}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for C.jt_state(p.p) != 3 {
		if C.jt_down(p.p) != 0 {
			return Recording{}, ErrServerGone
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			C.jt_disarm(p.p)
			return Recording{}, ctx.Err()
		}
	}
	return Recording{
		Samples: slices.Clone(unsafe.Slice((*float32)(p.p.recording), frames)),
		Rate:    p.Rate, Skipped: int(p.p.skipped), Xruns: int(p.p.xruns),
	}, nil
}

// Close ends the client. A client whose server is gone is left to the end of the process: once
// another server runs, libjack cannot close it without a crash.
func (p *Probe) Close() {
	if C.jt_down(p.p) == 0 {
		C.jt_close(p.p)
	}
}
