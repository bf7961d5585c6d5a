package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/autovoiced/autovoiced/stream/portaudio"
)

type devicesCmd struct {
	JSON bool `name:"json" help:"As JSON."`
}

// Run lists the sound devices; none is no failure.
func (c *devicesCmd) Run(e *env) error {
	devices, err := portaudio.Devices()
	if err != nil {
		return coded(exitDevice, fmt.Errorf("sound devices: %w", err))
	}
	if c.JSON {
		enc := json.NewEncoder(e.out)
		enc.SetIndent("", "  ")
		return enc.Encode(devices)
	}
	if len(devices) == 0 {
		_, err := fmt.Fprintln(e.out, "no sound devices; the daemon serves clients without one")
		return err
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "INDEX\tNAME\tHOST API\tIN\tOUT\tRATE\tLATENCY\tDEFAULT")
	for _, d := range devices {
		fmt.Fprintf(w, "%d\t%s\t%s\t%d\t%d\t%d Hz\t%.1f/%.1f ms\t%s\n", d.Index, d.Name, d.HostAPI, d.Inputs, d.Outputs, d.Rate,
			d.InputLatency.Seconds()*1000, d.OutputLatency.Seconds()*1000, defaultText(d))
	}
	return w.Flush()
}

func defaultText(d portaudio.Device) string {
	switch {
	case d.DefaultInput && d.DefaultOutput:
		return "in, out"
	case d.DefaultInput:
		return "in"
	case d.DefaultOutput:
		return "out"
	default:
		return ""
	}
}
