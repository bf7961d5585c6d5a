package infer

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/autovoiced/autovoiced/dsp"
)

// SessionOptions say how a session starts. The zero value is no pitch shift and f0 without delay.
type SessionOptions struct {
	Shift Shift
	// F0Delay is how far before the end of the newest hop the moment lies that f0 describes: the
	// pitch tracker's delay. The session delays f0 further, to what the model was trained with.
	F0Delay time.Duration
	// Seed chooses the noise; the same seed, input and settings give the same bytes.
	Seed uint64
}

// NewSession starts a conversation with one of the pack's voices: a *Voice, or a *Passthrough when
// the pack is one. The caller closes it.
func (e *Engine) NewSession(voice string, o SessionOptions) (Converter, error) {
	t, err := e.Target(voice)
	if err != nil {
		return nil, err
	}
	return e.NewTargetSession(t, o)
}

// Voice speaks with a pack's voice: log-mel and shifted pitch in, audio out, one run for each hop.
type Voice struct {
	*session
	mel   *dsp.Mel
	lag   []float32 // f0 waiting to be as old as the model expects; nil when it is already
	shift *pitchShift
	seed  uint64
	noise *dsp.Noise

	speaker atomic.Pointer[Target] // who is to speak
	speaks  *Target                // whose embedding is bound

	melIn, f0In, noiseIn, speakerIn, hop []float32
}

func newVoice(e *Engine, speaker Target, o SessionOptions) (*Voice, error) {
	if err := o.Shift.Validate(); err != nil {
		return nil, err
	}
	c := &e.contract
	lag, err := f0Lag(c, o.F0Delay)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", e.file, err)
	}
	s, err := newSession(e, speaker.Name)
	if err != nil {
		return nil, err
	}
	v := &Voice{
		session:   s,
		mel:       dsp.NewMel(c.Mel.config(c.SampleRateIn)),
		lag:       make([]float32, lag),
		shift:     newPitchShift(o.Shift, speaker.MedianHz),
		seed:      o.Seed,
		noise:     dsp.NewNoise(o.Seed),
		hop:       make([]float32, c.HopIn),
		melIn:     s.bound.in("mel"),
		f0In:      s.bound.in("f0"),
		noiseIn:   s.bound.in("noise"),
		speakerIn: s.bound.in("speaker"),
	}
	v.speaker.Store(&speaker)
	return v, nil
}

// f0Lag is the number of hops that f0 has to wait.
func f0Lag(c *Contract, delay time.Duration) (int, error) {
	const hop = time.Second / hopsPerSecond
	trained := time.Duration(c.F0DelayMS * float64(time.Millisecond))
	if delay < 0 || delay > trained+hop/2 {
		return 0, fmt.Errorf("f0 comes %v late, expected 0 to %v, as the model was trained", delay, trained)
	}
	return int((max(trained-delay, 0) + hop/2) / hop), nil
}

// Convert turns hops of the input into hops of the voice.
func (v *Voice) Convert(dst, src, f0 []float32) error {
	n, err := v.hops(dst, src)
	if err != nil {
		return err
	}
	if len(f0) != n {
		return v.wrap(fmt.Errorf("convert: %d values of f0, expected %d, one a hop", len(f0), n))
	}
	if who := v.speaker.Load(); who != v.speaks {
		copy(v.speakerIn, who.Embedding)
		v.shift.setTarget(who.MedianHz)
		v.speaks = who
	}
	in, out := len(v.hop), len(v.bound.audio)
	for i := range n {
		v.listen(src[i*in:(i+1)*in], f0[i])
		if err := v.step(dst[i*out : (i+1)*out]); err != nil {
			clear(dst[i*out:])
			return err
		}
	}
	return nil
}

// listen fills the network's inputs from one hop.
func (v *Voice) listen(hop []float32, f0 float32) {
	copy(v.hop, hop)
	if !finite(v.hop) {
		v.badInput.Add(1)
		clear(v.hop)
	}
	v.mel.Process(v.melIn, v.hop)
	if len(v.lag) > 0 {
		now := f0
		f0 = v.lag[0]
		copy(v.lag, v.lag[1:])
		v.lag[len(v.lag)-1] = now
	}
	v.f0In[0] = v.shift.step(f0)
	if v.engine.contract.Noise == "uniform" {
		v.noise.Uniform(v.noiseIn)
	} else {
		v.noise.Normal(v.noiseIn)
	}
}

// Reset forgets the past signal: the model's state, the mel window, waiting f0, the noise's place.
// What was learnt about the speaker's pitch stays: it is still the same speaker.
func (v *Voice) Reset() {
	v.bound.reset()
	v.mel.Reset()
	clear(v.lag)
	v.shift.reset()
	v.noise.Seed(v.seed)
}

// SetShift changes the pitch shift from the next hop on; it slides there. From any goroutine.
func (v *Voice) SetShift(s Shift) error { return v.shift.set(s) }

// Shift is the pitch shift as it is now, in semitones, auto's part included. From any goroutine.
func (v *Voice) Shift() float64 { return v.shift.now() }

// KnowSpeaker tells the pitch that the speaker is at home at, so that the automatic shift is right from
// the start and stays. The owner calls it, before the first Convert.
func (v *Voice) KnowSpeaker(medianHz float64) { v.shift.know(medianHz) }

// SetVoice makes another voice of the same pack speak from the next Convert on. From any goroutine.
func (v *Voice) SetVoice(name string) error {
	t, err := v.engine.Target(name)
	if err != nil {
		return err
	}
	return v.SetTarget(t)
}

// VoiceName is the voice that speaks from the next Convert on. From any goroutine.
func (v *Voice) VoiceName() string { return v.speaker.Load().Name }
