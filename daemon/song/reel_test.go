package song

import (
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/daemon/song/songtest"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream/media"
)

// A song that is too long to be kept in memory is decoded again, and comes out the same; and whatever is on however many processors
// does so too: separated by the installed model, its pitch followed, converted and mixed.
func TestTheSameOnAnyMachine(t *testing.T) {
	s := singer(t, tinyVoice)
	dir := t.TempDir()
	in := filepath.Join(dir, "in.flac")
	if err := songtest.Compose(in, media.FLAC, "../../testdata/audio/sample.flac", 5*time.Second); err != nil {
		t.Fatal(err)
	}
	var want [][]float32
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, c := range []struct{ processors, kept int }{{1, mostKept}, {2, 0}, {8, 100_000}, {8, mostKept}} {
		runtime.GOMAXPROCS(c.processors)
		o := Default()
		o.Preset = infer.PresetFast
		out := filepath.Join(dir, "out.wav")
		j := newJob(in, out, s, o)
		j.reel.most = c.kept
		r, err := j.convert(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r.Voiced < 0.4 {
			t.Fatalf("%.1f s with a pitch, expected a song that somebody sings", r.Voiced)
		}
		if kept := len(j.reel.pieces) > 0; kept != (c.kept == mostKept) {
			t.Errorf("%d bytes may be kept: kept is %v", c.kept, kept)
		}
		_, got := readSong(t, out)
		if want == nil {
			want = got
		}
		for channel := range want {
			for i := range want[channel] {
				if got[channel][i] != want[channel][i] {
					t.Fatalf("%d processors, %d bytes kept: frame %d is %g, expected %g", c.processors, c.kept, i, got[channel][i], want[channel][i])
				}
			}
		}
	}
}
