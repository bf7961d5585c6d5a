package song

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
)

// TestResultKeepsThePitch: the bundled voice says with the same melody, moved by what was asked for, what the recording says.
func TestResultKeepsThePitch(t *testing.T) {
	s := singer(t, "../../infer/voices/first.onnx")
	const shift = 7
	dir := t.TempDir()
	in, out := "../../testdata/audio/pitch/kumo-plain.flac", filepath.Join(dir, "out.wav")
	o := Default()
	o.PCM, o.Shift, o.Separator = dsp.F32LE, infer.Shift{Semitones: shift}, infer.SeparatorNone
	if _, err := Convert(t.Context(), in, out, s, o); err != nil {
		t.Fatal(err)
	}
	before, after := pitchOf(t, in, o), pitchOf(t, out, o)
	var cents []float64
	agree := 0
	for i := range before {
		if (before[i] > 0) == (after[i] > 0) {
			agree++
		}
		if before[i] > 0 && after[i] > 0 {
			cents = append(cents, math.Abs(100*(interval(before[i], after[i])-shift)))
		}
	}
	slices.Sort(cents)
	median, share := cents[len(cents)/2], float64(agree)/float64(len(before))
	t.Logf("median error %.1f cents, voicing agrees in %.3f of %d values", median, share, len(before))
	if median > 20 || share < 0.9 {
		t.Errorf("median error %.1f cents, voicing agrees in %.3f, want 20 at most and 0.9 at least", median, share)
	}
}

func pitchOf(t *testing.T, path string, o Options) curve {
	t.Helper()
	rate, block := readSong(t, path)
	e, err := newEar(rate, o, false)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close() //nolint:errcheck // not what is tested
	if err := e.hear(down(nil, block)); err != nil {
		t.Fatal(err)
	}
	c, _, err := e.finish()
	if err != nil {
		t.Fatal(err)
	}
	c.repair()
	return c
}
