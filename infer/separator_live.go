package infer

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/autovoiced/autovoiced/dsp"
)

// KindSeparator takes the spectrum of a frame and state, and gives a complex mask and the next state.
const KindSeparator = "separator"

// separatorFile is the name of the live separator, which lies among packs and is none.
const separatorFile = "separator.onnx"

// Spectrum is what a live separator hears of a frame: the newest samples seen through a window that rises for long
// and falls quickly, of which the newest are synthesised again, so that little is waited for.
type Spectrum struct {
	Size        int     `json:"size"`        // samples of a frame
	Synthesised int     `json:"synthesised"` // the newest of them, those that the delay is made of
	Bins        int     `json:"bins"`        // from 0 Hz; the mask of the last serves those above
	Scale       float64 `json:"scale"`       // of the unnormalised transform
}

// liveSeparator is a causal Separator of one channel. Its runs alternate between two bindings, so that the state
// that one writes is the state that the next reads.
type liveSeparator struct {
	contract Contract
	net      *ort.DynamicAdvancedSession
	spectrum *ort.Tensor[float32]
	mask     *ort.Tensor[float32]
	state    [2]*ort.Tensor[float32]
	io       [2]*ort.IoBinding
	turn     int

	stft  *dsp.STFT
	istft *dsp.ISTFT
	spec  []complex128
	hop   []float32
}

// NewLiveSeparator makes the separator for the live pipeline: one channel, causal, one hop of 10 ms a call. It is the
// one in the folder of further packs when that holds one (separator.onnx), else the bundled one. The caller closes it.
func NewLiveSeparator(cfg Config) (Separator, error) {
	if cfg.Models != "" {
		file := filepath.Join(cfg.Models, separatorFile)
		model, err := os.ReadFile(file)
		if err == nil {
			return LoadLiveSeparator(file, model)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("model %s: %w", file, err)
		}
	}
	model, err := bundled.ReadFile("voices/" + separatorFile)
	if err != nil {
		return nil, fmt.Errorf("live separator: %w", err)
	}
	return LoadLiveSeparator(bundledPrefix+separatorFile, model)
}

// LoadLiveSeparator loads a separator from memory; file is its name for errors. The bytes are not kept.
func LoadLiveSeparator(file string, model []byte) (Separator, error) {
	c, err := readSeparatorContract(model)
	if err == nil {
		err = Start()
	}
	s := &liveSeparator{contract: c}
	if err == nil {
		err = s.open(model)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("model %s: %w", file, err), s.Close())
	}
	s.plan()
	for range warmupRuns {
		if err := s.run(); err != nil {
			return nil, errors.Join(fmt.Errorf("model %s: warm-up: %w", file, err), s.Close())
		}
	}
	s.Reset()
	return s, nil
}

func readSeparatorContract(model []byte) (Contract, error) {
	s, err := readSignature(model)
	if err != nil {
		return Contract{}, err
	}
	c, err := parseContract(s.metadata)
	if err == nil {
		err = c.validateSeparator()
	}
	if err == nil {
		err = checkTensors("input", c.separatorInputs(), s.inputs)
	}
	if err == nil {
		err = checkTensors("output", c.separatorOutputs(), s.outputs)
	}
	return c, err
}

func (c *Contract) validateSeparator() error {
	if c.Kind != KindSeparator {
		return fmt.Errorf("contract: 'kind' is %q, expected %s", c.Kind, KindSeparator)
	}
	p := c.Spectrum
	switch {
	case p == nil:
		return errors.New("contract: no 'spectrum', expected what it hears")
	case c.Name == "":
		return errors.New("contract: 'name' is empty")
	case c.SampleRateIn < 8000 || c.SampleRateIn > 48000 || c.SampleRateOut != c.SampleRateIn:
		return fmt.Errorf("contract: 'sample_rate_in' and 'sample_rate_out' are %d and %d, expected one of 8000 to 48000", c.SampleRateIn, c.SampleRateOut)
	case c.HopIn*hopsPerSecond != c.SampleRateIn || c.HopOut != c.HopIn:
		return fmt.Errorf("contract: 'hop_in' and 'hop_out' are %d and %d samples at %d Hz, expected %d (10 ms)", c.HopIn, c.HopOut, c.SampleRateIn, c.SampleRateIn/hopsPerSecond)
	case p.Size > 1<<14 || p.Synthesised > p.Size || p.Synthesised < 2*c.HopIn || p.Synthesised%c.HopIn != 0:
		return fmt.Errorf("contract: 'spectrum' has size %d and synthesised %d, expected size ≥ synthesised, a multiple of the hop of %d", p.Size, p.Synthesised, c.HopIn)
	case p.Bins < p.Size/2 || p.Bins > p.Size/2+1:
		return fmt.Errorf("contract: 'spectrum.bins' is %d, expected %d or one more", p.Bins, p.Size/2)
	case !(p.Scale > 0 && p.Scale <= 1e6):
		return fmt.Errorf("contract: 'spectrum.scale' is %g, expected above 0", p.Scale)
	case c.State < 1 || c.State > maxState:
		return fmt.Errorf("contract: 'state' is %d, expected 1 to %d", c.State, maxState)
	}
	if late := 1000 * float64(p.Synthesised-c.HopIn) / float64(c.SampleRateIn); math.Abs(late-c.LookaheadMS) > 1e-6 {
		return fmt.Errorf("contract: 'lookahead_ms' is %g, expected %g, as 'spectrum' makes it", c.LookaheadMS, late)
	}
	return nil
}

func (c *Contract) separatorInputs() []tensor {
	return []tensor{{"spectrum", elemFloat, []int64{1, 2, int64(c.Spectrum.Bins)}}, floats("state", c.State)}
}

