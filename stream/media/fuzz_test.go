package media

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/autovoiced/autovoiced/dsp"
)

// decodable is a file of a few formats for fuzzing to begin with.
func decodable(f *testing.F, names ...string) {
	f.Add(wavBytes(wavInteger, 2, 44100, 16, encoded(dsp.S16LE, sweep(0, 44100, 300), sweep(1, 44100, 300))))
	f.Add(wavBytes(wavExtensible, 1, 44100, 32, encoded(dsp.F32LE, sweep(0, 44100, 300))))
	for _, n := range names {
		b := file(f, n)
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
}

// Whatever a file holds, it is read or refused: no panic, no endless loop, no more memory than it is
// worth, no sample that is no number, and never fewer frames than promised.
func FuzzDecoder(f *testing.F) {
	decodable(f, "mono.mp3", "low.mp3", "mono.ogg", "six.flac")
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := NewDecoder("x", bytes.NewReader(b))
		if err != nil {
			return
		}
		part := [][]float32{make([]float32, 999), make([]float32, 999)}[:d.Channels()]
		var frames int64
		for frames < 1_000_000 {
			n, err := d.Read(part)
			if errors.Is(err, io.EOF) {
				if frames < d.Frames() {
					t.Errorf("%d frames of %d without an error", frames, d.Frames())
				}
				return
			}
			if err != nil {
				return
			}
			if n == 0 {
				t.Fatal("neither frames nor an error")
			}
			for _, x := range part {
				for _, v := range x[:n] {
					if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
						t.Fatal("not finite")
					}
				}
			}
			frames += int64(n)
		}
	})
}

// What is read of tags can be written and is the same when read again.
func FuzzTags(f *testing.F) {
	f.Add(everyTag.infoChunk()[8:])
	f.Add(file(f, "cbr.mp3")[:600])
	f.Add([]byte("\x00\x00\x00\x03\x00\x00\x00\x09image/png\x00\x00\x00\x00" + strings.Repeat("\x00", 16) + "\x00\x00\x00\x01x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		readFLACPicture(b)
		for _, tags := range []Tags{readInfo(b), readID3(b), vorbisTags(strings.Split(string(b), "\n"))} {
			tags.Cover = nil
			chunk := tags.infoChunk()
			if chunk == nil {
				continue
			}
			if again := readInfo(chunk[8:]); again != tags {
				t.Errorf("%+v became %+v", tags, again)
			}
		}
	})
}

// The frames that are found lie in the file, in order, and are of the size their header says.
func FuzzMP3Frames(f *testing.F) {
	f.Add(file(f, "untagged.mp3")[:2000])
	f.Add(file(f, "lowest.mp3")[:1000])
	f.Fuzz(func(t *testing.T, b []byte) {
		scanned, err := scanMP3(bytes.NewReader(b), 0)
		if err != nil {
			t.Fatal(err)
		}
		if h := scanned.first; scanned.frames > 0 && (h.rate() < 8000 || h.size() < 24 || int64(len(b)) < scanned.frames*24) {
			t.Errorf("%d frames of %d bytes at %d Hz in %d bytes", scanned.frames, h.size(), h.rate(), len(b))
		}
	})
}
