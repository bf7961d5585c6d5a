package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/autovoiced/autovoiced/client/wire"
)

const (
	// maxUpload bounds what is sent for a profile, in bytes: with a minute of each recording heard, 16
	// recordings of CD quality fit.
	maxUpload, maxUploadClips = 96 << 20, 16
	maxUploadName             = 1 << 10 // bytes of the field "name", which allows for fewer
)

// upload is a profile's recordings as they came over HTTP, in a folder that is removed afterwards.
type upload struct {
	name   string
	folder string
	paths  []string
}

// receiveProfile writes the parts of a multipart body to files, however they are ordered. The caller
// removes the upload, also after an error.
func (p *Profiles) receiveProfile(r *http.Request) (*upload, *wire.Error) {
	u := new(upload)
	parts, err := r.MultipartReader()
	if err != nil {
		return u, wire.Errorf(wire.CodeBadMessage, "", "%v; send multipart/form-data with a field 'name' and files 'reference'", err)
	}
	if u.folder, err = p.scratch(); err != nil {
		return u, wire.Errorf(wire.CodeInternal, "", "%v", err)
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return u, u.check()
		}
		if err == nil {
			err = u.take(part)
		}
		if err != nil {
			return u, bodyError(err, "reference", func(limit int64) string {
				return fmt.Sprintf("over %d bytes in all; the first minute of each recording is heard", limit)
			}, fmt.Sprintf("the recordings did not come within %v", uploadTimeout))
		}
	}
}

// take reads one part. Parts of other names are passed over: a later version may know them.
func (u *upload) take(part *multipart.Part) error {
	switch part.FormName() {
	case "name":
		text, err := io.ReadAll(io.LimitReader(part, maxUploadName+1))
		if err == nil && len(text) > maxUploadName {
			err = wire.Errorf(wire.CodeBadParam, "name", "over %d bytes, allowed: 1 to 40 letters, digits, '-', '_' and '.'", maxUploadName)
		}
		u.name = string(text)
		return err
	case "reference":
		if len(u.paths) == maxUploadClips {
			return wire.Errorf(wire.CodeTooLarge, "reference", "more than %d recordings; the first minute of each is heard, so few do", maxUploadClips)
		}
		folder := filepath.Join(u.folder, fmt.Sprint(len(u.paths))) // names may be equal
		if err := os.Mkdir(folder, 0o700); err != nil {
			return err
		}
		path := filepath.Join(folder, recordingName(part.FileName()))
		u.paths = append(u.paths, path)
		return writePart(path, part)
	}
	_, err := io.Copy(io.Discard, part)
	return err
}

func writePart(path string, part io.Reader) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, part)
	return errors.Join(err, f.Close())
}

// recordingName is a file's name as the client says it, fit to be one here and to be shown.
func recordingName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, name)
	if runes := []rune(name); len(runes) > 60 {
		name = string(runes[len(runes)-60:]) // its ending says most
	}
	if name = strings.Trim(name, ". "); name == "" {
		return "recording"
	}
	return name
}

func (u *upload) check() *wire.Error {
	if u.name == "" {
		return wire.Errorf(wire.CodeBadParam, "name", "there is no field 'name': what to call the voice")
	}
	if len(u.paths) == 0 {
		return wire.Errorf(wire.CodeBadParam, "reference", "there is no file 'reference': recordings of the speaker alone, WAV, FLAC, MP3 or Ogg Vorbis")
	}
	return nil
}

// remove throws the recordings away.
func (u *upload) remove() {
	if u.folder != "" {
		_ = os.RemoveAll(u.folder) // what is left is swept up later
	}
}

// fault says in the protocol's words why no profile came of the recordings, without the folder that they
// were in for a while.
func (u *upload) fault(err error) *wire.Error {
	text := err.Error()
	for _, path := range u.paths {
		text = strings.ReplaceAll(text, path, filepath.Base(path))
	}
	var refused *RefusedError
	var unreadable *unreadableError
	switch {
	case errors.Is(err, context.Canceled):
		return wire.Errorf(wire.CodeShuttingDown, "", "the daemon is stopping; nothing is kept")
	case errors.Is(err, errProfileName):
		return wire.Errorf(wire.CodeBadParam, "name", "%s", text)
	case errors.Is(err, fs.ErrExist):
		return wire.Errorf(wire.CodeNameTaken, "name", "%s", text)
	case errors.As(err, &refused), errors.As(err, &unreadable):
		return wire.Errorf(wire.CodeBadAudio, "reference", "%s", text)
	}
	return wire.Errorf(wire.CodeInternal, "", "%s", text)
}
