package daemon

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
)

const speechClips = "../testdata/audio/pitch/"

// Two recordings, each of one speaker, 7.6 s.
var (
	man   = []string{speechClips + "kumo-plain.flac", speechClips + "kumo-high.flac"}
	woman = []string{speechClips + "alpha-plain.flac", speechClips + "alpha-high.flac"}
)

// profileConfig is testConfig with a folder of profiles for the test alone, and with the small encoder
// whose embeddings fit the small voice.
func profileConfig(t testing.TB) (Config, *Profiles) {
	t.Helper()
	cfg := testConfig(t)
	model, err := os.ReadFile("../testdata/models/tiny-speaker/tiny-speaker.onnx")
	if err == nil {
		err = os.WriteFile(filepath.Join(cfg.Infer.Models, "speaker.onnx"), model, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	ownProfiles(t)
	return cfg, OpenProfiles()
}

// ownProfiles gives the test a folder of profiles for itself.
func ownProfiles(t testing.TB) {
	t.Helper()
	t.Setenv("XDG_DATA_HOME", t.TempDir())
}

func addProfile(t testing.TB, cfg Config, name string, paths ...string) *Profile {
	t.Helper()
	pr, err := OpenProfiles().Add(t.Context(), cfg, name, paths)
	if err != nil {
		t.Fatal(err)
	}
	return pr
}

// clean fails the test when a folder of profiles holds anything but the named ones.
func clean(t *testing.T, p *Profiles, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(p.folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		found = append(found, e.Name())
	}
	slices.Sort(names)
	if !slices.Equal(found, names) {
		t.Errorf("the folder holds %v, want %v", found, names)
	}
}

func wantWords(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", words)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

func TestProfileOfRecordings(t *testing.T) {
	cfg, profiles := profileConfig(t)
	made := addProfile(t, cfg, "Müller-2.b", man...)
	clean(t, profiles, "Müller-2.b")

	kept, err := profiles.Find("Müller-2.b")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(made, kept) {
		t.Errorf("made %+v\nkept %+v", made, kept)
	}
	if len(kept.ID) != 32 || time.Since(kept.Created) > time.Minute || kept.Encoder.Name != "tiny-speaker" || len(kept.Embedding) != 8 ||
		kept.MedianHz < 80 || kept.MedianHz > 160 || kept.SpeechSeconds < 5 || len(kept.Clips) != 2 ||
		len(kept.Verdicts) != 1 || kept.Verdicts[0].Code != verdictShort {
		t.Errorf("profile %+v", kept)
	}
	for i, c := range kept.Clips {
		if c.Source != filepath.Base(man[i]) || c.Rate != 16000 || c.SpeechSeconds < 2 || c.SpeechSeconds > c.Seconds || c.SNRDB < 15 || c.PeakDBFS > 0 {
			t.Errorf("clip %+v", c)
		}
		// 16 bits at the same rate: the very samples.
		if !slices.Equal(readWAV(t, filepath.Join(profiles.Folder("Müller-2.b"), c.File)), readWAV(t, man[i])) {
			t.Errorf("%s is not %s", c.File, man[i])
		}
	}
	for path, mode := range map[string]fs.FileMode{"": 0o700, "profile.json": 0o600, "clip-01.flac": 0o600} {
		if info, err := os.Stat(filepath.Join(profiles.Folder("Müller-2.b"), path)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, want mode %v: a voice is personal", path, info.Mode(), err, mode)
		}
	}
	if other := addProfile(t, cfg, "she", woman...); other.MedianHz < 1.3*kept.MedianHz || infer.Similarity(other.Embedding, kept.Embedding) > 0.99 {
		t.Errorf("a woman has %g Hz, a man %g Hz, similarity %g", other.MedianHz, kept.MedianHz, infer.Similarity(other.Embedding, kept.Embedding))
	}

	again, err := profiles.Refresh(t.Context(), cfg, "Müller-2.b")
	if err != nil || again.ID != kept.ID || infer.Similarity(again.Embedding, kept.Embedding) < 0.9999 || again.Clips[1].Source != kept.Clips[1].Source ||
		again.Clips[0].SHA256 != kept.Clips[0].SHA256 {
		t.Errorf("made anew: %+v, %v", again, err)
	}
	if err := errors.Join(profiles.Remove("she"), profiles.Remove("Müller-2.b")); err != nil {
		t.Error(err)
	}
	clean(t, profiles)
	_, err = profiles.Refresh(t.Context(), cfg, "she")
	wantWords(t, err, "no profile", "she")
}

// Every fault of recordings has a verdict of its own that names the clip.
func TestVerdicts(t *testing.T) {
	cfg, _ := profileConfig(t)
	dir := t.TempDir()
	write := func(name string, rate int, x []float32) string {
		path := filepath.Join(dir, name)
		writeWAV(t, path, rate, dsp.F32LE, x)
		return path
	}
	words := readWAV(t, man[0]) // 2.9 s of speech: hearing is dear under the race detector, and the verdicts on a clip are the same
	gain := func(by float32) []float32 {
		x := slices.Clone(words)
		for i := range x {
			x[i] = max(-1, min(1, by*x[i]))
		}
		return x
	}
	quiet := func(x []float32, by float32) []float32 {
		for i := range x {
			x[i] *= by
		}
		return x
	}
	noisy, random := slices.Clone(words), rand.New(rand.NewPCG(1, 1))
	for i := range noisy {
		noisy[i] += 0.03 * float32(random.NormFloat64())
	}
	up := dsp.NewResampler(16000, 44100)
	cd := up.Append(nil, words)

	good := write("good.wav", 16000, words)
	for _, c := range []struct {
		name  string
		paths []string
		want  []string // codes
		words []string // of the first verdict
	}{
		{"enough", slices.Concat(man, man), nil, nil},
		{"too short", []string{good}, []string{verdictTooShort}, []string{"2.9 s", "at least 5 s"}},
		{"CD rate", []string{write("cd.wav", 44100, cd)}, []string{verdictTooShort}, []string{"2.9 s"}},
		{"clipped", []string{write("loud.wav", 16000, gain(20))}, []string{verdictClipped, verdictTooShort}, []string{"loud.wav", "clipped", "%"}},
		{"clipped and turned down", []string{write("was.wav", 16000, quiet(gain(20), 0.3))}, []string{verdictClipped, verdictTooShort}, []string{"was.wav", "clipped"}},
		{"noisy", []string{write("noisy.wav", 16000, noisy)}, []string{verdictNoisy, verdictTooShort}, []string{"noisy.wav", "dB above the noise"}},
		{"one silent", []string{write("none.wav", 16000, make([]float32, 16000)), man[0], man[1]}, []string{verdictSilent, verdictShort}, []string{"none.wav", "silent", "left out"}},
		{"all silent", []string{write("none.wav", 16000, make([]float32, 16000))}, []string{verdictSilent, verdictTooShort}, []string{"none.wav", "silent"}},
		{"5 ms", []string{write("tick.wav", 16000, words[:80])}, []string{verdictSilent, verdictTooShort}, []string{"tick.wav"}},
	} {
		study, err := Hear(t.Context(), cfg, c.paths)
		var refused *RefusedError
		var verdicts []Verdict
		switch {
		case errors.As(err, &refused):
			verdicts = refused.Verdicts
			if !verdicts[len(verdicts)-1].Refused {
				t.Errorf("%s: nothing refused in %+v", c.name, verdicts)
			}
			wantWords(t, err, c.words...)
		case err != nil:
			t.Fatalf("%s: %v", c.name, err)
		default:
			verdicts = study.Verdicts
			if len(study.Embedding) != 8 || study.MedianHz < 60 || study.MedianHz > 160 {
				t.Errorf("%s: %+v", c.name, study)
			}
		}
		var codes []string
		for _, v := range verdicts {
			codes = append(codes, v.Code)
			if v.Clip != "" && !strings.HasPrefix(v.Message, v.Clip+": ") {
				t.Errorf("%s: %+v does not begin with its clip", c.name, v)
			}
		}
		if !slices.Equal(codes, c.want) {
			t.Errorf("%s: verdicts %+v, want %v", c.name, verdicts, c.want)
			continue
		}
		for _, w := range c.words {
			if !strings.Contains(verdicts[0].Message, w) {
				t.Errorf("%s: %q does not say %q", c.name, verdicts[0].Message, w)
			}
		}
		if c.name == "one silent" && len(study.Clips) != 2 {
			t.Errorf("a silent clip is kept: %+v", study.Clips)
		}
	}
}

// Of a long recording the first 60 s are heard, and it is said.
func TestALongRecording(t *testing.T) {
	cfg, _ := profileConfig(t)
	path := filepath.Join(t.TempDir(), "long.wav")
	writeWAV(t, path, 8000, dsp.S16LE, make([]float32, 60*8000+1))
	long, err := readClip(t.Context(), path)
	if err != nil || !long.cut || long.seconds() != 60 {
		t.Fatalf("%+v, %v", long, err)
	}
	writeWAV(t, path, 8000, dsp.S16LE, make([]float32, 60*8000))
	if whole, err := readClip(t.Context(), path); err != nil || whole.cut || whole.seconds() != 60 {
		t.Errorf("%v s, cut %v, %v", whole.seconds(), whole.cut, err)
	}
	encoder, err := infer.NewSpeakerEncoder(cfg.Infer)
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	s := &student{encoder: encoder}
	if err := s.take(&clip{source: "long.wav", rate: 16000, samples: readWAV(t, man[0]), cut: true}); err != nil {
		t.Fatal(err)
	}
	if v := s.study.Verdicts; len(v) != 1 || v[0].Code != verdictCut || v[0].Message != "long.wav: longer than 60 s, only the first 60 s are heard" || len(s.clips) != 1 {
		t.Errorf("%+v", v)
	}
}

// The estimate of the noise is within 3 dB of the truth, for white noise under speech with pauses.
func TestNoiseIsMeasured(t *testing.T) {
	x := slices.Concat(readWAV(t, man[0]), make([]float32, 4000), readWAV(t, man[1]))
	speech, n := 0.0, 0
	for _, v := range x {
		if v != 0 {
			speech += float64(v) * float64(v)
			n++
		}
	}
	random := rand.New(rand.NewPCG(2, 2))
	for _, want := range []float64{5, 10, 15, 20} {
		sigma := math.Sqrt(speech / float64(n) / math.Pow(10, want/10))
		y := slices.Clone(x)
		for i := range y {
			y[i] += float32(sigma * random.NormFloat64())
		}
		if got := hearSpeech(y, 16000).snr; math.Abs(got-want) > 3 {
			t.Errorf("at %g dB the estimate is %.1f dB", want, got)
		}
	}
}

func TestRecordingsThatCannotBeRead(t *testing.T) {
	cfg, profiles := profileConfig(t)
	dir := t.TempDir()
	text, empty, nan := filepath.Join(dir, "text.wav"), filepath.Join(dir, "empty.flac"), filepath.Join(dir, "nan.wav")
	writeWAV(t, nan, 16000, dsp.F32LE, make([]float32, 1600))
	wav, err := os.ReadFile(nan)
	if err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint32(wav[len(wav)-4:], math.Float32bits(float32(math.NaN()))) // the last sample
	if err := os.WriteFile(nan, wav, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{text: "Dear ear,", empty: ""} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for path, words := range map[string][]string{
		text: {"text.wav", "neither WAV, FLAC, MP3 nor Ogg Vorbis"}, empty: {"empty.flac", "empty"}, nan: {"nan.wav", "finite"},
		filepath.Join(dir, "none.wav"): {"none.wav", "no such file"},
	} {
		_, err := profiles.Add(t.Context(), cfg, "x", []string{path, man[0], man[1]})
		wantWords(t, err, words...)
	}
	_, err = Hear(t.Context(), cfg, nil)
	wantWords(t, err, "0 recordings")
	clean(t, profiles)
}

func TestProfileNames(t *testing.T) {
	cfg, profiles := profileConfig(t)
	for _, name := range []string{"", ".", "..", ".hidden", "../up", "a/b", `a\b`, "a b", "a\x00b", "a\nb", "-flag", strings.Repeat("x", 41), "\xff"} {
		_, err := profiles.Add(t.Context(), cfg, name, man)
		wantWords(t, err, "profile name", "letters")
		if _, err := profiles.Find(name); !errors.Is(err, ErrNoProfile) {
			t.Errorf("%q: %v", name, err)
		}
		if err := profiles.Remove(name); !errors.Is(err, ErrNoProfile) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, voice := range []string{passthrough, tinyVoice} {
		_, err := profiles.Add(t.Context(), cfg, voice, man)
		wantWords(t, err, voice, "built-in voice")
	}
	putProfile(t, "x", unit(8), 120)
	_, err := profiles.Add(t.Context(), cfg, "x", man)
	wantWords(t, err, `"x"`, "already")
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v is not ErrExist", err)
	}
	clean(t, profiles, "x")
}

// A profile that somebody broke is named, and hides no other; what a dead process left is swept up.
func TestBrokenProfiles(t *testing.T) {
	cfg, profiles := profileConfig(t)
	_, files := smallProfile(t)
	if _, err := profiles.Import(t.Context(), cfg, archive(t, ".zip", files), ""); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(profiles.Folder("good"), profileFile))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		old, new string
		words    []string
	}{
		"renamed": {"", "", []string{"renamed", `"good"`}},
		"format":  {`"format": 1`, `"format": 2`, []string{"format 2", "1 expected"}},
		"json":    {`"format"`, `format`, []string{"json", "not a profile"}},
		"length":  {`"embedding": [`, `"embedding": [2,`, []string{"embedding", "length"}},
		"pitch":   {`"median_hz"`, `"median": 3, "median_hz_"`, []string{"median_hz", "40 to 1100"}},
		"path":    {"clip-01.flac", "../../x.flac", []string{"../../x.flac"}},
		"twice":   {"clip-01.flac", "clip-02.flac", []string{"clip-02.flac"}},
	} {
		folder := profiles.Folder(name)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		broken := string(text)
		if c.old != "" {
			broken = strings.Replace(strings.Replace(broken, `"name": "good"`, `"name": "`+name+`"`, 1), c.old, c.new, 1)
		}
		if err := os.WriteFile(filepath.Join(folder, profileFile), []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		all, err := profiles.List()
		wantWords(t, err, append(c.words, name)...)
		if len(all) != 1 || all[0].Name != "good" {
			t.Errorf("%s: the list is %v", name, all)
		}
		if err := profiles.Remove(name); err != nil {
			t.Error(err)
		}
	}
	old, fresh := profiles.Folder(".new-old"), profiles.Folder(".new-fresh")
	long := time.Now().Add(-2 * forgotten)
	if err := errors.Join(os.Mkdir(old, 0o700), os.Mkdir(fresh, 0o700), os.Chtimes(old, long, long)); err != nil {
		t.Fatal(err)
	}
	putProfile(t, "other", unit(8), 200)
	clean(t, profiles, ".new-fresh", "good", "other")
}

func TestProfilesWithoutAHome(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", "relative/is/ignored")
	t.Setenv("HOME", "/srv/somebody")
	if got, want := OpenProfiles().Folder("x"), "/srv/somebody/.local/share/autovoice/profiles/x"; got != want {
		t.Errorf("folder %s, want %s", got, want)
	}
	t.Setenv("HOME", "")
	_, err := OpenProfiles().Find("x")
	wantWords(t, err, "XDG_DATA_HOME")
	_, err = OpenProfiles().List()
	wantWords(t, err, "XDG_DATA_HOME")

	t.Setenv("XDG_DATA_HOME", t.TempDir())
	if all, err := OpenProfiles().List(); all != nil || err != nil {
		t.Errorf("before the first profile: %v, %v", all, err)
	}
	if err := os.WriteFile(filepath.Join(os.Getenv("XDG_DATA_HOME"), "autovoice"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err = OpenProfiles().put("x", func(string) error { return nil })
	wantWords(t, err, "autovoice")
}

// Of many who add one name, one succeeds; who lists meanwhile sees whole profiles only.
func TestProfilesAtOnce(t *testing.T) {
	cfg, _ := profileConfig(t)
	_, files := smallProfile(t)
	exported := archive(t, ".tar.gz", files)
	const workers, rounds = 6, 5
	var wins, removals [rounds]int
	var mu sync.Mutex
	var all sync.WaitGroup
	stop, listed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(listed)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := OpenProfiles().List(); err != nil {
				t.Errorf("list: %v", err)
				return
			}
		}
	}()
	for r := range rounds {
		for w := range workers {
			all.Go(func() {
				p := OpenProfiles() // each as another process would
				_, err := p.Import(t.Context(), cfg, exported, fmt.Sprint("round-", r))
				switch {
				case err == nil:
					mu.Lock()
					wins[r]++
					mu.Unlock()
				case !errors.Is(err, fs.ErrExist):
					t.Errorf("round %d: %v", r, err)
				}
				if _, err := p.Import(t.Context(), cfg, exported, fmt.Sprint("own-", r, "-", w)); err != nil {
					t.Errorf("round %d: %v", r, err)
				}
			})
		}
		all.Wait()
		for range workers {
			all.Go(func() {
				err := OpenProfiles().Remove(fmt.Sprint("round-", r))
				switch {
				case err == nil:
					mu.Lock()
					removals[r]++
					mu.Unlock()
				case !errors.Is(err, ErrNoProfile):
					t.Errorf("round %d: %v", r, err)
				}
			})
		}
		all.Wait()
	}
	close(stop)
	<-listed
	for r := range rounds {
		if wins[r] != 1 || removals[r] != 1 {
			t.Errorf("round %d: %d made it, %d removed it, want one each", r, wins[r], removals[r])
		}
	}
	if kept, err := OpenProfiles().List(); err != nil || len(kept) != workers*rounds {
		t.Errorf("%d profiles are left, %v, want %d", len(kept), err, workers*rounds)
	}
}

// A target of 30 s of recordings costs less than 2 s of CPU with the bundled encoder.
func TestHearingIsCheap(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector slows everything down")
	}
	needRuntime(t)
	var paths []string
	seconds := 0.0
	for seconds < 30 {
		for _, path := range slices.Concat(man, woman) {
			c, err := readClip(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			paths, seconds = append(paths, path), seconds+c.seconds()
		}
	}
	before := cpuTime(t)
	study, err := Hear(t.Context(), Default(), paths)
	if err != nil {
		t.Fatal(err)
	}
	if took := cpuTime(t) - before; took > 2*time.Second {
		t.Errorf("%.1f s of recordings cost %v of CPU, want 2 s at most", seconds, took)
	} else {
		t.Logf("%.1f s of recordings cost %v of CPU; %d verdicts", seconds, took, len(study.Verdicts))
	}
}
