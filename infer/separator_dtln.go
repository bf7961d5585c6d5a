package infer

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/autovoiced/autovoiced/dsp"
)

// SeparatorDTLN is the name of the Dual-signal Transformation LSTM Network (Nils L. Westhausen, MIT licence), which
// separates live until there is a model of our own.
const SeparatorDTLN = "dtln"

// What DTLN was trained with, and how `make deps` names what it leaves.
const (
	dtlnRate    = 16000
	dtlnSize    = 512 // samples of a frame, of which the oldest are final
	dtlnStep    = 128 // from one frame to the next
	dtlnBins    = dtlnSize/2 + 1
	dtlnState   = 2 * 128 * 2
	dtlnHop     = dtlnRate / hopsPerSecond
	dtlnWait    = 96 // samples that whole hops of 160 wait for whole steps of 128, at most
	dtlnVersion = "0.1.6"
)

// dtlnSeparator looks at a frame's magnitudes with one network and at what that leaves with another, in samples.
type dtlnSeparator struct {
	nets    [2]*ort.DynamicAdvancedSession
	tensors []*ort.Tensor[float32]
	inputs  [2][2][]ort.Value // of each network, by turn: the states that one run writes the next reads
	outputs [2][2][]ort.Value
	turn    int

	magnitude, mask, frame, cleaned []float32 // of tensors
	state                           [2][2][]float32

	fft  *dsp.FFT
	spec []complex128
	past []float32 // the newest samples of a frame
	sum  []float32 // frames that overlap
	in   []float32 // less than a step
	out  []float32 // what is final and not yet given
}

func dtlnFolder() (string, error) {
	return installed("dtln-" + dtlnVersion)
}

// NewDTLN makes the live separator of the networks that `make deps` installed; the error wraps fs.ErrNotExist where it has not.
// The caller closes it.
func NewDTLN() (Separator, error) {
	folder, err := dtlnFolder()
	if err != nil {
		return nil, err
	}
	s := &dtlnSeparator{
		fft: dsp.NewFFT(dtlnSize), spec: make([]complex128, dtlnBins), past: make([]float32, dtlnSize), sum: make([]float32, dtlnSize),
		in: make([]float32, 0, dtlnStep), out: make([]float32, 0, 4*dtlnSize),
	}
	for i := range s.nets {
		file := filepath.Join(folder, fmt.Sprintf("model_%d.onnx", i+1))
		model, err := os.ReadFile(file)
		if err == nil {
			err = Start()
		}
		if err == nil {
			err = s.open(i, model)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("model %s: %w", file, err), s.Close())
		}
	}
	s.Reset()
	return s, nil
}

// open builds one of the networks, whose tensors are named as its exporter left them.
func (s *dtlnSeparator) open(i int, model []byte) error {
	signature, err := readSignature(model)
	if err != nil {
		return err
	}
	size := int64(dtlnBins)
	if i == 1 {
		size = dtlnSize
	}
	shapes := [2]ort.Shape{ort.NewShape(1, 1, size), ort.NewShape(1, 2, dtlnState/4, 2)}
	if len(signature.inputs) != 2 || len(signature.outputs) != 2 {
		return fmt.Errorf("expected two inputs and two outputs, found %d and %d", len(signature.inputs), len(signature.outputs))
	}
	options, err := netOptions(DefaultPolicy(), "")
	if err != nil {
		return err
	}
	defer options.Destroy() //nolint:errcheck // always nil, see onnxruntime_go
	if s.nets[i], err = ort.NewDynamicAdvancedSessionWithONNXData(model, tensorNames(signature.inputs), tensorNames(signature.outputs), options); err != nil {
		return fmt.Errorf("onnx runtime %s refuses it: %w", Version(), err)
	}
	var made [4]*ort.Tensor[float32] // in, out, and the two states
	for k, shape := range []ort.Shape{shapes[0], shapes[0], shapes[1], shapes[1]} {
		if made[k], err = ort.NewEmptyTensor[float32](shape); err != nil {
			return fmt.Errorf("tensor: %w", err)
		}
		s.tensors = append(s.tensors, made[k])
	}
	if i == 0 {
		s.magnitude, s.mask = made[0].GetData(), made[1].GetData()
	} else {
		s.frame, s.cleaned = made[0].GetData(), made[1].GetData()
	}
	for turn := range s.inputs[i] {
		s.inputs[i][turn] = []ort.Value{made[0], made[2+turn]}
		s.outputs[i][turn] = []ort.Value{made[1], made[3-turn]}
		s.state[i][turn] = made[2+turn].GetData()
	}
	return nil
}

