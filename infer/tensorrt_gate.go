package infer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"

	"github.com/mewkiz/flac"

	"github.com/autovoiced/autovoiced/dsp"
)

// fp16 is used where it stays this close to fp32 on recorded speech.
const (
	maxLogSpectralDistance = 1.0  // dB, mean over the frames
	minSNR                 = 25.0 // dB
	gateSeconds            = 4
)

// Distance is how far one conversion is from another of the same input.
type Distance struct {
	// LogSpectral is the root mean square of the difference of log power spectra, averaged over frames, in dB.
	LogSpectral float64 `json:"log_spectral_db"`
	SNR         float64 `json:"snr_db"`
}

func (d *Distance) String() string {
	return fmt.Sprintf("log-spectral distance %.2f dB (at most %g), SNR %.1f dB (at least %g)", d.LogSpectral, maxLogSpectralDistance, d.SNR, minSNR)
}

// check says what is too far.
func (d *Distance) check() error {
	if d.LogSpectral <= maxLogSpectralDistance && d.SNR >= minSNR {
		return nil
	}
	return errors.New(d.String())
}

// distanceOf compares a conversion with the one that it should be, at a rate in Hz. Frames that are silent in both say nothing
// and do not count; what lies 60 dB below the reference's loudest is not heard, and counts as that low.
func distanceOf(want, got []float32) Distance {
	const size, step = 1024, 256
	floor := 0.0
	frames := (len(want) - size) / step
	a, b := powerFrames(want, size, step, frames), powerFrames(got, size, step, frames)
	for _, frame := range a {
		floor = max(floor, slices.Max(frame)*1e-6)
	}
	floor = max(floor, 1e-20)
	var sum, counted float64
	for i := range a {
		if slices.Max(a[i]) <= floor && slices.Max(b[i]) <= floor {
			continue
		}
		var square float64
		for k := range a[i] {
			d := 10 * math.Log10(max(b[i][k], floor)/max(a[i][k], floor))
			square += d * d
		}
		sum += math.Sqrt(square / float64(len(a[i])))
		counted++
	}
	var signal, noise float64
	for i, w := range want {
		e := float64(got[i] - w)
		signal, noise = signal+float64(w)*float64(w), noise+e*e
	}
	return Distance{LogSpectral: sum / max(1, counted), SNR: 10 * math.Log10(max(signal, 1e-20)/max(noise, signal*1e-12, 1e-32))}
}

// gateInput is recorded speech at a rate: the first of the bundled references.
func gateInput(rate int) ([]float32, error) {
	names, err := fs.Glob(bundled, "voices/references/*.flac")
	if err != nil || len(names) == 0 {
		return nil, errors.New("precision gate: no recording among the bundled voices")
	}
	text, err := bundled.ReadFile(names[0])
	if err != nil {
		return nil, err
	}
	f, err := flac.New(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("precision gate: %s: %w", names[0], err)
	}
	in := int(f.Info.SampleRate)
	var x []float32
	for len(x) < gateSeconds*in {
		frame, err := f.ParseNext()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("precision gate: %s: %w", names[0], err)
		}
		for _, v := range frame.Subframes[0].Samples {
			x = append(x, float32(v)/float32(int(1)<<(f.Info.BitsPerSample-1)))
		}
	}
	if in == rate {
		return x, nil
	}
	r := dsp.NewResampler(in, rate)
	out := make([]float32, r.MaxOut(len(x)))
	return out[:r.Process(out, x)], nil
}

// gate converts the same speech with two networks of one pack, of as many hops a run, and compares.
func gate(c *Contract, reference, candidate network) (Distance, error) {
	if c.Kind == kindSongSeparator {
		return gateSeparation(c, reference, candidate)
	}
	speech, err := gateInput(c.SampleRateIn)
	if err != nil {
		return Distance{}, err
	}
	want, err := gateRun(c, reference, speech)
	if err != nil {
		return Distance{}, err
	}
	got, err := gateRun(c, candidate, speech)
	if err != nil {
		return Distance{}, err
	}
	return distanceOf(want, got), nil
}

