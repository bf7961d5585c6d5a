package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/autovoiced/autovoiced/daemon"
	"github.com/autovoiced/autovoiced/infer"
)

type profilesCmd struct {
	Add     profileAdd     `cmd:"" help:"Make a profile of recordings of one speaker."`
	List    profileList    `cmd:"" help:"List the profiles."`
	Show    profileShow    `cmd:"" help:"Show what is known of a profile."`
	Remove  profileRemove  `cmd:"" help:"Delete a profile and its recordings."`
	Export  profileExport  `cmd:"" help:"Write a profile and its recordings to one file."`
	Import  profileImport  `cmd:"" help:"Make a profile of an exported file."`
	Refresh profileRefresh `cmd:"" help:"Hear a profile's recordings again, with the speaker encoder and the voice of this version."`
}

type profileAdd struct {
	Name string   `arg:"" help:"What to call the voice."`
	Refs []string `arg:"" name:"ref.wav" help:"Recordings of the speaker alone, WAV, FLAC, MP3 or Ogg Vorbis, 5 s of speech in all; 10 to 30 s are better."`
	JSON bool     `name:"json" help:"As JSON."`
}

// Run makes a profile.
func (c *profileAdd) Run(e *env) error {
	cfg, err := e.config()
	if err != nil {
		return err
	}
	made, err := daemon.OpenProfiles().Add(e.ctx, cfg, c.Name, c.Refs)
	if err != nil {
		return recordingError(e, err)
	}
	warnVerdicts(e.errOut, made.Verdicts)
	if c.JSON {
		return writeIndented(e.out, made)
	}
	_, err = fmt.Fprintf(e.out, "%s: %.1f s of speech in %s, median pitch %.0f Hz; `autovoiced convert IN -o OUT.wav --voice %s` speaks with it\n",
		made.Name, made.SpeechSeconds, counted(len(made.Clips), "recording"), made.MedianHz, made.Name)
	return err
}

type profileList struct {
	JSON bool `name:"json" help:"As JSON."`
}

