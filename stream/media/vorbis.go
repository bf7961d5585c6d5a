package media

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jfreymuth/oggvorbis"
)

const (
	oggHeader  = 27
	maxOggPage = oggHeader + 255 + 255*255
)

// openVorbis reads by jfreymuth/oggvorbis, which wants one stream in the file and takes one that is
// cut off for one that ends there.
func openVorbis(r io.ReadSeeker) (info, codec, error) {
	first, err := start(r, oggHeader)
	if err != nil {
		return info{}, nil, err
	}
	end, err := lastOggPage(r)
	if err != nil {
		return info{}, nil, err
	}
	if len(first) < oggHeader || end.serial != binary.LittleEndian.Uint32(first[14:]) {
		return info{}, nil, errors.New("the Ogg file has several streams, one after another or side by side; only one of Vorbis is read" + convertFirst)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return info{}, nil, err
	}
	if err := checkVorbis(bufio.NewReader(r)); err != nil {
		return info{}, nil, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return info{}, nil, err
	}
	v, err := oggvorbis.NewReader(r)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return info{}, nil, errors.New("the file is truncated within the Ogg Vorbis header, or holds no audio")
	case err != nil:
		return info{}, nil, fmt.Errorf("header of Ogg Vorbis: %w%s", err, convertFirst) // 5.1 among them
	case v.Channels() < 1 || v.SampleRate() < 1:
		return info{}, nil, fmt.Errorf("header of Ogg Vorbis: %d channels at %d Hz", v.Channels(), v.SampleRate())
	}
	frames := max(0, v.Length()-v.Position())
	if end.cut {
		return info{}, nil, fmt.Errorf("the file is truncated: its data end after %.3f s (%d frames), in the middle of an Ogg page; "+
			"get the rest, or keep what there is: ffmpeg -i IN OUT.flac", float64(frames)/float64(v.SampleRate()), frames)
	}
	i := info{rate: v.SampleRate(), channels: v.Channels(), frames: frames, tags: vorbisTags(v.CommentHeader().Comments)}
	if i.channels <= MaxChannels {
		i.layout = vorbisLayouts[i.channels]
	}
	return i, &vorbisCodec{reader: v, interleaved: make([]float32, 2048*i.channels)}, nil
}

// vorbisCodec parts the library's samples into channels.
type vorbisCodec struct {
	reader      *oggvorbis.Reader
	interleaved []float32
}

func (c *vorbisCodec) decode(dst [][]float32) (int, error) {
	most := min(len(dst[0])*len(dst), len(c.interleaved))
	for {
		n, err := c.reader.Read(c.interleaved[:most])
		if n > 0 {
			split(dst, c.interleaved[:n])
			return n / len(dst), nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			err = fmt.Errorf("damaged Ogg Vorbis: %w", err)
		}
		if err != nil {
			return 0, err
		}
	}
}

// oggPage is the last page of a file.
type oggPage struct {
	serial uint32
	cut    bool // the file ends before the page does
}

func lastOggPage(r io.ReadSeeker) (oggPage, error) {
	end, err := r.Seek(0, io.SeekEnd)
	if err != nil {
		return oggPage{}, err
	}
	tail := make([]byte, min(end, 2*maxOggPage))
	if _, err := r.Seek(end-int64(len(tail)), io.SeekStart); err != nil {
		return oggPage{}, err
	}
	if _, err := io.ReadFull(r, tail); err != nil {
		return oggPage{}, err
	}
	for {
		at := bytes.LastIndex(tail, []byte("OggS\x00"))
		if at < 0 {
			return oggPage{}, errors.New("no Ogg page at the end of the file: it is damaged or truncated")
		}
		page := tail[at:]
		if len(page) < oggHeader || len(page) < oggHeader+int(page[26]) {
			if len(page) < 18 {
				tail = tail[:at]
				continue
			}
			return oggPage{binary.LittleEndian.Uint32(page[14:]), true}, nil
		}
		size := oggHeader + int(page[26])
		for _, segment := range page[oggHeader:size] {
			size += int(segment)
		}
		return oggPage{binary.LittleEndian.Uint32(page[14:]), size > len(page)}, nil
	}
}

// vorbisTags reads the comments of Ogg Vorbis, NAME=value.
func vorbisTags(comments []string) Tags {
	var t Tags
	for _, c := range comments {
		name, value, ok := strings.Cut(c, "=")
		if !ok {
			continue
		}
		if strings.EqualFold(name, "METADATA_BLOCK_PICTURE") {
			if b, err := base64.StdEncoding.DecodeString(value); err == nil {
				t.addCover(readFLACPicture(b))
			}
			continue
		}
		t.setVorbis(name, value)
	}
	return t
}

// readFLACPicture reads a picture block as FLAC has it (RFC 9639, 8.8); nil if it is none.
func readFLACPicture(b []byte) *Picture {
	var p Picture
	next := func() []byte {
		if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-4) {
			b = nil
			return nil
		}
		n := binary.BigEndian.Uint32(b)
		field := b[4 : 4+n]
		b = b[4+n:]
		return field
	}
	if len(b) < 4 {
		return nil
	}
	p.Kind, b = binary.BigEndian.Uint32(b), b[4:]
	p.MIME, p.Description = string(next()), string(next())
	if len(b) < 16 {
		return nil
	}
	b = b[16:] // size and colours
	p.Data = next()
	if len(p.Data) == 0 {
		return nil
	}
	return &p
}
