package dsp

import (
	"math"
	"time"
)

const (
	decimatedRate = 8000               // about; the factor is a whole number
	decimateTaps  = 0.0015             // length of the low-pass in seconds
	decimateCut   = 1600               // Hz, −6 dB
	decimateKeep  = pitchDelay * 5 / 2 // how much is remembered
)

// decimator brings a stream down to about 8 kHz by a whole factor and remembers its last 50 ms.
// Its low-pass is short, because its delay is taken from the window, and low, because a smooth
// signal makes smooth correlation peaks and aliases lie far above.
type decimator struct {
	inRate, factor int
	fir            []float32
	in             []float32 // the last len(fir)-1 input samples, then a hop being filtered
	phase          int       // input samples since the newest output
	past           []float32 // output, newest last
	highpass       Biquad
}

func newDecimator(rate int) *decimator {
	d := &decimator{inRate: rate, factor: max(1, int(math.Round(float64(rate)/decimatedRate)))}
	half := int(decimateTaps / 2 * float64(rate))
	d.fir = make([]float32, 2*half+1)
	var sum float64
	for i := range d.fir {
		t := float64(i - half)
		w := 0.5 + 0.5*math.Cos(math.Pi*t/float64(half+1))
		x := 2 * math.Pi * decimateCut * t / float64(rate)
		if t != 0 {
			w *= math.Sin(x) / x
		}
		d.fir[i] = float32(w)
		sum += w
	}
	for i := range d.fir {
		d.fir[i] /= float32(sum)
	}
	d.past = make([]float32, int(decimateKeep.Seconds()*d.rate()))
	d.in = make([]float32, len(d.fir)-1, len(d.fir)+rate/20)
	d.highpass = NewHighPass(d.rate(), 40, math.Sqrt2/2)
	return d
}

// rate is the output rate in Hz.
func (d *decimator) rate() float64 { return float64(d.inRate) / float64(d.factor) }

// reach is how many outputs lie on either side of the moment that is delay back, at least.
func (d *decimator) reach(delay time.Duration) int { return d.back(delay, d.factor-1) }

// back is the number of outputs between the newest and the moment that is delay before the end
// of the input, when the newest output belongs phase input samples before that end.
func (d *decimator) back(delay time.Duration, phase int) int {
	samples := delay.Seconds()*float64(d.inRate) - float64((len(d.fir)-1)/2+phase)
	return int(math.Round(samples / float64(d.factor)))
}

func (d *decimator) reset() {
	clear(d.past)
	clear(d.in)
	d.phase = 0
	d.highpass.Reset()
}

func (d *decimator) push(hop []float32) {
	for len(hop) > 0 {
		n := min(len(hop), cap(d.in)-len(d.fir)+1)
		d.filter(hop[:n])
		hop = hop[n:]
	}
}

func (d *decimator) filter(hop []float32) {
	keep := len(d.fir) - 1
	d.in = d.in[:keep]
	for _, x := range hop {
		if !finite(x) {
			x = 0
		}
		d.in = append(d.in, x)
	}
	outs := (d.phase + len(hop)) / d.factor
	drop := min(outs, len(d.past))
	copy(d.past, d.past[drop:])
	out := d.past[len(d.past)-drop:]
	at := d.factor - d.phase - 1 + (outs-drop)*d.factor
	for i := range out {
		out[i] = dot(d.in[at:at+len(d.fir)], d.fir)
		at += d.factor
	}
	d.highpass.Process(out)
	d.phase = (d.phase + len(hop)) % d.factor
	copy(d.in[:keep], d.in[len(d.in)-keep:])
}

// window is the stretch of output centred on the moment that is delay before the end of the
// input, reach outputs to either side; it is valid until the next push.
func (d *decimator) window(delay time.Duration) []float32 {
	half := d.reach(delay)
	end := len(d.past) - d.back(delay, d.phase) + half
	return d.past[end-2*half-1 : end]
}

func dot(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}
