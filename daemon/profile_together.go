package daemon

import (
	"math"

	"github.com/autovoiced/autovoiced/dsp"
)

// Two people who speak at once are found by their pitches: a signal of one period cancels itself when it is subtracted from
// itself a period later, and a sum of two voices only when that is done with both of their periods (de Cheveigné, 1993: the
// double difference function). All that is needed for it is the autocorrelation.
const (
	pairRate   = 8000
	pairWindow = 800 // samples: 100 ms
	pairHop    = 160
	pairFFT    = 2048
	pairLow    = 200 // Hz: what is below may be a hum of the mains, which is a voice of its own to the measure
	pairHigh   = 1200
	pairMinLag = 20 // samples: 400 Hz
	pairMaxLag = 101
	// A moment has two voices where one period leaves more than pairAlone of the power, and a pair of periods less than
	// pairLeaves of that.
	pairAlone, pairLeaves = 0.2, 0.25
	pairQuiet             = 20 // dB below the loud moments that a moment may be
	// pairShare of the moments must have two voices. Of 251 clips of one reader each the worst has 0.007; of two readers
	// mixed at one level, three of four have more than this.
	pairShare = 0.01
	pairLeast = 4 // moments
)

// pairs are the periods that are tried together: not alike, and neither two nor three times each other, which are one voice.
func pairs() (out [][2]int) {
	semitones := func(ratio float64) float64 { return 12 * math.Abs(math.Log2(ratio)) }
	for a := pairMinLag; a < pairMaxLag; a++ {
		for b := a + 1; b < pairMaxLag; b++ {
			ratio := float64(b) / float64(a)
			if semitones(ratio) > 2 && semitones(ratio/2) > 0.7 && semitones(ratio/3) > 0.7 {
				out = append(out, [2]int{a, b})
			}
		}
	}
	return out
}

// moment is what was found in one window.
type moment struct {
	power  float64
	two    bool
	period [2]int // samples
}

// follows says that the voices of a moment go on in the next one.
func (m moment) follows(o moment) bool {
	near := func(a, b int) bool { return math.Abs(math.Log2(float64(a)/float64(b))) < 0.1 }
	return m.two && o.two && near(m.period[0], o.period[0]) && near(m.period[1], o.period[1])
}

// speakTogether is the share of a clip's loud moments in which two voices sound at once.
func (c *clip) speakTogether() float64 {
	moments := pairMoments(c.at(pairRate))
	levels := make([]float64, len(moments))
	for i, m := range moments {
		levels[i] = m.power
	}
	least := percentile(levels, 0.95) * power(-pairQuiet)
	loud, two := 0, 0
	for i, m := range moments {
		if m.power <= least || m.power == 0 {
			continue
		}
		loud++
		if i > 0 && m.follows(moments[i-1]) || i+1 < len(moments) && m.follows(moments[i+1]) {
			two++ // one voice that cracks does so for a moment alone
		}
	}
	if two < pairLeast {
		return 0
	}
	return float64(two) / float64(loud)
}

func pairMoments(x []float32) (moments []moment) {
	p := newPairFinder()
	for at := 0; at+pairWindow <= len(x); at += pairHop {
		moments = append(moments, p.find(x[at:at+pairWindow]))
	}
	return moments
}

// pairFinder owns what a search needs.
type pairFinder struct {
	fft          *dsp.FFT
	window, mask []float64
	weight       []float64 // the window's own autocorrelation
	pairs        [][2]int
	frame        []float32
	spec         []complex128
	corr         []float32
}

func newPairFinder() *pairFinder {
	p := &pairFinder{
		fft: dsp.NewFFT(pairFFT), window: make([]float64, pairWindow), pairs: pairs(), frame: make([]float32, pairFFT),
		spec: make([]complex128, pairFFT/2+1), corr: make([]float32, pairFFT),
	}
	one := make([]float32, pairWindow)
	for i := range p.window {
		p.window[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/(pairWindow-1))
		one[i] = 1
	}
	p.mask = make([]float64, len(p.spec))
	for k := range p.mask {
		p.mask[k] = 1
	}
	p.correlate(one)
	for _, v := range p.corr[:2*pairMaxLag] {
		p.weight = append(p.weight, float64(v))
	}
	for k := range p.mask { // a Butterworth band pass, of what two of the fourth order leave of the power
		f := max(1e-3, float64(k)*pairRate/pairFFT)
		p.mask[k] = 1 / (1 + math.Pow((f*f-pairLow*pairHigh)/(f*(pairHigh-pairLow)), 8))
	}
	return p
}

// correlate leaves the autocorrelation of a window's band in corr.
func (p *pairFinder) correlate(x []float32) {
	clear(p.frame)
	for i, v := range x {
		p.frame[i] = float32(float64(v) * p.window[i])
	}
	p.fft.Forward(p.spec, p.frame)
	for k, v := range p.spec {
		p.spec[k] = complex((real(v)*real(v)+imag(v)*imag(v))*p.mask[k], 0)
	}
	p.fft.Inverse(p.corr, p.spec)
}

func (p *pairFinder) find(x []float32) moment {
	p.correlate(x)
	m := moment{power: float64(p.corr[0])}
	if m.power == 0 {
		return m
	}
	r := make([]float64, len(p.weight))
	for lag := range r {
		r[lag] = float64(p.corr[lag]) / m.power * p.weight[0] / p.weight[lag]
	}
	alone := 1.0 // of the power, what one period leaves
	for lag := pairMinLag; lag < pairMaxLag; lag++ {
		alone = min(alone, 1-r[lag])
	}
	both := math.Inf(1)
	for _, t := range p.pairs {
		if left := 1 - r[t[0]] - r[t[1]] + (r[t[0]+t[1]]+r[t[1]-t[0]])/2; left < both {
			both, m.period = left, t
		}
	}
	m.two = alone > pairAlone && both < pairLeaves*alone
	return m
}
