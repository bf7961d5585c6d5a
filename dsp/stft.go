package dsp

// STFT cuts a stream into frames of size samples, hop apart, seen through a square-root Hann window,
// and gives their half spectra. Frame t covers the last size samples once hop t has arrived, with zeros
// before the start. Spectra are unnormalised, as FFT's. It allocates nothing after NewSTFT.
type STFT struct {
	fft    *FFT
	hop    int
	window []float32
	past   []float32
	frame  []float32
}

// NewSTFT plans frames of size samples every hop; size must be at least twice the hop.
func NewSTFT(size, hop int) *STFT { return NewSTFTWindow(SqrtHann(make([]float32, size)), hop) }

// NewSTFTWindow plans frames seen through a window of the caller's, which it keeps. What a model was trained
// with may be another than ours.
func NewSTFTWindow(window []float32, hop int) *STFT {
	size := len(window)
	if hop < 1 || size < 2*hop {
		panic("dsp: STFT needs 0 < hop ≤ size/2")
	}
	return &STFT{
		fft:    NewFFT(size),
		hop:    hop,
		window: window,
		past:   make([]float32, size),
		frame:  make([]float32, size),
	}
}

// Bins is the number of frequencies of a frame, size/2+1.
func (s *STFT) Bins() int { return s.fft.Bins() }

// Analyze takes the next hop samples and writes the frame's half spectrum (Bins values) to dst.
func (s *STFT) Analyze(dst []complex128, hop []float32) {
	if len(hop) != s.hop {
		panic("dsp: length mismatch")
	}
	n := copy(s.past, s.past[s.hop:])
	copy(s.past[n:], hop)
	for i, w := range s.window {
		s.frame[i] = w * s.past[i]
	}
	s.fft.Forward(dst, s.frame)
}

// Reset forgets the stream.
func (s *STFT) Reset() { clear(s.past) }

// ISTFT overlaps and adds the frames of an STFT of the same size and hop. After an STFT whose spectra
// nobody changed it gives the input back, size−hop samples later. It allocates nothing after NewISTFT.
type ISTFT struct {
	fft    *FFT
	hop    int
	window []float32
	sum    []float32
	frame  []float32
}

// NewISTFT plans the way back from NewSTFT(size, hop). The window is divided by the sum that both
// windows' overlapping copies make, so any hop up to size/2 reconstructs.
func NewISTFT(size, hop int) *ISTFT {
	window := SqrtHann(make([]float32, size))
	return NewISTFTWindow(window, window, hop)
}

// NewISTFTWindow plans the way back from NewSTFTWindow(analysis, hop), through a synthesis window of the caller's.
// It is divided by the sum that the overlapping copies of both windows' product make, place by place within a hop,
// which must not be 0 anywhere. Where the synthesis window begins with zeros, whole hops of them come off the delay
// of size−hop samples: then more is heard of the past than is waited for.
func NewISTFTWindow(analysis, synthesis []float32, hop int) *ISTFT {
	window := WayBack(analysis, synthesis, hop)
	return &ISTFT{
		fft:    NewFFT(len(analysis)),
		hop:    hop,
		window: window,
		sum:    make([]float32, len(window)),
		frame:  make([]float32, len(analysis)),
	}
}

// WayBack is the synthesis window over the sum that the overlapping copies of both windows' product make: what a frame is multiplied
// with before frames hop apart are added. Whole hops of zeros at its beginning are left out.
func WayBack(analysis, synthesis []float32, hop int) []float32 {
	size := len(analysis)
	if hop < 1 || size < 2*hop || len(synthesis) != size {
		panic("dsp: ISTFT needs 0 < hop ≤ size/2, and two windows of one size")
	}
	skip := 0
	for skip < size-2*hop && synthesis[skip] == 0 {
		skip++
	}
	skip -= skip % hop // the sum moves by whole hops
	sums := make([]float64, hop)
	for i := range analysis {
		sums[i%hop] += float64(analysis[i]) * float64(synthesis[i])
	}
	window := make([]float32, size-skip)
	for i := range window {
		window[i] = synthesis[skip+i] / float32(sums[(skip+i)%hop])
	}
	return window
}

// Synthesize takes the next frame's half spectrum and writes the next hop samples to dst.
func (s *ISTFT) Synthesize(dst []float32, spec []complex128) {
	if len(dst) != s.hop {
		panic("dsp: length mismatch")
	}
	s.fft.Inverse(s.frame, spec)
	n := copy(s.sum, s.sum[s.hop:])
	clear(s.sum[n:])
	newest := s.frame[len(s.frame)-len(s.sum):]
	for i, w := range s.window {
		s.sum[i] += w * newest[i]
	}
	copy(dst, s.sum)
}

// Reset forgets the stream.
func (s *ISTFT) Reset() { clear(s.sum) }

// SpectralFilter runs a stream through STFT, a change of each frame's spectrum, and ISTFT. It takes
// input cut in any way, gives as many samples as it takes, and delays them by Delay samples.
type SpectralFilter struct {
	stft  *STFT
	istft *ISTFT
	edit  func(spec []complex128)
	spec  []complex128
	in    []float32
	out   []float32
	at    int
}

// NewSpectralFilter plans a filter with frames of size samples every hop. edit changes a frame's half
// spectrum in place; it must not keep it. A nil edit changes nothing.
func NewSpectralFilter(size, hop int, edit func(spec []complex128)) *SpectralFilter {
	s := NewSTFT(size, hop)
	return &SpectralFilter{
		stft:  s,
		istft: NewISTFT(size, hop),
		edit:  edit,
		spec:  make([]complex128, s.Bins()),
		in:    make([]float32, hop),
		out:   make([]float32, hop),
	}
}

// Delay is the delay in samples: the size of a frame.
func (f *SpectralFilter) Delay() int { return f.stft.fft.Len() }

// Process filters src to dst, of equal length. They may be the same slice.
func (f *SpectralFilter) Process(dst, src []float32) {
	if len(dst) != len(src) {
		panic("dsp: length mismatch")
	}
	for len(src) > 0 {
		n := copy(f.in[f.at:], src)
		copy(dst, f.out[f.at:])
		src, dst = src[n:], dst[n:]
		if f.at += n; f.at == len(f.in) {
			f.frame()
		}
	}
}

func (f *SpectralFilter) frame() {
	f.stft.Analyze(f.spec, f.in)
	if f.edit != nil {
		f.edit(f.spec)
	}
	f.istft.Synthesize(f.out, f.spec)
	f.at = 0
}

// Reset forgets the stream.
func (f *SpectralFilter) Reset() {
	f.stft.Reset()
	f.istft.Reset()
	clear(f.out)
	f.at = 0
}