func (s *dtlnSeparator) Name() string  { return SeparatorDTLN }
func (s *dtlnSeparator) Rate() int     { return dtlnRate }
func (s *dtlnSeparator) Channels() int { return 1 }
func (s *dtlnSeparator) Hop() int      { return dtlnHop }
func (s *dtlnSeparator) Latency() int  { return dtlnSize - dtlnStep + dtlnWait }

func (s *dtlnSeparator) Process(vocals, mixture [][]float32) error {
	if err := checkFrames(s, vocals, mixture); err != nil {
		return err
	}
	if s.nets[1] == nil {
		clear(vocals[0])
		return fmt.Errorf("separator %s: it is closed", SeparatorDTLN)
	}
	for src := mixture[0]; len(src) > 0; {
		n := min(dtlnStep-len(s.in), len(src))
		s.in, src = append(s.in, src[:n]...), src[n:]
		if len(s.in) < dtlnStep {
			break
		}
		if err := s.step(); err != nil {
			clear(vocals[0])
			return fmt.Errorf("separator %s: %w", SeparatorDTLN, err)
		}
	}
	n := copy(vocals[0], s.out)
	s.out = s.out[:copy(s.out, s.out[n:])]
	return nil
}

// step hears a step of samples and makes the oldest of the frame final.
func (s *dtlnSeparator) step() error {
	if !finite(s.in) {
		silenceOddities(s.in)
	}
	copy(s.past, s.past[dtlnStep:])
	copy(s.past[dtlnSize-dtlnStep:], s.in)
	s.in = s.in[:0]
	s.fft.Forward(s.spec, s.past)
	for i, v := range s.spec {
		s.magnitude[i] = float32(math.Hypot(real(v), imag(v)))
	}
	if err := s.nets[0].Run(s.inputs[0][s.turn], s.outputs[0][s.turn]); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	for i, m := range s.mask {
		s.spec[i] *= complex(float64(m), 0)
	}
	s.fft.Inverse(s.frame, s.spec)
	if err := s.nets[1].Run(s.inputs[1][s.turn], s.outputs[1][s.turn]); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	s.turn = 1 - s.turn
	if !finite(s.cleaned) { // it starts afresh, and what it did not understand is silent
		clear(s.cleaned)
		s.forget()
	}
	n := copy(s.sum, s.sum[dtlnStep:])
	clear(s.sum[n:])
	for i, v := range s.cleaned {
		s.sum[i] += v
	}
	s.out = append(s.out, s.sum[:dtlnStep]...)
	return nil
}

func (s *dtlnSeparator) forget() {
	for _, states := range s.state {
		clear(states[0])
		clear(states[1])
	}
}

// Reset forgets the past signal.
func (s *dtlnSeparator) Reset() {
	s.forget()
	clear(s.past)
	clear(s.sum)
	s.turn, s.in, s.out = 0, s.in[:0], s.out[:dtlnWait]
	clear(s.out)
}

// Close gives the networks back. It accepts a half-made one and may be called again.
func (s *dtlnSeparator) Close() error {
	var errs []error
	for i, net := range s.nets {
		if net != nil {
			errs = append(errs, net.Destroy())
			s.nets[i] = nil
		}
	}
	for _, t := range s.tensors {
		errs = append(errs, t.Destroy())
	}
	s.tensors = nil
	return errors.Join(errs...)
}
