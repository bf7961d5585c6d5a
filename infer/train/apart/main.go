// Command apart runs the separators that the program itself runs over raw audio, to measure them: interleaved float32
// samples on standard input, as many of the vocals on standard output, in time with the input.
//
//	apart song fast|balanced|quality        stereo, 44.1 kHz
//	apart live [SEPARATOR.onnx]             mono, 16 kHz; without a name the one that the program takes
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/autovoiced/autovoiced/infer"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "apart:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	s, err := separator(args)
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // the process ends
	raw, err := io.ReadAll(os.Stdin)
	if err != nil {
		return fmt.Errorf("read samples: %w", err)
	}
	frame := 4 * s.Channels()
	if len(raw)%frame != 0 {
		return fmt.Errorf("expected whole frames of %d channels of float32, found %d bytes", s.Channels(), len(raw))
	}
	began := time.Now()
	out, err := separate(s, raw)
	if err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	fmt.Fprintf(os.Stderr, "%s: %.2f s for %.2f s\n", s.Name(), took, float64(len(raw)/frame)/float64(s.Rate()))
	_, err = os.Stdout.Write(out)
	return err
}

func separator(args []string) (infer.Separator, error) {
	if len(args) == 2 && args[0] == "song" {
		return infer.NewSeparator("", args[1])
	}
	if len(args) == 1 && args[0] == "live" {
		return infer.NewLiveSeparator(infer.DefaultConfig())
	}
	if len(args) == 2 && args[0] == "live" {
		model, err := os.ReadFile(args[1])
		if err != nil {
			return nil, err
		}
		return infer.LoadLiveSeparator(args[1], model)
	}
	return nil, errors.New("expected: song PRESET, or live [MODEL]")
}

func separate(s infer.Separator, raw []byte) ([]byte, error) {
	channels, hop := s.Channels(), s.Hop()
	frames := len(raw) / (4 * channels)
	block := make([][]float32, channels)
	for c := range block {
		block[c] = make([]float32, hop)
	}
	out := make([]byte, 0, len(raw))
	for at := 0; at < frames+s.Latency(); at += hop {
		for c := range block {
			for i := range block[c] {
				block[c][i] = 0
				if k := 4 * ((at+i)*channels + c); k < len(raw) {
					block[c][i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[k:]))
				}
			}
		}
		if err := s.Process(block, block); err != nil {
			return nil, err
		}
		for i := range hop {
			if t := at + i - s.Latency(); t >= 0 && t < frames {
				for c := range block {
					out = binary.LittleEndian.AppendUint32(out, math.Float32bits(block[c][i]))
				}
			}
		}
	}
	return out, nil
}
