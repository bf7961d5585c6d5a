package portaudio

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	pa "github.com/gordonklaus/portaudio"
)

// Device is one entry of PortAudio's list. Index is good until the list is made anew; a name is
// the better choice for a config file.
type Device struct {
	Index         int           `json:"index"`
	Name          string        `json:"name"`
	HostAPI       string        `json:"host_api"`
	Inputs        int           `json:"inputs"`  // channels
	Outputs       int           `json:"outputs"` // channels
	Rate          int           `json:"rate"`    // the device's own, Hz
	InputLatency  time.Duration `json:"input_latency_ns"`
	OutputLatency time.Duration `json:"output_latency_ns"`
	DefaultInput  bool          `json:"default_input"` // what an empty name takes
	DefaultOutput bool          `json:"default_output"`

	jack    bool
	virtual bool // may be different hardware for each way
}

// oneClock says whether both ways may go through one stream: the fastest way, but PortAudio lets a
// backlog of input grow without end where the clocks differ, as behind ALSA's "default".
func oneClock(in, out *Device) bool {
	if in == nil || out == nil || in.HostAPI != out.HostAPI {
		return false
	}
	return in.jack || in.Index == out.Index && !in.virtual
}

func (d Device) String() string {
	return fmt.Sprintf("%d: %s [%s] %d in, %d out, %d Hz", d.Index, d.Name, d.HostAPI, d.Inputs, d.Outputs, d.Rate)
}

// Devices lists what PortAudio finds; none is no error. While a Duplex is open, the list is the
// one made when it opened: PortAudio looks for devices only when nothing is open.
func Devices() ([]Device, error) {
	list, err := enter(paLane, Default().Deadline, func(step func(string)) ([]Device, error) {
		if err := acquire(step); err != nil {
			return nil, err
		}
		defer release(step)
		return list(step)
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("list sound devices: %w", err)
	}
	return list, nil
}

// list reads PortAudio's table. Runs inside the lane, initialised.
func list(step func(string)) ([]Device, error) {
	step("Pa_GetDeviceInfo")
	hosts, err := pa.HostApis()
	if err != nil {
		return nil, err
	}
	found, err := pa.Devices()
	if err != nil {
		return nil, err
	}
	first := preferred(hosts)
	out := make([]Device, 0, len(found))
	for _, d := range found {
		out = append(out, Device{
			Index: d.Index, Name: d.Name, HostAPI: d.HostApi.Name,
			Inputs: d.MaxInputChannels, Outputs: d.MaxOutputChannels, Rate: int(d.DefaultSampleRate + 0.5),
			InputLatency: d.DefaultLowInputLatency, OutputLatency: d.DefaultLowOutputLatency,
			DefaultInput:  first != nil && d == first.DefaultInputDevice,
			DefaultOutput: first != nil && d == first.DefaultOutputDevice,
			jack:          d.HostApi.Type == pa.JACK,
			virtual:       d.HostApi.Type == pa.ALSA && !strings.Contains(d.Name, "(hw:"),
		})
	}
	return out, nil
}

// preferred is the host API whose defaults serve an empty name: JACK if a server runs, since
// whoever starts one wants it used and it is the fastest, else the first that has a device.
func preferred(hosts []*pa.HostApiInfo) *pa.HostApiInfo {
	var first *pa.HostApiInfo
	for _, h := range hosts {
		if h.DefaultInputDevice == nil && h.DefaultOutputDevice == nil {
			continue
		}
		if h.Type == pa.JACK {
			return h
		}
		if first == nil {
			first = h
		}
	}
	return first
}

// direction is one way through a device, with the words for it.
type direction struct {
	name     string
	channels func(Device) int
	isFirst  func(Device) bool
}

var (
	input  = direction{"input", func(d Device) int { return d.Inputs }, func(d Device) bool { return d.DefaultInput }}
	output = direction{"output", func(d Device) int { return d.Outputs }, func(d Device) bool { return d.DefaultOutput }}
)

// pick finds the device that a config means by name. The error of a vain search lists what there is.
func (dir direction) pick(all []Device, name, hostAPI string) (Device, error) {
	usable := slices.DeleteFunc(slices.Clone(all), func(d Device) bool {
		return dir.channels(d) == 0 || !contains(d.HostAPI, hostAPI)
	})
	if index, err := strconv.Atoi(name); err == nil {
		for _, d := range usable {
			if d.Index == index {
				return d, nil
			}
		}
		return Device{}, dir.missing(all, name, hostAPI)
	}
	if name == "" {
		for _, d := range usable {
			if dir.isFirst(d) {
				return d, nil
			}
		}
		if hostAPI != "" && len(usable) > 0 {
			return usable[0], nil
		}
		return Device{}, dir.missing(all, name, hostAPI)
	}
	var found []Device
	for _, d := range usable {
		if strings.EqualFold(d.Name, name) {
			return d, nil
		}
		if contains(d.Name, name) {
			found = append(found, d)
		}
	}
	if len(found) == 0 {
		return Device{}, dir.missing(all, name, hostAPI)
	}
	// Of several, the default host API's first: the same name is often listed once for each API.
	for _, d := range found {
		if dir.isFirst(d) {
			return d, nil
		}
	}
	return found[0], nil
}

func contains(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

// MissingError says that no device fits the config, and which ones there are.
type MissingError struct {
	Direction string // "input" or "output"
	Name      string // as asked; "" the default
	HostAPI   string
	Devices   []Device // those with channels in that direction
}

func (dir direction) missing(all []Device, name, hostAPI string) *MissingError {
	usable := slices.DeleteFunc(slices.Clone(all), func(d Device) bool { return dir.channels(d) == 0 })
	return &MissingError{Direction: dir.name, Name: name, HostAPI: hostAPI, Devices: usable}
}

func (e *MissingError) Error() string {
	what := "no default " + e.Direction + " device"
	if e.Name != "" {
		what = fmt.Sprintf("no %s device %q", e.Direction, e.Name)
	}
	if e.HostAPI != "" {
		what += fmt.Sprintf(" on host API %q", e.HostAPI)
	}
	if len(e.Devices) == 0 {
		return what + ": there is no " + e.Direction + " device at all; plug one in, start JACK, or use files or the socket"
	}
	names := make([]string, len(e.Devices))
	for i, d := range e.Devices {
		names[i] = d.String()
	}
	return what + "; there are " + strings.Join(names, "; ")
}
