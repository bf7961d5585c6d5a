package infer

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/autovoiced/autovoiced/dsp"
)

// slowSeparator is the slow twin: a hop at a time, with dsp's streaming transforms and one thread.
type slowSeparator struct {
	step                        int
	net                         *ort.DynamicAdvancedSession
	in, out                     *ort.Tensor[float32]
	stft                        [songChannels]*dsp.STFT
	istft                       [songChannels]*dsp.ISTFT
	specs                       [songChannels][][]complex64
	kept, mask                  [songChannels][][]float32
	final, given, filled, block int
}

func newSlowSeparator(t *testing.T, preset string) *slowSeparator {
	t.Helper()
	p := songPresets[preset]
	model, err := readSpleeter(p.both, false)
	check(t, err)
	net, err := openNet(spleeterContract(p.both), model, DefaultPolicy(), "")
	check(t, err)
	s := &slowSeparator{step: p.step, net: net}
	s.in, err = ort.NewEmptyTensor[float32](spleeterInput().shape)
	check(t, err)
	s.out, err = ort.NewEmptyTensor[float32](spleeterOutput().shape)
	check(t, err)
	t.Cleanup(func() { check(t, errors.Join(net.Destroy(), s.in.Destroy(), s.out.Destroy())) })
	window := dsp.Hann(make([]float32, spleeterSize))
	for c := range s.stft {
		s.stft[c], s.istft[c] = dsp.NewSTFTWindow(window, spleeterHop), dsp.NewISTFTWindow(window, window, spleeterHop)
	}
	return s
}

func (s *slowSeparator) row(t *ort.Tensor[float32], c, frame int) []float32 {
	return t.GetData()[(c*spleeterFrames+frame)*spleeterBins:][:spleeterBins]
}

// process takes hops one by one; what comes out is as late as of the quick one.
func (s *slowSeparator) process(t *testing.T, mixture [][]float32) [][]float32 {
	t.Helper()
	vocals := [][]float32{make([]float32, len(mixture[0])), make([]float32, len(mixture[0]))}
	spec := make([]complex128, songBins)
	for at := 0; at < len(mixture[0]); at += spleeterHop {
		for c := range mixture {
			s.stft[c].Analyze(spec, mixture[c][at:at+spleeterHop])
			frame := make([]complex64, songBins)
			for i, v := range spec {
				frame[i] = complex64(v)
			}
			s.specs[c] = append(s.specs[c], frame)
			for i := range s.row(s.in, c, s.filled) {
				s.row(s.in, c, s.filled)[i] = float32(math.Sqrt(float64(real(frame[i])*real(frame[i]) + imag(frame[i])*imag(frame[i]))))
			}
		}
		if s.filled++; s.filled == spleeterFrames {
			s.separate(t)
		}
		if s.final == 0 {
			continue
		}
		for c := range mixture {
			oldest := s.specs[c][len(s.specs[c])-spleeterFrames]
			mask, top := s.mask[c][s.given], 0.0
			for _, m := range mask[spleeterTop:] {
				top += float64(m)
			}
			top /= float64(len(mask) - spleeterTop)
			for i := range spec {
				m := top
				if i < spleeterBins {
					m = float64(mask[i])
				}
				spec[i] = complex128(oldest[i]) * complex(m, 0)
			}
			s.istft[c].Synthesize(vocals[c][at:at+spleeterHop], spec)
		}
		s.given++
	}
	return vocals
}

func (s *slowSeparator) separate(t *testing.T) {
	t.Helper()
	check(t, s.net.Run([]ort.Value{s.in}, []ort.Value{s.out}))
	overlap := spleeterFrames - s.step
	for c := range s.mask {
		s.mask[c] = nil
		for f := range spleeterFrames {
			row := slices.Clone(s.row(s.out, c, f))
			if f < overlap && s.block > 0 {
				fade := (float32(f) + 0.5) / float32(overlap)
				for i, v := range s.kept[c][f] {
					row[i] = v + fade*(row[i]-v)
				}
			}
			s.mask[c] = append(s.mask[c], row)
		}
		s.kept[c] = s.mask[c][s.step:]
		for f := range overlap {
			copy(s.row(s.in, c, f), s.row(s.in, c, f+s.step))
		}
	}
	s.filled, s.given, s.final = overlap, 0, s.step
	s.block++
}

