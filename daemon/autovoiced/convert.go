package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/daemon"
	"github.com/autovoiced/autovoiced/daemon/song"
	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream/media"
)

type convertCmd struct {
	In         string    `arg:"" help:"Song or recording to convert: WAV, FLAC, MP3 or Ogg Vorbis, mono or stereo."`
	Out        string    `short:"o" required:"" placeholder:"OUT.wav" help:"Where to write the result: WAV, or FLAC where its name ends so; with the song's tags."`
	Voice      string    `placeholder:"NAME" xor:"voice" help:"A name from 'autovoiced voices' or 'autovoiced profiles list'; the one of the settings unless told."`
	Model      string    `placeholder:"PACK.onnx" help:"Speak with a pack that is not bundled, as make voice gives: its first voice unless --voice or --reference says who else."`
	Reference  []string  `placeholder:"REF.wav" xor:"voice" sep:"none" help:"Speak as whoever speaks in this recording, 5 s of speech or more; may be given again."`
	Embedding  string    `placeholder:"FILE" help:"Speak as this embedding in place of the voice's own: a JSON list of numbers, as many as the pack takes."`
	Pitch      pitchFlag `placeholder:"SEMITONES" help:"Shift in semitones, or auto: to where the voice is at home, by whole octaves where there is music. As in the settings unless told."`
	F0         string    `name:"f0" placeholder:"FILE" help:"The voice's pitch where it is known: a line in Hz for each 10 ms, 0 where there is none."`
	WriteF0    string    `name:"write-f0" placeholder:"FILE" help:"Where to write the pitch that was followed, as --f0 takes it."`
	Preset     string    `enum:"live,fast,balanced,quality" default:"balanced" help:"fast, balanced or quality; live is exactly what one hears live, in mono, with no music kept."`
	Separation string    `enum:"auto,none" default:"auto" help:"none: there is only a voice in it, and nothing is to be kept beside it."`
	Rate       int       `placeholder:"HZ" help:"Rate of the result, 16000 to 48000; the song's own, or the nearest to it, unless told."`
	Format     string    `enum:",wav,flac" default:"" placeholder:"FORMAT" help:"wav or flac; by the name of OUT unless told."`
	Samples    pcmFlag   `default:"s16" help:"Samples of the result: s16, s24 or, for WAV, f32."`
	VocalGain  float64   `placeholder:"DB" help:"Louder or softer voice, -48 (silence) to 24 dB."`
	MusicGain  float64   `placeholder:"DB" help:"Louder or softer music, -48 (silence) to 24 dB."`
	Results    string    `default:"${results}" placeholder:"FOLDER" help:"Where to write how long each stage took and on what; \"\" is nowhere."`
	JSON       bool      `name:"json" help:"Progress and result as lines of JSON, for programs."`
	Quiet      bool      `short:"q" help:"No progress."`
}

// Run converts one song.
func (c *convertCmd) Run(e *env) error {
	cfg, err := e.config()
	if err != nil {
		return err
	}
	if err := c.model(&cfg); err != nil {
		return err
	}
	o, err := c.options()
	if err != nil {
		return err
	}
	if err := c.look(); err != nil {
		return err
	}
	if o.Target, err = c.reference(e, cfg); err != nil {
		return err
	}
	bar := c.progress(e)
	o.Progress = bar.show
	result, gpu, err := c.convert(e.ctx, cfg, o)
	bar.close()
	if err != nil {
		return c.failure(err)
	}
	if c.WriteF0 != "" {
		if err := writeF0(c.WriteF0, result.F0); err != nil {
			return coded(exitFile, err)
		}
	}
	if err := c.keep(result, gpu); err != nil {
		fmt.Fprintf(e.errOut, "autovoiced: warning: %v\n", err)
	}
	return c.print(e, result)
}

