package daemon

import (
	"net/http"

	"github.com/autovoiced/autovoiced/client/wire"
)

// serveProfiles lists the profiles as they are now. One that cannot be read is left out and logged.
func (d *Daemon) serveProfiles(w http.ResponseWriter, _ *http.Request) {
	all, err := d.profiles.List()
	if err != nil {
		d.faults.Reportf("profiles", "%v", err)
	}
	answer := []wire.Profile{}
	for _, pr := range all {
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
		answer = append(answer, p)
	}
	writeJSON(w, http.StatusOK, answer)
}
