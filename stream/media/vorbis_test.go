package media

import (
	"bytes"
	"strings"
	"testing"
)

// Headers for which the library would allocate gigabytes or never return are refused before it sees them.
func TestVorbisHeadersThatAskForTooMuch(t *testing.T) {
	whole := file(t, "stereo.ogg")
	if err := checkVorbis(bytes.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	setup := bytes.Index(whole, []byte("\x05vorbis")) + 7
	comment := bytes.Index(whole, []byte("\x03vorbis")) + 7
	count := comment + 4 + int(whole[comment])
	const dimensions, entries, ordered = 4, 6, 9 // from the number of codebooks on, of the first
	for _, c := range []struct {
		want  string
		at    int
		bytes []byte
	}{
		{"a codebook of 0 codes", setup + entries, []byte{0, 0, 0}},
		{"codes", setup + entries, []byte{0xff, 0xff, 0xff}},
		{"no codebook", setup + 1, []byte{'X'}},
		{"codebook", setup + dimensions, []byte{0xff, 0xff, 1, 0, 0, 0xfe, 0xff, 0xff}},
		{"without a code", setup + ordered, append([]byte{0x02}, make([]byte, 1000)...)}, // sparse, and none is used
		{"comments beyond", count, []byte{0xff, 0xff, 0xff, 0xff}},
		{"comments beyond", comment, []byte{0xff, 0xff, 0xff, 0xff}},
		{"packet 3", setup - 7, []byte{3}},
		{"no Ogg page", 58, []byte("oops")},
	} {
		b := bytes.Clone(whole)
		copy(b[c.at:], c.bytes)
		_, err := NewDecoder("x", bytes.NewReader(b))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, expected %q", err, c.want)
		}
	}
	for n := range 4000 { // however it is cut
		if err := checkVorbis(bytes.NewReader(whole[:n])); n < setup && err == nil {
			t.Fatalf("%d bytes are enough of a header", n)
		}
	}
}

func FuzzVorbisHeader(f *testing.F) {
	whole := file(f, "mono.ogg")
	setup := bytes.Index(whole, []byte("\x05vorbis")) + 7
	f.Add(whole[setup:])
	f.Add(append([]byte{3}, strings.Repeat("BCV\x01\x00\x02\x00\x00\x03\xff", 4)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		checkVorbis(bytes.NewReader(b))
		r := &lowBits{b: b}
		for range 3 {
			if used := readCodes(r, 1000); used < 0 || used > 4000 {
				t.Errorf("%d of 1000 codes are used", used)
			}
		}
		if checkCodebooks(b) == nil && len(b) < 4 {
			t.Error("codebooks out of nothing")
		}
		checkComments(b)
	})
}
