package infer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/autovoiced/autovoiced/dsp"
)

// KindSpeaker takes a window of mel frames and gives an embedding: who speaks, whatever is said.
const KindSpeaker = "speaker"

// speakerFile is the name of the speaker encoder, which lies among packs and is none.
const speakerFile = "speaker.onnx"

// maxEmbedding and maxSpeakerFrames bound what a file may ask for.
const maxEmbedding, maxSpeakerFrames = 4096, 3000

// ErrNoSpeech is what Embed and MeanEmbedding return where nobody speaks.
var ErrNoSpeech = errors.New("there is no speech")

// SpeakerEncoder hears who speaks in a recording. It runs on the CPU, whatever the voices run on: a
// window costs milliseconds, and is heard once for a target. It is safe from any goroutine, which
// take turns.
type SpeakerEncoder struct {
	file     string
	id       string
	contract Contract

	mu        sync.Mutex // guards what follows
	net       *ort.DynamicAdvancedSession
	mel       *ort.Tensor[float32]
	embedding *ort.Tensor[float32]
}

// NewSpeakerEncoder loads the encoder that goes with the packs: the one in the folder of further
// packs when it holds one, else the bundled one. The caller closes it.
func NewSpeakerEncoder(cfg Config) (*SpeakerEncoder, error) {
	file, model, err := speakerModel(cfg)
	if err != nil {
		return nil, err
	}
	return LoadSpeakerEncoder(file, model)
}

// SpeakerEncoderID is the ID of the encoder that NewSpeakerEncoder loads, without loading it.
func SpeakerEncoderID(cfg Config) (string, error) {
	_, model, err := speakerModel(cfg)
	return speakerID(model), err
}

func speakerModel(cfg Config) (file string, model []byte, err error) {
	if cfg.Models != "" {
		file = filepath.Join(cfg.Models, speakerFile)
		if model, err = os.ReadFile(file); !errors.Is(err, fs.ErrNotExist) {
			return file, model, err
		}
	}
	file = bundledPrefix + speakerFile
	if model, err = bundled.ReadFile("voices/" + speakerFile); err != nil {
		return file, nil, fmt.Errorf("speaker encoder: %w", err)
	}
	return file, model, nil
}

// LoadSpeakerEncoder loads an encoder from memory; file is its name for errors. The bytes are not kept.
func LoadSpeakerEncoder(file string, model []byte) (*SpeakerEncoder, error) {
	c, err := readSpeakerContract(model)
	e := &SpeakerEncoder{file: file, id: speakerID(model), contract: c}
	if err == nil {
		err = Start()
	}
	if err == nil {
		err = e.open(model)
	}
	if err == nil {
		err = e.warmUp()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("model %s: %w", file, err), e.Close())
	}
	return e, nil
}

func speakerID(model []byte) string {
	sum := sha256.Sum256(model)
	return hex.EncodeToString(sum[:8])
}

// readSpeakerContract reads and checks the file's contract, and the graph against it.
func readSpeakerContract(model []byte) (Contract, error) {
	s, err := readSignature(model)
	if err != nil {
		return Contract{}, err
	}
	c, err := parseContract(s.metadata)
	if err == nil {
		err = c.validateSpeaker()
	}
	if err == nil {
		err = checkTensors("input", []tensor{c.speakerInput()}, s.inputs)
	}
	if err == nil {
		err = checkTensors("output", []tensor{c.speakerOutput()}, s.outputs)
	}
	return c, err
}

func (c *Contract) validateSpeaker() error {
	switch {
	case c.Kind != KindSpeaker:
		return fmt.Errorf("contract: 'kind' is %q, expected %s", c.Kind, KindSpeaker)
	case c.Name == "":
		return errors.New("contract: 'name' is empty")
	case c.SampleRateIn < 8000 || c.SampleRateIn > 48000:
		return fmt.Errorf("contract: 'sample_rate_in' is %d, expected 8000 to 48000", c.SampleRateIn)
	case c.HopIn*hopsPerSecond != c.SampleRateIn:
		return fmt.Errorf("contract: 'hop_in' is %d samples at %d Hz, expected %d (10 ms)", c.HopIn, c.SampleRateIn, c.SampleRateIn/hopsPerSecond)
	case c.Frames < 1 || c.Frames > maxSpeakerFrames:
		return fmt.Errorf("contract: 'frames' is %d, expected 1 to %d", c.Frames, maxSpeakerFrames)
	case c.Embedding < 1 || c.Embedding > maxEmbedding:
		return fmt.Errorf("contract: 'embedding' is %d, expected 1 to %d", c.Embedding, maxEmbedding)
	}
	return c.validateMel()
}

