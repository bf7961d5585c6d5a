package song

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream"
	"github.com/autovoiced/autovoiced/stream/media"
)

// The rates in Hz that a result may have.
const (
	MinRate = 16000
	MaxRate = 48000
)

// Silence is the gain in dB, and below, that is none at all.
const Silence = -48

// What went wrong: an error of Convert is of one of these when it is not the voice's or the separator's.
var (
	ErrOption = errors.New("option")
	ErrSong   = errors.New("song")   // cannot be read, or used
	ErrF0     = errors.New("f0")     // that was given does not fit
	ErrResult = errors.New("result") // cannot be written
)

// Singer is who sings instead: a pack's engine, and one of its voices or anybody whose embedding fits. The engine is
// shared and stays open.
type Singer struct {
	Engine *infer.Engine
	Target infer.Target
}

// Options say how a song shall sound. Default gives those to begin with.
type Options struct {
	// Preset is one of infer.Presets: from the quickest to the best.
	Preset string
	// Separator is a model that infer.NewSeparator knows, "" for the best that is installed, or infer.SeparatorNone for
	// recordings of a voice alone.
	Separator string
	// NewSeparator makes the separator, which is closed when the song is done; nil is infer.NewSeparator.
	NewSeparator func(name, preset string) (infer.Separator, error)
	// Gate takes the room away in the pauses of a recording of a voice alone; nil does nothing. It is not used where
	// there is music.
	Gate *stream.SeparationConfig
	// MinHz and MaxHz bound the pitches that are looked for: 50 Hz at least, 1200 at most, MaxHz twice MinHz or more. Default
	// has 50 to 1100, all that people sing.
	MinHz, MaxHz float64
	// Shift in semitones. Auto moves the singer's median to where the target is at home: exactly where there is only a voice,
	// by whole octaves where there is music, so that both stay in tune; Semitones come on top.
	Shift infer.Shift
	// F0 is the pitch of the voice in the song where it is known: Hz for each 10 ms, the first at 0, 0 where unvoiced.
	// nil: it is looked for.
	F0 []float32

	// Rate of the result in Hz, MinRate to MaxRate; 0 is the song's own or, if it is outside, the nearest to it.
	Rate   int
	Format media.Format // WAV or FLAC
	PCM    dsp.PCM      // of the result's samples

	// Gains in dB, Silence to 24.
	VocalGainDB, MusicGainDB float64
	// Dry is how much of the original voice is left, from 0 to 1.
	Dry float64
	// CeilingDB is what no sample exceeds, -24 to 0 dBFS. A song that is louder keeps its own peak.
	CeilingDB float64

	// Profile is told, once the song is done, each stage's share of the time and their total. What it does wrong
	// concerns nobody else. May be nil.
	Profile stream.ProfilingFunc
	// Timings wants the same in the result. Without it and Profile nothing is measured.
	Timings bool
	// Progress hears how far the song is, a few times a second, from one goroutine that ends before Convert does. May be nil.
	Progress func(Progress)
}

// Default is the preset balanced, an automatic shift, and a 16-bit WAV file.
func Default() Options {
	return Options{
		Preset: infer.PresetBalanced, MinHz: 50, MaxHz: 1100, Shift: infer.Shift{Auto: true},
		Format: media.WAV, PCM: dsp.S16LE, CeilingDB: -1,
	}
}

// Validate names the first option that is out of range.
func (o *Options) Validate() error {
	gain := func(db float64) bool { return db >= Silence && db <= 24 }
	switch {
	case !slices.Contains(infer.Presets(), o.Preset):
		return fmt.Errorf("'preset' is %q, allowed: %v", o.Preset, infer.Presets())
	case o.Rate != 0 && (o.Rate < MinRate || o.Rate > MaxRate):
		return fmt.Errorf("'sample_rate' is %d, allowed: %d to %d Hz, or 0 for the song's own", o.Rate, MinRate, MaxRate)
	case !gain(o.VocalGainDB):
		return fmt.Errorf("'vocal_gain_db' is %g, allowed: %d (silence) to 24", o.VocalGainDB, Silence)
	case !gain(o.MusicGainDB):
		return fmt.Errorf("'music_gain_db' is %g, allowed: %d (silence) to 24", o.MusicGainDB, Silence)
	case !(o.Dry >= 0 && o.Dry <= 1):
		return fmt.Errorf("'dry' is %g, allowed: 0 to 1", o.Dry)
	case !(o.CeilingDB >= -24 && o.CeilingDB <= 0):
		return fmt.Errorf("'ceiling_db' is %g, allowed: -24 to 0", o.CeilingDB)
	}
	if err := o.Shift.Validate(); err != nil {
		return err
	}
	return dsp.PitchConfig{Rate: trackRate, Fmin: o.MinHz, Fmax: o.MaxHz}.Validate()
}

// How the pitch of a song became known.
const (
	PitchGiven = "given"                    // as Options.F0
	PitchLive  = "autocorrelation"          // what the live tracker hears, with a look ahead
	PitchJoint = "autocorrelation+swift-f0" // the same joined with what a network guesses
)

