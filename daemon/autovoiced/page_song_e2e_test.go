//go:build e2e

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/autovoiced/autovoiced/client/web/webtest"
)

// A song: chosen, sent, followed to its end, and compared with what it was.
func TestE2EPageSong(t *testing.T) {
	s := startService(t)
	b := webtest.Open(t, microphone(t))
	b.Screen(1280, 800, false, true)
	b.Go(s.url + "/#songs")
	b.Until("the list of voices", `document.querySelectorAll("#song-voice option").length > 3`)
	b.Choose("#song-file", microphone(t))
	b.Pick("#song-voice", "bruno")
	b.Pick("#song-format", "flac s24")
	b.Click("#song-go")
	b.Until("the converted song", `document.querySelector('#jobs [data-state="done"]') !== null`)
	b.Until("both to be seen", `document.querySelectorAll('#jobs .ab input').length === 2`)
	about := webtest.Eval[string](b, `document.querySelector("#jobs li").innerText`)
	if !strings.Contains(about, "bruno") || !strings.Contains(about, "times real time") {
		t.Errorf("the song is described as %q", about)
	}
	b.Click(`#jobs [aria-label="Play"]`)
	b.Until("it to be played", `Number(document.querySelector("#jobs input[type=range]").value) > 0.3`)
	b.Save("song.png")
	b.Click(`#jobs [aria-label="Pause"]`)
	b.Click(`#jobs [aria-label^="Remove"]`)
	b.Until("it to be forgotten", `document.querySelectorAll("#jobs li:not(.empty)").length === 0`)

	bad := filepath.Join(t.TempDir(), "list.wav")
	write(t, bad, []byte("bread, butter, and no sound at all"))
	b.Choose("#song-file", bad)
	b.Click("#song-go")
	b.Until("the bad news", `document.querySelector('#jobs [data-state="failed"]') !== null`)
	b.Forgive() // where the daemon refuses it at once, the console says so too
}
