package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/daemon/song"
)

// given is what a client knows better than it would be computed: whom to speak as, and the pitch in the song. Each is a file of its own in
// the form, the same that the command line takes.
type given struct{ embedding, f0 []float32 }

const (
	partEmbedding = "target_embedding"
	partF0        = "source_f0"
	mostGiven     = 16 << 20 // bytes: hours of pitch
)

var errEmbedding = fmt.Errorf("%w: the embedding", song.ErrOption)

// take reads a part; taken is false where it is another one.
func (g *given) take(part *multipart.Part) (taken bool, err error) {
	name := part.FormName()
	if name != partEmbedding && name != partF0 {
		return false, nil
	}
	text, err := io.ReadAll(io.LimitReader(part, mostGiven+1))
	switch {
	case err != nil:
		return true, err
	case len(text) > mostGiven:
		return true, wire.Errorf(wire.CodeTooLarge, name, "over %d MB", mostGiven>>20)
	case name == partEmbedding:
		g.embedding, err = ReadEmbedding(bytes.NewReader(text))
	default:
		g.f0, err = song.ReadF0(bytes.NewReader(text))
	}
	if err != nil {
		return true, wire.Errorf(wire.CodeBadParam, name, "%v", err)
	}
	return true, nil
}

// ReadEmbedding reads what ConvertOptions.Embedding takes: a JSON list of numbers.
func ReadEmbedding(r io.Reader) (values []float32, err error) {
	text, err := io.ReadAll(r)
	if err == nil {
		err = json.Unmarshal(text, &values)
	}
	if err == nil && len(values) == 0 {
		err = errors.New("none")
	}
	if err != nil {
		return nil, fmt.Errorf("expected a JSON list of numbers, as in [0.1, -0.2], found %.40q", text)
	}
	return values, nil
}
