package daemon

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/daemon/song"
	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream"
	"github.com/autovoiced/autovoiced/stream/media"
)

// ConvertOptions say how a song shall sound; what is nil or zero is as configured.
type ConvertOptions struct {
	// Voice is the name of a voice or of a profile.
	Voice string
	// Target speaks in place of a voice when it is not nil.
	Target *infer.Target
	// Embedding is spoken as in place of the voice's or target's own, whose pitch stays what an automatic shift goes to.
	Embedding []float32
	// F0 is the pitch in the song where it is known, see song.Options.
	F0 []float32
	// Preset is one of wire's; empty is balanced. PresetLive goes through exactly what a live voice goes through, chunk by
	// chunk: what a stream of the same samples answers, sample for sample, in one channel and at the song's own rate.
	Preset string
	// Separator is a model that parts voice and music, "" for the best there is, or infer.SeparatorNone.
	Separator string
	Pitch     *wire.PitchShift
	Mix       *wire.Mix

	Rate   int          // of the result; 0 is the song's own
	Format media.Format // of the result; zero is WAV
	PCM    dsp.PCM      // of the result's samples; zero is 16-bit
	// Gains in dB, song.Silence to 24.
	VocalGainDB, MusicGainDB float64

	// Progress hears how far the song is, a few times a second; of PresetLive without the stages. It may be nil.
	Progress func(song.Progress)
	// Profile is told each stage's share of the time, and as the last their total; of PresetLive for each chunk. It may be nil.
	Profile stream.ProfilingFunc
}

// Result is what a conversion did.
type Result struct {
	Voice          string    `json:"voice"`
	Preset         string    `json:"preset"`
	Separation     string    `json:"separation"`            // the model, or none
	Pitch          string    `json:"pitch"`                 // how it was followed, as package song names it
	PitchShift     float64   `json:"pitch_shift_semitones"` // as applied
	SingerHz       float64   `json:"singer_median_hz,omitempty"`
	F0             []float32 `json:"-"` // the pitch that was followed or given, see song.Options; not of PresetLive
	Rate           int       `json:"rate"`
	Channels       int       `json:"channels"`
	Frames         uint64    `json:"frames"`  // in the output
	Clipped        int       `json:"clipped"` // samples beyond full scale in the output
	AudioSeconds   float64   `json:"audio_seconds"`
	ElapsedSeconds float64   `json:"elapsed_seconds"` // converting: without loading the voice
	RTF            float64   `json:"rtf"`             // elapsed over audio
	// StageTimingsMS and Metadata are not of PresetLive, whose times are in Pipeline.
	StageTimingsMS *StageTimes   `json:"stage_timings_ms,omitempty"`
	Provider       wire.Provider `json:"provider"`
	Metadata       Metadata      `json:"metadata"`
	// Notes say what a listener should know, one a sentence.
	Notes    []string       `json:"notes,omitempty"`
	Pipeline *wire.Pipeline `json:"pipeline,omitempty"` // of PresetLive
}

// Metadata says what a result was made with.
type Metadata struct {
	TensorRT TensorRTMetadata `json:"tensorrt"`
	// Models are those that the song was made with, and where they ran; absent of PresetLive.
	Models []wire.Model `json:"models,omitempty"`
}

// TensorRTMetadata is whether it was asked for and really ran, and in which precision: fp16 or fp32, null where it did not. In a song
// it ran where all models that were asked for there are there, the voice and the separator; the pitch network is the CPU's.
type TensorRTMetadata struct {
	Enabled   bool    `json:"enabled"`
	Precision *string `json:"precision"`
}

// Convert has the song or recording at in, of any format that media reads, sung or spoken by another voice, and writes the
// result, WAV or FLAC, to out, which comes into being only when all went well. What happens to it is told in package song.
func Convert(ctx context.Context, cfg Config, in, out string, o ConvertOptions) (Result, error) {
	s, err := newStudio(cfg)
	if err != nil {
		return Result{}, err
	}
	result, err := s.convert(ctx, in, out, o)
	return result, errors.Join(err, s.close())
}

