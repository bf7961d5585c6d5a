package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/autovoiced/autovoiced/client"
	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/daemon"
	"github.com/autovoiced/autovoiced/daemon/autovoiced/dash"
	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/stream"
	"github.com/autovoiced/autovoiced/stream/media"
)

type streamCmd struct {
	In       string        `arg:"" help:"Recording to send, WAV, FLAC, MP3 or Ogg Vorbis."`
	Out      string        `short:"o" required:"" placeholder:"OUT.wav" help:"Where to write what comes back, as WAV."`
	URL      string        `name:"url" placeholder:"URL" help:"The daemon; the one of the settings unless told."`
	Token    string        `placeholder:"TOKEN" help:"The daemon's token; the one of the settings unless told."`
	Voice    string        `placeholder:"NAME" help:"A voice of the daemon; its default unless told."`
	Pitch    pitchFlag     `placeholder:"SEMITONES" help:"Shift in semitones, or auto; as the daemon is set unless told."`
	Framing  string        `enum:"header,raw" default:"header" help:"header (with sequence and capture time) or raw PCM."`
	ChunkMS  string        `name:"chunk-ms" default:"10" help:"Audio in one frame in ms, or random."`
	Realtime bool          `help:"Send no faster than one would speak."`
	Format   pcmFlag       `default:"s16" help:"Samples of the result: s16, s24 or f32."`
	Limit    time.Duration `placeholder:"DURATION" help:"Send only this much of the recording."`
}

// Run streams a recording through a running daemon as any client would.
func (c *streamCmd) Run(e *env) error {
	cut, err := parseCut(c.ChunkMS)
	if err != nil {
		return err
	}
	cfg, err := e.config()
	if err != nil {
		return err
	}
	if f, err := media.OutputOf(c.Out); err != nil || f != media.WAV {
		return codedf(exitUsage, "%s: what comes back is written as WAV; name it so", c.Out)
	}
	if c.URL == "" {
		c.URL, c.Token = serverURL(cfg.HTTP.Listen), first(c.Token, cfg.HTTP.Token)
	}
	samples, rate, err := readRecording(e.ctx, c.In)
	if err != nil {
		return coded(exitFile, err)
	}
	if n := stream.TimeToFrames(c.Limit, rate); n > 0 {
		samples = samples[:min(n, len(samples))]
	}
	s, err := client.Dial(e.ctx, c.URL, client.Options{
		Token: c.Token, Raw: c.Framing == "raw",
		Start: wire.Start{
			Voice: c.Voice, Pitch: c.Pitch.shift,
			Format: wire.Format{Encoding: wire.F32LE, Rate: rate, Channels: 1},
		},
	})
	if err != nil {
		return coded(exitDaemon, fmt.Errorf("%s: %w", c.URL, err))
	}
	defer s.Close() //nolint:errcheck // everything has been received by then, or has failed
	started := time.Now()
	sent := make(chan error, 1)
	go func() { sent <- c.send(e.ctx, s, samples, rate, cut) }()
	replies, drained, err := receive(e.ctx, e.errOut, s)
	if err == nil {
		err = <-sent
	}
	if err != nil {
		return coded(exitDaemon, fmt.Errorf("%s: %w", c.URL, err))
	}
	if err := writeRecording(c.Out, replies, rate, c.Format.pcm); err != nil {
		return coded(exitFile, err)
	}
	return c.report(e.out, s, len(replies), rate, time.Since(started), drained)
}

