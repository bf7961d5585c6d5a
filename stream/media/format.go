package media

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Format is a kind of file.
type Format int

// The formats. All can be read; WAV and FLAC can be written.
const (
	WAV Format = iota
	FLAC
	MP3
	Vorbis
)

var formatNames = [...]string{WAV: "WAV", FLAC: "FLAC", MP3: "MP3", Vorbis: "Ogg Vorbis"}

// String is the format's name.
func (f Format) String() string { return formatNames[f] }

// Extension is what names of such files end in: ".wav" for WAV.
func (f Format) Extension() string {
	return [...]string{WAV: ".wav", FLAC: ".flac", MP3: ".mp3", Vorbis: ".ogg"}[f]
}

// OutputOf is the format that the name of a result asks for: WAV where it has no ending. What is not what its name says helps nobody.
func OutputOf(path string) (Format, error) {
	switch ending := strings.ToLower(filepath.Ext(path)); ending {
	case "", ".wav", ".wave":
		return WAV, nil
	case FLAC.Extension():
		return FLAC, nil
	default:
		return 0, fmt.Errorf("%s: what can be written is WAV and FLAC, not %q", path, ending)
	}
}

var openers = [...]func(io.ReadSeeker) (info, codec, error){WAV: openWAV, FLAC: openFLAC, MP3: openMP3, Vorbis: openVorbis}

// strangers are formats that we know and cannot read.
var strangers = []struct {
	at          int
	magic, name string
}{
	{4, "ftyp", "MP4 or M4A (AAC or ALAC)"},
	{0, "RIFX", "big-endian WAV (RIFX)"},
	{0, "FORM", "AIFF"},
	{0, "\x1a\x45\xdf\xa3", "Matroska or WebM"},
	{0, "\x30\x26\xb2\x75", "Windows Media (WMA)"},
	{0, "wvpk", "WavPack"},
	{0, "MAC ", "Monkey's Audio"},
	{0, "caff", "Core Audio"},
	{0, ".snd", "Sun audio"},
	{0, "#!AMR", "AMR"},
	{28, "OpusHead", "Ogg Opus"},
	{28, "Speex", "Ogg Speex"},
	{28, "\x7fFLAC", "FLAC within Ogg"},
	{28, "\x80theora", "Ogg video"},
	{28, "fishead", "Ogg with a skeleton"},
}

// convertFirst is what helps.
const convertFirst = "; convert it first, for instance: ffmpeg -i IN OUT.flac"

// recognise tells the format by what the file begins with.
func recognise(r io.ReadSeeker) (Format, error) {
	b, err := start(r, 64)
	if err != nil {
		return 0, err
	}
	switch {
	case len(b) == 0:
		return 0, errors.New("the file is empty, expected WAV, FLAC, MP3 or Ogg Vorbis")
	case has(b, 0, "RIFF") || has(b, 0, "RF64") || has(b, 0, "BW64"):
		if len(b) < 12 {
			return 0, fmt.Errorf("the file ends after %d bytes, within the WAV header", len(b))
		}
		if has(b, 8, "WAVE") {
			return WAV, nil
		}
	case has(b, 0, "fLaC"):
		return FLAC, nil
	case has(b, 28, "\x01vorbis") && has(b, 0, "OggS"):
		return Vorbis, nil
	}
	for _, s := range strangers {
		if has(b, s.at, s.magic) {
			return 0, fmt.Errorf("this is %s, which is not read%s", s.name, convertFirst)
		}
	}
	skip := id3Size(b)
	if skip > 0 { // both wear it
		var magic [4]byte
		if _, err := r.Seek(skip, io.SeekStart); err != nil {
			return 0, err
		}
		if _, err := io.ReadFull(r, magic[:]); err == nil && string(magic[:]) == "fLaC" {
			return FLAC, nil
		}
	}
	if _, err := r.Seek(skip, io.SeekStart); err != nil {
		return 0, err
	}
	found, err := findMP3(r)
	if err != nil {
		return 0, err
	}
	if found {
		return MP3, nil
	}
	if skip > 0 {
		return 0, errors.New("neither WAV, FLAC, MP3 nor Ogg Vorbis: there is no sound that we know after its ID3 tag")
	}
	return 0, fmt.Errorf("neither WAV, FLAC, MP3 nor Ogg Vorbis: it starts with %q", b[:min(len(b), 4)])
}

func has(b []byte, at int, magic string) bool {
	return len(b) >= at && bytes.HasPrefix(b[at:], []byte(magic))
}
