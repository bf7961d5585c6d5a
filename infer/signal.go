package infer

import (
	"time"

	"github.com/autovoiced/autovoiced/dsp"
)

// follow is the pitch of a whole signal at the pack's rate, one value a hop, and how late it is.
func (c *Contract) follow(x []float32) (f0 []float32, delay time.Duration) {
	pitch := dsp.NewPitch(dsp.DefaultPitchConfig(c.SampleRateIn))
	f0 = make([]float32, len(x)/c.HopIn)
	for i := range f0 {
		f0[i], _ = pitch.Process(x[i*c.HopIn : (i+1)*c.HopIn])
	}
	return f0, pitch.Delay()
}

// powerFrames are the power spectra of so many frames of a signal, seen through a Hann window.
func powerFrames(x []float32, size, step, frames int) [][]float64 {
	all := make([][]float64, max(0, frames))
	fft := dsp.NewFFT(size)
	window, frame, power := dsp.Hann(make([]float32, size)), make([]float32, size), make([]float32, fft.Bins())
	for i := range all {
		for k, w := range window {
			frame[k] = w * x[i*step+k]
		}
		fft.Power(power, frame)
		all[i] = make([]float64, len(power))
		for k, v := range power {
			all[i][k] = float64(v)
		}
	}
	return all
}
