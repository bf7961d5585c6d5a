package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/autovoiced/autovoiced/client/wire"
)

// TestRecording: the file holds what was heard while it was recorded, and another can follow.
func TestRecording(t *testing.T) {
	d := serve(t, transparent)
	s := dial(t, d.url, wire.Start{Format: mono48k})
	ready := s.Ready()
	id, signal := ready.ID(), noise(48000, 1)
	path := filepath.Join(t.TempDir(), "take.wav")
	if err := d.StartRecording(id, path); err != nil {
		t.Fatal(err)
	}
	if err := d.StartRecording(id, path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a second recording: %v, want the first one's name", err)
	}
	if !d.Status().Sessions[0].Recording {
		t.Error("the status does not tell of the recording")
	}
	for at := 0; at < len(signal); at += 4800 {
		if err := s.Send(t.Context(), signal[at:at+4800]); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for drained := false; !drained; {
		ev, err := s.Recv(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, drained = ev.Message.(*wire.Drained)
	}
	if got, err := d.StopRecording(id); got != path || err != nil {
		t.Errorf("stopped %q, %v", got, err)
	}
	if got, err := d.StopRecording(id); got != "" || err != nil {
		t.Errorf("stopped once more: %q, %v", got, err)
	}
	samples := readWAV(t, path)
	if len(samples) != len(signal) {
		t.Fatalf("%d frames, want %d", len(samples), len(signal))
	}
	for i, v := range samples {
		if diff := v - signal[i]; diff > 1e-6 || diff < -1e-6 {
			t.Fatalf("frame %d is %v, want %v", i, v, signal[i])
		}
	}
	// One that nobody ends, the session does.
	if err := d.StartRecording(id, path+"2"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	eventually(t, "the session has ended", func() bool { return d.Status().Totals.SessionsActive == 0 })
	if _, err := os.Stat(path + "2"); err != nil {
		t.Error(err)
	}
}
