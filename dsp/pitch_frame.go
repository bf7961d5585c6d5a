package dsp

import "math"

// PitchCandidates is how many there are of a moment, at most.
const PitchCandidates = 10

const (
	pitchHarmonics = 20     // looked at, at most
	pitchTop       = 2200.0 // Hz, where the low-pass has taken the rest
	pitchWeakest   = 0.25   // periodicity below which a peak is no candidate
)

// PitchCandidate is one pitch that a moment may have.
type PitchCandidate struct {
	Octave   float64 // log2 of the pitch in Hz
	Strength float64 // how periodic the wave is at this pitch: 1 is a perfect repetition
	Harmony  float64 // how well the spectrum's peaks fit: about 1 at best, below 0 where they lie between harmonics
}

// Worth is how much speaks for it, in units of periodicity.
func (c PitchCandidate) Worth() float64 { return c.Strength + pitchHarmony*c.Harmony }

// pitchFrame finds the candidates of one window of the decimated signal.
type pitchFrame struct {
	rate      float64
	lo, hi    int     // lags to look at
	min, max  float64 // log2 Hz
	fft       *complexFFT
	half      *complexFFT // of half as many points
	re, im    []float32
	hann      []float32
	power     []float32 // of the plain window, one a bin
	nsdf      []float32
	magnitude []float32 // square roots of the Hann window's magnitudes, one a bin up to pitchTop
	whole     float64   // their norm, inverted
	cands     []PitchCandidate
}

func newPitchFrame(rate float64, reach int, fmin, fmax float64) *pitchFrame {
	n := 2*reach + 1
	f := &pitchFrame{
		rate: rate, lo: int(rate/fmax) - 1, hi: int(math.Ceil(rate/fmin)) + 1,
		min: math.Log2(fmin) - 0.02, max: math.Log2(fmax) + 0.02,
		cands: make([]PitchCandidate, 0, PitchCandidates),
	}
	size := 64
	for size < n+f.hi+1 {
		size *= 2
	}
	f.fft, f.half = newComplexFFT(size), newComplexFFT(size/2)
	f.re, f.im = make([]float32, size), make([]float32, size)
	f.nsdf = make([]float32, f.hi+1)
	f.magnitude = make([]float32, int(pitchTop/rate*float64(size))+2)
	f.power = make([]float32, size/2+1)
	f.hann = make([]float32, n)
	for i := range f.hann {
		f.hann[i] = float32(0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/float64(n)))
	}
	return f
}

// analyse returns the candidates of a window, strongest first, and its level in dB. The slice is
// valid until the next call. The level is the mean of the last three quarters, in dB: speech starts
// at once and dies away slowly, so the first quarter says less about the middle.
func (f *pitchFrame) analyse(window []float32) ([]PitchCandidate, float64) {
	n := len(f.hann)
	var mean float32
	for _, x := range window {
		mean += x
	}
	mean /= float32(n)
	var energy, level float64
	for q := range 4 {
		var quarter float64
		from, to := q*n/4, (q+1)*n/4
		for i, v := range window[from:to] {
			v -= mean
			f.re[from+i], f.im[from+i] = v, v*f.hann[from+i]
			quarter += float64(v) * float64(v)
		}
		energy += quarter
		if q > 0 {
			level += 10 * math.Log10(quarter/float64(to-from)+1e-12) / 3
		}
	}
	clear(f.re[n:])
	clear(f.im[n:])
	f.cands = f.cands[:0]
	if energy > 1e-12*float64(n) {
		f.correlate(n, energy)
		f.peaks()
	}
	return f.cands, level
}

// correlate fills nsdf with the normalised square difference function n(τ) = 2r(τ)/m(τ) and magnitude
// with the spectrum. The pairs that make up each lag lie evenly about the middle of the window, so
// every lag speaks of the same moment.
func (f *pitchFrame) correlate(n int, energy float64) {
	m := 2 * energy
	for lag := 1; lag <= f.hi; lag++ {
		a, b := float64(f.re[lag-1]), float64(f.re[n-lag])
		m -= a*a + b*b
		f.nsdf[lag] = float32(m)
	}
	f.spectra(n)

	// The power spectrum is real and even, so its transform, the autocorrelation, is real. Even bins as
	// real parts and odd bins as imaginary parts make half as long a transform do.
	size := len(f.re)
	f.half.transform(f.re, f.im)
	floor := float32(energy * 1e-4) // a lag whose pairs are all but silent says nothing
	scale := 1 / float32(size)
	f.nsdf[0] = 1
	for lag := 1; lag <= f.hi; lag++ {
		other := size/2 - lag
		sum, a, b := f.re[lag]+f.re[other], f.re[lag]-f.re[other], f.im[lag]+f.im[other]
		r := sum + f.fft.cos[lag]*b - f.fft.sin[lag]*a
		f.nsdf[lag] = scale * r / max(f.nsdf[lag], floor)
	}
}