func (c *Contract) speakerInput() tensor {
	return tensor{"mel", elemFloat, []int64{1, int64(c.Mel.Bands), int64(c.Frames)}}
}

func (c *Contract) speakerOutput() tensor { return floats("embedding", c.Embedding) }

func (e *SpeakerEncoder) open(model []byte) error {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return fmt.Errorf("session options: %w", err)
	}
	defer options.Destroy() //nolint:errcheck // always nil, see onnxruntime_go
	for _, set := range []func() error{
		func() error { return options.SetIntraOpNumThreads(1) },
		func() error { return options.SetInterOpNumThreads(1) },
		func() error { return options.SetCpuMemArena(false) },
	} {
		if err := set(); err != nil {
			return fmt.Errorf("session options: %w", err)
		}
	}
	if e.net, err = ort.NewDynamicAdvancedSessionWithONNXData(model, []string{"mel"}, []string{"embedding"}, options); err != nil {
		return fmt.Errorf("onnx runtime %s refuses it: %w", Version(), err)
	}
	if e.mel, err = ort.NewEmptyTensor[float32](e.contract.speakerInput().shape); err != nil {
		return fmt.Errorf("tensor \"mel\": %w", err)
	}
	if e.embedding, err = ort.NewEmptyTensor[float32](e.contract.speakerOutput().shape); err != nil {
		return fmt.Errorf("tensor \"embedding\": %w", err)
	}
	return nil
}

// warmUp hears silence and checks that something of unit length comes out.
func (e *SpeakerEncoder) warmUp() error {
	c := e.contract
	silence := dsp.NewMel(c.Mel.config(c.SampleRateIn))
	frame, hop := make([]float32, c.Mel.Bands), make([]float32, c.HopIn)
	silence.Process(frame, hop)
	window := make([][]float32, c.Frames)
	for i := range window {
		window[i] = frame
	}
	embedding, err := e.hear(window)
	if err != nil {
		return fmt.Errorf("warm-up: %w", err)
	}
	if n := norm(embedding); !(n > 0.99 && n < 1.01) {
		return fmt.Errorf("warm-up: output \"embedding\": expected unit length, found %g", n)
	}
	return nil
}

// hear gives the embedding of one window of frames, each of all bands.
func (e *SpeakerEncoder) hear(window [][]float32) ([]float32, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.net == nil {
		return nil, errors.New("the speaker encoder is closed")
	}
	in := e.mel.GetData()
	for t, frame := range window {
		for band, v := range frame {
			in[band*e.contract.Frames+t] = v
		}
	}
	if err := e.net.Run([]ort.Value{e.mel}, []ort.Value{e.embedding}); err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	if !finite(e.embedding.GetData()) {
		return nil, errors.New("output \"embedding\": expected numbers, found NaN or infinity")
	}
	return slices.Clone(e.embedding.GetData()), nil
}

// Name is what the encoder's contract calls it.
func (e *SpeakerEncoder) Name() string { return e.contract.Name }

// ID tells encoders apart: the beginning of the SHA-256 of the file. Embeddings of different ones do
// not compare.
func (e *SpeakerEncoder) ID() string { return e.id }

// Size is how many values an embedding has.
func (e *SpeakerEncoder) Size() int { return e.contract.Embedding }

// Rate is the rate, in Hz, of the audio that it hears.
func (e *SpeakerEncoder) Rate() int { return e.contract.SampleRateIn }

// Close gives the network back. It accepts a half-built encoder and may be called again.
func (e *SpeakerEncoder) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var errs []error
	if e.net != nil {
		errs = append(errs, e.net.Destroy())
	}
	for _, t := range []*ort.Tensor[float32]{e.mel, e.embedding} {
		if t != nil {
			errs = append(errs, t.Destroy())
		}
	}
	e.net, e.mel, e.embedding = nil, nil, nil
	return errors.Join(errs...)
}