// convert does it, with an eye on the GPU where the figures are wanted.
func (c *convertCmd) convert(ctx context.Context, cfg daemon.Config, o daemon.ConvertOptions) (daemon.Result, *daemon.Utilization, error) {
	if c.Results == "" || cfg.Infer.Provider == infer.ProviderCPU || cfg.Infer.Provider == infer.ProviderAuto {
		result, err := daemon.Convert(ctx, cfg, c.In, c.Out, o)
		return result, nil, err
	}
	stop := daemon.WatchGPU(ctx)
	result, err := daemon.Convert(ctx, cfg, c.In, c.Out, o)
	if used, ok := stop(); ok {
		return result, &used, err
	}
	return result, nil, err
}

// options are what the flags say.
func (c *convertCmd) options() (o daemon.ConvertOptions, err error) {
	o = daemon.ConvertOptions{
		Voice: c.Voice, Preset: c.Preset, Pitch: c.Pitch.shift, Rate: c.Rate, PCM: c.Samples.pcm, VocalGainDB: c.VocalGain, MusicGainDB: c.MusicGain,
	}
	if c.Separation == infer.SeparatorNone {
		o.Separator = infer.SeparatorNone
	}
	if c.Preset == wire.PresetLive && (c.F0 != "" || c.WriteF0 != "" || c.Embedding != "" || c.Rate != 0 || c.VocalGain != 0 || c.MusicGain != 0) {
		return o, codedf(exitUsage, "--preset live is exactly what one hears live: it goes without --f0, --write-f0, --embedding, --rate, --vocal-gain and --music-gain")
	}
	if o.Format, err = c.format(); err != nil {
		return o, coded(exitUsage, err)
	}
	if o.Format == media.FLAC && o.PCM == dsp.F32LE {
		return o, codedf(exitUsage, "--samples f32: FLAC holds s16 or s24")
	}
	if c.Embedding != "" {
		if o.Embedding, err = readEmbedding(c.Embedding); err != nil {
			return o, coded(exitUsage, err)
		}
	}
	if c.F0 != "" {
		if o.F0, err = readF0(c.F0); err != nil {
			return o, coded(exitUsage, err)
		}
	}
	return o, nil
}

// format is what the flag says, or else the name of the result.
func (c *convertCmd) format() (media.Format, error) {
	switch c.Format {
	case "wav":
		return media.WAV, nil
	case "flac":
		return media.FLAC, nil
	}
	f, err := media.OutputOf(c.Out)
	if err != nil {
		return f, fmt.Errorf("%w; give another name, or --format for a file of that name", err)
	}
	return f, nil
}

func readEmbedding(path string) (values []float32, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	if values, err = daemon.ReadEmbedding(f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return values, nil
}

func readF0(path string) ([]float32, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	f0, err := song.ReadF0(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f0, nil
}

func writeF0(path string, f0 []float32) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return song.WriteF0(f, f0)
}

// look finds what is wrong with the files before a voice is loaded.
func (c *convertCmd) look() error {
	d, err := media.Open(c.In)
	if err != nil {
		return coded(exitFile, err)
	}
	if err := d.Close(); err != nil {
		return coded(exitFile, err)
	}
	in, err := os.Stat(c.In)
	if err != nil {
		return coded(exitFile, err)
	}
	if out, err := os.Stat(c.Out); err == nil && os.SameFile(in, out) {
		return codedf(exitUsage, "%s is the song itself: give the result another name", c.Out)
	}
	return resultFolder(filepath.Dir(c.Out))
}

// resultFolder says what keeps a result from being written there, as far as that can be known.
func resultFolder(path string) error {
	folder, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return codedf(exitFile, "there is no folder %s for the result: make it, or give -o another", path)
	case err != nil:
		return coded(exitFile, err)
	case !folder.IsDir():
		return codedf(exitFile, "%s is no folder", path)
	}
	if err := unix.Access(path, unix.W_OK); err != nil {
		return codedf(exitFile, "the result cannot be written to folder %s: %w", path, err)
	}
	return nil
}