// send cuts the recording into frames and sends them, as fast as the daemon takes them or as fast as
// one would speak.
func (c *streamCmd) send(ctx context.Context, s *client.Stream, samples []float32, rate int, cut func(rate int) int) error {
	start := time.Now()
	for done := 0; done < len(samples); {
		n := min(cut(rate), len(samples)-done)
		captured := time.Now()
		if c.Realtime {
			// A frame can be sent once its last sample has been spoken.
			captured = start.Add(stream.FramesToTime(uint64(done), rate))
			ready := start.Add(stream.FramesToTime(uint64(done+n), rate))
			if err := sleep(ctx, time.Until(ready)); err != nil {
				return err
			}
		}
		if err := s.SendAt(ctx, samples[done:done+n], captured); err != nil {
			return err
		}
		done += n
	}
	return s.Stop(ctx)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// receive collects the replies until the daemon has drained; notices go to the person.
func receive(ctx context.Context, errOut io.Writer, s *client.Stream) (replies []float32, drained *wire.Drained, err error) {
	for {
		ev, err := s.Recv(ctx)
		if errors.Is(err, io.EOF) {
			return replies, drained, nil
		}
		if err != nil {
			return nil, nil, err
		}
		replies = append(replies, ev.Audio...)
		switch m := ev.Message.(type) {
		case *wire.Drained:
			drained = m
		case *wire.Notice:
			fmt.Fprintf(errOut, "autovoiced: %s: %s\n", m.Code, m.Message)
		case *wire.Error:
			fmt.Fprintf(errOut, "autovoiced: %v\n", m)
		}
	}
}

func (c *streamCmd) report(out io.Writer, s *client.Stream, frames, rate int, took time.Duration, drained *wire.Drained) error {
	ready := s.Ready()
	seconds := float64(frames) / float64(rate)
	fmt.Fprintf(out, "%s: %.2f s in %.2f s  voice %s  algorithmic latency %.1f ms  %s %s\n", c.Out, seconds, took.Seconds(),
		ready.Voice, ready.AlgorithmicLatencyMS, ready.Provider.Active, ready.Provider.Precision)
	if drained != nil {
		fmt.Fprintln(out, dash.Ledger(drained.Ledger))
	}
	if c.Framing == "raw" {
		_, err := fmt.Fprintln(out, "raw frames carry no capture time: no round trips measured")
		return err
	}
	trips := s.RoundTrips()
	at := func(p float64) float64 { return trips.Percentile(p).Seconds() * 1000 }
	_, err := fmt.Fprintf(out, "round trip of %d frames: p50 %.1f  p95 %.1f  p99 %.1f  max %.1f ms%s\n",
		trips.Count(), at(50), at(95), at(99), at(100), c.tripNote())
	return err
}

func (c *streamCmd) tripNote() string {
	if c.Realtime {
		return ""
	}
	return " (sent as fast as taken, so most of it is queueing: --realtime measures the delay)"
}

// parseCut says how many samples the next frame has.
func parseCut(text string) (func(rate int) int, error) {
	if text == "random" {
		rng := rand.New(rand.NewPCG(1, 2))
		return func(rate int) int { return 1 + rng.IntN(rate/20) }, nil
	}
	ms, err := strconv.ParseFloat(text, 64)
	if err != nil || !(ms >= 1 && ms <= 1000) {
		return nil, codedf(exitUsage, "--chunk-ms is %q, allowed: 1 to 1000 ms, or random", text)
	}
	return func(rate int) int { return int(ms * float64(rate) / 1000) }, nil
}

// readRecording reads a whole file as mono.
func readRecording(ctx context.Context, path string) (samples []float32, rate int, err error) {
	f, err := stream.OpenFile(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	var c stream.Chunk
	for {
		err := f.Read(ctx, &c)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, err
		}
		samples = append(samples, c.Samples...)
	}
	if bad := f.Edge().BadSamples; bad > 0 {
		return nil, 0, fmt.Errorf("%s: %d samples are not finite numbers (NaN or infinite)", path, bad)
	}
	return samples, f.Rate(), nil
}

// pitchFlag is a pitch shift on the command line; not given, it is nil.
type pitchFlag struct{ shift *wire.PitchShift }

// UnmarshalText reads "auto" or semitones.
func (p *pitchFlag) UnmarshalText(text []byte) error {
	shift, err := daemon.ParsePitch(string(text))
	if err != nil {
		return err
	}
	p.shift = &shift
	return nil
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// writeRecording writes a whole mono file.
func writeRecording(path string, samples []float32, rate int, pcm dsp.PCM) error {
	sink, err := stream.CreateWAV(path, rate, pcm)
	if err != nil {
		return err
	}
	if err := sink.Write(context.Background(), &stream.Chunk{Samples: samples, Rate: rate}); err != nil {
		return errors.Join(err, sink.Abort())
	}
	return sink.Close()
}
