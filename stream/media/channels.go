package media

import "math"

// speaker is the place of a channel.
type speaker uint8

const (
	left speaker = iota
	right
	centre
	low // LFE
	backLeft
	backRight
	backCentre
	sideLeft
	sideRight
	elsewhere
)

// layouts are the places of the channels by their number, where the file does not tell them: those
// of FLAC (RFC 9639, 9.1.3), which are WAV's too.
var layouts = [MaxChannels + 1][]speaker{
	1: {centre},
	2: {left, right},
	3: {left, right, centre},
	4: {left, right, backLeft, backRight},
	5: {left, right, centre, backLeft, backRight},
	6: {left, right, centre, low, backLeft, backRight},
	7: {left, right, centre, low, backCentre, sideLeft, sideRight},
	8: {left, right, centre, low, backLeft, backRight, sideLeft, sideRight},
}

// vorbisLayouts are those of Vorbis I, 4.3.9.
var vorbisLayouts = [MaxChannels + 1][]speaker{
	1: {centre},
	2: {left, right},
	3: {left, centre, right},
	4: {left, right, backLeft, backRight},
	5: {left, centre, right, backLeft, backRight},
	6: {left, centre, right, backLeft, backRight, low},
	7: {left, centre, right, sideLeft, sideRight, backCentre, low},
	8: {left, centre, right, sideLeft, sideRight, backLeft, backRight, low},
}

// maskLayout is the layout that a WAV file's channel mask tells, lowest bit first; nil for a mask
// that does not fit.
func maskLayout(mask uint32, channels int) []speaker {
	places := map[int]speaker{0: left, 1: right, 2: centre, 3: low, 4: backLeft, 5: backRight, 8: backCentre, 9: sideLeft, 10: sideRight}
	var layout []speaker
	for bit := range 32 {
		if mask>>bit&1 == 0 {
			continue
		}
		place, known := places[bit]
		if !known {
			place = elsewhere
		}
		layout = append(layout, place)
	}
	if len(layout) != channels {
		return nil
	}
	return layout
}

// shares are how much of a channel goes to the left and to the right: ITU-R BS.775's, where what is
// in the middle or behind counts 3 dB less and the LFE, which is an effect, nothing.
func (s speaker) shares() (l, r float32) {
	switch s {
	case left:
		return 1, 0
	case right:
		return 0, 1
	case backLeft, sideLeft:
		return math.Sqrt2 / 2, 0
	case backRight, sideRight:
		return 0, math.Sqrt2 / 2
	case centre, elsewhere:
		return math.Sqrt2 / 2, math.Sqrt2 / 2
	case backCentre:
		return 0.5, 0.5
	}
	return 0, 0
}

// stereo mixes channels of a layout down, scaled so that no sum can pass full scale.
func stereo(l, r []float32, src [][]float32, layout []speaker) {
	var sumL, sumR float32
	for _, place := range layout {
		a, b := place.shares()
		sumL, sumR = sumL+a, sumR+b
	}
	clear(l)
	clear(r)
	for c, place := range layout {
		a, b := place.shares()
		a, b = a/max(sumL, 1e-9), b/max(sumR, 1e-9)
		for i, v := range src[c] {
			l[i] += a * v
			r[i] += b * v
		}
	}
}
