package media

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dhowden/tag"
	"github.com/mewkiz/flac/meta"
)

// Tags is what a recording is called. Empty is not known.
type Tags struct {
	Title, Artist, Album, AlbumArtist, Composer, Genre, Date, Track, Comment string
	Cover                                                                    *Picture
}

// Picture is the front cover or, if there is none, the first picture.
type Picture struct {
	Kind        uint32 // of ID3's and FLAC's list: 3 is the front cover
	MIME        string
	Description string
	Data        []byte
}

const (
	frontCover = 3
	vendor     = "autovoiced"
)

// tagNames are what the formats call a field: Vorbis comments of FLAC and Ogg, INFO of WAV. The
// first Vorbis name is written, all are read.
var tagNames = []struct {
	field  func(*Tags) *string
	vorbis []string
	info   string
}{
	{func(t *Tags) *string { return &t.Title }, []string{"TITLE"}, "INAM"},
	{func(t *Tags) *string { return &t.Artist }, []string{"ARTIST"}, "IART"},
	{func(t *Tags) *string { return &t.Album }, []string{"ALBUM"}, "IPRD"},
	{func(t *Tags) *string { return &t.AlbumArtist }, []string{"ALBUMARTIST", "ALBUM ARTIST"}, "IAAR"},
	{func(t *Tags) *string { return &t.Composer }, []string{"COMPOSER"}, "IMUS"},
	{func(t *Tags) *string { return &t.Genre }, []string{"GENRE"}, "IGNR"},
	{func(t *Tags) *string { return &t.Date }, []string{"DATE", "YEAR"}, "ICRD"},
	{func(t *Tags) *string { return &t.Track }, []string{"TRACKNUMBER", "TRACK"}, "IPRT"},
	{func(t *Tags) *string { return &t.Comment }, []string{"COMMENT", "DESCRIPTION"}, "ICMT"},
}

// set gives a field a value, once: of several artists, all are kept, as FLAC does not, in one line.
func set(field *string, value string) {
	value = strings.TrimSpace(strings.ToValidUTF8(strings.TrimRight(value, "\x00"), "\uFFFD"))
	switch {
	case value == "" || slices.Contains(strings.Split(*field, "; "), value):
	case *field == "":
		*field = value
	default:
		*field += "; " + value
	}
}

func (t *Tags) setVorbis(name, value string) {
	for _, n := range tagNames {
		if slices.Contains(n.vorbis, strings.ToUpper(name)) {
			set(n.field(t), value)
		}
	}
}

func (t *Tags) addCover(p *Picture) {
	if p != nil && (t.Cover == nil || t.Cover.Kind != frontCover && p.Kind == frontCover) {
		t.Cover = p
	}
}

// merge takes from other what t does not know.
func (t *Tags) merge(other Tags) {
	for _, n := range tagNames {
		if f := n.field(t); *f == "" {
			*f = *n.field(&other)
		}
	}
	t.addCover(other.Cover)
}

// flacTags reads the metadata blocks of FLAC.
func flacTags(blocks []*meta.Block) Tags {
	var t Tags
	for _, b := range blocks {
		switch body := b.Body.(type) {
		case *meta.VorbisComment:
			for _, c := range body.Tags {
				t.setVorbis(c[0], c[1])
			}
		case *meta.Picture:
			if len(body.Data) > 0 {
				t.addCover(&Picture{body.Type, body.MIME, body.Desc, body.Data})
			}
		}
	}
	return t
}

// flacBlocks are the metadata blocks of FLAC that say t.
func (t Tags) flacBlocks() []*meta.Block {
	comment := &meta.VorbisComment{Vendor: vendor}
	size := int64(4 + len(vendor) + 4)
	for _, n := range tagNames {
		if v := *n.field(&t); v != "" {
			comment.Tags = append(comment.Tags, [2]string{n.vorbis[0], v})
			size += int64(4 + len(n.vorbis[0]) + 1 + len(v))
		}
	}
	blocks := []*meta.Block{{Header: meta.Header{Type: meta.TypeVorbisComment, Length: size}, Body: comment}}
	if p := t.Cover; p != nil && len(p.Data) < 1<<24-1024 {
		size := int64(32 + len(p.MIME) + len(p.Description) + len(p.Data))
		blocks = append(blocks, &meta.Block{
			Header: meta.Header{Type: meta.TypePicture, Length: size},
			Body:   &meta.Picture{Type: p.Kind, MIME: p.MIME, Desc: p.Description, Data: p.Data},
		})
	}
	return blocks
}

