package infer

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	ort "github.com/yalue/onnxruntime_go"
)

// SwiftF0's own figures: a value every 256 samples at 16 kHz, which hears 2815 samples to either side.
const (
	swiftRate   = 16000
	swiftHop    = 256
	swiftBefore = 11  // values that the model wants to have heard before the first that counts,
	swiftAfter  = 10  // and after the last
	swiftFrames = 128 // values that one run gives, 2 s
	swiftWindow = (swiftBefore + swiftFrames + swiftAfter) * swiftHop
	swiftSilent = 1e-3 // peak below which nothing is heard: the model never saw digital silence
	swiftMin    = 46.875
	swiftMax    = 2093.75
	songHz      = 100 // values a second that SongPitch gives
)

// The package that `make deps` takes the model from, and the file that it leaves.
const (
	swiftVersion = "0.3.0"
	swiftFile    = "model.onnx"
)

// ErrNotInstalled is what making a model wraps whose weights `make deps` has not installed.
var ErrNotInstalled = errors.New("not installed; `make deps` installs it")

// SongPitch follows the pitch of one voice, singing or speaking, in a recording: SwiftF0 (MIT licence), which hears
// 180 ms of past and future and so makes few of the slips by an octave that a live tracker makes. Too late for live
// use. Curves come in Hz at 100 values a second, the first at time 0, 0 where unvoiced. One goroutine owns it.
type SongPitch struct {
	net      *ort.DynamicAdvancedSession
	audio    *ort.Tensor[float32]
	pitch    *ort.Tensor[float64]
	sure     *ort.Tensor[float32]
	inputs   []ort.Value
	outputs  []ort.Value
	bounds   [2]*ort.Scalar[float32]
	filled   int     // samples of the window that are there
	heard    int     // values of the model that have been given out or kept
	received int     // samples, in all
	given    int     // values of the curve, in all
	last     float32 // the model's newest value that counts, Hz or 0
}

// NewSongPitch looks for pitches from minHz to maxHz, 50 to 1100 for singing. The caller closes it.
func NewSongPitch(minHz, maxHz float64) (*SongPitch, error) {
	if !(minHz >= 20 && minHz < maxHz/1.1 && maxHz <= 4000) {
		return nil, fmt.Errorf("pitch of songs: from %g to %g Hz, expected 20 to 4000, ascending", minHz, maxHz)
	}
	file, model, err := swiftModel()
	if err == nil {
		err = Start()
	}
	p := new(SongPitch)
	if err == nil {
		err = p.open(model, max(minHz, swiftMin), min(maxHz, swiftMax))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pitch of songs: model %s: %w", file, err), p.Close())
	}
	p.Reset()
	return p, nil
}

func swiftModel() (file string, model []byte, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return swiftFile, nil, fmt.Errorf("no cache folder to look in: %w", err)
	}
	file = filepath.Join(cache, "autovoice", "models", "swift-f0-"+swiftVersion, swiftFile)
	if model, err = os.ReadFile(file); errors.Is(err, fs.ErrNotExist) {
		err = ErrNotInstalled
	}
	return file, model, err
}

func (p *SongPitch) open(model []byte, low, high float64) error {
	options, err := netOptions(DefaultPolicy(), "")
	if err != nil {
		return err
	}
	defer options.Destroy() //nolint:errcheck // always nil, see onnxruntime_go
	if p.net, err = ort.NewDynamicAdvancedSessionWithONNXData(model, []string{"audio", "fmin", "fmax"}, []string{"pitch", "confidence"}, options); err != nil {
		return fmt.Errorf("onnx runtime %s refuses it: %w", Version(), err)
	}
	const values = swiftWindow / swiftHop
	if p.audio, err = ort.NewEmptyTensor[float32](ort.NewShape(1, swiftWindow)); err == nil {
		if p.pitch, err = ort.NewEmptyTensor[float64](ort.NewShape(1, values)); err == nil {
			p.sure, err = ort.NewEmptyTensor[float32](ort.NewShape(1, values))
		}
	}
	if err != nil {
		return fmt.Errorf("tensor: %w", err)
	}
	for i, hz := range []float64{low, high} {
		if p.bounds[i], err = ort.NewScalar(float32(hz)); err != nil {
			return fmt.Errorf("tensor: %w", err)
		}
	}
	p.inputs, p.outputs = []ort.Value{p.audio, p.bounds[0], p.bounds[1]}, []ort.Value{p.pitch, p.sure}
	return nil
}