func (c *Contract) separatorOutputs() []tensor {
	return []tensor{{"mask", elemFloat, []int64{1, 2, int64(c.Spectrum.Bins)}}, floats("state_out", c.State)}
}

func (s *liveSeparator) open(model []byte) error {
	options, err := netOptions(DefaultPolicy(), "")
	if err != nil {
		return err
	}
	defer options.Destroy() //nolint:errcheck // always nil, see onnxruntime_go
	if s.net, err = ort.NewDynamicAdvancedSessionWithONNXData(model, []string{"spectrum", "state"}, []string{"mask", "state_out"}, options); err != nil {
		return fmt.Errorf("onnx runtime %s refuses it: %w", Version(), err)
	}
	in := s.contract.separatorInputs()
	for _, t := range []struct {
		tensor **ort.Tensor[float32]
		shape  []int64
	}{{&s.spectrum, in[0].shape}, {&s.mask, in[0].shape}, {&s.state[0], in[1].shape}, {&s.state[1], in[1].shape}} {
		if *t.tensor, err = ort.NewEmptyTensor[float32](ort.NewShape(t.shape...)); err != nil {
			return fmt.Errorf("tensor: %w", err)
		}
	}
	for i := range s.io {
		if s.io[i], err = s.net.CreateIoBinding(); err != nil {
			return fmt.Errorf("bind: %w", err)
		}
		if err = errors.Join(s.io[i].BindInput("spectrum", s.spectrum), s.io[i].BindInput("state", s.state[i]),
			s.io[i].BindOutput("mask", s.mask), s.io[i].BindOutput("state_out", s.state[1-i])); err != nil {
			return fmt.Errorf("bind: %w", err)
		}
	}
	return nil
}

// plan makes the transforms: a quarter of a sine up over what is older than half of the synthesised part, a quarter
// of a cosine down over the rest; and the window that makes a Hann window of it.
func (s *liveSeparator) plan() {
	p, hop := s.contract.Spectrum, s.contract.HopIn
	analysis, synthesis := make([]float32, p.Size), make([]float32, p.Size)
	fall := p.Synthesised / 2
	rise := p.Size - fall
	for i := range analysis {
		analysis[i] = float32(math.Sin(math.Pi / 2 * float64(i) / float64(rise)))
		if i >= rise {
			analysis[i] = float32(math.Cos(math.Pi / 2 * float64(i-rise) / float64(fall)))
		}
		if k := i - (p.Size - p.Synthesised); k > 0 {
			synthesis[i] = float32(0.5-0.5*math.Cos(2*math.Pi*float64(k)/float64(p.Synthesised))) / analysis[i]
		}
	}
	s.stft, s.istft = dsp.NewSTFTWindow(analysis, hop), dsp.NewISTFTWindow(analysis, synthesis, hop)
	s.spec, s.hop = make([]complex128, s.stft.Bins()), make([]float32, hop)
}

func (s *liveSeparator) Name() string  { return s.contract.Name }
func (s *liveSeparator) Rate() int     { return s.contract.SampleRateIn }
func (s *liveSeparator) Channels() int { return 1 }
func (s *liveSeparator) Hop() int      { return s.contract.HopIn }
func (s *liveSeparator) Latency() int  { return s.contract.Spectrum.Synthesised - s.contract.HopIn }

func (s *liveSeparator) Process(vocals, mixture [][]float32) error {
	if err := checkFrames(s, vocals, mixture); err != nil {
		return err
	}
	out := vocals[0]
	if s.net == nil {
		clear(out)
		return fmt.Errorf("separator %s: it is closed", s.contract.Name)
	}
	if copy(s.hop, mixture[0]); !finite(s.hop) {
		silenceOddities(s.hop)
	}
	s.stft.Analyze(s.spec, s.hop)
	spectrum, bins, scale := s.spectrum.GetData(), s.contract.Spectrum.Bins, s.contract.Spectrum.Scale
	for i, v := range s.spec[:bins] {
		spectrum[i], spectrum[bins+i] = float32(scale*real(v)), float32(scale*imag(v))
	}
	if err := s.run(); err != nil {
		clear(out)
		return fmt.Errorf("separator %s: %w", s.contract.Name, err)
	}
	mask := s.mask.GetData()
	if !finite(mask) { // it starts afresh, and what it did not understand is silent
		clear(mask)
		s.forget()
	}
	for i := range s.spec {
		k := min(i, bins-1)
		s.spec[i] *= complex(float64(mask[k]), float64(mask[bins+k]))
	}
	s.istft.Synthesize(out, s.spec)
	return nil
}

func (s *liveSeparator) run() error {
	if err := s.net.RunWithBinding(s.io[s.turn]); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	s.turn = 1 - s.turn
	return nil
}

func (s *liveSeparator) forget() {
	s.turn = 0
	clear(s.state[0].GetData())
	clear(s.state[1].GetData())
}

// Reset forgets the past signal.
func (s *liveSeparator) Reset() {
	s.forget()
	s.stft.Reset()
	s.istft.Reset()
}

// Close gives the network back. It accepts a half-made one and may be called again.
func (s *liveSeparator) Close() error {
	var errs []error
	for i, io := range s.io {
		if io != nil {
			errs = append(errs, io.Destroy())
			s.io[i] = nil
		}
	}
	for _, t := range []*ort.Tensor[float32]{s.spectrum, s.mask, s.state[0], s.state[1]} {
		if t != nil {
			errs = append(errs, t.Destroy())
		}
	}
	if s.net != nil {
		errs = append(errs, s.net.Destroy())
	}
	s.net, s.spectrum, s.mask, s.state = nil, nil, nil, [2]*ort.Tensor[float32]{}
	return errors.Join(errs...)
}
