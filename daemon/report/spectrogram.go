package report

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"

	"github.com/autovoiced/autovoiced/dsp"
)

const (
	spectrumSize = 4096 // samples of a transform at 44.1 and 48 kHz, fewer at lower rates
	spectrumRows = 220
	lowest       = 50.0  // Hz, at the bottom
	highest      = 16000 // at the top, unless the recording's own limit is lower
	darkest      = 80.0  // dB below the loudest
)

// spectrogram gathers power over time and frequency, the latter in octaves.
type spectrogram struct {
	rate    int
	frames  int64
	top     float64 // Hz
	fft     *dsp.FFT
	window  []float32
	past    []float32 // the last samples, spectrumSize at most
	scratch []float32
	power   []float32
	at      int64 // samples heard
	next    int64 // where the next transform ends
	every   int64
	sum     [][]float64 // of each column
	count   []int
}

func newSpectrogram(rate int, frames int64) *spectrogram {
	size := spectrumSize
	for size > 512 && size*1000 > rate*110 {
		size /= 2
	}
	s := &spectrogram{
		rate: rate, frames: frames, top: min(highest, float64(rate)/2),
		fft: dsp.NewFFT(size), window: dsp.Hann(make([]float32, size)), scratch: make([]float32, size), every: max(64, frames/(2*columns)),
		sum: make([][]float64, columns), count: make([]int, columns),
	}
	s.power = make([]float32, s.fft.Bins())
	s.past = make([]float32, size/2, size) // so that the first describes the very beginning
	s.next = int64(size / 2)
	return s
}

func (s *spectrogram) hear(x []float32) {
	for len(x) > 0 {
		n := int(min(int64(len(x)), s.next-s.at))
		s.push(x[:n])
		x = x[n:]
		if s.at += int64(n); s.at == s.next {
			s.transform()
			s.next += s.every
		}
	}
}

func (s *spectrogram) push(x []float32) {
	size := s.fft.Len()
	if len(x) >= size {
		s.past = append(s.past[:0], x[len(x)-size:]...)
		return
	}
	if over := len(s.past) + len(x) - size; over > 0 {
		s.past = s.past[:copy(s.past, s.past[over:])]
	}
	s.past = append(s.past, x...)
}

func (s *spectrogram) transform() {
	size := s.fft.Len()
	if len(s.past) < size {
		return
	}
	centre := s.at - int64(size/2)
	column := min(columns-1, int(max(0, centre)*columns/max(1, s.frames)))
	for i, v := range s.past {
		s.scratch[i] = v * s.window[i]
	}
	s.fft.Power(s.power, s.scratch)
	if s.sum[column] == nil {
		s.sum[column] = make([]float64, spectrumRows)
	}
	for row := range s.sum[column] {
		s.sum[column][row] += s.band(s.hz(float64(row)), s.hz(float64(row+1)))
	}
	s.count[column]++
}

// hz is the frequency at a row's lower edge, from the bottom.
func (s *spectrogram) hz(row float64) float64 {
	return lowest * math.Pow(s.top/lowest, row/spectrumRows)
}

// band is the largest power between two frequencies, or what lies between two bins.
func (s *spectrogram) band(low, high float64) float64 {
	perBin := float64(s.rate) / float64(s.fft.Len())
	a, b := low/perBin, high/perBin
	if b-a < 1 {
		middle := (a + b) / 2
		i := min(int(middle), len(s.power)-2)
		share := min(1, middle-float64(i))
		return float64(s.power[i])*(1-share) + float64(s.power[i+1])*share
	}
	var most float32
	for i := int(a + 0.5); i < min(int(b+0.5), len(s.power)); i++ {
		most = max(most, s.power[i])
	}
	return float64(most)
}

// png draws the spectrogram, dark for quiet.
func (s *spectrogram) png() ([]byte, error) {
	img := image.NewPaletted(image.Rect(0, 0, columns, spectrumRows), magma())
	var most float64
	for c, sum := range s.sum {
		for row := range sum {
			sum[row] /= float64(s.count[c])
			most = max(most, sum[row])
		}
		s.count[c] = 1
	}
	var last []float64
	for x, sum := range s.sum {
		if sum == nil { // a short recording
			sum = last
		}
		last = sum
		for row, v := range sum {
			db := 10 * math.Log10(max(v, 1e-20)/max(most, 1e-20))
			img.SetColorIndex(x, spectrumRows-1-row, uint8(255*max(0, 1+db/darkest)))
		}
	}
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	err := encoder.Encode(&b, img)
	return b.Bytes(), err
}

// magma is matplotlib's palette of that name (CC0), by a few of its colours.
func magma() color.Palette {
	anchors := [...][3]float64{
		{0, 0, 4}, {28, 16, 68}, {79, 18, 123}, {129, 37, 129}, {181, 54, 122}, {229, 80, 100}, {251, 135, 97}, {254, 194, 135}, {252, 253, 191},
	}
	palette := make(color.Palette, 256)
	for i := range palette {
		at := float64(i) / 255 * float64(len(anchors)-1)
		k := min(int(at), len(anchors)-2)
		mix := func(j int) uint8 {
			return uint8(math.Round(anchors[k][j] + (at-float64(k))*(anchors[k+1][j]-anchors[k][j])))
		}
		palette[i] = color.RGBA{mix(0), mix(1), mix(2), 255}
	}
	return palette
}
