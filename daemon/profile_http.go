package daemon

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
)

const (
	// uploadTimeout bounds how long recordings may be on their way, and hearingTimeout how long hearing them
	// may take: 16 minutes at many times real time.
	uploadTimeout, hearingTimeout = 2 * time.Minute, 2 * time.Minute
	// maxUploads is how many may send recordings at once. They are heard one after the other: hearing takes
	// processor time that live voices need.
	maxUploads = 4
)

// serveProfiles lists the profiles as they are now. One that cannot be read is left out and logged.
func (d *Daemon) serveProfiles(w http.ResponseWriter, _ *http.Request) {
	all, err := d.profiles.List()
	if err != nil {
		d.faults.Reportf("profiles", "%v", err)
	}
	answer := []wire.Profile{}
	for _, pr := range all {
		answer = append(answer, d.wireProfile(pr))
	}
	writeJSON(w, http.StatusOK, answer)
}

func (d *Daemon) wireProfile(pr *Profile) wire.Profile {
	p := wire.Profile{
		Name: pr.Name, ID: pr.ID, Created: pr.Created, MedianHz: pr.MedianHz,
		SpeechSeconds: pr.SpeechSeconds, Recordings: len(pr.Clips), Warnings: []string{},
	}
	for _, v := range pr.Verdicts {
		p.Warnings = append(p.Warnings, v.Message)
	}
	if _, err := d.voices.Fit(pr.Target(), d.cfg.Voice.Name); err != nil {
		p.Unusable = err.Error()
	}
	return p
}

// addProfile makes a profile of the recordings in the request's body.
func (d *Daemon) addProfile(w http.ResponseWriter, r *http.Request) {
	defer d.uploads.Add(-1)
	if d.uploads.Add(1) > maxUploads {
		w.Header().Set("Retry-After", "5")
		writeError(w, http.StatusServiceUnavailable, wire.Errorf(wire.CodeTooManySessions, "", "%d profiles are being made, as many as may", maxUploads))
		return
	}
	deadlines := http.NewResponseController(w)
	_ = deadlines.SetReadDeadline(time.Now().Add(uploadTimeout)) // a server of ours has deadlines
	_ = deadlines.SetWriteDeadline(time.Now().Add(uploadTimeout + hearingTimeout))
	defer context.AfterFunc(r.Context(), func() { _ = deadlines.SetReadDeadline(time.Unix(1, 0)) })() // a stop does not wait
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload)
	made, err := d.makeProfile(r)
	if err != nil {
		if err.Code == wire.CodeInternal {
			d.log.Error().Err(err).Msg("making a profile")
		}
		writeError(w, httpStatus(err.Code), err)
		return
	}
	d.log.Info().Str("profile", made.Name).Float64("speech_seconds", made.SpeechSeconds).Msg("profile made")
	w.Header().Set("Location", "/v1/profiles/"+made.ID)
	writeJSON(w, http.StatusCreated, d.wireProfile(made))
}

func (d *Daemon) makeProfile(r *http.Request) (*Profile, *wire.Error) {
	u, werr := d.profiles.receiveProfile(r)
	defer u.remove()
	if err := r.Context().Err(); err != nil {
		return nil, u.fault(err)
	}
	if werr != nil {
		return nil, werr
	}
	select {
	case d.hearing <- struct{}{}:
		defer func() { <-d.hearing }()
	case <-r.Context().Done():
		return nil, u.fault(r.Context().Err())
	}
	made, err := d.profiles.Add(r.Context(), d.cfg, u.name, u.paths)
	if err != nil {
		return nil, u.fault(err)
	}
	return made, nil
}

// removeProfile deletes a profile by its id. Who speaks with it now goes on.
func (d *Daemon) removeProfile(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	all, err := d.profiles.List()
	for _, pr := range all {
		if pr.ID != id {
			continue
		}
		err = d.profiles.Remove(pr.Name)
		if err == nil {
			d.log.Info().Str("profile", pr.Name).Msg("profile removed")
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	if err == nil || errors.Is(err, ErrNoProfile) {
		writeError(w, http.StatusNotFound, wire.Errorf(wire.CodeUnknownProfile, "id", "there is no profile of id %q; GET /v1/profiles lists them", id))
		return
	}
	d.faults.Reportf("profiles", "%v", err)
	writeError(w, http.StatusInternalServerError, wire.Errorf(wire.CodeInternal, "", "%v", err))
}

// httpStatus is the status of a plain answer that tells of an error.
func httpStatus(c wire.Code) int {
	switch c {
	case wire.CodeUnknownProfile, wire.CodeUnknownSession, wire.CodeUnknownJob:
		return http.StatusNotFound
	case wire.CodeNameTaken:
		return http.StatusConflict
	case wire.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case wire.CodeBadAudio:
		return http.StatusUnprocessableEntity
	case wire.CodeIdleTimeout:
		return http.StatusRequestTimeout
	case wire.CodeShuttingDown, wire.CodeTooManySessions, wire.CodeTooManyJobs:
		return http.StatusServiceUnavailable
	case wire.CodeDiskFull:
		return http.StatusInsufficientStorage
	case wire.CodeInternal:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}