// spectra takes the window (re) and the same under a Hann window (im) through one complex transform,
// keeps the compressed magnitudes of the second and packs the power spectrum of the first for the way
// back.
func (f *pitchFrame) spectra(n int) {
	f.fft.transform(f.re, f.im)
	size := len(f.re)
	var norm float32
	for k := 0; k <= size/2; k++ {
		j := (size - k) & (size - 1)
		a, b, c, d := f.re[k], f.im[k], f.re[j], f.im[j]
		xr, xi, hr, hi := a+c, b-d, b+d, c-a
		f.power[k] = (xr*xr + xi*xi) / 4
		if k < len(f.magnitude) {
			h := float32(math.Sqrt(float64(hr*hr+hi*hi))) / 2
			norm += h
			f.magnitude[k] = float32(math.Sqrt(float64(h)))
		}
	}
	for k := range size / 4 {
		f.re[k], f.im[k] = f.power[2*k], f.power[2*k+1]
		f.re[size/2-1-k], f.im[size/2-1-k] = f.power[2*k+2], f.power[2*k+1]
	}
	// A harmonic of a Hann window of n samples is about 1.5*size/n bins wide.
	f.whole = math.Sqrt(1.5 * float64(size) / float64(n) / (float64(norm) + 1e-30))
}

// harmony says how well the spectrum fits a pitch in Hz: about 1 when all is on its harmonics, and all its
// harmonics are there; below 0 when most lies half-way between them. It sees what correlation does not: that
// half the pitch, which repeats as well, has no odd harmonics, and that a strong formant has weak neighbours.
// It is a short form of the kernel of Camacho's SWIPE ("A sawtooth waveform inspired pitch estimator", 2007).
func (f *pitchFrame) harmony(hz float64) float64 {
	step := hz * float64(len(f.re)) / f.rate
	var fit, weight float64
	last := f.at(0.5 * step)
	for h := 1.0; h <= pitchHarmonics && (h+0.5)*hz < pitchTop; h++ {
		next := f.at((h + 0.5) * step)
		fit += (f.at(h*step) - (last+next)/2) / math.Sqrt(h)
		weight += 1 / h
		last = next
	}
	return fit / math.Sqrt(weight) * f.whole
}

func (f *pitchFrame) at(bin float64) float64 {
	i := int(bin)
	frac := float32(bin - float64(i))
	return float64(f.magnitude[i] + frac*(f.magnitude[i+1]-f.magnitude[i]))
}

// peaks collects the maxima of nsdf, each placed between samples by a parabola.
func (f *pitchFrame) peaks() {
	for lag := max(f.lo, 1); lag < f.hi; lag++ {
		a, b, c := float64(f.nsdf[lag-1]), float64(f.nsdf[lag]), float64(f.nsdf[lag+1])
		if b < pitchWeakest || b < a || b <= c {
			continue
		}
		bend := a - 2*b + c
		at := 0.5 * (a - c) / bend
		octave := math.Log2(f.rate / (float64(lag) + at))
		if octave < f.min || octave > f.max {
			continue
		}
		f.keep(PitchCandidate{Octave: octave, Strength: min(1, b-0.25*(a-c)*at), Harmony: f.harmony(math.Exp2(octave))})
	}
}

// keep inserts a candidate in order of strength and lets the weakest fall off the end.
func (f *pitchFrame) keep(c PitchCandidate) {
	if len(f.cands) < cap(f.cands) {
		f.cands = append(f.cands, c)
	} else if f.cands[len(f.cands)-1].Strength >= c.Strength {
		return
	}
	i := len(f.cands) - 1
	for ; i > 0 && f.cands[i-1].Strength < c.Strength; i-- {
		f.cands[i] = f.cands[i-1]
	}
	f.cands[i] = c
}
