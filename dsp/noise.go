package dsp

import (
	"math"
	"math/bits"
)

const (
	noiseOctaves  = 40 // of the tail's probability: down to 2^-40, which is 7.1 standard deviations
	noiseSteps    = 64 // table points an octave
	noiseFraction = 17 // bits between two points
	noiseScale    = 1 << 26
)

// Noise makes random numbers for models and dither. The same seed gives the same bytes on every
// machine: from the generator (xoshiro256++ by Blackman and Vigna) to the sample all is done in
// whole numbers, which no compiler fuses or rounds in its own way.
//
// Normal numbers come from the inverse of the normal distribution, as straight lines between points that
// lie evenly in each halving of the tail. The lines are within 0.0002 of the curve. One goroutine
// uses it.
type Noise struct{ s [4]uint64 }

// NewNoise seeds a generator. Seeds next to each other give unrelated noise.
func NewNoise(seed uint64) *Noise {
	n := new(Noise)
	n.Seed(seed)
	return n
}

// Seed starts again, as NewNoise(seed) does.
func (n *Noise) Seed(seed uint64) {
	for i := range n.s { // splitmix64, as the authors of xoshiro advise
		seed += 0x9e3779b97f4a7c15
		z := seed
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		n.s[i] = z ^ z>>31
	}
}

// Uint64 is 64 random bits.
func (n *Noise) Uint64() uint64 {
	s := &n.s
	r := bits.RotateLeft64(s[0]+s[3], 23) + s[0]
	t := s[1] << 17
	s[2] ^= s[0]
	s[3] ^= s[1]
	s[1] ^= s[2]
	s[0] ^= s[3]
	s[2] ^= t
	s[3] = bits.RotateLeft64(s[3], 45)
	return r
}

// Uniform fills dst with numbers from −1 to below 1.
func (n *Noise) Uniform(dst []float32) {
	for i := range dst {
		dst[i] = float32(int64(n.Uint64())>>40) / (1 << 23)
	}
}

// Normal fills dst with numbers of mean 0 and standard deviation 1.
func (n *Noise) Normal(dst []float32) {
	for i := range dst {
		u := n.Uint64()
		// The lowest bit is the sign. The rest is a probability below ½: its leading zeros are the
		// halving of the tail, six more bits the point, 17 more the way to the next point.
		octave := bits.LeadingZeros64(u)
		if octave >= noiseOctaves {
			octave = noiseOctaves - 1
		}
		m := u << (octave + 1) >> (64 - 6 - noiseFraction)
		p := normalQuantiles[octave][m>>noiseFraction:][:2]
		way := int64(m & (1<<noiseFraction - 1))
		v := int64(p[0]) + (int64(p[1]-p[0])*way)>>noiseFraction
		sign := -int64(u & 1)
		dst[i] = float32((v^sign)-sign) / noiseScale
	}
}

// normalQuantiles[k][i] is how far out a tail of probability 2^-(k+2) * (1 + i/steps) begins.
// Rounding to whole numbers makes the table the same where the mathematical functions differ in
// their last bit.
var normalQuantiles = func() (t [noiseOctaves][noiseSteps + 1]int32) {
	for k := range t {
		for i := range t[k] {
			p := math.Ldexp(1+float64(i)/noiseSteps, -k-2)
			t[k][i] = int32(math.Round(noiseScale * math.Sqrt2 * math.Erfcinv(2*p)))
		}
	}
	return t
}()
