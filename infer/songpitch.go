package infer

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/autovoiced/autovoiced/dsp"
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
	songHz      = 100                                    // values a second that SongPitch gives
	swiftEach   = float64(swiftHop) * songHz / swiftRate // of those, for each of the model's: 1.6
)

// The package that `make deps` takes the model from, and the file that it leaves.
const (
	swiftVersion = "0.3.0"
	swiftFile    = "model.onnx"
)

// SongPitchName is the name of SongPitch's model.
const SongPitchName = "swift-f0"

// ErrNotInstalled is what making a model wraps whose weights `make deps` has not installed.
var ErrNotInstalled = errors.New("not installed; `make deps` installs it")

// PitchGuess is the likeliest pitch of a moment in Hz, 0 where nothing is heard, and how sure it is that there is a
// voice, from 0 to 1.
type PitchGuess struct{ Hz, Sure float32 }

// SongPitch guesses the pitch of one voice, singing or speaking, in a recording: SwiftF0 (MIT licence), which hears
// 180 ms of past and future and so makes few of the slips by an octave that a live tracker makes. Too late for live
// use. Guesses come 100 a second, the first of time 0. One goroutine owns it.
type SongPitch struct {
	net      *netSession // everybody's
	bounds   [2]*ort.Scalar[float32]
	window   []float32      // that fills
	waiting  []*swiftRun    // for what the model says of them, oldest first
	idle     []*swiftRun    // for the next windows
	running  sync.WaitGroup // runs of the model
	filled   int            // samples of the window that are there
	heard    int            // values of the model that have been given out or kept
	received int            // samples, in all
	given    int            // guesses, in all
	last     PitchGuess     // the model's newest that counts
}

// swiftRun is a window that the model hears, beside others: none depends on another.
type swiftRun struct {
	audio   *ort.Tensor[float32]
	pitch   *ort.Tensor[float64]
	sure    *ort.Tensor[float32]
	inputs  []ort.Value
	outputs []ort.Value
	ended   chan error // holds one
}

// mostSwiftRuns bounds how many windows are heard at the same time, and with them how many guesses wait.
const mostSwiftRuns = 8

// NewSongPitch looks for pitches from minHz to maxHz, 50 to 1100 for singing. The caller closes it.
func NewSongPitch(minHz, maxHz float64) (*SongPitch, error) {
	if !(minHz >= 20 && minHz < maxHz/1.1 && maxHz <= 4000) {
		return nil, fmt.Errorf("pitch of songs: from %g to %g Hz, expected 20 to 4000, ascending", minHz, maxHz)
	}
	net, file, err := swiftNets.open()
	p := &SongPitch{net: net, window: make([]float32, swiftWindow)}
	for i, hz := range []float64{max(minHz, swiftMin), min(maxHz, swiftMax)} {
		if err == nil {
			p.bounds[i], err = ort.NewScalar(float32(hz))
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pitch of songs: model %s: %w", file, err), p.Close())
	}
	p.Reset()
	return p, nil
}

// swiftNets are the networks that have been opened, by file, one for the life of the process: opening takes longer than hearing a
// song's windows, its weights are few, and runs beside each other share it.
var swiftNets networks

type networks struct {
	mu sync.Mutex
	of map[string]*netSession
}

// open is the installed model's network.
func (n *networks) open() (net *netSession, file string, err error) {
	folder, err := installed("swift-f0-" + swiftVersion)
	if err != nil {
		return nil, swiftFile, err
	}
	file = filepath.Join(folder, swiftFile)
	n.mu.Lock()
	defer n.mu.Unlock()
	if net = n.of[file]; net != nil {
		return net, file, nil
	}
	model, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, file, ErrNotInstalled
	}
	if err == nil {
		err = Start()
	}
	if err != nil {
		return nil, file, err
	}
	options, err := netOptions(DefaultPolicy(), "")
	if err != nil {
		return nil, file, err
	}
	defer options.Destroy() //nolint:errcheck // always nil, see onnxruntime_go
	if net, err = ort.NewDynamicAdvancedSessionWithONNXData(model, []string{"audio", "fmin", "fmax"}, []string{"pitch", "confidence"}, options); err != nil {
		return nil, file, fmt.Errorf("onnx runtime %s refuses it: %w", Version(), err)
	}
	if n.of == nil {
		n.of = map[string]*netSession{}
	}
	n.of[file] = net
	return net, file, nil
}

