package dsp

import "math"

// sincFilter is a low-pass between two rates, cut into phases: row r holds the weights for an output
// that lies r/rows of an input sample after an input sample, contiguous so that an output is one dot
// product. There is one row more than rows, the first one moved by a sample, for interpolation.
type sincFilter struct {
	rows, taps int // taps is a multiple of 4; zeros at the old end of a row fill it up
	ahead      int // input frames after the one at or before the output: the delay
	weights    []float32
}

// sincFilters are shared by all resamplers between two rates: one takes milliseconds to plan.
var sincFilters shelf[sincKey, sincFilter]

type sincKey struct {
	half    float64
	in, out int
}

// prototype is a low-pass that a filter is cut from: symmetric, at t samples of the lower rate, 0 beyond half.
type prototype struct {
	half float64
	at   func(t float64) float64
}

// shortSinc is for what somebody waits for, fineSinc for what has time.
var (
	shortSinc = prototype{sincHalf, sincAt}
	fineSinc  = prototype{fineHalf, fineAt}
)

// fineHalf is how far the fine prototype reaches to either side, in samples of the lower rate.
const fineHalf = 128

// The transition from full to none takes fineWidth of the Nyquist frequency and ends there; fineBeta trades it for attenuation.
const (
	fineBeta  = 13.5
	fineWidth = 0.07
)

// fineAt is a sinc under the exponential of a semicircle, a window next to Kaiser's that takes no series: flat within
// 0.0001 dB up to 0.93 of the Nyquist frequency, 115 dB down from Nyquist on.
func fineAt(t float64) float64 {
	if math.Abs(t) >= fineHalf {
		return 0
	}
	const cut = 1 - fineWidth/2
	window := math.Exp(fineBeta * (math.Sqrt(1-t*t/(fineHalf*fineHalf)) - 1))
	if t == 0 {
		return cut
	}
	return window * math.Sin(math.Pi*cut*t) / (math.Pi * t)
}

// sincHalf is how far the prototype reaches to either side, in samples of the lower rate.
const sincHalf = 39

// sincCosines is the prototype, Σ c[k]·cos(πkt/sincHalf): the shortest symmetric curve with 0.04 dB of
// ripple up to 0.9 of the Nyquist frequency and 91.8 dB of attenuation from Nyquist on, found by linear
// programming (testdata/prototype.py). A Kaiser-windowed sinc with 0.1 dB and 90 dB needs 49.5 samples
// to either side: a quarter more delay and work.
var sincCosines = [...]float64{
	0.0127616079148, 0.0257538615606, 0.0255445461053, 0.0257138203376, 0.0255996350053, 0.025649748456,
	0.0256637350381, 0.0255909464741, 0.0257174083236, 0.0255469981246, 0.0257487628955, 0.0255247039326,
	0.0257593792379, 0.0255232543441, 0.0257509819317, 0.0255399155676, 0.0257276018463, 0.025568990238,
	0.025693615966, 0.0256066086151, 0.0256539903175, 0.0256477416998, 0.0256133983094, 0.0256877190935,
	0.0255761429982, 0.025722220611, 0.0255464047169, 0.025747163534, 0.02552800111, 0.0257593792379,
	0.0255232158295, 0.0257591461251, 0.0255287017197, 0.0257526073999, 0.0255232158295, 0.0256626776316,
	0.0197988085025, 0.00725112867842, 0.000751234798175, 6.34634389137e-07, -5.64876499799e-07, 4.64095434718e-07,
	-9.31282570258e-08,
}

// sincSteps is how many interpolation points a sample of the lower rate needs: straight lines
// between them are then within (π/512)²/8 of the curve, −106 dB.
const sincSteps = 512

// sincExact is the largest number of phases that are stored one by one; beyond, they are interpolated.
const sincExact = 1024

// ahead is how many input frames must follow one on the way from in to out: half the filter.
func (p prototype) ahead(in, out int) int {
	return int(math.Ceil(p.half * float64(in) / float64(min(in, out))))
}

// newSincFilter plans the way from in to out; phases is out divided by the greatest common divisor.
func newSincFilter(p prototype, in, out, phases int) *sincFilter {
	stretch := float64(in) / float64(min(in, out)) // input frames per frame of the lower rate
	rows := int(math.Ceil(sincSteps / stretch))
	if phases <= sincExact {
		rows = (rows + phases - 1) / phases * phases
	}
	ahead := p.ahead(in, out)
	taps := (2*ahead + 3) &^ 3
	f := &sincFilter{rows: rows, taps: taps, ahead: ahead, weights: make([]float32, (rows+1)*taps)}
	for r := range rows + 1 {
		row := f.weights[r*taps : (r+1)*taps]
		for i := range row {
			at := float64(r)/float64(rows) - float64(i-taps+1+ahead)
			row[i] = float32(p.at(at/stretch) / stretch)
		}
	}
	return f
}

// sincAt is the prototype at t samples of the lower rate: Clenshaw's sum of its cosines.
func sincAt(t float64) float64 {
	if math.Abs(t) >= sincHalf {
		return 0
	}
	x := math.Cos(math.Pi * t / sincHalf)
	var b1, b2 float64
	for k := len(sincCosines) - 1; k > 0; k-- {
		b1, b2 = sincCosines[k]+2*x*b1-b2, b1
	}
	return sincCosines[0] + x*b1 - b2
}
