package song

import (
	"context"
	"errors"
	"fmt"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/stream"
	"github.com/autovoiced/autovoiced/stream/media"
)

// mix puts the converted voice where the vocals were and writes the result.
func (j *job) mix(ctx context.Context, sung *pipe) (err error) {
	m, err := j.newMixer(sung)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	for m.written < m.total {
		if err := m.fill(ctx); err != nil {
			return err
		}
		err := m.step()
		if err != nil {
			return err
		}
		j.done[mixing].set(seconds(m.written, m.rate))
	}
	if err := m.voice.exhaust(ctx); err != nil { // it may end a little later than the song
		return err
	}
	if err := m.encoder.Close(); err != nil {
		return fmt.Errorf("%w: %w", ErrResult, err)
	}
	j.result.Frames, j.result.Clipped = m.encoder.Frames(), m.encoder.Clipped()
	return nil
}

// mixer works at the result's rate, hop by hop. Three signals come in: the song, its vocals and the converted voice. They
// are on the same time, so the music is the song less the vocals, and the voice falls into the place of the vocals.
type mixer struct {
	rate    int
	hop     int
	total   int64 // frames of the result
	written int64

	song  *feed
	lead  *feed // the vocals; the song itself where everything is voice
	voice *feed
	match *matcher
	gains []float32 // of the voice in each channel, at the end of the hop

	music, wet, dry float32 // gains
	limiter         *dsp.LinkedLimiter
	skip            int // frames that the limiter is late by, still to come
	out             [][]float32
	encoder         *media.Encoder
}

func (j *job) newMixer(sung *pipe) (*mixer, error) {
	rate, vocal := j.result.Rate, gain(j.o.VocalGainDB)
	m := &mixer{
		rate: rate, hop: (rate + curveRate/2) / curveRate, total: rounded(j.heard.frames, j.rate, rate),
		gains: make([]float32, j.channels),
		music: gain(j.o.MusicGainDB), wet: vocal * float32(1-j.o.Dry), dry: vocal * float32(j.o.Dry),
	}
	m.match = newMatcher(j.channels, m.hop)
	limit := dsp.DefaultLimiterConfig(rate)
	// What the song itself reaches is no reason to change its music.
	limit.CeilingDB = min(0, max(j.o.CeilingDB, dsp.Decibels(float64(j.heard.peak))))
	m.limiter = dsp.NewLinkedLimiter(limit, j.channels)
	m.skip = stream.TimeToFrames(m.limiter.Latency(), rate)
	for range j.channels {
		m.out = append(m.out, make([]float32, m.hop))
	}
	if err := m.openFeeds(j, sung); err != nil {
		return nil, err
	}
	var err error
	m.encoder, err = media.Create(j.out, media.Output{
		Format: j.o.Format, Rate: rate, Channels: j.channels, PCM: j.o.PCM, Tags: j.song.Tags(),
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrResult, err), m.song.source.close())
	}
	return m, nil
}

// openFeeds finds where the three signals come from. Where nobody sings there are no vocals: all of the song is music.
func (m *mixer) openFeeds(j *job, sung *pipe) error {
	song, err := j.openAgain()
	if err != nil {
		return err
	}
	m.song = newFeed(j, &fromRecording{j: j, recording: song}, j.channels, j.rate, m.rate)
	m.voice = newFeed(j, &fromPipe{pipe: sung}, 1, j.singer.Engine.Contract().SampleRateOut, m.rate)
	switch {
	case j.heard.nobody():
		m.lead = newFeed(j, fromNothing{}, j.channels, m.rate, m.rate)
	case j.tape == nil:
		m.lead = m.song
	default:
		m.lead = newFeed(j, &fromRecording{j: j, recording: j.tape.player()}, j.channels, j.separator.Rate(), m.rate)
	}
	return nil
}

// gain is a factor; what is at Silence or below is none.
func gain(db float64) float32 {
	if db <= Silence {
		return 0
	}
	return float32(dsp.Amplitude(db))
}

func (m *mixer) close() error { return errors.Join(m.song.source.close(), m.encoder.Abort()) }

// fill has as much of each signal ready as the next hop needs.
func (m *mixer) fill(ctx context.Context) error {
	ahead := m.hop + m.match.ahead()
	if err := m.song.fill(ctx, m.hop); err != nil {
		return err
	}
	if err := m.lead.fill(ctx, ahead); err != nil {
		return err
	}
	return m.voice.fill(ctx, ahead)
}

// step mixes and writes a hop.
func (m *mixer) step() error {
	m.match.next(m.gains, m.lead.queues, &m.voice.queues[0])
	voice := m.voice.queues[0].peek(m.hop)
	for c, out := range m.out {
		song, lead := m.song.queues[c].peek(m.hop), m.lead.queues[c].peek(m.hop)
		from := m.match.gains[c]
		slope := (m.gains[c] - from) / float32(m.hop)
		for i := range out {
			out[i] = m.music*(song[i]-lead[i]) + m.dry*lead[i] + m.wet*(from+slope*float32(i+1))*voice[i]
		}
		m.match.gains[c] = m.gains[c]
	}
	m.song.drop(m.hop)
	if m.lead != m.song {
		m.lead.drop(m.hop)
	}
	m.voice.drop(m.hop)
	m.limiter.Process(m.out)
	return m.write()
}

// write leaves out what the limiter is late by at the beginning, and what is beyond the end.
func (m *mixer) write() error {
	from := min(m.skip, m.hop)
	m.skip -= from
	n := int(min(int64(m.hop-from), m.total-m.written))
	if n == 0 {
		return nil
	}
	piece := make([][]float32, len(m.out))
	for c := range piece {
		piece[c] = m.out[c][from : from+n]
	}
	m.written += int64(n)
	if err := m.encoder.Write(piece); err != nil {
		return fmt.Errorf("%w: %w", ErrResult, err)
	}
	return nil
}
