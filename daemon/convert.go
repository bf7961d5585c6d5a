package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream"
	"github.com/autovoiced/autovoiced/stream/media"
)

// ConvertOptions say how a recording shall sound; what is nil or zero is as configured.
type ConvertOptions struct {
	Voice string
	// Target speaks in place of a voice when it is not nil.
	Target *infer.Target
	Pitch  *wire.PitchShift
	Mix    *wire.Mix
	// Live goes through exactly what a live voice goes through, chunk by chunk: what a stream of the same samples
	// answers, sample for sample.
	Live bool
	// PCM is the format of the output's samples; zero is 16-bit.
	PCM dsp.PCM
	// Progress hears how far the conversion is, in seconds of audio, a few times a second; total is 0 where the
	// file does not say. It may be nil.
	Progress func(done, total float64)
	// Profile is told each stage's time for each chunk. It may be nil.
	Profile stream.ProfilingFunc
}

// Result is what a conversion did.
type Result struct {
	Voice          string        `json:"voice"`
	PitchShift     float64       `json:"pitch_shift_semitones"` // as applied
	Rate           int           `json:"rate"`
	Frames         uint64        `json:"frames"`  // in the output
	Clipped        int           `json:"clipped"` // samples beyond full scale in the output
	AudioSeconds   float64       `json:"audio_seconds"`
	ElapsedSeconds float64       `json:"elapsed_seconds"` // converting: without loading the voice
	RTF            float64       `json:"rtf"`             // elapsed over audio
	Provider       wire.Provider `json:"provider"`
	Pipeline       wire.Pipeline `json:"pipeline"`
}

// Convert turns the recording at in, of any format that media reads, into a WAV file at out, through the stages that a live voice goes
// through. Unless it is to be as live, it makes use of having the whole recording: chunks are as long as the voice can
// take at once, which changes no more than the rounding of the last bits, and an automatic shift, which a stream
// has to learn, is measured on the whole recording first and is the same throughout. The output is mono, has the
// input's rate and length, and comes into being only when all went well.
func Convert(ctx context.Context, cfg Config, in, out string, o ConvertOptions) (Result, error) {
	source, err := stream.OpenFile(in)
	if err != nil {
		return Result{}, err
	}
	defer source.Close() //nolint:errcheck // it was only read
	s, err := newStudio(cfg)
	if err != nil {
		return Result{}, err
	}
	result, err := s.convert(ctx, in, source, out, o)
	return result, errors.Join(err, s.close())
}

func (s *studio) convert(ctx context.Context, in string, source *stream.FileSource, out string, o ConvertOptions) (result Result, err error) {
	if o.Pitch == nil {
		o.Pitch = &s.cfg.Voice.Pitch
	}
	session, werr := s.newSession(request{
		kind: kindConvert, offline: !o.Live, voice: o.Voice, target: o.Target, pitch: o.Pitch, mix: o.Mix,
		format: wire.Format{Encoding: wire.F32LE, Rate: source.Rate(), Channels: 1},
	})
	if werr != nil {
		return Result{}, werr
	}
	defer func() { err = errors.Join(err, session.close()) }()
	session.profile = o.Profile
	began := time.Now()
	if o.Pitch.Auto && !o.Live {
		if err := session.knowSpeaker(ctx, in); err != nil {
			return Result{}, err
		}
	}
	sink, err := stream.CreateFile(out, media.Output{Format: media.WAV, Rate: source.Rate(), Channels: 1, PCM: o.PCM, Tags: source.Tags()})
	if err != nil {
		return Result{}, err
	}
	written := &progressSink{FileSink: sink, total: seconds(source.Frames(), source.Rate()), tell: o.Progress}
	defer func() { err = errors.Join(err, sink.Abort()) }() // does nothing after Close
	if err = session.run(ctx, source, written); err == nil {
		err = sink.Close()
	}
	if err != nil {
		return Result{}, fmt.Errorf("convert to %s: %w", out, err)
	}
	elapsed := time.Since(began).Seconds()
	audio := seconds(written.frames, source.Rate())
	return Result{
		Voice: session.voice, PitchShift: session.shift(), Rate: source.Rate(), Frames: written.frames, Clipped: sink.Clipped(),
		AudioSeconds: audio, ElapsedSeconds: elapsed, RTF: elapsed / max(audio, 1e-9),
		Provider: session.provider, Pipeline: session.measured(),
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
	tell   func(done, total float64)
	told   time.Time
}

// Write implements stream.Sink.
func (p *progressSink) Write(ctx context.Context, c *stream.Chunk) error {
	if err := p.FileSink.Write(ctx, c); err != nil {
		return err
	}
	p.frames += uint64(len(c.Samples))
	if now := time.Now(); p.tell != nil && now.Sub(p.told) >= progressEvery {
		p.told = now
		p.tell(seconds(p.frames, p.Rate()), p.total)
	}
	return nil
}

// Drain implements stream.Sink.
func (p *progressSink) Drain(ctx context.Context) error {
	if p.tell != nil {
		p.tell(seconds(p.frames, p.Rate()), p.total)
	}
	return p.FileSink.Drain(ctx)
}
