package song

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/autovoiced/autovoiced/stream"
	"github.com/autovoiced/autovoiced/stream/media"
)

// recording is a signal that is read from its beginning: the song, or the vocals on tape.
type recording interface {
	// read fills dst and returns how many frames it wrote, fewer than there is room for only at the end, or io.EOF.
	read(dst [][]float32) (int, error)
	close() error
}

// readFrames is how much of a recording is read at once, about one and a half seconds: enough for all processors to share in.
const readFrames = 1 << 16

// songFile is a song being read.
type songFile struct{ *media.Decoder }

func (s songFile) read(dst [][]float32) (int, error) {
	n, err := s.Read(dst)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", ErrSong, err)
	}
	return n, err
}

func (s songFile) close() error { return s.Close() }

func (j *job) openSong() (recording, error) {
	d, err := media.Open(j.in)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSong, err)
	}
	return songFile{d}, nil
}

// openAgain is openSong for those that come after who listened: what is kept of the song is not decoded again.
func (j *job) openAgain() (recording, error) {
	if len(j.reel.pieces) > 0 {
		return &reelPlayer{reel: &j.reel}, nil
	}
	return j.openSong()
}

// openVocals gives the vocals as separation left them, and their rate.
func (j *job) openVocals() (recording, int, error) {
	if j.tape == nil {
		r, err := j.openAgain()
		return r, j.rate, err
	}
	return j.tape.player(), j.separator.Rate(), nil
}

// listen reads the whole song once: it parts voice and music and follows the pitch.
func (j *job) listen(ctx context.Context) error {
	if j.separator == nil {
		parted := j.newPipe(separation, f0Extraction)
		return j.together(ctx,
			actor{separation, func(ctx context.Context) error { return j.read(ctx, parted) }},
			actor{f0Extraction, func(ctx context.Context) error { return j.follow(ctx, parted) }})
	}
	mixture, parted := j.newPipe(separation, separation), j.newPipe(separation, f0Extraction)
	return j.together(ctx,
		actor{separation, func(ctx context.Context) error { return j.read(ctx, mixture) }},
		actor{separation, func(ctx context.Context) error { return j.part(ctx, mixture, parted) }},
		actor{f0Extraction, func(ctx context.Context) error { return j.follow(ctx, parted) }})
}

// read gives the song away block by block, and looks at its samples.
func (j *job) read(ctx context.Context, out *pipe) error {
	defer out.close()
	source, err := j.openSong()
	if err != nil {
		return err
	}
	defer source.close() //nolint:errcheck // it was only read
	for {
		b := out.take(ctx)
		if b == nil {
			return ctx.Err()
		}
		b.resize(j.channels, j.piece)
		n, err := source.read(b.channels)
		if err == nil {
			b.resize(j.channels, n)
			j.heard.look(b.channels)
			j.reel.keep(b.channels)
		}
		if errors.Is(err, io.EOF) {
			j.heard.invalid = source.(songFile).Invalid()
			return nil
		}
		if err != nil {
			return err
		}
		if j.separator == nil {
			j.done[separation].add(seconds(int64(n), j.rate))
		}
		out.send(b)
	}
}

// follow hears the vocals, mixed to one channel, and keeps their pitch and level.
func (j *job) follow(ctx context.Context, in *pipe) (err error) {
	rate := j.rate
	if j.separator != nil {
		rate = j.separator.Rate()
	}
	var gate *gate
	if j.separator == nil {
		var err error
		if gate, err = j.gate(rate); err != nil {
			return err
		}
	}
	ear, err := newEar(rate, j.o, j.separator != nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ear.close()) }()
	if j.o.F0 == nil {
		j.result.Pitch = ear.pitch.name()
	}
	var mono []float32
	for b := in.next(ctx); b != nil; b = in.next(ctx) {
		mono = down(mono, b.channels)
		n := b.frames()
		in.give(b)
		err := gate.clean(mono)
		if err == nil {
			err = ear.hear(mono)
		}
		if err != nil {
			return err
		}
		j.done[f0Extraction].add(seconds(int64(n), rate))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	j.heard.model = ear.pitch.model()
	j.heard.curve, j.heard.vocals, err = ear.finish()
	return err
}

// gate cleans a recording of a voice alone; nil does nothing.
type gate struct {
	*stream.Separation
	rate int
}

func (j *job) gate(rate int) (*gate, error) {
	if j.o.Gate == nil {
		return nil, nil
	}
	s, err := stream.NewSeparation(rate, *j.o.Gate)
	if err != nil {
		return nil, err
	}
	return &gate{s, rate}, nil
}

func (g *gate) clean(mono []float32) error {
	if g == nil {
		return nil
	}
	return g.Process(&stream.Chunk{Rate: g.rate, Samples: mono})
}
