// Command follow runs the daemon's own pitch tracker over raw audio, so that a voice is trained on
// the very curves that it will be driven with: float32 samples at 16 kHz on standard input, float32
// Hz on standard output, value i at 10·i ms, 0 where unvoiced.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/autovoiced/autovoiced/dsp"
)

const rate, hop = 16000, 160

func main() {
	if err := follow(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "follow:", err)
		os.Exit(1)
	}
}

func follow(in io.Reader, out io.Writer) error {
	raw, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("read samples: %w", err)
	}
	if len(raw)%4 != 0 {
		return fmt.Errorf("expected whole float32 samples, found %d bytes", len(raw))
	}
	samples := make([]float32, len(raw)/4)
	for i := range samples {
		samples[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	tracker := dsp.NewPitch(dsp.DefaultPitchConfig(rate))
	// The estimate given with hop t holds Delay before that hop's end: skip what lies before time 0.
	late := int(tracker.Delay().Milliseconds())/10 - 1
	hops := len(samples) / hop
	samples = append(samples, make([]float32, (late+1)*hop)...)
	var curve []byte
	for t := range hops + late {
		hz, _ := tracker.Process(samples[t*hop : (t+1)*hop])
		if t >= late {
			curve = binary.LittleEndian.AppendUint32(curve, math.Float32bits(hz))
		}
	}
	_, err = out.Write(curve)
	return err
}