func (s *studio) convert(ctx context.Context, in, out string, o ConvertOptions) (Result, error) {
	if o.Pitch == nil {
		o.Pitch = &s.cfg.Voice.Pitch
	}
	if o.Preset == wire.PresetLive {
		return s.convertLive(ctx, in, out, o)
	}
	engine, target, err := s.cast(request{voice: o.Voice, target: o.Target})
	if err != nil {
		return Result{}, voiceError(err)
	}
	contract := engine.Contract()
	if have, takes := len(o.Embedding), contract.SpeakerSize(); o.Embedding != nil && have != takes {
		return Result{}, fmt.Errorf("%w has %d values, expected the %d that pack %s takes", errEmbedding, have, takes, contract.Name)
	}
	if o.Embedding != nil {
		target.Embedding, target.Tone = o.Embedding, nil // the tone is what the other one lacks
	}
	if err := engine.Prepare(contract.Run(math.MaxInt)); err != nil {
		return Result{}, voiceError(err)
	}
	options := s.songOptions(o)
	r, err := song.Convert(ctx, in, out, song.Singer{Engine: engine, Target: target}, options)
	if err != nil {
		if errors.Is(err, infer.ErrWrongTarget) {
			return Result{}, voiceError(err)
		}
		return Result{}, err
	}
	provider := wireProvider(engine.Provider(), engine.Warnings())
	models := modelsOf(r.Models)
	return Result{
		Voice: r.Voice, Preset: options.Preset, Separation: r.Separation, Pitch: r.Pitch, PitchShift: r.PitchShift, F0: r.F0, SingerHz: r.SingerHz,
		Rate: r.Rate, Channels: r.Channels, Frames: uint64(r.Frames), Clipped: r.Clipped,
		AudioSeconds: r.Song.Seconds(), ElapsedSeconds: r.Elapsed.Seconds(), RTF: r.RTF(),
		StageTimingsMS: stageTimes(r.Timings), Provider: provider, Metadata: metadata(provider, models), Notes: r.Notes,
	}, nil
}

// songOptions puts what was asked for and what is configured together.
func (s *studio) songOptions(o ConvertOptions) song.Options {
	mix := wire.Mix{GainDB: s.cfg.Mixing.GainDB, DryWet: s.cfg.Mixing.DryWet}
	if o.Mix != nil {
		mix = *o.Mix
	}
	out := song.Default()
	if o.Preset != "" {
		out.Preset = o.Preset
	}
	out.NewSeparator = s.separators.take
	out.Separator, out.Shift, out.F0 = o.Separator, inferShift(*o.Pitch), o.F0
	if live := Default().Pitch; s.cfg.Pitch != live { // else a recording's own, wider range
		out.MinHz, out.MaxHz = s.cfg.Pitch.MinHz, s.cfg.Pitch.MaxHz
	}
	if s.cfg.Separation.Mode != stream.ModeBypass {
		gate := s.cfg.Separation.config(s.cfg.Separation.gate())
		gate.Mode = stream.ModeGate // a live model is not for files, which have better ones
		out.Gate = &gate
	}
	out.Rate, out.Format, out.PCM = o.Rate, o.Format, o.PCM
	out.VocalGainDB, out.MusicGainDB = raised(o.VocalGainDB, mix.GainDB), raised(o.MusicGainDB, mix.GainDB)
	out.Dry, out.CeilingDB = 1-mix.DryWet, s.cfg.Mixing.Ceiling
	out.Timings, out.Profile, out.Progress = true, o.Profile, o.Progress
	return out
}

// raised adds the gain of the whole to that of a part.
func raised(part, whole float64) float64 {
	if part <= song.Silence || part > wire.MaxGainDB {
		return part // silence stays silence, and what is out of range is told
	}
	return max(song.Silence, min(wire.MaxGainDB, part+whole))
}

func modelsOf(all []song.Model) []wire.Model {
	models := make([]wire.Model, len(all))
	for i, m := range all {
		models[i] = wire.Model{Stage: m.Stage, Name: m.Name, Provider: wireProvider(m.Provider, m.Warnings)}
	}
	return models
}

