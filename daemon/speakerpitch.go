package daemon

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream"
)

// knowSpeaker listens to the whole recording first, so that an automatic shift is right from its first word.
func (s *session) knowSpeaker(ctx context.Context, file string) error {
	voice, ok := s.conv.(interface{ KnowSpeaker(medianHz float64) })
	if !ok {
		return nil
	}
	hz, err := s.studio.speakerPitch(ctx, file, s.conv.InRate())
	if err != nil {
		return fmt.Errorf("pitch of %s: %w", file, err)
	}
	if hz > 0 {
		voice.KnowSpeaker(hz)
	}
	return nil
}

// shift is the pitch shift now, in semitones.
func (s *session) shift() float64 {
	if v, ok := s.conv.(interface{ Shift() float64 }); ok {
		return v.Shift()
	}
	return 0
}

// speakerPitch is the median pitch in Hz of the voice in a recording, heard through the stages that a voice that
// takes this rate will hear it through; 0 where nobody speaks.
func (s *studio) speakerPitch(ctx context.Context, file string, rate int) (hz float64, err error) {
	source, err := stream.OpenFile(file)
	if err != nil {
		return 0, err
	}
	defer source.Close() //nolint:errcheck // it was only read
	separation, err := stream.NewSeparation(rate, s.cfg.Separation.config(s.cfg.Separation.gate()))
	if err != nil {
		return 0, err
	}
	extraction, err := stream.NewF0Extraction(rate, s.pitchConfig(infer.KindVoice))
	if err != nil {
		return 0, err
	}
	voiced := &pitchSink{rate: rate}
	p, err := stream.New(stream.Options{
		Source: source, Stages: []stream.Stage{separation, extraction}, Sink: voiced,
		InRate: rate, OutRate: rate, Hop: stream.TimeToFrames(s.cfg.Stream.Chunk, rate),
		Queue: s.cfg.Stream.Queue, Clock: s.clock,
	})
	if err != nil {
		return 0, err
	}
	if err := p.Run(ctx); err != nil {
		return 0, err
	}
	return voiced.median(), nil
}

// pitchSink keeps the pitch of every voiced hop.
type pitchSink struct {
	rate int
	hz   []float32
}

// Rate implements stream.Sink.
func (p *pitchSink) Rate() int { return p.rate }

// Write implements stream.Sink.
func (p *pitchSink) Write(_ context.Context, c *stream.Chunk) error {
	for _, hz := range c.F0 {
		if hz > 0 {
			p.hz = append(p.hz, hz)
		}
	}
	return nil
}

// Drain implements stream.Sink.
func (p *pitchSink) Drain(context.Context) error { return nil }

// Close implements stream.Sink.
func (p *pitchSink) Close() error { return nil }

// median is the middle pitch, by ratios; 0 when there was none.
func (p *pitchSink) median() float64 {
	n := len(p.hz)
	if n == 0 {
		return 0
	}
	slices.Sort(p.hz)
	return math.Sqrt(float64(p.hz[(n-1)/2]) * float64(p.hz[n/2]))
}
