package portaudio

/*
#include "device_stream.h"
*/
import "C"

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Opening says what was opened.
type Opening struct {
	Input          *Device `json:"input,omitempty"`
	Output         *Device `json:"output,omitempty"`
	Rate           int     `json:"rate"`
	InputChannels  int     `json:"input_channels"`
	OutputChannels int     `json:"output_channels"`
	// Duplex says that one stream, and so one clock, serves both ways.
	Duplex bool `json:"duplex"`
}

func (o Opening) String() string {
	var parts []string
	if o.Input != nil {
		parts = append(parts, fmt.Sprintf("input %q [%s] with %d of %d channels", o.Input.Name, o.Input.HostAPI, o.InputChannels, o.Input.Inputs))
	}
	if o.Output != nil {
		parts = append(parts, fmt.Sprintf("output %q [%s] with %d of %d channels", o.Output.Name, o.Output.HostAPI, o.OutputChannels, o.Output.Outputs))
	}
	return strings.Join(parts, " and ") + fmt.Sprintf(" at %d Hz", o.Rate)
}

func (o Opening) jack() bool {
	return o.Input != nil && o.Input.jack || o.Output != nil && o.Output.jack
}

// The rates that are tried, best first: the models' own multiples before the rest.
var rates = []int{48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000}

// FormatError says that the devices do not run at the rate asked for, or at none that serves, and
// at which ones they do.
type FormatError struct {
	Rate    int // asked; 0: any
	Opening Opening
	Can     []int // rates that all the devices run at, of those from MinRate to MaxRate
	Own     int   // a device's own rate, which may be outside of these
	Refusal error // what PortAudio says, if it is not about the rate
}

// Unwrap is PortAudio's error, if it is not about the rate.
func (e *FormatError) Unwrap() error { return e.Refusal }

func (e *FormatError) Error() string {
	what := "run at no common rate from " + strconv.Itoa(MinRate) + " to " + strconv.Itoa(MaxRate) + " Hz"
	if e.Rate != 0 {
		what = "do not run at " + strconv.Itoa(e.Rate) + " Hz"
	}
	var names []string
	for _, d := range []*Device{e.Opening.Input, e.Opening.Output} {
		if d != nil && !slices.Contains(names, d.String()) {
			names = append(names, d.String())
		}
	}
	msg := strings.Join(names, " and ") + " " + what
	if len(e.Can) > 0 {
		return msg + "; possible: " + strings.Trim(strings.ReplaceAll(fmt.Sprint(e.Can), " ", ", "), "[]") + " Hz"
	}
	if e.Refusal != nil {
		return strings.Join(names, " and ") + " cannot be opened: " + e.Refusal.Error() + "; is it in use, or a device for the other direction?"
	}
	return msg + fmt.Sprintf("; the device says %d Hz: set it, or its server, to a rate in that range, or choose another", e.Own)
}

// negotiate picks devices, rate and channels. Runs inside the lane, initialised.
func negotiate(step func(string), all []Device, cfg Config) (Opening, error) {
	var o Opening
	if cfg.Input != NoDevice {
		d, err := input.pick(all, cfg.Input, cfg.HostAPI)
		if err != nil {
			return o, err
		}
		o.Input = &d
	}
	if cfg.Output != NoDevice {
		d, err := output.pick(all, cfg.Output, cfg.HostAPI)
		if err != nil {
			return o, err
		}
		o.Output = &d
	}
	o.Duplex = oneClock(o.Input, o.Output)

	step("Pa_IsFormatSupported")
	wanted := rates
	if cfg.Rate != 0 {
		wanted = []int{cfg.Rate}
	}
	for _, rate := range wanted {
		if ok, _ := o.fits(cfg, rate); ok {
			return o, nil
		}
	}
	fault := &FormatError{Rate: cfg.Rate, Opening: o}
	for _, d := range []*Device{o.Input, o.Output} {
		if d != nil {
			fault.Own = d.Rate
		}
	}
	for _, rate := range rates {
		switch ok, refusal := o.fits(cfg, rate); {
		case ok:
			fault.Can = append(fault.Can, rate)
		case refusal != nil:
			fault.Refusal = refusal
		}
	}
	return o, fault
}

// fits sets rate and channels if all devices take them. If one does not, for another reason than
// the rate, refusal is that reason.
func (o *Opening) fits(cfg Config, rate int) (ok bool, refusal error) {
	in, out := 0, 0
	if o.Input != nil {
		counts := []int{1, 2, o.Input.Inputs}
		if cfg.Mix == MixAverage {
			counts = []int{2, 1, o.Input.Inputs}
		}
		in, refusal = supported(counts, o.Input.Inputs, rate, func(n int) (C.av_line, C.av_line) {
			return lineOf(*o.Input, n, latency(cfg, o.Input.InputLatency)), C.av_line{device: -1}
		})
		if in == 0 {
			return false, refusal
		}
	}
	if o.Output != nil {
		counts := []int{2, 1, o.Output.Outputs}
		out, refusal = supported(counts, o.Output.Outputs, rate, func(n int) (C.av_line, C.av_line) {
			return C.av_line{device: -1}, lineOf(*o.Output, n, latency(cfg, o.Output.OutputLatency))
		})
		if out == 0 {
			return false, refusal
		}
	}
	o.Rate, o.InputChannels, o.OutputChannels = rate, in, out
	return true, nil
}

// supported is the first channel count that the device takes at rate, 0 if none.
func supported(counts []int, most, rate int, lines func(int) (C.av_line, C.av_line)) (n int, refusal error) {
	for _, n := range counts {
		if n > most {
			continue
		}
		in, out := lines(n)
		switch code := C.av_supported(in, out, C.double(rate)); code {
		case C.paFormatIsSupported:
			return n, nil
		case C.paInvalidSampleRate, C.paInvalidChannelCount:
		default:
			refusal = paError(code)
		}
	}
	return 0, refusal
}