// model has the voices looked for beside the pack that was given, too.
func (c *convertCmd) model(cfg *daemon.Config) error {
	if c.Model == "" {
		return nil
	}
	contract, err := infer.ReadContract(c.Model)
	if err != nil {
		return coded(exitModel, err)
	}
	cfg.Infer.Models = filepath.Dir(c.Model)
	cfg.Voice.Name = contract.Voices[0].Name // also of the pack that speaks as a profile or reference, if it can
	return nil
}

// reference makes a target of the recordings that were given, for this conversion alone; nil when none were.
func (c *convertCmd) reference(e *env, cfg daemon.Config) (*infer.Target, error) {
	if len(c.Reference) == 0 {
		return nil, nil
	}
	heard, err := daemon.Hear(e.ctx, cfg, c.Reference)
	if err != nil {
		return nil, recordingError(e, err)
	}
	warnVerdicts(e.errOut, heard.Verdicts)
	target := heard.Target("reference")
	return &target, nil
}

// keep writes the figures where they are wanted; of the preset live there are none.
func (c *convertCmd) keep(result daemon.Result, gpu *daemon.Utilization) error {
	if c.Results == "" || result.StageTimingsMS == nil {
		return nil
	}
	if gpu != nil {
		if err := os.MkdirAll(c.Results, 0o777); err != nil {
			return err
		}
		if err := daemon.WriteUtilization(c.Results, *gpu); err != nil {
			return err
		}
	}
	return daemon.WriteResults(c.Results, result)
}

// mostLacking is how much of the total the stages may lack before that is told.
const mostLacking = 0.15

// print says what came of it.
func (c *convertCmd) print(e *env, r daemon.Result) error {
	if t := r.StageTimingsMS; t != nil && (t.Lacks() > mostLacking || t.Lacks() < -mostLacking) {
		r.Notes = append(r.Notes, fmt.Sprintf("the stages' times lack %.0f %% of the total", 100*t.Lacks()))
	}
	if c.JSON {
		return writeLine(e.out, struct {
			Type string `json:"type"`
			Out  string `json:"out"`
			daemon.Result
		}{"result", c.Out, r})
	}
	for _, note := range r.Notes {
		fmt.Fprintf(e.errOut, "autovoiced: note: %s\n", note)
	}
	latency := ""
	if r.Pipeline != nil {
		latency = fmt.Sprintf("  algorithmic latency %.1f ms", r.Pipeline.AlgorithmicLatencyMS)
	}
	_, err := fmt.Fprintf(e.out, "%s: %.2f s  voice %s  pitch %+.2f by %s  separation %s  RTF %.3f%s  on %s %s%s\n", c.Out, r.AudioSeconds,
		r.Voice, r.PitchShift, r.Pitch, r.Separation, r.RTF, latency, r.Provider.Active, r.Provider.Precision, clippedText(r.Clipped))
	return err
}

func clippedText(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("  %d samples clipped", n)
}

// failure finds the exit code.
func (c *convertCmd) failure(err error) error {
	var werr *wire.Error
	switch {
	case interrupted(err):
		return fmt.Errorf("interrupted; %s is not written", c.Out)
	case errors.Is(err, song.ErrSong), errors.Is(err, song.ErrResult):
		return coded(exitFile, err)
	case errors.Is(err, song.ErrF0), errors.Is(err, song.ErrOption):
		return coded(exitUsage, err)
	case errors.As(err, &werr):
		return coded(exitModel, errors.New(werr.Message))
	default:
		return coded(exitModel, err)
	}
}

// pcmFlag is a sample format on the command line.
type pcmFlag struct{ pcm dsp.PCM }

var pcmNames = []struct {
	name string
	pcm  dsp.PCM
}{{"s16", dsp.S16LE}, {"s24", dsp.S24LE}, {"f32", dsp.F32LE}}

// UnmarshalText reads s16, s24 or f32.
func (p *pcmFlag) UnmarshalText(text []byte) error {
	for _, n := range pcmNames {
		if n.name == string(text) {
			p.pcm = n.pcm
			return nil
		}
	}
	return fmt.Errorf("samples are %q, allowed: s16, s24, f32", text)
}