// gateRows is how many different voices and stretches of the recording speak in a run for many.
const gateRows = 4

// gateBatch compares a network for many sessions, whose rows are as many of them as the contract says, with the network for one. Each row
// hears one of a few different sounds; the rows at both ends are listened to, and the farthest of them is the answer.
func gateBatch(c *Contract, reference, candidate network) (worst Distance, err error) {
	one := *c.of(0)
	speech, err := gateInput(one.SampleRateIn)
	if err != nil {
		return worst, err
	}
	speech = speech[:len(speech)/2] // of which each voice begins elsewhere
	e := &Engine{file: c.Name, contract: one, nets: []network{reference}}
	var voices []*Voice
	defer func() {
		for _, v := range voices {
			err = errors.Join(err, v.Close())
		}
	}()
	for i := range min(gateRows, c.Sessions) {
		v, err := e.NewSession(c.Voices[i%len(c.Voices)].Name, SessionOptions{Seed: uint64(i)})
		if err != nil {
			return worst, err
		}
		voices = append(voices, v.(*Voice))
	}
	many, err := newBinding(c, []network{candidate})
	if err != nil {
		return worst, err
	}
	defer func() { err = errors.Join(err, many.close()) }()
	want, got, err := gateTogether(c, voices, many, speech)
	for i := range got {
		if d := distanceOf(want[i%len(want)], got[i]); i == 0 || d.SNR < worst.SNR {
			worst = d
		}
	}
	return worst, err
}

// gateTogether gives what each voice says alone, and what the first and the last rows say that hear the same.
func gateTogether(c *Contract, voices []*Voice, many *binding, speech []float32) (want, got [][]float32, err error) {
	hops, rows := len(speech)/c.HopIn, min(2*len(voices), c.Sessions)
	row := func(i int) int { // the i-th that is listened to
		if i < len(voices) {
			return i
		}
		who := i % len(voices)
		return (c.Sessions-1-who)/len(voices)*len(voices) + who
	}
	want, got = make([][]float32, len(voices)), make([][]float32, rows)
	pitch := make([]*dsp.Pitch, len(voices))
	for i := range pitch {
		pitch[i] = dsp.NewPitch(dsp.DefaultPitchConfig(c.SampleRateIn))
	}
	for h := range hops {
		for i, v := range voices {
			at := (h + i*hops/len(voices)) % hops
			hop := speech[at*c.HopIn : (at+1)*c.HopIn]
			f0, _ := pitch[i].Process(hop)
			out := make([]float32, c.HopOut)
			if err := v.Convert(out, hop, []float32{f0}); err != nil {
				return nil, nil, err
			}
			want[i] = append(want[i], out...)
		}
		for name, all := range many.single.inputs {
			for i, each := 0, len(all)/c.Sessions; i < c.Sessions; i++ {
				copy(all[i*each:(i+1)*each], voices[i%len(voices)].bound.in(name))
			}
		}
		if err := many.run(many.single); err != nil {
			return nil, nil, err
		}
		for i := range got {
			got[i] = append(got[i], many.single.audio[row(i)*c.HopOut:(row(i)+1)*c.HopOut]...)
		}
	}
	return want, got, nil
}

func gateRun(c *Contract, net network, speech []float32) ([]float32, error) {
	hops, nets := net.hops, []network{{1, net.net}}
	if hops > 1 { // whole runs alone, so that the first, which is not for one hop, never runs
		nets = append(nets, net)
	}
	e := &Engine{file: c.Name, contract: *c, nets: nets}
	v, err := e.NewSession(c.Voices[0].Name, SessionOptions{Hops: hops, Seed: 1})
	if err != nil {
		return nil, err
	}
	n := len(speech) / (c.HopIn * hops) * hops
	f0, _ := c.follow(speech[:n*c.HopIn])
	out := make([]float32, n*c.HopOut)
	return out, errors.Join(v.Convert(out, speech[:n*c.HopIn], f0), v.Close())
}
