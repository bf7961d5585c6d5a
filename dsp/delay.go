package dsp

// Delay gives a stream back a whole number of samples later, with zeros first.
type Delay struct {
	ring []float32
	at   int
}

// NewDelay plans a delay of n samples, n ≥ 0.
func NewDelay(n int) *Delay {
	if n < 0 {
		panic("dsp: negative delay")
	}
	return &Delay{ring: make([]float32, n)}
}

// Len is the delay in samples.
func (d *Delay) Len() int { return len(d.ring) }

// Process delays src to dst, of equal length and any length. They may be the same slice.
func (d *Delay) Process(dst, src []float32) {
	if len(dst) != len(src) {
		panic("dsp: length mismatch")
	}
	if len(d.ring) == 0 {
		copy(dst, src)
		return
	}
	for i, v := range src {
		dst[i], d.ring[d.at] = d.ring[d.at], v
		if d.at++; d.at == len(d.ring) {
			d.at = 0
		}
	}
}

// Reset fills the line with zeros.
func (d *Delay) Reset() {
	clear(d.ring)
	d.at = 0
}
