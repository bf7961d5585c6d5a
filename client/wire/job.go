package wire

import (
	"math"
	"time"
)

// The presets of a conversion. PresetLive is that of a stream.
const (
	PresetFast     = "fast"
	PresetBalanced = "balanced"
	PresetQuality  = "quality"
	PresetLive     = "live"
)

// The formats of a result.
const (
	FormatWAV  = "wav"
	FormatFLAC = "flac"
)

// The samples of a result: integers of 16 or 24 bits, or floats of 32, which only WAV has.
const (
	SamplesS16 = "s16"
	SamplesS24 = "s24"
	SamplesF32 = "f32"
)

// The rates in Hz that a result may have.
const (
	MinResultRate = 16000
	MaxResultRate = 48000
)

// Convert is the part "options" of POST /v1/convert: how the song in the part "song" shall sound. What is left out is
// as the daemon is set.
type Convert struct {
	// Voice is a name from GET /v1/voices, Profile one from GET /v1/profiles; at most one is given.
	Voice   string `json:"voice,omitempty"`
	Profile string `json:"profile,omitempty"`
	// Preset is one of fast, balanced and quality; empty is balanced.
	Preset string      `json:"preset,omitempty"`
	Pitch  *PitchShift `json:"pitch_shift_semitones,omitempty"`
	// SampleRate of the result in Hz, MinResultRate to MaxResultRate; 0 is the song's own, or the nearest to it.
	SampleRate int `json:"sample_rate,omitempty"`
	// Format is wav or flac; empty is wav.
	Format string `json:"format,omitempty"`
	// Samples are s16, s24 or, in WAV, f32; empty is s16.
	Samples string `json:"samples,omitempty"`
	// VocalGainDB and MusicGainDB are -2·MaxGainDB to MaxGainDB; the least is silence.
	VocalGainDB float64 `json:"vocal_gain_db,omitempty"`
	MusicGainDB float64 `json:"music_gain_db,omitempty"`
}

// DecodeConvert reads the options of a job. Fields that it does not know are refused, so that a misspelt setting is
// not silently left out; nothing at all is the daemon's settings.
func DecodeConvert(data []byte) (Convert, *Error) {
	var c Convert
	if len(data) == 0 {
		return c, nil
	}
	if len(data) > MaxControl {
		return c, Errorf(CodeTooLarge, "options", "options of %d bytes, at most %d", len(data), MaxControl)
	}
	if err := decodeStrict(data, &c); err != nil {
		return c, err
	}
	return c, c.Validate()
}

// Validate says what is out of range.
func (c *Convert) Validate() *Error {
	switch {
	case c.Voice != "" && c.Profile != "":
		return Errorf(CodeBadParam, "profile", "both voice and profile are given, want one")
	case c.Preset != "" && c.Preset != PresetFast && c.Preset != PresetBalanced && c.Preset != PresetQuality:
		return Errorf(CodeBadParam, "preset", "preset %q, want %q, %q or %q", c.Preset, PresetFast, PresetBalanced, PresetQuality)
	case c.SampleRate != 0 && (c.SampleRate < MinResultRate || c.SampleRate > MaxResultRate):
		return Errorf(CodeBadParam, "sample_rate", "%d Hz, want %d to %d, or 0 for the song's own", c.SampleRate, MinResultRate, MaxResultRate)
	case c.Format != "" && c.Format != FormatWAV && c.Format != FormatFLAC:
		return Errorf(CodeBadParam, "format", "format %q, want %q or %q", c.Format, FormatWAV, FormatFLAC)
	case c.Samples != "" && c.Samples != SamplesS16 && c.Samples != SamplesS24 && c.Samples != SamplesF32:
		return Errorf(CodeBadParam, "samples", "samples %q, want %q, %q or %q", c.Samples, SamplesS16, SamplesS24, SamplesF32)
	case c.Samples == SamplesF32 && c.Format == FormatFLAC:
		return Errorf(CodeBadParam, "samples", "samples %q in FLAC, which has %q and %q; WAV has all", c.Samples, SamplesS16, SamplesS24)
	}
	return first(c.Pitch.validate(), validateGain("vocal_gain_db", c.VocalGainDB), validateGain("music_gain_db", c.MusicGainDB))
}

