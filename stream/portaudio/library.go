package portaudio

/*
#cgo pkg-config: portaudio-2.0
#include <portaudio.h>
#include "quiet.h"

// Only a build with JACK has it; without, devices keep PortAudio's own client name.
extern PaError PaJack_SetClientName(const char *name) __attribute__((weak));

static void av_name(const char *name) {
  if (PaJack_SetClientName) PaJack_SetClientName(name);
}
*/
import "C"

import (
	"errors"
	"fmt"

	pa "github.com/gordonklaus/portaudio"
)

// clientName is what other JACK clients see.
const clientName = "autovoice"

var paName = C.CString(clientName) // PortAudio keeps the pointer

// One process has one PortAudio. Both are used inside the lane only.
var (
	paLane  = newLane()
	paUsers int
)

// acquire initialises PortAudio for one more user; the first makes it look for devices.
func acquire(step func(string)) error {
	if paUsers == 0 {
		step("Pa_Initialize")
		C.av_name(paName)
		C.av_quiet_alsa()
		var err error
		if hushed(func() { err = pa.Initialize() }); err != nil {
			return fmt.Errorf("start PortAudio: %w", err)
		}
	}
	paUsers++
	return nil
}

// release ends one use; the last terminates PortAudio, so that the next acquire looks anew.
func release(step func(string)) {
	if paUsers--; paUsers > 0 {
		return
	}
	step("Pa_Terminate")
	hushed(func() { _ = pa.Terminate() }) // fails only when not initialised
}

// hushed keeps what C prints off the terminal while f runs. Inside the lane only.
func hushed(f func()) {
	C.av_hush()
	defer C.av_unhush()
	f()
}

// paError turns a code into an error with PortAudio's text, and the host API's where it has one.
func paError(code C.PaError) error {
	if code == C.paNoError {
		return nil
	}
	if code != C.paUnanticipatedHostError {
		return pa.Error(code)
	}
	info := C.Pa_GetLastHostErrorInfo()
	if C.GoString(info.errorText) == "" {
		return errors.New("the device refused without a reason")
	}
	return fmt.Errorf("host error %d: %s", int(info.errorCode), C.GoString(info.errorText))
}
