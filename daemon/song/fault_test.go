package song

import (
	"context"
	"errors"
	"math"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream"
)

// TestFaultsAreNamed: each thing that can be wrong with what is given says so, and leaves nothing behind.
func TestFaultsAreNamed(t *testing.T) {
	s := singer(t, tinyVoice)
	good := chord(16000, 1, 0.5)
	flac, err := os.ReadFile("../../testdata/audio/sample.flac")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]func(path string){
		"notes.mp3":      func(p string) { write(t, p, []byte("milk, eggs, bread\n")) },
		"truncated.flac": func(p string) { write(t, p, flac[:len(flac)/2]) },
		"short.wav":      func(p string) { writeSong(t, p, 16000, [][]float32{make([]float32, 80)}) },
		"empty.wav":      func(p string) { write(t, p, nil) },
		"good.wav":       func(p string) { writeSong(t, p, 16000, good) },
	}
	for _, c := range []struct {
		name, in, out string
		change        func(*Options)
		want          error
		says          string
	}{
		{"no such song", "none.wav", "out.wav", nil, ErrSong, "none.wav"},
		{"text", "notes.mp3", "out.wav", nil, ErrSong, "notes.mp3"},
		{"truncated", "truncated.flac", "out.wav", nil, ErrSong, "truncated.flac"},
		{"5 ms", "short.wav", "out.wav", nil, ErrSong, "5ms of sound"},
		{"empty", "empty.wav", "out.wav", nil, ErrSong, "empty"},
		{"no such folder", "good.wav", "none/out.wav", nil, ErrResult, "none/out.wav"},
		{"f0 too short", "good.wav", "out.wav", func(o *Options) { o.F0 = make([]float32, 99) }, ErrF0, "99 values beside a song of 1.00 s, expected 100"},
		{"f0 of another rate", "good.wav", "out.wav", func(o *Options) { o.F0 = make([]float32, 1000) }, ErrF0, "expected 100"},
		{"preset", "good.wav", "out.wav", func(o *Options) { o.Preset = "best" }, ErrOption, "'preset'"},
		{"rate", "good.wav", "out.wav", func(o *Options) { o.Rate = 96000 }, ErrOption, "'sample_rate'"},
		{"shift", "good.wav", "out.wav", func(o *Options) { o.Shift.Semitones = 25 }, ErrOption, "'pitch_shift_semitones'"},
		{"gain", "good.wav", "out.wav", func(o *Options) { o.VocalGainDB = 25 }, ErrOption, "'vocal_gain_db'"},
		{"no gain", "good.wav", "out.wav", func(o *Options) { o.MusicGainDB = math.NaN() }, ErrOption, "'music_gain_db'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if make := files[c.in]; make != nil {
				make(filepath.Join(dir, c.in))
			}
			before := list(t, dir)
			o := Default()
			o.Separator = infer.SeparatorNone
			if c.change != nil {
				c.change(&o)
			}
			_, err := Convert(t.Context(), filepath.Join(dir, c.in), filepath.Join(dir, c.out), s, o)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want an error of the %v that says %q", err, c.want, c.says)
			}
			if after := list(t, dir); !slices.Equal(before, after) {
				t.Errorf("left behind: %v", after)
			}
		})
	}
	s.Target.Embedding = s.Target.Embedding[:len(s.Target.Embedding)-1]
	dir := t.TempDir()
	writeSong(t, filepath.Join(dir, "in.wav"), 16000, good)
	o := Default()
	o.Separator = infer.SeparatorNone // which takes the chord for a voice
	if _, err := Convert(t.Context(), filepath.Join(dir, "in.wav"), filepath.Join(dir, "out.wav"), s, o); !errors.Is(err, infer.ErrWrongTarget) {
		t.Errorf("an embedding of the wrong length: %v", err)
	}
	if left := list(t, dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// TestDiskIsFull: a result, and vocals, that do not fit.
func TestDiskIsFull(t *testing.T) {
	s := singer(t, tinyVoice)
	dir := t.TempDir()
	in := filepath.Join(dir, "in.wav")
	writeSong(t, in, 44100, chord(44100, 2, 0.5, 0.5))
	signal.Ignore(unix.SIGXFSZ)
	defer signal.Reset(unix.SIGXFSZ)
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	for name, separate := range map[string]func(string, string) (infer.Separator, error){
		"the result": infer.NewSeparator, "the vocals": sharing(share{of: 0.5, rate: 44100, hop: 1024}),
	} {
		o := Default()
		o.PCM, o.Separator = dsp.F32LE, infer.SeparatorNone
		j := newJob(in, filepath.Join(dir, "out.wav"), s, o)
		j.o.NewSeparator = separate
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 100 << 10, Max: was.Max}); err != nil {
			t.Fatal(err)
		}
		_, err := j.convert(t.Context())
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &was); err != nil {
			t.Fatal(err)
		}
		if !errors.Is(err, ErrResult) || !errors.Is(err, unix.EFBIG) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: got %v, want one that says where there is no room", name, err)
		}
		if left := list(t, dir); len(left) != 1 {
			t.Errorf("%s: left behind: %v", name, left)
		}
	}
}

