package daemon

import (
	"math"

	"github.com/autovoiced/autovoiced/dsp"
)

// flatTops is the share of samples that stand in a row at the clip's very peak, as they do where
// something on the way was driven beyond its full scale, even if the level was lowered afterwards.
func (c *clip) flatTops() float64 {
	const row, quietest = 3, 0.1
	peak := dsp.Peak(c.samples)
	if peak < quietest {
		return 0
	}
	least, flat := peak*(1-1e-4), 0
	for i := 0; i < len(c.samples); {
		side := math.Copysign(1, float64(c.samples[i]))
		from := i
		for i < len(c.samples) && float64(c.samples[i])*side >= float64(least) {
			i++
		}
		if i-from >= row {
			flat += i - from
		}
		i = max(i, from+1)
	}
	return float64(flat) / float64(len(c.samples))
}

const (
	levelBins = 200 // up to the peak
	// A ledge has ledgeRatio times the samples of an equally wide range of levels below it, and more than chance gives by
	// ledgeSigmas. Of 200 clips of audio books those with a ledge were clipped, or hard limited, by who made them.
	ledgeRatio, ledgeSigmas = 1.5, 10
	ledgeLeast              = 20 // samples
)

// ledge is the share of samples that stand at one level near the peak, where a voice has ever fewer the louder it gets: what is
// left of clipping by a codec such as MP3, which turns flat tops into ripples, or by a change of rate. 0 where there is none.
func (c *clip) ledge() float64 {
	var sum float64
	for _, v := range c.samples {
		sum += float64(v)
	}
	middle := float32(sum / float64(max(1, len(c.samples))))
	return max(c.ledgeOf(1, middle), c.ledgeOf(-1, middle))
}

// ledgeOf looks at one side of the signal, as the two may be clipped at different levels.
func (c *clip) ledgeOf(side, middle float32) float64 {
	var peak float32
	for _, v := range c.samples {
		peak = max(peak, side*(v-middle))
	}
	if peak == 0 {
		return 0
	}
	var upTo [levelBins + 1]int // samples below a level
	for _, v := range c.samples {
		if v = side * (v - middle); v > 0 {
			upTo[1+min(levelBins-1, int(levelBins*v/peak))]++
		}
	}
	for i := range levelBins {
		upTo[i+1] += upTo[i]
	}
	within := func(from, to float64) float64 {
		at := func(x float64) int { return upTo[int(max(0, min(levelBins, math.Round(x))))] }
		return float64(at(to) - at(from))
	}
	best, share := float64(ledgeSigmas), 0.0
	for level := levelBins / 2.; level <= levelBins; level++ {
		w := 0.04 * level
		top := within(min(level, levelBins-w)-w, level+w)
		if top < ledgeLeast || within(level+w, level+3*w) > 0.4*top { // it goes on above
			continue
		}
		below := math.Inf(1)
		for l := 0.6 * level; l < 0.88*level; l++ {
			below = min(below, within(l-w, l+w))
		}
		if sigmas := (top - below) / math.Sqrt(below+1); sigmas > best && top > ledgeRatio*(below+1) {
			best, share = sigmas, top/float64(len(c.samples))
		}
	}
	return share
}
