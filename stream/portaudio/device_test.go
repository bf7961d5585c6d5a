package portaudio

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var some = []Device{
	{Index: 0, Name: "HDA Intel: ALC (hw:0,0)", HostAPI: "ALSA", Inputs: 2, Outputs: 2, Rate: 44100},
	{Index: 1, Name: "HDMI (hw:0,3)", HostAPI: "ALSA", Outputs: 8, Rate: 44100},
	{Index: 2, Name: "default", HostAPI: "ALSA", Inputs: 32, Outputs: 32, Rate: 44100},
	{Index: 3, Name: "system", HostAPI: "JACK Audio Connection Kit", Inputs: 2, Outputs: 2, Rate: 48000, DefaultInput: true, DefaultOutput: true, jack: true},
	{Index: 4, Name: "Firefox", HostAPI: "JACK Audio Connection Kit", Inputs: 2, Rate: 48000, jack: true},
	{Index: 5, Name: "Webcam", HostAPI: "ALSA", Inputs: 1, Rate: 16000},
	{Index: 6, Name: "Webcam Pro", HostAPI: "ALSA", Inputs: 1, Rate: 16000},
}

func TestPick(t *testing.T) {
	for _, c := range []struct {
		dir           direction
		name, hostAPI string
		want          int // -1: none
	}{
		{input, "", "", 3},
		{output, "", "", 3},
		{input, "", "alsa", 0},
		{output, "hdmi", "", 1},
		{input, "hdmi", "", -1}, // no inputs
		{input, "WEBCAM", "", 5},
		{input, "webcam pro", "", 6},
		{input, "4", "", 4},
		{output, "4", "", -1},
		{output, "99", "", -1},
		{input, "fire", "jack", 4},
		{input, "fire", "alsa", -1},
		{input, "", "asio", -1},
	} {
		d, err := c.dir.pick(some, c.name, c.hostAPI)
		if c.want < 0 {
			var missing *MissingError
			if !errors.As(err, &missing) {
				t.Errorf("%s %q on %q: got %v, %v", c.dir.name, c.name, c.hostAPI, d, err)
			}
			continue
		}
		if err != nil || d.Index != c.want {
			t.Errorf("%s %q on %q: got %v, %v, expected device %d", c.dir.name, c.name, c.hostAPI, d, err, c.want)
		}
	}
}

func TestOneClock(t *testing.T) {
	hw, hdmi, system, firefox := some[0], some[1], some[3], some[4]
	virtual := some[2]
	virtual.virtual = true
	for _, c := range []struct {
		in, out *Device
		want    bool
	}{
		{&hw, &hw, true},
		{&hw, &hdmi, false},
		{&virtual, &virtual, false},
		{&system, &system, true},
		{&firefox, &system, true},
		{&hw, &system, false},
		{nil, &hw, false},
		{&hw, nil, false},
	} {
		if got := oneClock(c.in, c.out); got != c.want {
			t.Errorf("%v and %v: %t", c.in, c.out, got)
		}
	}
}

func TestMissingListsWhatThereIs(t *testing.T) {
	_, err := output.pick(some, "nonsuch", "")
	if msg := err.Error(); !strings.Contains(msg, `no output device "nonsuch"`) || !strings.Contains(msg, "1: HDMI (hw:0,3) [ALSA] 0 in, 8 out, 44100 Hz") ||
		strings.Contains(msg, "Firefox") {
		t.Error(msg)
	}
	_, err = input.pick(nil, "", "")
	if msg := err.Error(); !strings.Contains(msg, "no default input device: there is no input device at all") {
		t.Error(msg)
	}
}

func TestFormatErrorListsRates(t *testing.T) {
	d := some[0]
	msg := (&FormatError{Rate: 22050, Opening: Opening{Input: &d, Output: &d}, Can: []int{48000, 44100}}).Error()
	if want := "0: HDA Intel: ALC (hw:0,0) [ALSA] 2 in, 2 out, 44100 Hz do not run at 22050 Hz; possible: 48000, 44100 Hz"; msg != want {
		t.Errorf("got  %s\nwant %s", msg, want)
	}
	msg = (&FormatError{Opening: Opening{Input: &d}, Own: 44100, Refusal: errors.New("Device unavailable")}).Error()
	if !strings.Contains(msg, "cannot be opened: Device unavailable") {
		t.Error(msg)
	}
	d.Rate = 96000
	if msg = (&FormatError{Opening: Opening{Input: &d}, Own: 96000}).Error(); !strings.Contains(msg, "the device says 96000 Hz") {
		t.Error(msg)
	}
}

// On a machine without a sound card PortAudio, ALSA and JACK print a hundred lines on their own.
func TestDevicesSaysNothingOnStderr(t *testing.T) {
	t.Setenv("JACK_NO_START_SERVER", "1")
	t.Setenv("JACK_DEFAULT_SERVER", "autovoice-nonsuch")
	var err error
	said := stderrOf(t, func() {
		var list []Device
		if list, err = Devices(); err == nil {
			for _, d := range list {
				if d.Name == "" || d.HostAPI == "" {
					t.Errorf("nameless device %v", d)
				}
			}
		}
		_, _ = Open(context.Background(), Config{Input: "autovoice-nonsuch", Mix: MixFirst, Buffer: 1e9, Deadline: 8e9, Stall: 1e9, RetryMin: 1e9, RetryMax: 1e9}, Options{})
	})
	if err != nil {
		t.Error(err)
	}
	if said != "" {
		t.Errorf("stderr: %s", said)
	}
}

// The silence must not swallow what the program itself logs meanwhile, nor last.
func TestHushLeavesFileDescriptor2Alone(t *testing.T) {
	said := stderrOf(t, func() {
		hushed(func() { _, _ = os.Stderr.WriteString("a log line") })
	})
	if said != "a log line" {
		t.Errorf("stderr: %q", said)
	}
}

func TestOpenNamesTheMissingDevice(t *testing.T) {
	cfg := Default()
	cfg.Input = "autovoice-nonsuch"
	_, err := Open(t.Context(), cfg, Options{})
	var missing *MissingError
	if !errors.As(err, &missing) || missing.Direction != "input" || missing.Name != cfg.Input {
		t.Errorf("got %v", err)
	}
	if paUsers != 0 {
		t.Errorf("PortAudio has %d users left", paUsers)
	}
}

func stderrOf(t *testing.T, f func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	kept, err := unix.Dup(2)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Dup2(int(w.Fd()), 2); err != nil {
		t.Fatal(err)
	}
	said := make(chan string)
	go func() {
		all, _ := io.ReadAll(r)
		said <- string(all)
	}()
	f()
	if err := unix.Dup2(kept, 2); err != nil {
		t.Fatal(err)
	}
	unix.Close(kept)
	w.Close()
	return <-said
}
