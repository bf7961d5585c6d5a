package infer

import (
	"fmt"
	"math"
	"slices"

	"github.com/autovoiced/autovoiced/dsp"
)

const (
	// ToneBands is how many bands a tone has: third octaves from 63 Hz to 10 kHz. Below the first and above the last the gain stays.
	ToneBands = 23
	// MaxTone bounds the gain of a band, in dB up or down.
	MaxTone = 12

	// toneTaps reach 21 ms back at 24 kHz, enough for a gain that moves within a third of an octave above 150 Hz or so; below, where
	// it moves faster, it is smoothed.
	toneTaps = 512
	// toneGrid is the length of the transform that the taps are made with.
	toneGrid = 2048
)

// ToneHz is the middle of a band of a tone.
func ToneHz(band int) float64 { return 1e4 * math.Pow(10, float64(band-(ToneBands-1))/10) }

// CheckTone says whether a target can have the tone, which may come from a file: none, or a gain for each band.
func CheckTone(tone []float32) error {
	if n := len(tone); n != 0 && n != ToneBands {
		return fmt.Errorf("a tone of %d bands, expected %d or none", n, ToneBands)
	}
	for band, db := range tone {
		if !(math.Abs(float64(db)) <= MaxTone) { // also refuses NaN
			return fmt.Errorf("a tone with %g dB at %.0f Hz, expected -%d to %d", db, ToneHz(band), MaxTone, MaxTone)
		}
	}
	return nil
}

// toneFilter is the filter of a tone at a rate; nil for a flat one.
func toneFilter(tone []float32, rate int) []float32 {
	if !slices.ContainsFunc(tone, func(db float32) bool { return db != 0 }) {
		return nil
	}
	db := make([]float64, toneGrid/2+1)
	for k := range db {
		db[k] = toneAt(tone, float64(k)*float64(rate)/toneGrid)
	}
	return dsp.MinimumPhase(make([]float32, toneTaps), db)
}

// toneAt is the gain in dB at a frequency: straight between the bands, over the logarithm of the frequency.
func toneAt(tone []float32, hz float64) float64 {
	at := min(max(10*math.Log10(max(hz, 1)/ToneHz(0)), 0), ToneBands-1)
	band := min(int(at), ToneBands-2)
	share := at - float64(band)
	return (1-share)*float64(tone[band]) + share*float64(tone[band+1])
}
