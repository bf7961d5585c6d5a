package dsp

import (
	"math"
	"time"
)

// MelConfig describes a log-mel spectrum. DefaultMelConfig is the one of the voice models' contract.
type MelConfig struct {
	Rate   int     // samples per second
	FFT    int     // samples of the transform; the window is padded with zeros up to it
	Window int     // samples of the periodic Hann window
	Hop    int     // samples between frames
	Bands  int     // mel bands
	Fmin   float64 // Hz, the lower edge of the first band
	Fmax   float64 // Hz, the upper edge of the last band
	Floor  float64 // the least power that a band shows; its natural logarithm is silence
}

// DefaultMelConfig is what the voice models hear: 80 bands of 16 kHz sound, every 10 ms, over 25 ms.
func DefaultMelConfig() MelConfig {
	return MelConfig{Rate: 16000, FFT: 512, Window: 400, Hop: 160, Bands: 80, Fmin: 0, Fmax: 8000, Floor: 1e-10}
}

// Mel makes log-mel frames of a stream, one a hop: frame t covers the last Window samples once hop t
// has arrived, with zeros before the start. A band is the natural logarithm of the power |X|² weighted
// by a triangle on Slaney's mel scale (linear to 1 kHz, logarithmic above) whose area is 1 Hz·(1/Hz):
// librosa's filters.mel with htk=False, norm="slaney". Mel allocates nothing after NewMel.
type Mel struct {
	cfg    MelConfig
	fft    *FFT           // of a length that is no power of two
	quick  *powerSpectrum // of one that is
	window []float32
	past   []float32 // the last Window samples
	frame  []float32 // windowed and padded
	power  []float32
	bands  []melBand
	bank   *[]melBand // the same; as long as it is held it is shared
}

// melBanks are shared by all that hear alike.
var melBanks shelf[MelConfig, []melBand]

// melBand is one triangle: weights for the bins from first on.
type melBand struct {
	first   int
	weights []float32
}

// NewMel plans log-mel frames. It panics when the sizes contradict each other: it needs
// 0 < Hop ≤ Window ≤ FFT, Bands > 0, 0 ≤ Fmin < Fmax ≤ Rate/2 and Floor > 0.
func NewMel(cfg MelConfig) *Mel {
	if cfg.Rate <= 0 || cfg.Hop <= 0 || cfg.Hop > cfg.Window || cfg.Window > cfg.FFT || cfg.Bands <= 0 {
		panic("dsp: mel needs 0 < hop ≤ window ≤ FFT, a rate and bands")
	}
	if cfg.Fmin < 0 || !(cfg.Fmin < cfg.Fmax) || cfg.Fmax > float64(cfg.Rate)/2 || !(cfg.Floor > 0) {
		panic("dsp: mel needs 0 ≤ fmin < fmax ≤ rate/2 and a floor above 0")
	}
	m := &Mel{
		cfg:    cfg,
		window: Hann(make([]float32, cfg.Window)),
		past:   make([]float32, cfg.Window),
		frame:  make([]float32, cfg.FFT),
		power:  make([]float32, cfg.FFT/2+1),
		bank:   melBanks.get(cfg, func() *[]melBand { b := melBands(cfg); return &b }),
	}
	m.bands = *m.bank
	if n := cfg.FFT; n >= leastPowerSpectrum && n&(n-1) == 0 {
		m.quick = newPowerSpectrum(n)
	} else {
		m.fft = NewFFT(n)
	}
	return m
}

// Config is what the plan was made from.
func (m *Mel) Config() MelConfig { return m.cfg }

// Process takes the next Hop samples and writes Bands log powers to dst.
func (m *Mel) Process(dst, hop []float32) {
	if len(dst) != m.cfg.Bands || len(hop) != m.cfg.Hop {
		panic("dsp: length mismatch")
	}
	n := copy(m.past, m.past[len(hop):])
	copy(m.past[n:], hop)
	for i, w := range m.window {
		m.frame[i] = w * m.past[i]
	}
	if m.quick != nil {
		m.quick.power(m.power, m.frame)
	} else {
		m.fft.Power(m.power, m.frame)
	}
	for b := range m.bands {
		dst[b] = m.bands[b].log(m.power, m.cfg.Floor)
	}
}

func (b *melBand) log(power []float32, floor float64) float32 {
	var sum float64
	bins := power[b.first : b.first+len(b.weights)]
	for i, w := range b.weights {
		sum += float64(w) * float64(bins[i])
	}
	return float32(math.Log(max(sum, floor)))
}

// Succeed goes on where another plan of the same window is, as if this one had heard its signal.
func (m *Mel) Succeed(before *Mel) {
	if len(m.past) != len(before.past) {
		panic("dsp: length mismatch")
	}
	copy(m.past, before.past)
}

// Reset forgets the past: the next frame is that of a new stream.
func (m *Mel) Reset() { clear(m.past) }

// Latency is how far the middle of a frame's window lies behind the end of the hop that completes it.
func (m *Mel) Latency() time.Duration { return Samples(m.cfg.Window/2, m.cfg.Rate) }

// melBands makes the triangles. Band b rises from corner b to corner b+1 and falls to corner b+2;
// the corners are evenly spaced in mel from Fmin to Fmax; the height makes the area in Hz equal to 1.
func melBands(cfg MelConfig) []melBand {
	lo, hi := hzToMel(cfg.Fmin), hzToMel(cfg.Fmax)
	corner := make([]float64, cfg.Bands+2)
	for i := range corner {
		corner[i] = melToHz(lo + (hi-lo)*float64(i)/float64(cfg.Bands+1))
	}
	bands := make([]melBand, cfg.Bands)
	for b := range bands {
		left, mid, right := corner[b], corner[b+1], corner[b+2]
		for k := range cfg.FFT/2 + 1 {
			f := float64(k) * float64(cfg.Rate) / float64(cfg.FFT)
			w := min((f-left)/(mid-left), (right-f)/(right-mid)) * 2 / (right - left)
			if w <= 0 {
				continue
			}
			if len(bands[b].weights) == 0 {
				bands[b].first = k
			}
			bands[b].weights = append(bands[b].weights, float32(w))
		}
	}
	return bands
}

// Slaney's mel scale (Auditory Toolbox, 1998): 200/3 Hz a mel up to 1000 Hz, then 27 mels for each
// factor of 6.4.
const (
	melHz    = 200.0 / 3
	melKnee  = 1000.0
	melKnees = melKnee / melHz
)

var melStep = math.Log(6.4) / 27

func hzToMel(hz float64) float64 {
	if hz < melKnee {
		return hz / melHz
	}
	return melKnees + math.Log(hz/melKnee)/melStep
}

func melToHz(mel float64) float64 {
	if mel < melKnees {
		return mel * melHz
	}
	return melKnee * math.Exp((mel-melKnees)*melStep)
}
