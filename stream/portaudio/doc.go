// Package portaudio is the local sound card: capture as a stream.Source and playout as a
// stream.Sink over PortAudio, on any host API that it was built with (ALSA, JACK, OSS here).
//
// # The audio thread
//
// PortAudio calls engine.c, not Go. A Go callback needs a P, and with two busy goroutines on two
// processors it waited 20 ms for one at the 99th percentile; C waits for nobody (see
// TestE2ECallbackGapsUnderLoad). The callback copies between the device's buffer and the words of a
// stream.Ring, which Go reads and writes as usual; it takes no lock and calls nothing but
// clock_gettime and, once a chunk, write on an eventfd that wakes the reader.
//
// # The control side
//
// PortAudio is not thread safe, keeps its device list from Initialize to Terminate, and hangs at
// times. So every call goes through one lane (lane.go): one at a time, under a deadline. A call
// that overstays is reported and the library is quarantined until it comes back; nobody waits for
// it and what it left behind is undone by whoever is still inside.
//
// # Losing the device
//
// A Duplex notices that callbacks have stopped, closes the streams, terminates PortAudio so that
// the next Initialize looks for devices again, and reopens with a growing pause. Its Source then
// waits, its Sink drops and counts, and the first chunk after the return is discontinuous. Only a
// device that comes back with another sample rate ends the Source (ErrRateChanged).
//
// # One stream or two
//
// Through one full-duplex stream sound is fastest, and needs no drift correction. But PortAudio
// expects one clock behind it: on ALSA's virtual devices, PulseAudio's among them, its backlog of
// input grew by 80 ms a second. So JACK and hardware get one stream, all else gets two.
package portaudio
