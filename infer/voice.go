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
	// Hops is how many hops Convert is mostly given at a time. Where the pack has a graph for more
	// than one, the session runs as many of them at once as fit; the rest of a call hop by hop. What
	// comes out differs by rounding alone. 0 is one.
	Hops int
	// Live says that hops come as time passes and are waited for: such sessions of one engine share its runs when many
	// speak at once. One that converts a file has runs of its own.
	Live bool
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

// Voice speaks with a pack's voice: log-mel and shifted pitch in, audio out, in the tone of the target.
type Voice struct {
	*session
	mel   *dsp.Mel
	lag   []float32 // f0 waiting to be as old as the model expects; nil when it is already
	shift *pitchShift
	seed  uint64
	noise *dsp.Noise

	speaker atomic.Pointer[speaking] // who is to speak
	speaks  *speaking                // whose embedding is bound
	tone    *dsp.FIR

	speakerIn, hop, frame []float32
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
	s, err := newSession(e, speaker.Name, o.Hops)
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
		frame:     make([]float32, c.Mel.Bands),
		speakerIn: s.bound.in("speaker"),
		tone:      dsp.NewFIR(toneTaps),
	}
	v.speaker.Store(e.speaking(speaker))
	if o.Live {
		s.seat = e.batch.join(s.bound)
	}
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
	in, out := len(v.hop), len(v.bound.single.audio)
	if v.seat != nil {
		v.seat.begin(n)
	}
	for i := 0; i < n; {
		g, run := v.bound.single, v.step
		if more := v.bound.more; more != nil && n-i >= more.hops && (v.seat == nil || !v.seat.batcher.crowded()) {
			g, run = more, v.leap
		}
		for h := range g.hops {
			v.listen(g, h, src[(i+h)*in:(i+h+1)*in], f0[i+h])
		}
		if err := run(dst[i*out : (i+g.hops)*out]); err != nil {
			clear(dst[i*out:])
			return err
		}
		v.colour(dst[i*out : (i+g.hops)*out])
		i += g.hops
	}
	return nil
}

// listen fills the graph's inputs for one of its hops.
func (v *Voice) listen(g *graph, at int, hop []float32, f0 float32) {
	copy(v.hop, hop)
	if !finite(v.hop) {
		v.badInput.Add(1)
		clear(v.hop)
	}
	v.mel.Process(v.frame, v.hop)
	g.put(at, v.frame)
	if len(v.lag) > 0 {
		now := f0
		f0 = v.lag[0]
		copy(v.lag, v.lag[1:])
		v.lag[len(v.lag)-1] = now
	}
	g.f0[at] = v.shift.step(f0)
	each := len(g.noise) / g.hops
	if noise := g.noise[at*each : (at+1)*each]; v.engine.contract.Noise == "uniform" {
		v.noise.Uniform(noise)
	} else {
		v.noise.Normal(noise)
	}
}

// colour gives hops that the model has said the target's tone. Another target's comes over the first of them.
func (v *Voice) colour(hops []float32) {
	n := len(v.bound.single.audio)
	for ; len(hops) > 0; hops = hops[n:] {
		hop := hops[:n]
		v.tone.Process(hop, v.speaks.filter)
		if len(v.speaks.filter) > 0 && !finite(hop) { // what was next to infinity
			v.badOutput.Add(1)
			clear(hop)
		}
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
	v.tone.Reset()
}

// Succeed makes the voice take over in mid-signal from another, as if it had heard all that the other has:
// what the model remembers, the mel window, waiting f0, the noise's place, what the tone's filter has heard. It says whether that was
// possible, which takes a voice of the same engine; what is known of the speaker's pitch comes over from
// any voice. It allocates nothing and is called by the goroutine that owns both.
func (v *Voice) Succeed(previous any) bool {
	p, ok := previous.(*Voice)
	if !ok {
		return false
	}
	v.shift.succeed(p.shift)
	if v.engine != p.engine || len(v.lag) != len(p.lag) || !v.bound.succeed(p.bound) {
		return false
	}
	v.mel.Succeed(p.mel)
	copy(v.lag, p.lag)
	*v.noise = *p.noise
	v.tone.Succeed(p.tone)
	return true
}

// SetShift changes the pitch shift from the next hop on; it slides there. From any goroutine.
func (v *Voice) SetShift(s Shift) error { return v.shift.set(s) }

// Shift is the pitch shift as it is now, in semitones, auto's part included. From any goroutine.
func (v *Voice) Shift() float64 { return v.shift.now() }

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