// Append hears the next samples, mono at 16 kHz, and appends to the curve what they make certain; about 2.2 s of it
// may wait for what comes next. However a recording is cut, the same comes out. It keeps neither slice.
func (p *SongPitch) Append(curve, samples []float32) ([]float32, error) {
	if p.net == nil {
		return curve, errors.New("pitch of songs: it is closed")
	}
	p.received += len(samples)
	for len(samples) > 0 {
		n := copy(p.audio.GetData()[p.filled:], samples)
		p.filled, samples = p.filled+n, samples[n:]
		if p.filled == swiftWindow {
			var err error
			if curve, err = p.run(curve); err != nil {
				p.Reset()
				return curve, err
			}
		}
	}
	return curve, nil
}

// Finish ends the recording: it appends the rest of the curve, one value for each whole or begun 10 ms, and is ready
// for the next recording.
func (p *SongPitch) Finish(curve []float32) ([]float32, error) {
	want, silence := (p.received*songHz+swiftRate-1)/swiftRate, make([]float32, swiftWindow)
	for p.given < want {
		// As much silence as completes a window; what it makes of that is cut off.
		more, err := p.Append(curve, silence[:swiftWindow-p.filled])
		if err != nil {
			return curve, err
		}
		curve = more
	}
	curve = curve[:len(curve)-(p.given-want)]
	p.Reset()
	return curve, nil
}

// run gives the values of a full window and moves on to the next.
func (p *SongPitch) run(curve []float32) ([]float32, error) {
	if audio := p.audio.GetData(); !finite(audio) {
		silenceOddities(audio)
	}
	if err := p.net.Run(p.inputs, p.outputs); err != nil {
		return curve, fmt.Errorf("pitch of songs: run: %w", err)
	}
	audio, pitch, sure := p.audio.GetData(), p.pitch.GetData(), p.sure.GetData()
	for i := swiftBefore; i < swiftBefore+swiftFrames; i++ {
		hz := float32(pitch[i])
		if !(sure[i] >= 0.5) || !(hz > 0) || math.IsInf(float64(hz), 0) || peak(audio[i*swiftHop:(i+1)*swiftHop]) < swiftSilent {
			hz = 0
		}
		curve = p.until(curve, hz)
	}
	n := copy(audio, audio[swiftFrames*swiftHop:])
	p.filled = n
	return curve, nil
}

// until appends the values up to the moment of the model's next one: on a line between two of its values that are one
// note, else the nearer one.
func (p *SongPitch) until(curve []float32, hz float32) []float32 {
	const each = float64(swiftHop) * songHz / swiftRate // 1.6 values
	at := float64(p.heard) * each
	for float64(p.given) <= at+1e-9 {
		part := 1 - (at-float64(p.given))/each
		value := hz
		if ratio := hz / p.last; p.last > 0 && hz > 0 && ratio < 1.06 && ratio > 1/1.06 {
			value = p.last * float32(math.Pow(float64(ratio), part))
		} else if part < 0.5 {
			value = p.last
		}
		curve = append(curve, value)
		p.given++
	}
	p.last = hz
	p.heard++
	return curve
}

func peak(x []float32) (top float32) {
	for _, v := range x {
		top = max(top, v, -v)
	}
	return top
}

// Reset forgets the recording so far.
func (p *SongPitch) Reset() {
	clear(p.audio.GetData())
	p.filled, p.heard, p.received, p.given, p.last = swiftBefore*swiftHop, 0, 0, 0, 0
}

// Close gives the network back. It accepts a half-made one and may be called again.
func (p *SongPitch) Close() error {
	var errs []error
	if p.net != nil {
		errs = append(errs, p.net.Destroy())
	}
	for _, t := range []*ort.Tensor[float32]{p.audio, p.sure} {
		if t != nil {
			errs = append(errs, t.Destroy())
		}
	}
	if p.pitch != nil {
		errs = append(errs, p.pitch.Destroy())
	}
	for _, b := range p.bounds {
		if b != nil {
			errs = append(errs, b.Destroy())
		}
	}
	*p = SongPitch{}
	return errors.Join(errs...)
}
