package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
)

// The addresses of jobs: POST /v1/convert and what is below it.

// addJob takes a song and queues it.
func (d *Daemon) addJob(w http.ResponseWriter, r *http.Request) {
	made, err := d.receiveSong(w, r)
	if err != nil {
		if err.Code == wire.CodeInternal {
			d.log.Error().Err(err).Msg("taking a song")
		}
		if err.Retryable {
			w.Header().Set("Retry-After", "10")
		}
		writeError(w, httpStatus(err.Code), err)
		return
	}
	d.log.Info().Str("job", made.ID).Float64("audio_seconds", made.AudioSeconds).Msg("song queued")
	w.Header().Set("Location", "/v1/convert/"+made.ID)
	writeJSON(w, http.StatusAccepted, made)
}

func (d *Daemon) serveJobs(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, d.jobs.list())
}

func (d *Daemon) serveJob(w http.ResponseWriter, r *http.Request) {
	look, _, ok := d.jobs.find(r.PathValue("id"))
	if !ok {
		writeNoJob(w, r)
		return
	}
	writeJSON(w, http.StatusOK, look)
}

func writeNoJob(w http.ResponseWriter, r *http.Request) {
	writeError(w, http.StatusNotFound, wire.Errorf(wire.CodeUnknownJob, "id", "there is no job %q, or it was forgotten; GET /v1/convert lists them", r.PathValue("id")))
}

func (d *Daemon) removeJob(w http.ResponseWriter, r *http.Request) {
	if !d.jobs.forget(r.PathValue("id")) {
		writeNoJob(w, r)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

const (
	// eventEvery is how often a follower hears of a job at most, eventAlive how often at least.
	eventEvery = 200 * time.Millisecond
	eventAlive = 15 * time.Second
)

// serveJobEvents tells of a job until it is final.
func (d *Daemon) serveJobEvents(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	look, changed, ok := d.jobs.find(id)
	if !ok {
		writeNoJob(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy is to pass it on at once
	events := jobEvents{w, http.NewResponseController(w)}
	for {
		if !events.tell(look) || look.State.Final() {
			return
		}
		if !waitFor(r, time.After(eventEvery)) {
			return
		}
		for waiting := true; waiting; {
			select {
			case <-changed:
				waiting = false
			case <-time.After(eventAlive):
				if !events.alive() {
					return
				}
			case <-r.Context().Done():
				return
			}
		}
		if look, changed, ok = d.jobs.find(id); !ok { // it was cancelled by who forgot it
			look.ID, look.State = id, wire.JobCancelled
		}
	}
}

func waitFor(r *http.Request, c <-chan time.Time) bool {
	select {
	case <-c:
		return true
	case <-r.Context().Done():
		return false
	}
}

// jobEvents writes Server-Sent Events, each in its own time.
type jobEvents struct {
	w     io.Writer
	flush *http.ResponseController
}

func (e jobEvents) tell(look wire.Job) bool {
	data, err := json.Marshal(look)
	return err == nil && e.write("data: "+string(data)+"\n\n")
}

func (e jobEvents) alive() bool { return e.write(":\n\n") }

func (e jobEvents) write(text string) bool {
	_ = e.flush.SetWriteDeadline(time.Now().Add(answerTimeout)) // a server of ours has deadlines
	if _, err := io.WriteString(e.w, text); err != nil {
		return false
	}
	return e.flush.Flush() == nil
}

// serveJobResult gives the converted song.
func (d *Daemon) serveJobResult(w http.ResponseWriter, r *http.Request) {
	path, look, ok := d.jobs.resultOf(r.PathValue("id"))
	if !ok {
		writeNoJob(w, r)
		return
	}
	if path == "" {
		writeError(w, http.StatusConflict, wire.Errorf(wire.CodeUnknownJob, "id", "job %s is %s: it has no result, or not yet", look.ID, look.State))
		return
	}
	f, err := os.Open(path)
	if err != nil { // it was forgotten just now
		writeNoJob(w, r)
		return
	}
	defer f.Close() //nolint:errcheck // it was only read
	written, err := f.Stat()
	if err != nil {
		writeNoJob(w, r)
		return
	}
	w.Header().Set("Content-Type", "audio/"+look.Result.Format)
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": resultName(look)}))
	http.ServeContent(patientWriter{w, http.NewResponseController(w)}, r, "", written.ModTime(), f)
}

// resultName is what the result may be called: after the song and the voice.
func resultName(look wire.Job) string {
	name := strings.TrimSuffix(look.Name, filepath.Ext(look.Name))
	return fmt.Sprintf("%s (%s).%s", name, look.Result.Voice, look.Result.Format)
}

// patientWriter has no deadline for all of a long answer, but one for each piece of it.
type patientWriter struct {
	http.ResponseWriter
	deadlines *http.ResponseController
}

func (p patientWriter) Write(b []byte) (int, error) {
	_ = p.deadlines.SetWriteDeadline(time.Now().Add(answerTimeout)) // a server of ours has deadlines
	return p.ResponseWriter.Write(b)
}

// resultOf is the path of a job's result, "" while there is none.
func (j *jobs) resultOf(id string) (path string, look wire.Job, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	one := j.one(id)
	if one == nil {
		return "", wire.Job{}, false
	}
	return one.result, j.view(one), true
}
