package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/autovoiced/autovoiced/daemon"
	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream"
)

type voicesCmd struct {
	JSON       bool   `name:"json" help:"As JSON."`
	References string `placeholder:"DIR" help:"Write a recording of each voice's own speaker to DIR/NAME.wav."`
}

// Run lists the voices or writes their references.
func (c *voicesCmd) Run(e *env) error {
	cfg, err := e.config()
	if err != nil {
		return err
	}
	registry, err := infer.NewRegistry(cfg.Infer)
	if err != nil {
		return coded(exitModel, err)
	}
	defer registry.Close()
	if c.References != "" {
		return writeReferences(e, registry, c.References)
	}
	voices, broken := daemon.Voices(registry, daemon.OpenProfiles(), cfg.Voice.Name)
	if broken != nil {
		complain(e.errOut, broken)
	}
	if c.JSON {
		return writeIndented(e.out, voices)
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tKIND\tSEX\tMEDIAN\tRATES\tLOOK-AHEAD\tLICENCE\tDESCRIPTION")
	for _, v := range voices {
		median := ""
		if v.MedianHz > 0 {
			median = fmt.Sprintf("%.0f Hz", v.MedianHz)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%g → %g kHz\t%g ms\t%s\t%s\n", v.Name, v.Kind, v.Sex, median,
			float64(v.InRate)/1000, float64(v.OutRate)/1000, v.LookaheadMS, v.Licence, v.Description)
	}
	return w.Flush()
}

func writeReferences(e *env, registry *infer.Registry, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return coded(exitFile, err)
	}
	for _, v := range registry.Voices() {
		if !v.Reference {
			continue // a voice that nobody lent, such as the pass-through
		}
		flac, err := registry.Reference(v.Name)
		if err != nil {
			return coded(exitModel, err)
		}
		path := filepath.Join(dir, v.Name+".wav")
		seconds, err := writeReference(e, path, flac)
		if err != nil {
			return coded(exitFile, fmt.Errorf("reference of voice %s: %w", v.Name, err))
		}
		fmt.Fprintf(e.out, "%s: %.1f s of the speaker's own voice\n", path, seconds)
	}
	return nil
}

// writeReference turns a FLAC recording into a WAV file of the same samples.
func writeReference(e *env, path string, flac []byte) (seconds float64, err error) {
	source, err := stream.NewFileSource("bundled", bytes.NewReader(flac))
	if err != nil {
		return 0, err
	}
	sink, err := stream.CreateWAV(path, source.Rate(), dsp.S16LE)
	if err != nil {
		return 0, err
	}
	frames, err := copyAudio(e, sink, source)
	if err != nil {
		return 0, errors.Join(err, sink.Abort())
	}
	return float64(frames) / float64(source.Rate()), sink.Close()
}

func copyAudio(e *env, sink stream.Sink, source stream.Source) (frames int, err error) {
	var c stream.Chunk
	for {
		err := source.Read(e.ctx, &c)
		if errors.Is(err, io.EOF) {
			return frames, nil
		}
		if err == nil {
			err = sink.Write(e.ctx, &c)
		}
		if err != nil {
			return frames, err
		}
		frames += c.Frames
	}
}
