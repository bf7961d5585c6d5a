package daemon

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/autovoiced/autovoiced/client/wire"
)

// Update changes how a session of any kind sounds; see session.update.
func (d *Daemon) Update(_ context.Context, id string, u *wire.Update) (*wire.Updated, *wire.Error) {
	s := d.sessions.find(id)
	if s == nil {
		return nil, unknownSession(id)
	}
	if err := s.update(u); err != nil {
		return nil, err
	}
	voice, sound := s.sounds()
	return &wire.Updated{Voice: voice, Settings: sound}, nil
}

func unknownSession(id string) *wire.Error {
	return wire.Errorf(wire.CodeUnknownSession, "id", "there is no session %q; GET /v1/status lists them", id)
}

// updateSession is Update over HTTP: for the sound card's session, which has no socket.
func (d *Daemon) updateSession(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, wire.MaxControl))
	if err != nil {
		werr := bodyError(err, "", func(limit int64) string { return fmt.Sprintf("over %d bytes", limit) }, "the update did not come in time")
		writeError(w, httpStatus(werr.Code), werr)
		return
	}
	u, ignored, werr := wire.DecodeUpdate(data)
	var updated *wire.Updated
	if werr == nil {
		updated, werr = d.Update(r.Context(), r.PathValue("id"), u)
	}
	if werr != nil {
		writeError(w, httpStatus(werr.Code), werr)
		return
	}
	updated.Ignored = ignored
	writeJSON(w, http.StatusOK, updated)
}
