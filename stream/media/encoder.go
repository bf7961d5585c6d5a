package media

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"

	"github.com/autovoiced/autovoiced/dsp"
)

// Output is what an Encoder writes.
type Output struct {
	Format         Format  // WAV or FLAC
	Rate, Channels int     // 1 or 2 channels
	PCM            dsp.PCM // S16LE and S24LE; for WAV also S32LE and F32LE
	Tags           Tags    // WAV keeps no cover
}

func (o Output) validate() error {
	switch {
	case o.Format != WAV && o.Format != FLAC:
		return fmt.Errorf("%s cannot be written, possible are WAV and FLAC", o.Format)
	case o.Rate < dsp.MinRate || o.Rate > dsp.MaxRate:
		return fmt.Errorf("%s of %d Hz, possible are %d to %d Hz", o.Format, o.Rate, dsp.MinRate, dsp.MaxRate)
	case o.Channels < 1 || o.Channels > 2:
		return fmt.Errorf("%s of %d channels, possible are 1 and 2", o.Format, o.Channels)
	case o.Format == FLAC && o.PCM != dsp.S16LE && o.PCM != dsp.S24LE:
		return fmt.Errorf("FLAC of samples in %s, possible are s16le and s24le", o.PCM)
	}
	return nil
}

// Encoder writes a recording. It is used by one goroutine.
type Encoder struct {
	out    Output
	name   string
	encode interface {
		write(src [][]float32) (dsp.Faults, error)
		close() error // completes the file, which stays open
	}
	frames  int64
	clipped int
	err     error
	finish  func(whole bool) error // closes the file, and renames or removes it
}

// Create writes to a new file beside path, which Close renames to path.
func Create(path string, o Output) (*Encoder, error) {
	// Not os.CreateTemp: the file shall be to others what files of theirs are.
	f, err := os.OpenFile(fmt.Sprintf("%s.%08x.part", path, rand.Uint32()), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	gone := func(err error) error { return errors.Join(err, f.Close(), os.Remove(f.Name())) }
	e, err := NewEncoder(path, f, o)
	if err != nil {
		return nil, gone(err)
	}
	e.finish = func(whole bool) error {
		if !whole {
			return gone(nil)
		}
		if err := f.Sync(); err != nil {
			return gone(fmt.Errorf("%s: %w", path, err))
		}
		if err := f.Close(); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", path, err), os.Remove(f.Name()))
		}
		if err := os.Rename(f.Name(), path); err != nil {
			return errors.Join(err, os.Remove(f.Name()))
		}
		return nil
	}
	return e, nil
}

// NewEncoder writes to w, which stays open; name is for errors.
func NewEncoder(name string, w io.WriteSeeker, o Output) (*Encoder, error) {
	e := &Encoder{out: o, name: name, finish: func(bool) error { return nil }}
	err := o.validate()
	if err == nil {
		buffered := &bufferedSeeker{Writer: bufio.NewWriterSize(w, 1<<16), w: w}
		if o.Format == WAV {
			e.encode, err = newWAVEncoder(buffered, o)
		} else {
			e.encode, err = newFLACEncoder(buffered, o)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return e, nil
}

// Write takes Channels slices of one length. Samples beyond full scale are set to it, unless the
// file is of floats, and what is no number to 0; both are counted.
func (e *Encoder) Write(src [][]float32) error {
	if len(src) != e.out.Channels || len(src[0]) != len(src[len(src)-1]) {
		panic("media: length mismatch")
	}
	if e.err != nil {
		return e.err
	}
	faults, err := e.encode.write(src)
	e.clipped += faults.Clipped
	e.frames += int64(len(src[0]))
	if err != nil {
		e.err = fmt.Errorf("%s: %w", e.name, err)
	}
	return e.err
}

// Frames is how many were written.
func (e *Encoder) Frames() int64 { return e.frames }

// Clipped is how many samples were beyond full scale.
func (e *Encoder) Clipped() int { return e.clipped }

// Close completes the file. After an error, here or in Write, there is no new file.
func (e *Encoder) Close() error {
	if e.finish == nil {
		return nil
	}
	finish := e.finish
	e.finish = nil
	if e.err != nil {
		return errors.Join(e.err, finish(false))
	}
	e.err = fmt.Errorf("%s: write after close", e.name)
	if err := e.encode.close(); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", e.name, err), finish(false))
	}
	return finish(true)
}

// Abort removes what was written. After Close it does nothing, so it can be deferred.
func (e *Encoder) Abort() error {
	if e.finish == nil {
		return nil
	}
	finish := e.finish
	e.finish, e.err = nil, fmt.Errorf("%s: write after abort", e.name)
	return finish(false)
}

// bufferedSeeker makes many small writes cheap.
type bufferedSeeker struct {
	*bufio.Writer
	w io.WriteSeeker
}

func (b *bufferedSeeker) Seek(offset int64, whence int) (int64, error) {
	if err := b.Flush(); err != nil {
		return 0, err
	}
	return b.w.Seek(offset, whence)
}
