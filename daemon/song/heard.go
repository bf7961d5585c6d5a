package song

import "math"

// heard is what the first pass over the song leaves behind, but for the vocals themselves.
type heard struct {
	frames  int64
	peak    float32
	clipped int // samples at full scale
	invalid int
	mixture float64 // energy a frame, over all channels
	sung    float64 // the same of the vocals
	parted  int64   // frames that sung is of; 0 where nothing was separated

	model  string // that has followed the pitch; "" where none has
	curve  curve
	vocals []float32 // their level for each value of the curve, mean square
}

// look takes a block of the song.
func (h *heard) look(block [][]float32) {
	for _, channel := range block {
		for _, v := range channel {
			a := max(v, -v)
			if a >= clippedAt {
				h.clipped++
			}
			h.peak = max(h.peak, a)
			h.mixture += float64(v) * float64(v)
		}
	}
	h.frames += int64(len(block[0]))
}

// clippedAt is full scale in 16 bits.
const clippedAt = 32767. / 32768

// part takes a block of the vocals.
func (h *heard) part(block [][]float32) {
	for _, channel := range block {
		for _, v := range channel {
			h.sung += float64(v) * float64(v)
		}
	}
	h.parted += int64(len(block[0]))
}

// What tells a voice from what is left over where there is none.
const (
	musicShare   = 0.03        // of the energy, from which on there is music
	leftoverDB   = -30         // of the vocals beside the mixture, below which they are leftovers
	silentDB     = -60         // peak of a song in which there is nothing
	leastVoiced  = 0.3         // seconds of pitch in a song
	audibleShare = 1e-3        // of the mean energy of the mixture: what the level of a sung moment is at least
	least16      = 1. / 32768. // the smallest step of 16 bits
)

// music says whether there is something beside the voice.
func (h *heard) music() bool {
	if h.parted == 0 || h.mixture == 0 {
		return false
	}
	mixture, sung := h.mixture/float64(h.frames), h.sung/float64(h.parted)
	return (mixture-sung)/mixture > musicShare
}

// nobody says that there is no voice in the song. Where nothing separates, everything is a voice but silence: a
// whisper has no pitch.
func (h *heard) nobody() bool {
	if h.peak < float32(math.Pow(10, silentDB/20.)) {
		return true
	}
	if h.parted == 0 {
		return false
	}
	mixture, sung := h.mixture/float64(h.frames), h.sung/float64(h.parted)
	if sung < mixture*math.Pow(10, leftoverDB/10.) {
		return true
	}
	voiced := 0
	for i, hz := range h.curve {
		if hz > 0 && float64(h.vocals[min(i, len(h.vocals)-1)]) > audibleShare*mixture {
			voiced++
		}
	}
	return float64(voiced) < leastVoiced*curveRate
}

// settle makes the curve what it is sung by.
func (h *heard) settle(o Options) {
	if o.F0 != nil {
		h.curve = o.F0
		return
	}
	if o.Preset != "fast" {
		h.curve.repair()
	}
}
