package daemon

import (
	"cmp"
	"io"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/infer"
)

// voices makes n windows around a direction of one's own; spread is how far they stray from it.
func voiceWindows(direction, n int, spread float64, random *rand.Rand) []infer.SpeakerWindow {
	windows := make([]infer.SpeakerWindow, n)
	for i := range windows {
		e, sum := make([]float32, 32), 0.0
		for j := range e {
			v := spread * random.NormFloat64() / math.Sqrt(32)
			if j == direction {
				v++
			}
			e[j] = float32(v)
			sum += v * v
		}
		for j := range e {
			e[j] /= float32(math.Sqrt(sum))
		}
		windows[i] = infer.SpeakerWindow{Length: time.Second, Speech: 1, Embedding: e}
	}
	return windows
}

// The bundled encoder tells the lowest of the bundled voices' speakers from the highest, and finds each
// to be one.
func TestRealSpeakersAreToldApart(t *testing.T) {
	needRuntime(t)
	log.SetOutput(io.Discard) // where the FLAC library wonders at each frame of 24 kHz
	defer log.SetOutput(os.Stderr)
	registry, err := infer.NewRegistry(infer.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer registry.Close()
	var voices []infer.VoiceInfo
	for _, v := range registry.Voices() {
		if v.Reference {
			voices = append(voices, v)
		}
	}
	slices.SortFunc(voices, func(a, b infer.VoiceInfo) int { return cmp.Compare(a.MedianHz, b.MedianHz) })
	dir, paths := t.TempDir(), []string{}
	for _, v := range []infer.VoiceInfo{voices[0], voices[len(voices)-1]} {
		flac, err := registry.Reference(v.Name)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, v.Name+".flac")
		if err := os.WriteFile(path, flac, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	study, err := Hear(t.Context(), Default(), paths)
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range paths {
		found := slices.ContainsFunc(study.Verdicts, func(v Verdict) bool {
			return v.Code == verdictSpeakers && v.Clip == filepath.Base(path) && strings.Contains(v.Message, "another speaker")
		})
		if !found {
			t.Errorf("nothing is said against %s: %+v", paths[i], study.Verdicts)
		}
	}
}

func TestSpeakersAreToldApart(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	one, other := voiceWindows(1, 20, 0.5, random), voiceWindows(2, 8, 0.5, random)
	if share, likeness := splitSpeakers(one); likeness < otherWindows {
		t.Errorf("one speaker falls apart: %.0f %%, similarity %.2f", 100*share, likeness)
	}
	mixed := slices.Concat(one[:7], other[:3], one[7:14], other[3:])
	if share, likeness := splitSpeakers(mixed); likeness > 0.4 || math.Abs(share-8.0/22) > 1e-9 {
		t.Errorf("of two speakers, one has %.0f %%, similarity %.2f", 100*share, likeness)
	}
	// A cough is no speaker.
	if share, likeness := splitSpeakers(slices.Concat(one, other[:2])); likeness != 1 {
		t.Errorf("two windows count as a speaker: %.0f %%, similarity %.2f", 100*share, likeness)
	}

	s := &student{}
	for i, w := range [][]infer.SpeakerWindow{one[:10], mixed, one[10:], other} {
		s.clips, s.windows = append(s.clips, &clip{source: string(rune('a'+i)) + ".wav"}), append(s.windows, w)
	}
	s.compareSpeakers()
	var clips []string
	for _, v := range s.study.Verdicts {
		if v.Code != verdictSpeakers {
			t.Errorf("%+v", v)
		}
		clips = append(clips, v.Clip)
	}
	if !slices.Equal(clips, []string{"b.wav", "d.wav"}) {
		t.Errorf("verdicts on %v: %+v", clips, s.study.Verdicts)
	}
}
