package portaudio

/*
#include <stdlib.h>
#include "device_stream.h"
#include "quiet.h"
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/autovoiced/autovoiced/stream"
)

// A link is the streams open on the devices now: one that goes both ways, or one each way. It is
// made and ended inside the lane; its counters may be read at any time until it has ended.
type link struct {
	opening Opening
	lines   []line
	bell    *os.File // an eventfd: the callback writes, answer reads
	rung    C.int    // its descriptor, since Fd would make it blocking
	pinned  runtime.Pinner
}

type line struct {
	engine *C.av_engine
	stream unsafe.Pointer // *PaStream; nil until started
}

// edges are what the callbacks fill and empty; nil for a direction that is not used.
type edges struct {
	source *stream.RingSource
	sink   *stream.RingSink
}

// openLink opens and starts what cfg asks for, inside the lane and initialised. attach gives the
// edges once it is known what they must fit.
func openLink(step func(string), cfg Config, offset time.Duration, attach func(Opening) (edges, error)) (*link, error) {
	all, err := list(step)
	if err != nil {
		return nil, err
	}
	o, err := negotiate(step, all, cfg)
	if err != nil {
		return nil, err
	}
	l, err := startLink(step, cfg, o, offset, attach)
	if err != nil && o.Duplex {
		// Some devices have both ways but not at once in one stream.
		o.Duplex = false
		if two, err := startLink(step, cfg, o, offset, attach); err == nil {
			return two, nil
		}
	}
	return l, err
}

func startLink(step func(string), cfg Config, o Opening, offset time.Duration, attach func(Opening) (edges, error)) (*link, error) {
	e, err := attach(o)
	if err != nil {
		return nil, err
	}
	l := &link{opening: o}
	if err := l.start(step, cfg, e, offset); err != nil {
		l.end(step)
		return nil, err
	}
	return l, nil
}

func (l *link) start(step func(string), cfg Config, e edges, offset time.Duration) error {
	if e.source != nil {
		if err := l.hang(e.source); err != nil {
			return err
		}
	}
	ways := []edges{e}
	if !l.opening.Duplex && e.source != nil && e.sink != nil {
		ways = []edges{{source: e.source}, {sink: e.sink}}
	}
	for _, way := range ways {
		if err := l.add(step, cfg, way, offset); err != nil {
			return err
		}
	}
	return nil
}

// add opens one stream for the ways given.
func (l *link) add(step func(string), cfg Config, way edges, offset time.Duration) error {
	engine := l.engine(cfg, way, offset)
	l.lines = append(l.lines, line{engine: engine})
	in, out := C.av_line{device: -1}, C.av_line{device: -1}
	if way.source != nil {
		in = lineOf(*l.opening.Input, l.opening.InputChannels, latency(cfg, l.opening.Input.InputLatency))
	}
	if way.sink != nil {
		out = lineOf(*l.opening.Output, l.opening.OutputChannels, latency(cfg, l.opening.Output.OutputLatency))
	}
	step("Pa_OpenStream")
	var code C.PaError
	frames := C.ulong(stream.TimeToFrames(cfg.Period, l.opening.Rate))
	s := C.av_open(engine, in, out, C.double(l.opening.Rate), frames, &code)
	if s == nil {
		return fmt.Errorf("open %s: %w", l.opening, paError(code))
	}
	l.lines[len(l.lines)-1].stream = s
	return nil
}

func lineOf(d Device, channels int, latency time.Duration) C.av_line {
	return C.av_line{device: C.int(d.Index), channels: C.int(channels), latency: C.double(latency.Seconds())}
}

func latency(cfg Config, low time.Duration) time.Duration {
	if cfg.Latency > 0 {
		return cfg.Latency
	}
	return low
}

// engine makes the callback's state in C memory, pointing at the edges' memory.
func (l *link) engine(cfg Config, way edges, offset time.Duration) *C.av_engine {
	e := (*C.av_engine)(C.calloc(1, C.sizeof_av_engine))
	e.rate, e.bell, e.clock_offset = C.int(l.opening.Rate), -1, C.int64_t(offset)
	if way.source != nil {
		m := way.source.Memory()
		e.in = C.av_capture{ring: l.share(m.Ring), booked: word(m.Booked), gaps: word(m.Gaps)}
		l.pin(m.Pin)
		e.in_channels = C.int(l.opening.InputChannels)
		if cfg.Mix == MixAverage {
			e.average = 1
		}
		e.bell = l.rung
	}
	if way.sink != nil {
		m := way.sink.Memory()
		e.out = C.av_playout{
			ring: l.share(m.Ring), target: (*C.int64_t)(m.Target),
			playing: (*C.uint32_t)(m.Playing), draining: (*C.uint32_t)(m.Draining),
			underruns: word(m.Underruns), silence: word(m.Silence),
		}
		l.pin(m.Pin)
		e.out_channels = C.int(l.opening.OutputChannels)
		C.av_flush(e)
	}
	return e
}

func (l *link) share(m stream.RingMemory) C.av_ring {
	l.pin(m.Pin)
	return C.av_ring{
		words: (*C.uint32_t)(m.Words), mask: C.uint64_t(m.Mask), capacity: C.uint64_t(m.Capacity),
		claim: word(m.Claim), head: word(m.Head), gap: word(m.Gap), version: word(m.Version),
		tail: word(m.Tail), dropped: word(m.Dropped), want: word(m.Want),
		origin: (*C.int64_t)(m.Origin), closed: (*C.uint32_t)(m.Closed),
	}
}

func word(p *uint64) *C.uint64_t { return (*C.uint64_t)(p) }

func (l *link) pin(what []any) {
	for _, p := range what {
		l.pinned.Pin(p)
	}
}

// end stops and closes the streams and frees what the callbacks used: in this order, so that no
// callback is left to use it.
func (l *link) end(step func(string)) {
	for _, line := range l.lines {
		if line.stream != nil {
			l.close(step, line.stream)
		}
	}
	for _, line := range l.lines {
		C.free(unsafe.Pointer(line.engine))
	}
	l.lines = nil
	if l.bell != nil {
		l.bell.Close()
	}
	l.pinned.Unpin()
}

func (l *link) close(step func(string), s unsafe.Pointer) {
	C.av_hush()
	defer C.av_unhush()
	if C.av_dead(s) == 0 {
		step("Pa_StopStream")
		C.Pa_StopStream(s)
	} else if l.opening.jack() {
		table := C.malloc(C.av_table_size())
		defer C.free(table)
		C.av_excuse_stop(s, table)
	}
	step("Pa_CloseStream")
	C.Pa_CloseStream(s)
}

// hang hangs up the bell that wakes a source's reader.
func (l *link) hang(source *stream.RingSource) error {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	l.bell, l.rung = os.NewFile(uintptr(fd), "capture"), C.int(fd)
	go answer(l.bell, source)
	return nil
}

// answer wakes the source's reader whenever the callback rings, until the bell is closed.
func answer(bell *os.File, source *stream.RingSource) {
	var count [8]byte
	for {
		if _, err := bell.Read(count[:]); err != nil {
			return
		}
		source.Wake()
	}
}
