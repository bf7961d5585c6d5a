package dsp

import (
	"math"

	"gonum.org/v1/gonum/blas/gonum"
)

// Shortener takes time out of a signal without a click, to catch up with a clock: it drops the stretch
// after which the signal goes on most like it did before, and crossfades over the joint (WSOLA with a
// single joint). A periodic signal loses whole periods. It allocates nothing after NewShortener.
type Shortener struct {
	fade *Crossfade
	head []float32
}

// NewShortener plans joints of fade samples, fade ≥ 1. About 10 ms suits voices.
func NewShortener(fade int) *Shortener {
	if fade < 1 {
		panic("dsp: shortener needs a fade of at least 1 sample")
	}
	return &Shortener{fade: NewMatchedCrossfade(fade), head: make([]float32, fade)}
}

// Need is how many samples Shorten must be given to drop up to most.
func (s *Shortener) Need(most int) int { return most + s.fade.Len() }

// Shorten writes src to dst without least to most of its first samples, and returns how many samples
// it wrote: len(src) minus what it dropped. Where several lengths fit alike, silence above all, it
// drops the longest. The first and the last samples of dst continue what came before and comes after
// src. len(src) must be at least Need(most), and 1 ≤ least ≤ most. dst must hold len(src)−least samples;
// it may be src.
func (s *Shortener) Shorten(dst, src []float32, least, most int) int {
	if least < 1 || most < least || len(src) < s.Need(most) || len(dst) < len(src)-least {
		panic("dsp: length mismatch: shorten needs 1 ≤ least ≤ most, Need(most) samples and room for the rest")
	}
	drop := s.match(src, least, most)
	n := s.fade.Len()
	s.fade.Reset()
	s.fade.Process(dst[:n], src[:n], src[drop:drop+n])
	return n + copy(dst[n:], src[drop+n:])
}

// match is the distance from least to most at which src is most like its own start: the largest
// normalised correlation over the length of the fade.
func (s *Shortener) match(src []float32, least, most int) int {
	var blas gonum.Implementation
	n := copy(s.head, src)
	var energy float64
	for _, v := range src[most : most+n] {
		energy += float64(v) * float64(v)
	}
	best, like := most, math.Inf(-1)
	for d := most; d >= least; d-- {
		// −100 dB of mean power keep silence from being divided by nothing.
		score := float64(blas.Sdot(n, src[d:], 1, s.head, 1)) / math.Sqrt(max(energy, 0)+1e-10*float64(n))
		if score > like {
			best, like = d, score
		}
		if d > least {
			in, out := float64(src[d-1]), float64(src[d-1+n])
			energy += in*in - out*out
		}
	}
	return best
}