func (*Convert) kind() string { return "options" }

func validateGain(param string, db float64) *Error {
	if math.IsNaN(db) || db < -2*MaxGainDB || db > MaxGainDB {
		return Errorf(CodeBadParam, param, "%v dB, want %d to %d", db, -2*MaxGainDB, MaxGainDB)
	}
	return nil
}

// JobState is where a job stands.
type JobState string

// A job goes from queued to running to one of the three that are final.
const (
	JobQueued    JobState = "queued"
	JobRunning   JobState = "running"
	JobDone      JobState = "done"
	JobFailed    JobState = "failed"
	JobCancelled JobState = "cancelled"
)

// Final says that nothing about the job will change any more.
func (s JobState) Final() bool { return s == JobDone || s == JobFailed || s == JobCancelled }

// Job is one song on its way: the answer of /v1/convert/{id}, and each event of /v1/convert/{id}/events.
type Job struct {
	ID    string   `json:"id"`
	Name  string   `json:"name"` // of the uploaded file
	State JobState `json:"state"`
	// Ahead is how many jobs are before this one while it is queued.
	Ahead   int       `json:"ahead,omitempty"`
	Created time.Time `json:"created"`
	// Stage is the one that takes longest now: separation, f0_extraction, conversion or mixing; empty while nothing runs.
	Stage string `json:"stage"`
	// Progress of the whole, 0 to 1.
	Progress       float64 `json:"progress"`
	AudioSeconds   float64 `json:"audio_seconds"` // of the song; 0 while it is not known
	ElapsedSeconds float64 `json:"elapsed_seconds"`
	Speed          float64 `json:"speed"` // times real time so far, of the whole
	// ETASeconds is how long it may still take; 0 while that is not known.
	ETASeconds float64    `json:"eta_seconds"`
	Error      *Error     `json:"error,omitempty"`
	Result     *JobResult `json:"result,omitempty"`
	// Expires is when the job and its result are forgotten; absent while it is not final.
	Expires *time.Time `json:"expires,omitempty"`
}

// Jobs are the songs of a daemon, in its status.
type Jobs struct {
	Queued int `json:"queued"`
	// Running are those that are being converted, oldest first.
	Running []Job `json:"running"`
	// Ended counts since the start, by state: done, failed and cancelled.
	Ended map[JobState]uint64 `json:"ended"`
}

// Model is one that a song was made with. Of a voice and a separator the provider is the one that was asked for, or says why not.
type Model struct {
	Stage    string   `json:"stage"`
	Name     string   `json:"name"`
	Provider Provider `json:"provider"`
}

// JobResult is what a job has done.
type JobResult struct {
	URL        string  `json:"url"` // of the file, relative to the daemon
	Format     string  `json:"format"`
	Samples    string  `json:"samples"`
	Rate       int     `json:"rate"`
	Channels   int     `json:"channels"`
	Frames     uint64  `json:"frames"`
	Voice      string  `json:"voice"`
	PitchShift float64 `json:"pitch_shift_semitones"` // as applied
	RTF        float64 `json:"rtf"`                   // computing time over the song's
	// Separation is what parted voice and music: the name of a model, or none.
	Separation string `json:"separation"`
	// StageTimingsMS is each stage's share of the time, and their total.
	StageTimingsMS map[string]float64 `json:"stage_timings_ms"`
	Provider       Provider           `json:"provider"` // of the voice
	TensorRT       *TensorRT          `json:"tensorrt,omitempty"`
	// Models are those that the song was made with, in the order of the stages, and where each ran.
	Models []Model `json:"models,omitempty"`
	// Notes say what a listener should know, one a sentence: that nobody sings, that the song is clipped.
	Notes []string `json:"notes,omitempty"`
}