// metadata is what ran where: the voice, and the models of a song beside it.
func metadata(voice wire.Provider, models []wire.Model) Metadata {
	m := Metadata{Models: models}
	t := voice.TensorRT
	if t == nil || !t.Enabled {
		return m
	}
	m.TensorRT = TensorRTMetadata{Enabled: true, Precision: &t.Precision}
	for _, other := range models {
		switch p := other.Provider.TensorRT; {
		case other.Stage == stream.StageF0Extraction:
		case p == nil || !p.Enabled:
			return Metadata{Models: models}
		case p.Precision != t.Precision:
			precision := infer.FP32 // the more exact of two would flatter
			m.TensorRT.Precision = &precision
		}
	}
	return m
}

// convertLive is the conversion by way of a session, as a client or the sound card has one.
func (s *studio) convertLive(ctx context.Context, in, out string, o ConvertOptions) (result Result, err error) {
	source, err := stream.OpenFile(in)
	if err != nil {
		return Result{}, fmt.Errorf("%w: %w", song.ErrSong, err)
	}
	defer source.Close() //nolint:errcheck // it was only read
	session, werr := s.newSession(request{
		kind: kindConvert, voice: o.Voice, target: o.Target, pitch: o.Pitch, mix: o.Mix,
		format: wire.Format{Encoding: wire.F32LE, Rate: source.Rate(), Channels: 1},
	})
	if werr != nil {
		return Result{}, werr
	}
	defer func() { err = errors.Join(err, session.close()) }()
	session.profile = o.Profile
	began := time.Now()
	sink, err := stream.CreateFile(out, media.Output{Format: o.Format, Rate: source.Rate(), Channels: 1, PCM: o.PCM, Tags: source.Tags()})
	if err != nil {
		return Result{}, fmt.Errorf("%w: %w", song.ErrResult, err)
	}
	written := &progressSink{FileSink: sink, began: began, total: seconds(source.Frames(), source.Rate()), tell: o.Progress}
	defer func() { err = errors.Join(err, sink.Abort()) }() // does nothing after Close
	err = session.run(ctx, source, written)
	if bad := source.Edge().BadSamples; err == nil && bad > 0 {
		err = fmt.Errorf("%w: %s: %d samples are not finite numbers (NaN or infinite)", song.ErrSong, in, bad)
	}
	if err == nil {
		err = sink.Close()
	}
	if err != nil {
		return Result{}, fmt.Errorf("convert to %s: %w", out, err)
	}
	elapsed := time.Since(began).Seconds()
	audio, measured := seconds(written.frames, source.Rate()), session.measured()
	return Result{
		Voice: session.voice, Preset: wire.PresetLive, Separation: infer.SeparatorNone, Pitch: song.PitchLive, PitchShift: session.shift(),
		Rate: source.Rate(), Channels: 1, Frames: written.frames, Clipped: sink.Clipped(),
		AudioSeconds: audio, ElapsedSeconds: elapsed, RTF: elapsed / max(audio, 1e-9),
		Provider: session.provider, Metadata: metadata(session.provider, nil), Pipeline: &measured,
	}, nil
}

func seconds(frames uint64, rate int) float64 { return float64(frames) / float64(rate) }

// progressEvery is how often progress is told.
const progressEvery = 100 * time.Millisecond

// progressSink counts what is written and says so.
type progressSink struct {
	*stream.FileSink
	frames uint64
	total  float64
	began  time.Time
	tell   func(song.Progress)
	told   time.Time
}

// Write implements stream.Sink.
func (p *progressSink) Write(ctx context.Context, c *stream.Chunk) error {
	if err := p.FileSink.Write(ctx, c); err != nil {
		return err
	}
	p.frames += uint64(len(c.Samples))
	if now := time.Now(); now.Sub(p.told) >= progressEvery {
		p.told = now
		p.show()
	}
	return nil
}

// Drain implements stream.Sink.
func (p *progressSink) Drain(ctx context.Context) error {
	p.show()
	return p.FileSink.Drain(ctx)
}

func (p *progressSink) show() {
	if p.tell == nil {
		return
	}
	now := song.Progress{Song: time.Duration(p.total * float64(time.Second)), Elapsed: time.Since(p.began), Stage: stream.StageConversion}
	if p.total > 0 {
		now.Done = min(1, seconds(p.frames, p.Rate())/p.total)
		now.Left = time.Duration(float64(now.Elapsed) * (1 - now.Done) / max(now.Done, 1e-9))
	}
	p.tell(now)
}
