package song

import (
	"context"
	"errors"
	"io"
	"math"
	"time"

	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream"
)

// perform has the song sung again: the vocals are converted, and what comes out is mixed with the music.
func (j *job) perform(ctx context.Context) error {
	sung := j.newPipe(conversion, mixing)
	mix := actor{mixing, func(ctx context.Context) error { return j.mix(ctx, sung) }}
	if j.heard.nobody() {
		sung.close()
		j.done[conversion].set(j.length.get())
		return j.together(ctx, mix)
	}
	return j.together(ctx, actor{conversion, func(ctx context.Context) error { return j.sing(ctx, sung) }}, mix)
}

// sing converts the vocals to one channel at the voice's rate, on the song's time.
func (j *job) sing(ctx context.Context, out *pipe) (err error) {
	defer out.close()
	source, rate, err := j.openVocals()
	if err != nil {
		return err
	}
	defer source.close() //nolint:errcheck // it was only read
	s, err := j.newSinging(rate)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.converter.Close()) }()
	vocals := new(block)
	for ended := false; !ended; {
		b := out.take(ctx)
		if b == nil {
			return ctx.Err()
		}
		b.resize(1, 0)
		vocals.resize(j.channels, j.piece)
		n, err := source.read(vocals.channels)
		if errors.Is(err, io.EOF) {
			ended = true
			b.channels[0], err = s.finish(b.channels[0])
		} else if err == nil {
			vocals.resize(j.channels, n)
			b.channels[0], err = s.sing(b.channels[0], vocals.channels)
		}
		if err != nil {
			return err
		}
		j.done[conversion].add(seconds(int64(n), rate))
		out.send(b)
	}
	return nil
}

// singing is a conversation with the voice, from the first word to the last.
type singing struct {
	converter infer.Converter
	rate      int // of the vocals
	gate      *gate
	rail      rail
	waiting   queue // vocals at the voice's input rate
	curve     curve
	delay     float64 // seconds: how long before the end of a hop its pitch is taken
	hop       int     // input frames of 10 ms
	at        int     // hops converted
	hops      int     // that are converted at once
	skip      int     // output frames that lie before the beginning, still to come
	heard     int64   // frames of vocals
	given     int64   // frames given

	mono, voice []float32
	f0          []float32
}

func (j *job) newSinging(rate int) (*singing, error) {
	contract := j.singer.Engine.Contract()
	hops := contract.Run(math.MaxInt)
	delay := time.Duration(contract.F0DelayMS * float64(time.Millisecond))
	converter, err := j.singer.Engine.NewTargetSession(j.singer.Target, infer.SessionOptions{
		Shift: infer.Shift{Semitones: j.result.PitchShift}, F0Delay: delay, Hops: hops,
	})
	if err != nil {
		return nil, err
	}
	var gate *gate
	if j.tape == nil {
		if gate, err = j.gate(rate); err != nil {
			return nil, errors.Join(err, converter.Close())
		}
	}
	return &singing{
		converter: converter, rate: rate, gate: gate, rail: newRail(rate, converter.InRate()),
		curve: j.heard.curve, delay: delay.Seconds(), hop: converter.InRate() / curveRate, hops: hops,
		skip: stream.TimeToFrames(converter.Latency(), converter.OutRate()),
	}, nil
}

// sing appends what becomes of a block of vocals to dst.
func (s *singing) sing(dst []float32, block [][]float32) ([]float32, error) {
	s.mono = down(s.mono, block)
	s.heard += int64(len(s.mono))
	if err := s.gate.clean(s.mono); err != nil {
		return dst, err
	}
	s.waiting.set(s.rail.carry(s.waiting.tail(), s.mono))
	return s.convert(dst)
}

// finish appends the rest: as much as the vocals are long.
func (s *singing) finish(dst []float32) ([]float32, error) {
	s.waiting.set(s.rail.finish(s.waiting.tail()))
	total := carried(s.heard, s.rate, s.converter.OutRate())
	for s.given < total {
		s.waiting.set(append(s.waiting.tail(), make([]float32, s.hops*s.hop)...))
		var err error
		if dst, err = s.convert(dst); err != nil {
			return dst, err
		}
	}
	return dst[:int64(len(dst))-(s.given-total)], nil
}

// convert runs all that waits, as many hops at once as the voice can take.
func (s *singing) convert(dst []float32) ([]float32, error) {
	out := s.hops * s.converter.OutRate() / curveRate
	if cap(s.voice) < out {
		s.voice, s.f0 = make([]float32, out), make([]float32, s.hops)
	}
	for s.waiting.len() >= s.hops*s.hop {
		for i := range s.f0 {
			s.f0[i] = s.curve.at(float64(s.at+i+1)/curveRate - s.delay)
		}
		if err := s.converter.Convert(s.voice, s.waiting.take(s.hops*s.hop), s.f0); err != nil {
			return dst, err
		}
		s.at += s.hops
		from := min(s.skip, out)
		s.skip -= from
		dst = append(dst, s.voice[from:]...)
		s.given += int64(out - from)
	}
	return dst, nil
}