// Result is what became of a song.
type Result struct {
	Voice      string
	Separation string    // the model's name, infer.SeparatorNone where nothing was separated
	Pitch      string    // how it was followed: PitchGiven, PitchLive or PitchJoint
	PitchShift float64   // semitones, as applied
	F0         []float32 // the voice's pitch as it was followed or given, as Options.F0
	SingerHz   float64   // the median pitch in the song; 0 where nobody sings
	Voiced     float64   // seconds of the song that have a pitch
	Rate       int
	Channels   int
	Frames     int64
	Clipped    int // samples beyond full scale in the result, set to it
	Song       time.Duration
	Elapsed    time.Duration
	// Timings are zero unless they were asked for.
	Timings Timings
	// Models are those that were asked, in the order of the stages, and where they ran.
	Models []Model
	// Notes say what a listener should know, one a sentence.
	Notes []string
}

// Model is one that a song was made with.
type Model struct {
	Stage, Name string
	Provider    infer.Provider
	Warnings    []string // how that differs from what was asked for
}

// RTF is the time that it took over the song's.
func (r *Result) RTF() float64 { return r.Elapsed.Seconds() / max(r.Song.Seconds(), 1e-9) }

// Convert has the song in the file in, of any format that stream/media reads, sung or spoken by another voice, with its music
// as it was, and writes the result to the file out, which comes into being only when all went well.
//
// Opening voices and separators is not part of the time that is measured. ctx ends it early, with its error and no debris.
func Convert(ctx context.Context, in, out string, singer Singer, o Options) (Result, error) {
	return newJob(in, out, singer, o).convert(ctx)
}

// job is one song on its way.
type job struct {
	o       Options
	in, out string
	singer  Singer
	began   time.Time
	clock   *clock
	done    [stages]counter // seconds of the song that a stage is through with
	length  counter         // of the song in seconds, once it is known

	piece     int            // frames that are read at once
	song      *media.Decoder // what the header says; opened again for each reading
	rate      int            // of the song
	channels  int
	separator infer.Separator // nil: everything is voice
	tape      *tape           // the vocals; nil: the song itself
	reel      reel
	heard     heard

	result Result
}

func newJob(in, out string, singer Singer, o Options) *job {
	if o.NewSeparator == nil {
		o.NewSeparator = infer.NewSeparator
	}
	return &job{o: o, in: in, out: out, singer: singer, piece: readFrames, reel: reel{most: mostKept}}
}

func (j *job) convert(ctx context.Context) (Result, error) {
	if err := j.o.Validate(); err != nil {
		return Result{}, fmt.Errorf("%w: %w", ErrOption, err)
	}
	err := j.open()
	if err == nil {
		j.began = time.Now()
		if j.o.Profile != nil || j.o.Timings || j.o.Progress != nil {
			j.clock = newClock()
		}
		err = j.progress(ctx, j.run)
	}
	if err = errors.Join(err, j.close()); err != nil {
		return Result{}, err
	}
	j.tell()
	return j.result, nil
}

// open looks at everything that can be wrong before anything is computed.
func (j *job) open() error {
	song, err := media.Open(j.in)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSong, err)
	}
	j.song, j.rate, j.channels = song, song.Rate(), song.Channels()
	if j.rate > dsp.MaxRate {
		return fmt.Errorf("%w: %s: sample rate of %d Hz, possible are %d to %d Hz", ErrSong, j.in, j.rate, dsp.MinRate, dsp.MaxRate)
	}
	if n := song.Frames(); n > 0 {
		if err := j.checkLength(n); err != nil {
			return err
		}
		j.length.set(seconds(n, j.rate))
	}
	if err := j.checkF0(); err != nil {
		return err
	}
	contract := j.singer.Engine.Contract()
	if have, takes := len(j.singer.Target.Embedding), contract.SpeakerSize(); have != takes {
		return fmt.Errorf("%w: %s has an embedding of %d values, pack %s takes %d", infer.ErrWrongTarget, j.singer.Target.Name, have, contract.Name, takes)
	}
	j.result = Result{Voice: j.singer.Target.Name, Separation: infer.SeparatorNone, Pitch: PitchGiven, Rate: j.o.Rate, Channels: j.channels}
	if j.result.Rate == 0 {
		j.result.Rate = max(MinRate, min(MaxRate, j.rate))
	}
	return j.openSeparator()
}

func (j *job) openSeparator() error {
	s, err := j.o.NewSeparator(j.o.Separator, j.o.Preset)
	if err != nil {
		return err
	}
	if s.Name() == infer.SeparatorNone {
		return s.Close()
	}
	if n := s.Channels(); n != 2 {
		return errors.Join(fmt.Errorf("separator %s has %d channels, expected 2", s.Name(), n), s.Close())
	}
	j.separator, j.result.Separation = s, s.Name()
	provider, warnings := infer.Placement(s)
	j.result.Models = append(j.result.Models, Model{stageNames[separation], s.Name(), provider, warnings})
	if j.tape, err = newTape(filepath.Dir(j.out), j.channels); err != nil {
		return fmt.Errorf("%w: %w", ErrResult, err)
	}
	return nil
}

