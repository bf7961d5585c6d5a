package portaudio

/*
#include <stdlib.h>
#include "device_stream.h"
*/
import "C"

import (
	"time"
	"unsafe"
)

// A handmade callback is an engine without a device: whoever holds it is the sound card. It shows
// that C does what stream's Go does, and what it costs.
type handmade struct {
	link
	engine  *C.av_engine
	in, out *unsafe.Pointer // tables of channels in C memory, as PortAudio passes them
	most    int             // frames
	time    C.PaStreamCallbackTimeInfo
}

func newHandmade(cfg Config, o Opening, e edges, offset time.Duration, most int) *handmade {
	h := &handmade{link: link{opening: o}, most: most}
	h.engine = h.link.engine(cfg, e, offset)
	h.lines = []line{{engine: h.engine}}
	h.in, h.out = channels(o.InputChannels, most), channels(o.OutputChannels, most)
	return h
}

func channels(n, frames int) *unsafe.Pointer {
	table := (*unsafe.Pointer)(C.calloc(C.size_t(n)+1, C.size_t(unsafe.Sizeof(uintptr(0)))))
	for i := range n {
		unsafe.Slice(table, n)[i] = C.calloc(C.size_t(frames), 4)
	}
	return table
}

// call is one callback: src goes into the first input channel, what channel `from` plays into dst.
func (h *handmade) call(dst, src []float32, from int, flags uint, inputLatency time.Duration) {
	frames := max(len(dst), len(src))
	if frames > h.most {
		panic("portaudio: more frames than made for")
	}
	if h.opening.InputChannels > 0 {
		copy(unsafe.Slice((*float32)(*h.in), frames), src)
	}
	h.time.currentTime = 10
	h.time.inputBufferAdcTime = 10 - C.PaTime(inputLatency.Seconds())
	h.time.outputBufferDacTime = 10
	C.av_callback(unsafe.Pointer(h.in), unsafe.Pointer(h.out), C.ulong(frames), &h.time, C.PaStreamCallbackFlags(flags), unsafe.Pointer(h.engine))
	if len(dst) > 0 {
		copy(dst, unsafe.Slice((*float32)(unsafe.Slice(h.out, h.opening.OutputChannels)[from]), frames))
	}
}

func (h *handmade) free() {
	for _, t := range []struct {
		table *unsafe.Pointer
		n     int
	}{{h.in, h.opening.InputChannels}, {h.out, h.opening.OutputChannels}} {
		for _, c := range unsafe.Slice(t.table, t.n) {
			C.free(c)
		}
		C.free(unsafe.Pointer(t.table))
	}
	h.end(noStep)
}

const inputOverflow = C.paInputOverflow