// TestCancelLeavesNothing: at any moment, promptly.
func TestCancelLeavesNothing(t *testing.T) {
	s := singer(t, tinyVoice)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.wav"), filepath.Join(dir, "out.wav")
	writeSong(t, in, 44100, chord(44100, 60, 0.5, 0.5)) // long beside progressEvery, in each stage
	for _, moment := range []string{stream.StageSeparation, stream.StageMixing} {
		ctx, cancel := context.WithCancel(t.Context())
		o := Default()
		o.Progress = func(p Progress) {
			for _, stage := range p.Stages {
				if stage.Name == moment && stage.Done > 0 {
					cancel()
				}
			}
		}
		j := newJob(in, out, s, o)
		j.o.NewSeparator = sharing(share{of: 0.5, rate: 44100, latency: 100, hop: 1024})
		if _, err := j.convert(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled in %s: %v", moment, err)
		}
		cancel()
		if left := list(t, dir); len(left) != 1 {
			t.Errorf("left behind: %v", left)
		}
	}
}

// TestTimingsAddUp: the callback hears the four stages and their sum, in order; a callback's panic is told and harms nobody.
func TestTimingsAddUp(t *testing.T) {
	s := singer(t, tinyVoice)
	var heard []string
	var sum, total time.Duration
	last := Progress{}
	r, _ := sing(t, s, 44100, chord(44100, 5, 0.5, 0.5), func(j *job) {
		j.o.NewSeparator = sharing(share{of: 0.5, rate: 44100, latency: 100, hop: 1024})
		j.o.Progress = func(p Progress) {
			if p.Done < last.Done-1e-9 && last.Done == 1 {
				t.Errorf("progress goes back from %v to %v", last.Done, p.Done)
			}
			last = p
		}
		j.o.Profile = func(stage string, elapsed time.Duration) {
			heard = append(heard, stage)
			if stage == stream.StageTotal {
				total = elapsed
				panic("the callback's own fault")
			}
			sum += elapsed
		}
	})
	want := []string{stream.StageSeparation, stream.StageF0Extraction, stream.StageConversion, stream.StageMixing, stream.StageTotal}
	if !slices.Equal(heard, want) {
		t.Errorf("heard of %v, want %v", heard, want)
	}
	if total <= 0 || sum > total || float64(sum) < 0.85*float64(total) || math.Abs(r.Timings.Lacks()-float64(total-sum)/float64(total)) > 1e-9 {
		t.Errorf("the stages take %v of %v; lacks %.3f", sum, total, r.Timings.Lacks())
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "panicked at total") {
		t.Errorf("notes %q", r.Notes)
	}
	if math.Abs(last.Done-1) > 1e-9 || last.Song != 5*time.Second {
		t.Errorf("the last progress is %+v", last)
	}
	for _, stage := range last.Stages {
		if stage.Speed <= 0 || stage.Left != 0 {
			t.Errorf("at the end %+v", stage)
		}
	}
	if r, _ = sing(t, s, 44100, chord(44100, 1, 0.5, 0.5), nil); r.Timings != (Timings{}) {
		t.Errorf("nobody asked, and it was measured: %+v", r.Timings)
	}
}

// TestSlowCallbackIsLeftBehind: it costs half a second and nothing else.
func TestSlowCallbackIsLeftBehind(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	r, _ := sing(t, singer(t, tinyVoice), 16000, chord(16000, 0.2, 0.5), func(j *job) {
		j.o.Profile = func(string, time.Duration) { <-release }
	})
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "left behind") {
		t.Errorf("notes %q", r.Notes)
	}
}

func TestReadF0(t *testing.T) {
	got, err := ReadF0(strings.NewReader("# Hz\n0\n220.5\n\n 441 # a\n"))
	if err != nil || !slices.Equal(got, []float32{0, 220.5, 441}) {
		t.Errorf("got %v, %v", got, err)
	}
	for text, want := range map[string]string{"": "no values", "220\nlow\n": "line 2", "-1": "line 1", "NaN": "line 1", "5": "20 to 2000", "9999": "20 to 2000"} {
		if _, err := ReadF0(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func TestRepair(t *testing.T) {
	note := func(hz float32, n int) []float32 { return slices.Repeat([]float32{hz}, n) }
	c := curve(slices.Concat(note(0, 5), note(220, 20), note(440, 6), note(221, 20), note(0, 2), note(222, 10), note(0, 9), note(300, 2),
		note(0, 9), note(330, 40), note(165, 5), note(0, 5), note(220, 30), note(440, 30)))
	c.repair()
	want := slices.Concat(note(0, 5), note(220, 20), note(220, 6), note(221, 20), note(221.5, 2), note(222, 10), note(0, 9), note(0, 2),
		note(0, 9), note(330, 40), note(330, 5), note(0, 5), note(220, 30), note(440, 30))
	for i := range want {
		if math.Abs(float64(c[i]-want[i])) > 0.4 {
			t.Errorf("value %d is %.1f Hz, want %.1f", i, c[i], want[i])
		}
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestNothingInstalled: a song of which nothing can take the voice out is told of, unless that was asked for.
func TestNothingInstalled(t *testing.T) {
	t.Setenv(infer.EnvModels, t.TempDir())
	for asked, want := range map[string]int{"": 1, infer.SeparatorNone: 0} {
		r, _ := sing(t, singer(t, tinyVoice), 44100, chord(44100, 1, 0.5), func(j *job) { j.o.Separator, j.o.NewSeparator = asked, infer.NewSeparator })
		told := slices.DeleteFunc(slices.Clone(r.Notes), func(note string) bool { return !strings.Contains(note, "`make deps`") })
		if len(told) != want || r.Separation != infer.SeparatorNone {
			t.Errorf("separator %q: separation %s, notes %q, want %d on what is not installed", asked, r.Separation, r.Notes, want)
		}
	}
}