func (p *SongPitch) newRun() (*swiftRun, error) {
	const values = swiftWindow / swiftHop
	r := &swiftRun{ended: make(chan error, 1)}
	var err error
	if r.audio, err = ort.NewEmptyTensor[float32](ort.NewShape(1, swiftWindow)); err == nil {
		if r.pitch, err = ort.NewEmptyTensor[float64](ort.NewShape(1, values)); err == nil {
			r.sure, err = ort.NewEmptyTensor[float32](ort.NewShape(1, values))
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tensor: %w", err), r.close())
	}
	r.inputs, r.outputs = []ort.Value{r.audio, p.bounds[0], p.bounds[1]}, []ort.Value{r.pitch, r.sure}
	return r, nil
}

func (r *swiftRun) close() error {
	var errs []error
	if r.audio != nil {
		errs = append(errs, r.audio.Destroy())
	}
	if r.pitch != nil {
		errs = append(errs, r.pitch.Destroy())
	}
	if r.sure != nil {
		errs = append(errs, r.sure.Destroy())
	}
	return errors.Join(errs...)
}

// Append hears the next samples, mono at 16 kHz, and appends to dst what they make certain; about 2.2 s of guesses
// may wait for what comes next, and 2 s more for each further processor. However a recording is cut, the same comes out. It keeps
// neither slice.
func (p *SongPitch) Append(dst []PitchGuess, samples []float32) ([]PitchGuess, error) {
	if p.net == nil {
		return dst, errors.New("pitch of songs: it is closed")
	}
	p.received += len(samples)
	for len(samples) > 0 {
		n := copy(p.window[p.filled:], samples)
		p.filled, samples = p.filled+n, samples[n:]
		if p.filled < swiftWindow {
			break
		}
		var err error
		if dst, err = p.hear(dst); err != nil {
			p.Reset()
			return dst, err
		}
	}
	return dst, nil
}

// Finish ends the recording: it appends the rest of the guesses, one for each whole or begun 10 ms, and is ready
// for the next recording.
func (p *SongPitch) Finish(dst []PitchGuess) ([]PitchGuess, error) {
	want, silence := (p.received*songHz+swiftRate-1)/swiftRate, make([]float32, swiftWindow)
	var err error
	for p.promised() < want {
		// As much silence as completes a window; what it makes of that is cut off.
		if dst, err = p.Append(dst, silence[:swiftWindow-p.filled]); err != nil {
			return dst, err
		}
	}
	for len(p.waiting) > 0 {
		if dst, err = p.collect(dst); err != nil {
			p.Reset()
			return dst, err
		}
	}
	dst = dst[:len(dst)-(p.given-want)]
	p.Reset()
	return dst, nil
}

// hear has the model hear a full window, beside others where there are processors for it, and goes on to the next.
func (p *SongPitch) hear(dst []PitchGuess) ([]PitchGuess, error) {
	most := min(dsp.Workers(), mostSwiftRuns)
	for len(p.waiting) >= most {
		var err error
		if dst, err = p.collect(dst); err != nil {
			return dst, err
		}
	}
	if len(p.idle) == 0 {
		r, err := p.newRun()
		if err != nil {
			return dst, fmt.Errorf("pitch of songs: %w", err)
		}
		p.idle = append(p.idle, r)
	}
	r := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	if !finite(p.window) {
		silenceOddities(p.window)
	}
	copy(r.audio.GetData(), p.window)
	p.filled = copy(p.window, p.window[swiftFrames*swiftHop:])
	p.waiting = append(p.waiting, r)
	if most == 1 {
		r.ended <- p.net.Run(r.inputs, r.outputs)
		return p.collect(dst)
	}
	p.running.Go(func() { r.ended <- p.net.Run(r.inputs, r.outputs) })
	return dst, nil
}

// collect waits for the oldest window and gives its values.
func (p *SongPitch) collect(dst []PitchGuess) ([]PitchGuess, error) {
	r := p.waiting[0]
	err := <-r.ended
	p.waiting = p.waiting[:copy(p.waiting, p.waiting[1:])]
	p.idle = append(p.idle, r)
	if err != nil {
		return dst, fmt.Errorf("pitch of songs: run: %w", err)
	}
	audio, pitch, sure := r.audio.GetData(), r.pitch.GetData(), r.sure.GetData()
	for i := swiftBefore; i < swiftBefore+swiftFrames; i++ {
		guess := PitchGuess{float32(pitch[i]), sure[i]}
		if !(guess.Sure > 0) || !(guess.Hz > 0) || math.IsInf(pitch[i], 0) || peak(audio[i*swiftHop:(i+1)*swiftHop]) < swiftSilent {
			guess = PitchGuess{}
		}
		dst = p.until(dst, guess)
	}
	return dst, nil
}

// promised is how many guesses there are when all windows that wait have been heard.
func (p *SongPitch) promised() int {
	values := p.heard + swiftFrames*len(p.waiting)
	return int(math.Floor(float64(values-1)*swiftEach+1e-9)) + 1
}

// until appends the guesses up to the moment of the model's next one: on a line between two of its pitches that are one
// note, else the nearer one.
func (p *SongPitch) until(dst []PitchGuess, next PitchGuess) []PitchGuess {
	at := float64(p.heard) * swiftEach
	for float64(p.given) <= at+1e-9 {
		part := 1 - (at-float64(p.given))/swiftEach
		guess := PitchGuess{next.Hz, p.last.Sure + (next.Sure-p.last.Sure)*float32(part)}
		if ratio := next.Hz / p.last.Hz; p.last.Hz > 0 && next.Hz > 0 && ratio < 1.06 && ratio > 1/1.06 {
			guess.Hz = p.last.Hz * float32(math.Pow(float64(ratio), part))
		} else if part < 0.5 {
			guess.Hz = p.last.Hz
		}
		dst = append(dst, guess)
		p.given++
	}
	p.last = next
	p.heard++
	return dst
}

func peak(x []float32) (top float32) {
	for _, v := range x {
		top = max(top, v, -v)
	}
	return top
}

// Reset forgets the recording so far.
func (p *SongPitch) Reset() {
	for _, r := range p.waiting {
		<-r.ended //nolint:errcheck // nobody wants it any more
	}
	p.idle, p.waiting = append(p.idle, p.waiting...), p.waiting[:0]
	clear(p.window)
	p.filled, p.heard, p.received, p.given, p.last = swiftBefore*swiftHop, 0, 0, 0, PitchGuess{}
}

// Close gives back what is its own. It accepts a half-made one and may be called again.
func (p *SongPitch) Close() error {
	p.running.Wait()
	var errs []error
	for _, r := range append(p.waiting, p.idle...) {
		errs = append(errs, r.close())
	}
	for i, b := range p.bounds {
		if b != nil {
			errs = append(errs, b.Destroy())
		}
		p.bounds[i] = nil
	}
	p.net, p.waiting, p.idle = nil, nil, nil
	return errors.Join(errs...)
}
