package dsp

import "math"

// Crossfade goes from one signal to another over a fixed number of samples, then stays with the other.
type Crossfade struct {
	out, in []float32 // gains
	at      int
}

// NewCrossfade plans an equal-power fade over n samples, for signals that have nothing to do with each
// other: the gains' squares add up to 1, so the power stays. Signals that are alike swell by up to
// 3 dB in the middle; use NewMatchedCrossfade for them.
func NewCrossfade(n int) *Crossfade {
	return newCrossfade(n, func(t float64) (out, in float64) {
		in, out = math.Sincos(t * math.Pi / 2)
		return out, in
	})
}

// NewMatchedCrossfade plans an equal-gain fade over n samples, for signals that are alike: the gains
// add up to 1, along half a cosine.
func NewMatchedCrossfade(n int) *Crossfade {
	return newCrossfade(n, func(t float64) (out, in float64) {
		in = 0.5 - 0.5*math.Cos(t*math.Pi)
		return 1 - in, in
	})
}

// newCrossfade takes the gains in the middle of each sample, so that both directions mirror each other.
func newCrossfade(n int, gains func(t float64) (out, in float64)) *Crossfade {
	if n < 0 {
		panic("dsp: negative crossfade")
	}
	c := &Crossfade{out: make([]float32, n), in: make([]float32, n)}
	for i := range n {
		out, in := gains((float64(i) + 0.5) / float64(n))
		c.out[i], c.in[i] = float32(out), float32(in)
	}
	return c
}

// Len is the length of the fade in samples.
func (c *Crossfade) Len() int { return len(c.in) }

// Done says that the fade is over: only the second signal is heard.
func (c *Crossfade) Done() bool { return c.at == len(c.in) }

// Process mixes the next samples of from and to into dst, all of equal length and any length. dst may
// be from or to.
func (c *Crossfade) Process(dst, from, to []float32) {
	if len(dst) != len(from) || len(dst) != len(to) {
		panic("dsp: length mismatch")
	}
	out, in := c.out[c.at:], c.in[c.at:]
	n := min(len(in), len(dst))
	for i := range n {
		dst[i] = out[i]*from[i] + in[i]*to[i]
	}
	copy(dst[n:], to[n:])
	c.at += n
}

// Reset starts the fade anew.
func (c *Crossfade) Reset() { c.at = 0 }
