package infer

import (
	"errors"
	"fmt"
	"math"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/autovoiced/autovoiced/dsp"
)

// songPreset says how carefully Spleeter is asked.
type songPreset struct {
	both bool // both U-nets, not the voice's alone
	step int  // frames from one block to the next: what two blocks see is faded from one to the other
}

var songPresets = map[string]songPreset{
	PresetFast:     {both: false, step: 480},
	PresetBalanced: {both: true, step: 448},
	PresetQuality:  {both: true, step: 256},
}

// Above what the network sees, the voice's share is what it is on average in these bins, 7 to 11 kHz: sibilants
// go on up there, and cymbals too.
const spleeterTop = 640

// songSeparator asks Spleeter's network about blocks of frames that overlap, and gives the frames out as soon as
// no later block says more of them. Between Process's calls it holds a block: 512 frames of spectra.
type songSeparator struct {
	preset songPreset
	net    *ort.DynamicAdvancedSession
	in     *ort.Tensor[float32] // magnitudes of the block: channel, frame, bin
	out    *ort.Tensor[float32] // masks
	inputs []ort.Value
	masks  []ort.Value

	channels [songChannels]songChannel
	kept     []float32 // masks of the last block's overlap with the next
	first    bool      // no block yet: nothing to fade from
	filled   int       // frames of the block so far
	newest   int       // slot of the newest spectrum
	mask     []float32 // masks of the frames that are final: channel, frame, bin
	final    int       // how many those are
	given    int       // how many of them are given out
	closed   bool
}

// songChannel is what each channel has for itself.
type songChannel struct {
	stft  *dsp.STFT
	istft *dsp.ISTFT
	specs []complex64 // the last 512 spectra, a ring
	spec  []complex128
	hop   []float32
}

func newSongSeparator(policy Policy, preset string) (*songSeparator, error) {
	p := songPresets[preset]
	model, err := readSpleeter(p.both)
	if err != nil {
		return nil, fmt.Errorf("separator %s: %w", SeparatorSpleeter, err)
	}
	if err := Start(); err != nil {
		return nil, err
	}
	s := &songSeparator{preset: p, mask: make([]float32, songChannels*spleeterFrames*spleeterBins)}
	s.kept = make([]float32, songChannels*s.overlap()*spleeterBins)
	window := dsp.Hann(make([]float32, spleeterSize))
	for c := range s.channels {
		s.channels[c] = songChannel{
			stft:  dsp.NewSTFTWindow(window, spleeterHop),
			istft: dsp.NewISTFTWindow(window, window, spleeterHop),
			specs: make([]complex64, spleeterFrames*(spleeterSize/2+1)),
			spec:  make([]complex128, spleeterSize/2+1),
			hop:   make([]float32, spleeterHop),
		}
	}
	if err := s.open(model, policy); err != nil {
		return nil, errors.Join(fmt.Errorf("separator %s: %w", SeparatorSpleeter, err), s.Close())
	}
	s.Reset()
	return s, nil
}

func (s *songSeparator) open(model []byte, policy Policy) error {
	policy.Provider = ProviderCPU
	options, err := netOptions(policy, "")
	if err != nil {
		return err
	}
	defer options.Destroy() //nolint:errcheck // always nil, see onnxruntime_go
	if s.net, err = ort.NewDynamicAdvancedSessionWithONNXData(model, []string{spleeterInput().name}, []string{spleeterOutput().name}, options); err != nil {
		return fmt.Errorf("onnx runtime %s refuses it: %w", Version(), err)
	}
	if s.in, err = ort.NewEmptyTensor[float32](spleeterInput().shape); err != nil {
		return fmt.Errorf("tensor: %w", err)
	}
	if s.out, err = ort.NewEmptyTensor[float32](spleeterOutput().shape); err != nil {
		return fmt.Errorf("tensor: %w", err)
	}
	s.inputs, s.masks = []ort.Value{s.in}, []ort.Value{s.out}
	return nil
}

func (s *songSeparator) overlap() int { return spleeterFrames - s.preset.step }

func (s *songSeparator) Name() string  { return SeparatorSpleeter }
func (s *songSeparator) Rate() int     { return songRate }
func (s *songSeparator) Channels() int { return songChannels }
func (s *songSeparator) Hop() int      { return spleeterHop }

// Latency is a block, less the hop that fills it, and what the frames overlap.
func (s *songSeparator) Latency() int {
	return (spleeterFrames-1)*spleeterHop + spleeterSize - spleeterHop
}

