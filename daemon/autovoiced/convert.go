package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/daemon"
	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
)

type convertCmd struct {
	In        string    `arg:"" help:"Recording to convert, WAV, FLAC, MP3 or Ogg Vorbis."`
	Out       string    `short:"o" required:"" placeholder:"OUT.wav" help:"Where to write the result, a mono WAV file of the same rate and length."`
	Voice     string    `placeholder:"NAME" xor:"voice" help:"A name from 'autovoiced voices'; the one of the settings unless told."`
	Model     string    `placeholder:"PACK.onnx" help:"Speak with a pack that is not bundled, as make voice gives: its first voice unless --voice or --reference says who else."`
	Reference []string  `placeholder:"REF.wav" xor:"voice" sep:"none" help:"Speak as whoever speaks in this recording, 5 s of speech or more, WAV, FLAC, MP3 or Ogg Vorbis; may be given again."`
	Pitch     pitchFlag `placeholder:"SEMITONES" help:"Shift in semitones, or auto; as in the settings unless told."`
	Preset    string    `enum:"live,fast,balanced,quality" default:"balanced" help:"How: balanced knows the whole recording's pitch before it begins, live is exactly what one hears live. Fast and quality do not work yet."`
	Format    pcmFlag   `default:"s16" help:"Samples of the result: s16, s24 or f32."`
	Quiet     bool      `short:"q" help:"No progress."`
}

// Run converts one recording.
func (c *convertCmd) Run(e *env) error {
	if c.Preset != "live" && c.Preset != "balanced" {
		return codedf(exitUsage, "--preset %s does not work yet: songs need a model that separates voice from music; "+
			"--preset balanced and --preset live work, and convert a recording of one voice", c.Preset)
	}
	cfg, err := e.config()
	if err != nil {
		return err
	}
	if err := c.model(&cfg); err != nil {
		return err
	}
	// Looked through before a voice is loaded: a fault at the end of a long file shows at once.
	if _, _, err := readRecording(e.ctx, c.In); err != nil {
		return coded(exitFile, err)
	}
	target, err := c.reference(e, cfg)
	if err != nil {
		return err
	}
	bar := newProgress(e.errOut, c.Quiet)
	result, err := daemon.Convert(e.ctx, cfg, c.In, c.Out, daemon.ConvertOptions{
		Voice: c.Voice, Target: target, Pitch: c.Pitch.shift, Live: c.Preset == "live", PCM: c.Format.pcm, Progress: bar.show,
	})
	bar.close()
	if err != nil {
		return convertError(err, c.Out)
	}
	_, err = fmt.Fprintf(e.out, "%s: %.2f s  voice %s  pitch %+.2f  RTF %.3f  algorithmic latency %.1f ms  on %s %s%s\n", c.Out, result.AudioSeconds,
		result.Voice, result.PitchShift, result.RTF, result.Pipeline.AlgorithmicLatencyMS, result.Provider.Active, result.Provider.Precision, clippedText(result.Clipped))
	return err
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

func clippedText(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("  %d samples clipped", n)
}

// convertError finds the exit code: the input was sound, so it is the output, the voice, or neither.
func convertError(err error, out string) error {
	var path *fs.PathError
	var link *os.LinkError
	var werr *wire.Error
	switch {
	case interrupted(err):
		return fmt.Errorf("interrupted; %s is not written", out)
	case errors.As(err, &link), errors.As(err, &path) && strings.HasPrefix(path.Path, out):
		return coded(exitFile, err)
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
	return fmt.Errorf("format is %q, allowed: s16, s24, f32", text)
}

// progress is a bar on a terminal and nothing elsewhere.
type progress struct {
	out  *os.File
	live bool
}

func newProgress(out *os.File, quiet bool) *progress {
	return &progress{out, !quiet && term.IsTerminal(int(out.Fd()))}
}

func (p *progress) show(done, total float64) {
	if !p.live || total <= 0 {
		return
	}
	const width = 40
	n := int(width * min(done/total, 1))
	fmt.Fprintf(p.out, "\r%s%s %3.0f %%\x1b[K", strings.Repeat("█", n), strings.Repeat("·", width-n), 100*done/total)
}

func (p *progress) close() {
	if p.live {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