// readInfo reads the body of a LIST chunk; other lists than INFO say nothing.
func readInfo(b []byte) Tags {
	var t Tags
	if !has(b, 0, "INFO") {
		return t
	}
	for b = b[4:]; len(b) >= 8; {
		id, size := string(b[:4]), int(min(binary.LittleEndian.Uint32(b[4:]), maxTagBytes))
		b = b[8:]
		size = min(size, len(b))
		for _, n := range tagNames {
			if n.info == id {
				text, _, _ := bytes.Cut(b[:size], []byte{0})
				set(n.field(&t), infoText(text))
			}
		}
		b = b[min(size+size&1, len(b)):]
	}
	return t
}

// infoText takes what is no UTF-8 for Latin-1: INFO tells no encoding.
func infoText(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

// infoChunk is a LIST chunk that says t, but for its cover; nil when there is nothing to say.
func (t Tags) infoChunk() []byte {
	body := []byte("INFO")
	for _, n := range tagNames {
		v := *n.field(&t)
		if v == "" {
			continue
		}
		body = append(body, n.info...)
		body = binary.LittleEndian.AppendUint32(body, uint32(len(v)+1))
		body = append(append(body, v...), 0)
		if len(v)&1 == 0 { // with its 0 it is odd
			body = append(body, 0)
		}
	}
	if len(body) == 4 {
		return nil
	}
	return append(binary.LittleEndian.AppendUint32([]byte("LIST"), uint32(len(body))), body...)
}

// id3Size is how long the ID3v2 tag is that b begins with; 0 for none.
func id3Size(b []byte) int64 {
	if len(b) < 10 || !has(b, 0, "ID3") || b[3] == 0xff || b[4] == 0xff {
		return 0
	}
	size := int64(10)
	if b[5]&0x10 != 0 { // a footer
		size += 10
	}
	for i, shift := range []int{21, 14, 7, 0} {
		if b[6+i] >= 0x80 {
			return 0
		}
		size += int64(b[6+i]) << shift
	}
	return size
}

// readID3 reads an ID3v2 tag by dhowden/tag. What it cannot read says nothing.
func readID3(b []byte) (t Tags) {
	defer func() {
		if recover() != nil { // of a damaged tag
			t = Tags{}
		}
	}()
	m, err := tag.ReadID3v2Tags(bytes.NewReader(b))
	if err != nil {
		return Tags{}
	}
	raw := m.Raw()
	text := func(names ...string) string {
		for _, n := range names {
			if s, ok := raw[n].(string); ok && s != "" {
				return s
			}
		}
		return ""
	}
	// A 0 parts several values.
	put := func(field *string, value string) {
		for v := range strings.SplitSeq(value, "\x00") {
			set(field, v)
		}
	}
	put(&t.Title, m.Title())
	put(&t.Artist, m.Artist())
	put(&t.Album, m.Album())
	put(&t.AlbumArtist, m.AlbumArtist())
	put(&t.Composer, m.Composer())
	put(&t.Genre, m.Genre())
	put(&t.Date, text("TDRC", "TYER", "TYE", "TDRL"))
	put(&t.Track, text("TRCK", "TRK"))
	for _, v := range raw {
		if c, ok := v.(*tag.Comm); ok && c.Description == "" { // others are notes of programs to themselves
			put(&t.Comment, c.Text)
		}
	}
	if p := m.Picture(); p != nil && len(p.Data) > 0 {
		t.Cover = &Picture{Kind: frontCover, MIME: p.MIMEType, Description: p.Description, Data: p.Data}
	}
	return t
}
