package infer

import "math"

// What speakerPitch expects of people, as found in the pitch curves of 236 speakers reading.
const (
	lowHz, highHz    = 118, 197 // where the medians of men and of women lie,
	registerSpread   = 1.5      // semitones to either side of one or the other,
	registerAnywhere = 0.005    // or, beside 1 there, anywhere else

	melodySpread   = 6    // semitones of a pitch from the speaker's median
	melodyAnywhere = 0.02 // likelihood of any other pitch a semitone: octave errors and hum
	melodyHops     = 15   // voiced hops that tell as much as one, because a melody moves slowly

	// People begin higher than they go on: so many semitones, over about so many voiced hops.
	openingHigher, openingFades = 2, 60

	// memoryHops is how many voiced hops it takes to forget two thirds of what was believed.
	memoryHops = 400

	medianLow  = 66 // semitones above 1 Hz of the lowest median, 45 Hz,
	medianBins = 88 // and in steps of half a semitone up to 558 Hz
	binsPerST  = 2
	melodyBins = 40 * binsPerST // distances further than this are as unlikely as this
)

// speakerPitch learns where a speaker's pitch is at home: the probability of each median, given every
// voiced hop so far, the latest more than those long ago. It begins with what people's voices are
// like, so that one syllable is not yet a speaker, and forgets that as well.
type speakerPitch struct {
	given  [medianBins]float64       // log probability of each median
	melody [2*melodyBins + 1]float64 // what a hop adds to it, by distance from the median
	heard  int                       // voiced hops
	median float64                   // the expected one, in semitones above 1 Hz
}

func newSpeakerPitch() *speakerPitch {
	bell := func(x, spread float64) float64 { return math.Exp(-x * x / (2 * spread * spread)) }
	s := new(speakerPitch)
	for i := range s.given {
		at := medianOf(i)
		s.given[i] = math.Log(bell(at-semitones(lowHz), registerSpread) + bell(at-semitones(highHz), registerSpread) + registerAnywhere)
	}
	for i := range s.melody {
		away := float64(i-melodyBins) / binsPerST
		s.melody[i] = math.Log(bell(away, melodySpread)/(melodySpread*math.Sqrt(2*math.Pi))+melodyAnywhere) / melodyHops
	}
	s.expect()
	return s
}

// medianOf is a bin's median in semitones above 1 Hz.
func medianOf(bin int) float64 { return medianLow + float64(bin)/binsPerST }

// hear takes the pitch of a voiced hop, in semitones above 1 Hz.
func (s *speakerPitch) hear(pitch float64) {
	pitch -= openingHigher * math.Exp(-float64(s.heard)/openingFades)
	at := int(math.Round((pitch-medianLow)*binsPerST)) + melodyBins
	for i := range s.given {
		s.given[i] += s.melody[max(0, min(2*melodyBins, at-i))] - s.given[i]/memoryHops
	}
	s.heard++
	s.expect()
}

func (s *speakerPitch) expect() {
	top := math.Inf(-1)
	for _, v := range s.given {
		top = max(top, v)
	}
	var sum, medians float64
	for i, v := range s.given {
		if v < top-20 {
			continue // nothing to a sum of 1 and more
		}
		p := math.Exp(v - top)
		sum += p
		medians += p * medianOf(i)
	}
	s.median = medians / sum
}