func (s *songSeparator) Process(vocals, mixture [][]float32) error {
	if err := checkFrames(s, vocals, mixture); err != nil {
		return err
	}
	if s.closed {
		return fmt.Errorf("separator %s: it is closed", SeparatorSpleeter)
	}
	s.listen(mixture)
	var err error
	if s.filled == spleeterFrames {
		err = s.separate()
	}
	for c := range vocals {
		if err != nil || s.final == 0 {
			clear(vocals[c])
			continue
		}
		s.give(c, vocals[c])
	}
	if s.final > 0 {
		s.given++
	}
	return err
}

// listen takes a hop into the block: its spectrum, and the magnitudes that the network sees.
func (s *songSeparator) listen(mixture [][]float32) {
	const bins = spleeterSize/2 + 1
	s.newest = (s.newest + 1) % spleeterFrames
	magnitudes := s.in.GetData()
	for c := range s.channels {
		ch := &s.channels[c]
		copy(ch.hop, mixture[c])
		if !finite(ch.hop) {
			silenceOddities(ch.hop)
		}
		ch.stft.Analyze(ch.spec, ch.hop)
		spec := ch.specs[s.newest*bins : (s.newest+1)*bins]
		for i, v := range ch.spec {
			spec[i] = complex64(v)
		}
		row := magnitudes[(c*spleeterFrames+s.filled)*spleeterBins:][:spleeterBins]
		for i := range row {
			row[i] = float32(math.Sqrt(float64(real(spec[i])*real(spec[i]) + imag(spec[i])*imag(spec[i]))))
		}
	}
	s.filled++
}

// separate runs the network on a full block and makes its first frames final.
func (s *songSeparator) separate() error {
	if err := s.net.Run(s.inputs, s.masks); err != nil {
		return fmt.Errorf("separator %s: run: %w", SeparatorSpleeter, err)
	}
	masks, step, overlap := s.out.GetData(), s.preset.step, s.overlap()
	if !finite(masks) {
		silenceOddities(masks)
	}
	for c := range s.channels {
		block := masks[c*spleeterFrames*spleeterBins:][:spleeterFrames*spleeterBins]
		kept := s.kept[c*overlap*spleeterBins:][:overlap*spleeterBins]
		for f := 0; f < overlap && !s.first; f++ {
			fade := (float32(f) + 0.5) / float32(overlap)
			row, before := block[f*spleeterBins:][:spleeterBins], kept[f*spleeterBins:][:spleeterBins]
			for i, v := range before {
				row[i] = v + fade*(row[i]-v)
			}
		}
		copy(s.mask[c*spleeterFrames*spleeterBins:], block[:step*spleeterBins])
		copy(kept, block[step*spleeterBins:])
		magnitudes := s.in.GetData()[c*spleeterFrames*spleeterBins:][:spleeterFrames*spleeterBins]
		copy(magnitudes, magnitudes[step*spleeterBins:])
	}
	s.first, s.filled, s.final, s.given = false, overlap, step, 0
	return nil
}

// give writes the next final frame's vocals of a channel.
func (s *songSeparator) give(c int, vocals []float32) {
	const bins = spleeterSize/2 + 1
	ch := &s.channels[c]
	oldest := (s.newest + 1) % spleeterFrames
	spec := ch.specs[oldest*bins : (oldest+1)*bins]
	mask := s.mask[(c*spleeterFrames+s.given)*spleeterBins:][:spleeterBins]
	for i, m := range mask {
		ch.spec[i] = complex128(spec[i]) * complex(float64(m), 0)
	}
	var top float64
	for _, m := range mask[spleeterTop:] {
		top += float64(m)
	}
	top /= float64(len(mask) - spleeterTop)
	for i := spleeterBins; i < bins; i++ {
		ch.spec[i] = complex128(spec[i]) * complex(top, 0)
	}
	ch.istft.Synthesize(vocals, ch.spec)
}

// Reset forgets the past signal.
func (s *songSeparator) Reset() {
	for c := range s.channels {
		s.channels[c].stft.Reset()
		s.channels[c].istft.Reset()
		clear(s.channels[c].specs)
	}
	s.first, s.filled, s.newest, s.final, s.given = true, 0, -1, 0, 0
}

// Close gives the network back. It accepts a half-built separator and may be called again.
func (s *songSeparator) Close() error {
	s.closed = true
	var errs []error
	if s.net != nil {
		errs = append(errs, s.net.Destroy())
	}
	for _, t := range []*ort.Tensor[float32]{s.in, s.out} {
		if t != nil {
			errs = append(errs, t.Destroy())
		}
	}
	s.net, s.in, s.out = nil, nil, nil
	return errors.Join(errs...)
}
