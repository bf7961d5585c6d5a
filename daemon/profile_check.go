package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/autovoiced/autovoiced/infer"
)

// What recordings of a speaker are held against.
const (
	leastSpeech  = 5 * time.Second  // in all; less does not make a target
	enoughSpeech = 10 * time.Second // in all; less makes a worse one
	usefulSpeech = time.Second / 2  // in a clip; one with less is left out
	noisySNR     = 15               // dB
	clippedShare = 0.0002
	maxClips     = 64
)

// The codes of a Verdict.
const (
	verdictTooShort = "too_short"
	verdictShort    = "short"
	verdictSilent   = "silent"
	verdictCut      = "cut"
	verdictClipped  = "clipped"
	verdictNoisy    = "noisy"
	verdictSpeakers = "several_speakers"
	verdictNoTone   = "no_tone"
)

// Verdict is something that is wrong with the recordings of a speaker.
type Verdict struct {
	Clip    string `json:"clip,omitempty"` // which recording; empty for all of them together
	Code    string `json:"code"`
	Message string `json:"message"` // says the clip as well
	Refused bool   `json:"refused,omitempty"`
}

// RefusedError is what recordings get that make no target.
type RefusedError struct{ Verdicts []Verdict }

func (e *RefusedError) Error() string {
	var texts []string
	for _, v := range e.Verdicts {
		texts = append(texts, v.Message)
	}
	return "the recordings do not make a voice: " + strings.Join(texts, "; ")
}

// unreadableError is a recording that cannot be read.
type unreadableError struct{ error }

func (e *unreadableError) Unwrap() error { return e.error }

// Clip is one recording that a target was made of, as it is kept and as it was measured.
type Clip struct {
	File           string  `json:"file"`   // in the profile's folder
	Source         string  `json:"source"` // the name of the file that was given
	Bytes          int64   `json:"bytes"`
	SHA256         string  `json:"sha256"`
	Rate           int     `json:"rate"`
	Seconds        float64 `json:"seconds"`
	SpeechSeconds  float64 `json:"speech_seconds"`
	SNRDB          float64 `json:"snr_db"` // at most 60
	PeakDBFS       float64 `json:"peak_dbfs"`
	ClippedPercent float64 `json:"clipped_percent"`
	MedianHz       float64 `json:"median_hz"`
}

// Study is what was learnt of a speaker.
type Study struct {
	MedianHz      float64   `json:"median_hz"`
	SpeechSeconds float64   `json:"speech_seconds"`
	Encoder       Encoder   `json:"encoder"`
	Embedding     []float32 `json:"embedding"`
	Tone          []float32 `json:"tone,omitempty"` // see infer.Target; of the pack that spoke as the profile when it was made
	Clips         []Clip    `json:"clips"`
	Verdicts      []Verdict `json:"verdicts,omitempty"`
}

// Encoder says which speaker encoder made an embedding: those of different ones do not compare.
type Encoder struct {
	Name string `json:"name"`
	ID   string `json:"id"`
}

// Target is the speaker under a name.
func (s *Study) Target(name string) infer.Target {
	return infer.Target{Name: name, Embedding: s.Embedding, MedianHz: s.MedianHz, Tone: s.Tone}
}

// Hear makes a target of recordings without keeping them. What is wrong with them stands in the
// verdicts; when it is too much, the error is a *RefusedError.
func Hear(ctx context.Context, cfg Config, paths []string) (*Study, error) {
	s, _, err := hear(ctx, cfg, paths)
	return s, err
}

