package media

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/autovoiced/autovoiced/dsp"
)

// MaxChannels is the most that a recording may have. Its rate may be what a dsp.Resampler takes.
const MaxChannels = 8

// Decoder reads a recording from its beginning to its end. It is used by one goroutine.
type Decoder struct {
	name     string
	format   Format
	info     info
	codec    codec
	wide     [][]float32 // what the codec fills when there are more than two channels
	invalid  int
	position int64
	err      error // that has ended it
	close    func() error
}

// info is what a header says.
type info struct {
	rate, channels int
	layout         []speaker // of the channels; nil: the format's own
	frames         int64     // 0: not known
	tags           Tags
}

// codec decodes one format.
type codec interface {
	// decode fills up to len(dst[0]) frames of the file's own channels and returns how many. It
	// returns at least one, or an error; io.EOF after the last.
	decode(dst [][]float32) (n int, err error)
}

// Open opens a recording of any of the formats.
func Open(path string) (*Decoder, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	d, err := NewDecoder(path, f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	d.close = f.Close
	return d, nil
}

// NewDecoder reads a recording from r, which stays open; name is for errors.
func NewDecoder(name string, r io.ReadSeeker) (*Decoder, error) {
	d := &Decoder{name: name, close: func() error { return nil }}
	if err := d.open(r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return d, nil
}

func (d *Decoder) open(r io.ReadSeeker) (err error) {
	defer d.recovered(&err)
	if d.format, err = recognise(r); err != nil {
		return err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	d.info, d.codec, err = openers[d.format](r)
	if err != nil {
		return err
	}
	if n := d.info.channels; n < 1 || n > MaxChannels {
		return fmt.Errorf("%d channels, possible are 1 to %d", n, MaxChannels)
	}
	if n := d.info.rate; n < dsp.MinRate || n > dsp.MaxRate {
		return fmt.Errorf("sample rate of %d Hz, possible are %d to %d Hz; resample it first, for instance: ffmpeg -i IN -ar 48000 OUT.flac", n, dsp.MinRate, dsp.MaxRate)
	}
	if d.info.layout == nil {
		d.info.layout = layouts[d.info.channels]
	}
	return nil
}

// recovered makes an error of a panic: the libraries that decode index by what a damaged file says.
func (d *Decoder) recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("damaged %s after %.3f s (%v)", d.format, d.seconds(), p)
	}
}

// Format is what the recording was recognised as.
func (d *Decoder) Format() Format { return d.format }

// Rate is in Hz.
func (d *Decoder) Rate() int { return d.info.rate }

// Channels is how many Read gives: 1 or 2.
func (d *Decoder) Channels() int { return min(d.info.channels, 2) }

// FileChannels is how many the recording has.
func (d *Decoder) FileChannels() int { return d.info.channels }

// Frames is the length in frames; 0 if the recording does not say.
func (d *Decoder) Frames() int64 { return d.info.frames }

// Tags says what the recording is called.
func (d *Decoder) Tags() Tags { return d.info.tags }

// Invalid is how many samples were NaN or infinite so far; they read as 0.
func (d *Decoder) Invalid() int { return d.invalid }

// Read fills dst, Channels() slices of one length, and returns the number of frames: fewer than
// there is room for only at the end. After the last frame it returns 0 and io.EOF. Any other error
// comes with 0 too, ends the recording, and says where it happened.
func (d *Decoder) Read(dst [][]float32) (n int, err error) {
	if len(dst) != d.Channels() || len(dst[0]) == 0 || len(dst[0]) != len(dst[len(dst)-1]) {
		panic("media: length mismatch")
	}
	if d.err != nil {
		return 0, d.err
	}
	for n < len(dst[0]) && d.err == nil {
		var got int
		got, d.err = d.decode(dst, n)
		n += got
		d.position += int64(got)
	}
	if d.err != nil && !errors.Is(d.err, io.EOF) {
		d.err = fmt.Errorf("%s: %w", d.name, d.err)
	}
	if n == 0 {
		return 0, d.err
	}
	return n, nil
}

func (d *Decoder) decode(dst [][]float32, from int) (n int, err error) {
	defer d.recovered(&err)
	if d.info.channels <= 2 {
		var rest [2][]float32
		for c := range dst {
			rest[c] = dst[c][from:]
		}
		n, err = d.codec.decode(rest[:len(dst)])
	} else {
		n, err = d.mixdown(dst[0][from:], dst[1][from:])
	}
	if errors.Is(err, io.EOF) && d.position+int64(n) < d.info.frames {
		err = d.truncated()
	}
	for _, channel := range dst {
		d.invalid += mend(channel[from : from+n])
	}
	return n, err
}

func (d *Decoder) mixdown(left, right []float32) (n int, err error) {
	if len(d.wide) == 0 || len(d.wide[0]) < len(left) {
		d.wide = make([][]float32, d.info.channels)
		for c := range d.wide {
			d.wide[c] = make([]float32, len(left))
		}
	}
	part := make([][]float32, len(d.wide))
	for c := range part {
		part[c] = d.wide[c][:len(left)]
	}
	n, err = d.codec.decode(part)
	for c := range part {
		d.invalid += mend(part[c][:n])
		part[c] = part[c][:n]
	}
	stereo(left[:n], right[:n], part, d.info.layout)
	return n, err
}

func (d *Decoder) seconds() float64 { return float64(d.position) / float64(max(1, d.info.rate)) }

func (d *Decoder) truncated() error { return truncated(d.position, d.info.frames, d.info.rate) }

// truncated says where a file that promised more ends.
func truncated(at, of int64, rate int) error {
	r := float64(max(1, rate))
	return fmt.Errorf("the file is truncated: its data end after %.3f of %.3f s (%d of %d frames); "+
		"get the rest, or keep what there is: ffmpeg -i IN OUT.flac", float64(at)/r, float64(of)/r, at, of)
}

// Close closes the file that Open opened.
func (d *Decoder) Close() error {
	d.err = fmt.Errorf("%s: read after close", d.name)
	f := d.close
	d.close = func() error { return nil }
	return f()
}

// mend sets what is no number, or infinite, to 0.
func mend(x []float32) (invalid int) {
	for i, v := range x {
		if v-v != 0 {
			x[i] = 0
			invalid++
		}
	}
	return invalid
}

// start reads the first bytes of a file, fewer if it is shorter.
func start(r io.ReadSeeker, n int) ([]byte, error) {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err := io.CopyN(&b, r, int64(n))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b.Bytes(), err
}