// Run lists the profiles; one that cannot be read does not hide the others.
func (c *profileList) Run(e *env) error {
	cfg, err := e.config()
	if err != nil {
		return err
	}
	all, broken := daemon.OpenProfiles().List()
	if c.JSON {
		if all == nil {
			all = []*daemon.Profile{}
		}
		return errors.Join(writeIndented(e.out, all), coded(exitFile, broken))
	}
	encoder, err := infer.SpeakerEncoderID(cfg.Infer)
	if err != nil {
		return coded(exitModel, err)
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tMEDIAN\tSPEECH\tRECORDINGS\tCREATED\tREMARKS")
	for _, pr := range all {
		fmt.Fprintf(w, "%s\t%.0f Hz\t%.1f s\t%d\t%s\t%s\n", pr.Name, pr.MedianHz, pr.SpeechSeconds, len(pr.Clips),
			pr.Created.Local().Format(time.DateTime), strings.Join(remarks(pr, encoder), ", "))
	}
	return errors.Join(w.Flush(), coded(exitFile, broken))
}

func remarks(pr *daemon.Profile, encoder string) []string {
	var all []string
	if pr.Encoder.ID != encoder {
		all = append(all, "of another encoder: `autovoiced profiles refresh "+pr.Name+"`")
	}
	if n := len(pr.Verdicts); n > 0 {
		all = append(all, counted(n, "warning"))
	}
	return all
}

type profileShow struct {
	Name string `arg:"" help:"A name from 'autovoiced profiles list'."`
	JSON bool   `name:"json" help:"As JSON, with the embedding and the tone."`
}

// Run shows one profile.
func (c *profileShow) Run(e *env) error {
	profiles := daemon.OpenProfiles()
	pr, err := profiles.Find(c.Name)
	if err != nil {
		return coded(exitFile, err)
	}
	if c.JSON {
		return writeIndented(e.out, pr)
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "name\t%s\nid\t%s\nfolder\t%s\ncreated\t%s\nmedian pitch\t%.0f Hz\nspeech\t%.1f s\nembedding\t%d values by %s %s\ntone\t%s\n",
		pr.Name, printable(pr.ID), profiles.Folder(pr.Name), pr.Created.Local().Format(time.DateTime), pr.MedianHz, pr.SpeechSeconds,
		len(pr.Embedding), printable(pr.Encoder.Name), printable(pr.Encoder.ID), toneText(pr.Tone))
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nRECORDING\tFROM\tLENGTH\tSPEECH\tABOVE NOISE\tPEAK\tCLIPPED\tMEDIAN")
	for _, clip := range pr.Clips {
		fmt.Fprintf(w, "%s\t%s\t%.1f s\t%.1f s\t%.0f dB\t%.1f dBFS\t%.2f %%\t%.0f Hz\n", clip.File, printable(clip.Source), clip.Seconds,
			clip.SpeechSeconds, clip.SNRDB, clip.PeakDBFS, clip.ClippedPercent, clip.MedianHz)
	}
	for _, v := range pr.Verdicts {
		fmt.Fprintf(w, "\nwarning: %s", printable(v.Message))
	}
	if len(pr.Verdicts) > 0 {
		fmt.Fprintln(w)
	}
	return w.Flush()
}

// toneText is how far a tone goes.
func toneText(tone []float32) string {
	if len(tone) == 0 {
		return "none"
	}
	return fmt.Sprintf("%+.1f to %+.1f dB", slices.Min(tone), slices.Max(tone))
}

type profileRemove struct {
	Names []string `arg:"" name:"name" help:"Names from 'autovoiced profiles list'."`
}

// Run deletes profiles.
func (c *profileRemove) Run(e *env) error {
	profiles := daemon.OpenProfiles()
	for _, name := range c.Names {
		if err := profiles.Remove(name); err != nil {
			return coded(exitFile, err)
		}
		fmt.Fprintf(e.out, "%s: removed\n", name)
	}
	return nil
}

type profileExport struct {
	Name string `arg:"" help:"A name from 'autovoiced profiles list'."`
	Out  string `short:"o" placeholder:"FILE" help:"Where to: a name that ends in .zip or .tar.gz; NAME.tar.gz unless told."`
}

// Run writes a profile to one file.
func (c *profileExport) Run(e *env) error {
	if c.Out == "" {
		c.Out = c.Name + ".tar.gz"
	}
	if err := daemon.OpenProfiles().Export(c.Name, c.Out); err != nil {
		return coded(exitFile, err)
	}
	_, err := fmt.Fprintf(e.out, "%s: profile %s\n", c.Out, c.Name)
	return err
}

type profileImport struct {
	File string `arg:"" help:"What 'autovoiced profiles export' wrote."`
	Name string `placeholder:"NAME" help:"What to call the voice; as in the file unless told."`
}

// Run makes a profile of an exported file.
func (c *profileImport) Run(e *env) error {
	cfg, err := e.config()
	if err != nil {
		return err
	}
	pr, err := daemon.OpenProfiles().Import(e.ctx, cfg, c.File, c.Name)
	if err != nil {
		return coded(exitFile, err)
	}
	if encoder, err := infer.SpeakerEncoderID(cfg.Infer); err != nil || encoder != pr.Encoder.ID {
		fmt.Fprintf(e.errOut, "autovoiced: warning: the profile was made by another speaker encoder; `autovoiced profiles refresh %s` makes it anew\n", pr.Name)
	}
	_, err = fmt.Fprintf(e.out, "%s: %.1f s of speech in %s\n", pr.Name, pr.SpeechSeconds, counted(len(pr.Clips), "recording"))
	return err
}

type profileRefresh struct {
	Name string `arg:"" help:"A name from 'autovoiced profiles list'."`
}

// Run makes a profile's embedding anew.
func (c *profileRefresh) Run(e *env) error {
	cfg, err := e.config()
	if err != nil {
		return err
	}
	pr, err := daemon.OpenProfiles().Refresh(e.ctx, cfg, c.Name)
	if err != nil {
		return recordingError(e, err)
	}
	warnVerdicts(e.errOut, pr.Verdicts)
	_, err = fmt.Fprintf(e.out, "%s: made anew by %s %s\n", pr.Name, pr.Encoder.Name, pr.Encoder.ID)
	return err
}

// recordingError says what is wrong with recordings, one fault a line.
func recordingError(e *env, err error) error {
	var refused *daemon.RefusedError
	if !errors.As(err, &refused) {
		if interrupted(err) {
			return errors.New("interrupted; nothing is kept")
		}
		return coded(exitFile, err)
	}
	var last error
	for _, v := range refused.Verdicts {
		if v.Refused {
			last = errors.New(printable(v.Message))
			continue
		}
		warnVerdicts(e.errOut, []daemon.Verdict{v})
	}
	return coded(exitFile, fmt.Errorf("the recordings do not make a voice: %w", last))
}

func warnVerdicts(w io.Writer, verdicts []daemon.Verdict) {
	for _, v := range verdicts {
		fmt.Fprintf(w, "autovoiced: warning: %s\n", printable(v.Message))
	}
}

// printable takes what would move a terminal's cursor out of text that came with a file.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func writeIndented(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
