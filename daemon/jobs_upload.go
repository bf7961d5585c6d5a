package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/daemon/song"
	"github.com/autovoiced/autovoiced/stream"
	"github.com/autovoiced/autovoiced/stream/media"
)

// songStall is how long a client that sends a song may send nothing.
const songStall = 30 * time.Second

// songUpload is a song on its way in.
type songUpload struct {
	folder  string
	options wire.Convert
	given   given
	name    string
	path    string // "" while there is none
}

// receiveSong streams a song to disk and queues it. What is wrong with it, or with what is asked for, is told at once where that can be
// known.
func (d *Daemon) receiveSong(w http.ResponseWriter, r *http.Request) (wire.Job, *wire.Error) {
	folder, werr := d.jobs.reserve()
	if werr != nil {
		return wire.Job{}, werr
	}
	deadlines := http.NewResponseController(w)
	limit := int64(d.cfg.Jobs.MaxUploadMB) << 20
	r.Body = &patientBody{http.MaxBytesReader(w, r.Body, limit), r.Context(), deadlines}
	defer context.AfterFunc(r.Context(), func() { _ = deadlines.SetReadDeadline(time.Unix(1, 0)) })() // a stop does not wait
	u := &songUpload{folder: folder}
	parts, err := r.MultipartReader()
	if err != nil {
		d.jobs.release(folder)
		return wire.Job{}, wire.Errorf(wire.CodeBadMessage, "", "%v; send multipart/form-data with a part 'options' and a file 'song'", err)
	}
	if werr = u.receive(parts); werr == nil {
		werr = u.check(d)
	}
	_ = deadlines.SetWriteDeadline(time.Now().Add(answerTimeout)) // a server of ours has deadlines
	var made wire.Job
	if werr == nil {
		made, werr = d.jobs.add(u)
	}
	if werr != nil {
		d.jobs.release(folder)
		return wire.Job{}, werr
	}
	return made, nil
}

// patientBody gives a client time for each piece that it sends, not for all of it.
type patientBody struct {
	io.ReadCloser
	ctx       context.Context // of the request
	deadlines *http.ResponseController
}

func (p *patientBody) Read(b []byte) (int, error) {
	_ = p.deadlines.SetReadDeadline(time.Now().Add(songStall)) // a server of ours has deadlines
	if p.ctx.Err() != nil {
		return 0, wire.Errorf(wire.CodeShuttingDown, "", "the daemon is stopping; nothing is kept")
	}
	return p.ReadCloser.Read(b)
}

func (u *songUpload) receive(parts *multipart.Reader) *wire.Error {
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = u.take(part)
		}
		if err != nil {
			return bodyError(err, "song", func(limit int64) string {
				return fmt.Sprintf("over %d MB (jobs.max_upload_mb); FLAC or MP3 are smaller than WAV", limit>>20)
			}, fmt.Sprintf("nothing came for %v", songStall))
		}
	}
}

// take reads one part. Parts of other names are passed over: a later version may know them.
func (u *songUpload) take(part *multipart.Part) error {
	switch part.FormName() {
	case "options":
		text, err := io.ReadAll(io.LimitReader(part, wire.MaxControl+1))
		if err != nil {
			return err
		}
		var werr *wire.Error
		if u.options, werr = wire.DecodeConvert(text); werr != nil {
			return werr
		}
		return nil
	case "song":
		if u.path != "" {
			return wire.Errorf(wire.CodeBadParam, "song", "there are two parts 'song'; send each on its own")
		}
		u.name = recordingName(part.FileName())
		u.path = filepath.Join(u.folder, "song")
		return writePart(u.path, part)
	}
	if taken, err := u.given.take(part); taken {
		return err
	}
	_, err := io.Copy(io.Discard, part)
	return err
}

// check finds what can be known before it is the song's turn.
func (u *songUpload) check(d *Daemon) *wire.Error {
	if u.path == "" {
		return wire.Errorf(wire.CodeBadParam, "song", "there is no part 'song': the file to convert")
	}
	file, err := media.Open(u.path)
	if err != nil {
		return wire.Errorf(wire.CodeBadAudio, "song", "%s", strings.ReplaceAll(err.Error(), u.path, u.name))
	}
	frames, rate := file.Frames(), file.Rate()
	if err := file.Close(); err != nil {
		return wire.Errorf(wire.CodeInternal, "", "%v", err)
	}
	if long := stream.FramesToTime(uint64(frames), rate); frames > 0 && long < song.Shortest {
		return wire.Errorf(wire.CodeBadAudio, "song", "%s: %v of sound, at least %v are needed", u.name, long.Round(time.Millisecond), song.Shortest)
	}
	if err := song.CheckF0(u.given.f0, frames, rate); err != nil {
		return wire.Errorf(wire.CodeBadParam, partF0, "%v", err)
	}
	for param, name := range map[string]string{"voice": u.options.Voice, "profile": u.options.Profile} {
		if name == "" {
			continue
		}
		if _, _, err := d.target(name); err != nil {
			werr := voiceError(err)
			werr.Param = param
			return werr
		}
	}
	return nil
}