// hear also returns the clips that the study is made of, in its order.
func hear(ctx context.Context, cfg Config, paths []string) (study *Study, kept []*clip, err error) {
	if len(paths) == 0 || len(paths) > maxClips {
		return nil, nil, fmt.Errorf("%d recordings, expected 1 to %d", len(paths), maxClips)
	}
	encoder, err := infer.NewSpeakerEncoder(cfg.Infer)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, encoder.Close()) }()
	s := &student{encoder: encoder}
	for _, path := range paths {
		c, err := readClip(ctx, path)
		if err != nil {
			return nil, nil, &unreadableError{err}
		}
		if err := s.take(c); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if study, err = s.conclude(); err != nil {
		return nil, nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	s.tune(cfg)
	return study, s.clips, nil
}

// student gathers what clips say about a speaker.
type student struct {
	encoder *infer.SpeakerEncoder
	study   Study
	clips   []*clip
	windows [][]infer.SpeakerWindow // by clip
	pitches []float64
	speech  time.Duration
}

func (s *student) say(clip, code, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if clip != "" {
		text = clip + ": " + text
	}
	s.study.Verdicts = append(s.study.Verdicts, Verdict{Clip: clip, Code: code, Message: text})
}

// take hears one more clip.
func (s *student) take(c *clip) error {
	signal := c.at(s.encoder.Rate())
	h := hearSpeech(signal, s.encoder.Rate())
	if c.cut {
		s.say(c.source, verdictCut, "longer than %.0f s, only the first %.0f s are heard", maxClip.Seconds(), maxClip.Seconds())
	}
	if h.speech < usefulSpeech {
		s.say(c.source, verdictSilent, "silent, or without a voice in it (peak %.0f dBFS): left out", c.peak())
		return nil
	}
	windows, err := s.encoder.Windows(signal)
	if err != nil {
		return err
	}
	if len(windows) == 0 {
		s.say(c.source, verdictSilent, "hardly any speech between long silences: left out")
		return nil
	}
	flat := c.flatTops()
	if flat < clippedShare {
		flat = c.ledge()
	}
	if flat >= clippedShare {
		s.say(c.source, verdictClipped, "clipped: %.2f %% of its samples stand at its peak; record it at a lower level", 100*flat)
	}
	if two := c.speakTogether(); two >= pairShare {
		s.say(c.source, verdictSpeakers, "several speakers: two voices at once in %.0f %% of it, or music; use a recording of one person alone", 100*two)
	}
	if h.snr < noisySNR {
		s.say(c.source, verdictNoisy, "noisy: the voice is about %.0f dB above the noise, better are %d dB or more", h.snr, noisySNR)
	}
	s.clips, s.windows = append(s.clips, c), append(s.windows, windows)
	s.pitches, s.speech = append(s.pitches, h.pitches...), s.speech+h.speech
	s.study.Clips = append(s.study.Clips, Clip{
		Source: c.source, Rate: min(c.rate, maxClipRate), Seconds: c.seconds(), SpeechSeconds: h.speech.Seconds(),
		SNRDB: h.snr, PeakDBFS: c.peak(), ClippedPercent: 100 * flat, MedianHz: percentile(h.pitches, 0.5),
	})
	return nil
}

// conclude makes the target of all that was heard.
func (s *student) conclude() (*Study, error) {
	if s.speech < leastSpeech {
		s.say("", verdictTooShort, "%.1f s of speech in all, at least %.0f s are needed, and %.0f s or more are better",
			s.speech.Seconds(), leastSpeech.Seconds(), enoughSpeech.Seconds())
		s.study.Verdicts[len(s.study.Verdicts)-1].Refused = true
		return nil, &RefusedError{s.study.Verdicts}
	}
	if s.speech < enoughSpeech {
		s.say("", verdictShort, "only %.1f s of speech in all, %.0f s or more make a better voice", s.speech.Seconds(), enoughSpeech.Seconds())
	}
	s.compareSpeakers()
	var all []infer.SpeakerWindow
	for _, w := range s.windows {
		all = append(all, w...)
	}
	embedding, err := infer.MeanEmbedding(all)
	if err != nil {
		return nil, err
	}
	s.study.Embedding, s.study.MedianHz, s.study.SpeechSeconds = embedding, percentile(s.pitches, 0.5), s.speech.Seconds()
	s.study.Encoder = Encoder{Name: s.encoder.Name(), ID: s.encoder.ID()}
	return &s.study, nil
}