// On any number of processors, however it is cut and however many hops are given at once, the bytes are those of the slow twin:
// silence at both ends, where transforms are left out, and the seam of two blocks in between.
func TestSongSeparatorIsItsSlowTwin(t *testing.T) {
	needSpleeter(t)
	mixture, _ := duet(t, 7)
	hops := spleeterFrames + songPresets[PresetFast].step + 70
	for c := range mixture {
		padded := make([]float32, hops*spleeterHop)
		copy(padded[40*spleeterHop:], mixture[c])
		copy(padded[500*spleeterHop:], mixture[1-c])
		padded[len(padded)-1] = 0.5
		mixture[c] = padded
	}
	want := newSlowSeparator(t, PresetFast).process(t, mixture)
	if power(want[0][spleeterFrames*spleeterHop:]) == 0 {
		t.Fatal("no vocals")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, c := range []struct{ processors, hops int }{{1, hops}, {2, 64}, {8, 100}} {
		t.Run(fmt.Sprintf("%d processors, %d hops", c.processors, c.hops), func(t *testing.T) {
			runtime.GOMAXPROCS(c.processors)
			s := song(t, PresetFast)
			got := [][]float32{slices.Clone(mixture[0]), slices.Clone(mixture[1])}
			for at := 0; at < len(got[0]); at += c.hops * spleeterHop {
				to := min(len(got[0]), at+c.hops*spleeterHop)
				piece := [][]float32{got[0][at:to], got[1][at:to]}
				check(t, ProcessHops(s, piece, piece))
			}
			for c := range got {
				if !slices.Equal(got[c], want[c]) {
					t.Errorf("channel %d: other vocals, %.0f dB below", c, siSDR(got[c], want[c]))
				}
			}
		})
	}
}

func TestManyHopsAreChecked(t *testing.T) {
	for name, s := range map[string]Separator{"spleeter": song(t, PresetFast), SeparatorNone: noSeparator{}} {
		whole, odd := make([]float32, 2*spleeterHop), make([]float32, 2*spleeterHop-1)
		check(t, ProcessHops(s, [][]float32{whole, whole}, [][]float32{whole, whole}))
		wantError(t, ProcessHops(s, [][]float32{odd, odd}, [][]float32{odd, odd}), name, "whole hops of 1024")
		wantError(t, ProcessHops(s, [][]float32{whole}, [][]float32{whole}), name, "expected 2")
	}
}

// The gate takes full precision for itself, and finds weights that are powers of two too far.
func TestGateOfASeparator(t *testing.T) {
	needSpleeter(t)
	c := spleeterContract(false)
	model, err := readSpleeter(false, false)
	check(t, err)
	plain := networkOf(t, c, model, 1)
	bad, err := gate(c, plain, networkOf(t, c, rounded(t, model, 0), 1))
	check(t, err)
	t.Logf("weights rounded to powers of two: %v", &bad)
	wantError(t, bad.check(), "dB")
	mixture, err := gateMixture()
	check(t, err)
	vocals, err := gateVocals(c, plain, mixture)
	check(t, err)
	same := distanceOf(vocals, vocals)
	check(t, same.check())
	if level := 10 * math.Log10(power(vocals)/power(mixture[0][:len(vocals)])); level < -12 || level > -1 {
		t.Errorf("the vocals of what the gate hears are %.1f dB below it: they should be a good part of it, not all", level)
	}
}

// With its tensors in a GPU's memory a separator takes the same for the voice; a run costs a copy there and one back, and all of
// it is given back.
func TestSongSeparatorInTheGPUsMemory(t *testing.T) {
	needSpleeter(t)
	mixture, _ := duet(t, 2)
	want := vocalsOf(t, song(t, PresetFast), mixture)
	c := onHostCUDA(t)
	s := song(t, PresetFast)
	*c.copies = 0
	for channel, got := range vocalsOf(t, s, mixture) {
		if !slices.Equal(got, want[channel]) {
			t.Errorf("channel %d: other vocals", channel)
		}
	}
	if *c.copies != 2 {
		t.Errorf("%d copies for one block, expected 2: magnitudes there, masks back", *c.copies)
	}
	*c.fail = 700
	block := frames(s)
	for range spleeterFrames {
		if err := s.Process(block, block); err != nil {
			if !errors.Is(err, ErrGPULost) || power(block[0]) != 0 {
				t.Errorf("a GPU that fails: %v, vocals of power %g", err, power(block[0]))
			}
			*c.fail = 0
			return
		}
	}
	t.Error("no error of a GPU that fails")
}

// The network that CUDA's provider takes whole is the same network.
func TestSpleeterWithEvenPadding(t *testing.T) {
	needSpleeter(t)
	c := spleeterContract(true)
	var masks [2][]float32
	for i := range masks {
		model, err := readSpleeter(true, i == 1)
		check(t, err)
		net := networkOf(t, c, model, 1)
		b, err := newBinding(c, []network{net})
		check(t, err)
		dsp.NewNoise(1).Uniform(b.in("magnitude"))
		for k, v := range b.in("magnitude") {
			b.in("magnitude")[k] = 40 * v * v
		}
		check(t, b.run(b.single))
		masks[i] = slices.Clone(b.single.audio)
		check(t, b.close())
	}
	for k, want := range masks[0] {
		if off := math.Abs(float64(masks[1][k] - want)); off > 1e-5 {
			t.Fatalf("mask %d is %g, expected %g", k, masks[1][k], want)
		}
	}
}

// A hop at a time costs no memory on several processors, either.
func TestProcessAllocatesNothingOnManyProcessors(t *testing.T) {
	s := song(t, PresetFast)
	block := frames(s)
	for range spleeterFrames {
		check(t, s.Process(block, block))
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	check(t, s.Process(block, block)) // each worker's scratch
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		check(t, s.Process(block, block))
	}
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; n > 50 { // the runtime's own
		t.Errorf("%d allocations in 100 calls", n)
	}
}
