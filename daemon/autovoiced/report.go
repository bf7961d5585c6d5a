package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/autovoiced/autovoiced/daemon/report"
	"github.com/autovoiced/autovoiced/infer"
)

type reportCmd struct {
	Results string `arg:"" optional:"" default:"validation_results" placeholder:"FOLDER" help:"Folder of the files that convert wrote."`
	Before  string `placeholder:"SONG" help:"The recording that went in: its pitch and spectrogram are shown."`
	After   string `placeholder:"RESULT" help:"The recording that came out."`
	Voice   bool   `help:"Show the pitch of the voice alone, taken out of the music first, as convert does it; takes a while."`
	Out     string `short:"o" placeholder:"FOLDER" help:"Where to write report.md and report.html; the folder of the results unless told."`
}

// Run writes the report twice and prints the text.
func (c *reportCmd) Run(e *env) error {
	r, err := report.Load(c.Results)
	if err != nil {
		return coded(exitFile, err)
	}
	var separator report.Separator
	if c.Voice {
		s, err := infer.NewSeparator("", infer.PresetFast)
		if err != nil {
			return coded(exitModel, err)
		}
		defer s.Close() //nolint:errcheck // it was only asked
		separator = s
	}
	for _, recording := range []struct {
		path  string
		sound **report.Sound
	}{{c.Before, &r.Before}, {c.After, &r.After}} {
		if recording.path == "" {
			continue
		}
		if *recording.sound, err = report.Listen(e.ctx, recording.path, separator); err != nil {
			return coded(exitFile, err)
		}
	}
	if r.Empty() {
		return codedf(exitFile, "%s holds neither %s nor %s, and no recording is given: there is nothing to report; `autovoiced convert SONG` writes them",
			c.Results, report.PerformanceFile, report.TensorRTFile)
	}
	folder := c.Out
	if folder == "" {
		folder = c.Results
	}
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return coded(exitFile, err)
	}
	page := filepath.Join(folder, "report.html")
	err = errors.Join(writeWhole(filepath.Join(folder, "report.md"), r.Markdown), writeWhole(page, r.HTML))
	if err != nil {
		return coded(exitFile, err)
	}
	if err := r.Markdown(e.out); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.errOut, "autovoiced: the page is %s\n", page)
	return err
}

// writeWhole writes a file under another name and renames it.
func writeWhole(path string, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	part := path + ".part"
	err := os.WriteFile(part, b.Bytes(), 0o666)
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		os.Remove(part) //nolint:errcheck // may not be there
	}
	return err
}