// Shortest is the shortest song that can be worked with.
const Shortest = 50 * time.Millisecond

func (j *job) checkLength(frames int64) error {
	if d := stream.FramesToTime(uint64(frames), j.rate); d < Shortest {
		return fmt.Errorf("%w: %s: %v of sound, at least %v are needed", ErrSong, j.in, d.Round(time.Millisecond), Shortest)
	}
	return nil
}

// checkF0 holds a curve that was given against a song whose length is known.
func (j *job) checkF0() error {
	frames := j.heard.frames
	if frames == 0 && j.song != nil {
		frames = j.song.Frames()
	}
	return CheckF0(j.o.F0, frames, j.rate)
}

// CheckF0 says whether Options.F0 fits a song of so many frames: ErrF0. nil fits each, and all fit a song of unknown length, 0.
func CheckF0(f0 []float32, frames int64, rate int) error {
	if f0 == nil || frames == 0 {
		return nil
	}
	need := int(frames * curveRate / int64(rate))
	if have := len(f0); have < need || have > need+2*curveRate {
		return fmt.Errorf("%w: %d values beside a song of %.2f s, expected %d: one each 10 ms", ErrF0, have, seconds(frames, rate), need)
	}
	return nil
}

func (j *job) run(ctx context.Context) error {
	if err := j.listen(ctx); err != nil {
		return err
	}
	if err := j.together(ctx, actor{f0Extraction, func(context.Context) error { return j.judge() }}); err != nil {
		return err
	}
	if err := j.perform(ctx); err != nil {
		return err
	}
	j.models()
	j.result.Song = stream.FramesToTime(uint64(j.heard.frames), j.rate)
	j.result.Elapsed = time.Since(j.began)
	j.result.Timings = j.clock.timings()
	return nil
}

// judge decides what the listening was for: whether somebody sings, and by how much to shift them.
func (j *job) judge() error {
	if err := j.checkLength(j.heard.frames); err != nil {
		return err
	}
	if n := j.heard.invalid; n > 0 {
		return fmt.Errorf("%w: %s: %d samples are not finite numbers (NaN or infinite)", ErrSong, j.in, n)
	}
	if err := j.checkF0(); err != nil {
		return err
	}
	j.length.set(seconds(j.heard.frames, j.rate))
	j.heard.settle(j.o)
	if j.tape != nil && !j.heard.music() {
		// There is nothing to part it from: the recording itself is a better voice than what separation left of it.
		if err := j.tape.close(); err != nil {
			return err
		}
		j.tape = nil
	}
	j.result.F0 = j.heard.curve
	j.result.SingerHz = j.heard.curve.median()
	j.result.Voiced = float64(j.heard.curve.voiced()) / curveRate
	j.result.PitchShift = j.shift()
	j.notes()
	return nil
}

// models says who followed the pitch and who sang; who separated has been said.
func (j *job) models() {
	add := func(s stage, name string, p infer.Provider, warnings []string) {
		j.result.Models = append(j.result.Models, Model{stageNames[s], name, p, warnings})
	}
	p, warnings := infer.Placement(nil)
	if j.heard.model != "" {
		add(f0Extraction, j.heard.model, p, warnings)
	}
	if !j.heard.nobody() {
		e := j.singer.Engine
		add(conversion, e.Contract().Name, e.Provider(), e.Warnings())
	}
}

// shift is by how many semitones to move the singer.
func (j *job) shift() float64 {
	s := j.o.Shift.Semitones
	home := j.singer.Target.MedianHz
	if j.o.Shift.Auto && home > 0 && j.result.SingerHz > 0 {
		move := 12 * math.Log2(home/j.result.SingerHz)
		if j.heard.music() {
			move = 12 * math.Round(move/12)
		}
		s += move
	}
	return max(-infer.MaxShift, min(infer.MaxShift, s))
}

func (j *job) notes() {
	note := func(format string, args ...any) {
		j.result.Notes = append(j.result.Notes, fmt.Sprintf(format, args...))
	}
	if j.separator == nil && j.o.Separator == "" {
		note("nothing that takes voice and music apart is installed, so all was taken for voice: `make deps` installs it")
	}
	if j.heard.nobody() {
		note("no voice was found: the result is the song as it was")
	}
	if j.separator != nil && !j.heard.music() && !j.heard.nobody() {
		note("no music was found beside the voice: the recording was converted whole")
	}
	if n := j.heard.clipped; n > 0 && float64(n) > 1e-3*float64(j.heard.frames) {
		note("the song is clipped: %d samples (%.1f %%) are at full scale", n, 100*float64(n)/float64(j.heard.frames*int64(j.channels)))
	}
	if n := j.song.FileChannels(); n > 2 {
		note("the song has %d channels; they were mixed to two", n)
	}
}

func (j *job) close() error {
	var errs []error
	if j.separator != nil {
		errs = append(errs, j.separator.Close())
	}
	if j.tape != nil {
		errs = append(errs, j.tape.close())
	}
	if j.song != nil {
		errs = append(errs, j.song.Close())
	}
	return errors.Join(errs...)
}

func seconds(frames int64, rate int) float64 { return float64(frames) / float64(rate) }
