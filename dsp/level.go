package dsp

import (
	"math"
	"sync/atomic"
	"time"
)

// Silent is the level in dB that meters show for silence and anything below it.
const Silent = -150.0

// Decibels is the level of an amplitude, 0 dB for 1; never below Silent.
func Decibels(amplitude float64) float64 {
	if !(amplitude > 0) {
		return Silent
	}
	return max(Silent, 20*math.Log10(amplitude))
}

// Amplitude is the factor that a level in dB stands for.
func Amplitude(db float64) float64 { return math.Pow(10, db/20) }

// MaxSample is +120 dBFS: nothing that was recorded comes near it, and what lies within can be
// squared, summed and transformed without leaving the numbers.
const MaxSample = 1e6

// finite is false for NaN, the infinities, and what lies beyond MaxSample.
func finite(v float32) bool { return v >= -MaxSample && v <= MaxSample }

// RMS is the root of the mean square of x, 0 for nothing. Samples that are not finite count as 0.
func RMS(x []float32) float32 {
	if len(x) == 0 {
		return 0
	}
	var sum float64
	for _, v := range x {
		if finite(v) {
			sum += float64(v) * float64(v)
		}
	}
	return float32(math.Sqrt(sum / float64(len(x))))
}

// Peak is the greatest magnitude in x. Samples that are not finite count as 0.
func Peak(x []float32) float32 {
	var peak float32
	for _, v := range x {
		if v < 0 {
			v = -v
		}
		if v > peak && v <= math.MaxFloat32 {
			peak = v
		}
	}
	return peak
}

// Level is what a Meter shows, in dB relative to full scale: 0 is a square wave from −1 to 1.
type Level struct {
	RMS  float64 // over about 300 ms
	Peak float64 // rises at once, falls by 20 dB a second
	Hold float64 // the highest peak of the last 1.5 s, at least
	// Clips counts samples at full scale or beyond, or not finite, from 0 to 65535 and round again.
	Clips uint16
}

// What a Meter does, by the habits of studio meters.
const (
	meterIntegration = 300 * time.Millisecond
	meterHold        = 1500 * time.Millisecond
	meterFall        = 20.0 // dB a second
)

// Meter follows the level of a stream. One goroutine processes; any may ask for the Level meanwhile,
// and neither waits for the other.
type Meter struct {
	blend  float64 // of the mean square, a sample
	fall   float64 // of the peak, a sample
	window int     // samples that a peak is held

	square, peak, hold float64
	held               int // samples since hold was set
	clips              uint16
	shown              atomic.Uint64 // four 16-bit fields: RMS, peak, hold in hundredths of a dB; clips
}

// NewMeter makes a meter for a stream of rate samples a second.
func NewMeter(rate int) *Meter {
	if rate <= 0 {
		panic("dsp: meter rate not positive")
	}
	m := &Meter{
		blend:  1 - math.Exp(-1/(meterIntegration.Seconds()*float64(rate))),
		fall:   Amplitude(-meterFall / float64(rate)),
		window: int(meterHold.Seconds() * float64(rate)),
	}
	m.show()
	return m
}

// Process takes the next samples, which it does not change, and shows the level at their end.
func (m *Meter) Process(x []float32) {
	for _, v := range x {
		a := math.Abs(float64(v))
		if !finite(v) {
			a = 1
		}
		if a >= 1 {
			m.clips++
		}
		m.square += m.blend * (a*a - m.square)
		m.peak = max(a, m.peak*m.fall)
		if m.held++; m.peak >= m.hold || m.held > m.window {
			m.hold, m.held = m.peak, 0
		}
	}
	if m.square < 1e-30 && m.peak < 1e-15 { // do not decay into the denormal numbers
		m.square, m.peak = 0, 0
	}
	m.show()
}

// Reset forgets the past signal and the clips.
func (m *Meter) Reset() {
	m.square, m.peak, m.hold, m.held, m.clips = 0, 0, 0, 0, 0
	m.show()
}

func (m *Meter) show() {
	field := func(amplitude float64) uint64 {
		return uint64(uint16(int16(math.Round(100 * min(Decibels(amplitude), 300)))))
	}
	m.shown.Store(field(math.Sqrt(m.square))<<48 | field(m.peak)<<32 | field(m.hold)<<16 | uint64(m.clips))
}

// Level is the latest level, in steps of 0.01 dB, all its fields of one moment. Any goroutine may call it.
func (m *Meter) Level() Level {
	s := m.shown.Load()
	field := func(shift uint) float64 { return float64(int16(s>>shift)) / 100 }
	return Level{RMS: field(48), Peak: field(32), Hold: field(16), Clips: uint16(s)}
}
