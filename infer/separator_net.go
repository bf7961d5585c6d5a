package infer

import (
	"errors"
	"fmt"

	"github.com/autovoiced/autovoiced/dsp"
)

// kindSongSeparator takes the magnitudes of a block of spectra and gives the voice's share in each. It is no pack's: its network
// is made of Spleeter's checkpoint.
const kindSongSeparator = "song_separator"

// spleeterContract describes the network of both U-nets, or of the voice's alone, to what opens networks and builds engines.
func spleeterContract(both bool) *Contract {
	name := SeparatorSpleeter + "-voice"
	if both {
		name = SeparatorSpleeter + "-both"
	}
	return &Contract{Format: ContractFormat, Kind: kindSongSeparator, Name: name, SampleRateIn: songRate, SampleRateOut: songRate}
}

// songNet is Spleeter's network where the policy wants it, with its tensors.
type songNet struct {
	net      *netSession
	bound    *binding
	provider Provider
	warnings []string
}

// openSongNet settles on a provider as a voice's engine does, and proves that it runs there.
func openSongNet(policy Policy, both bool) (*songNet, error) {
	if err := Start(); err != nil {
		return nil, err
	}
	c, n := spleeterContract(both), new(songNet)
	var err error
	if n.provider, n.warnings, err = policy.resolve(Library()); err != nil {
		return nil, err
	}
	policy.Provider, policy.Precision = n.provider.Active, n.provider.Precision
	model, err := readSpleeter(both, policy.Provider == ProviderCUDA)
	if err != nil {
		return nil, err
	}
	switch policy.Provider {
	case ProviderTensorRT:
		err = n.openTensorRT(c, model, policy)
	case ProviderCUDA:
		err = n.openCUDA(c, model, policy)
	default:
		// A block is large enough to share out. What comes out is the same however many share it.
		policy.Threads = max(policy.Threads, min(dsp.Workers(), maxSongThreads))
		n.net, err = openNet(c, model, policy, "")
	}
	if err == nil {
		err = n.bind(c)
	}
	if err == nil && policy.Provider != ProviderCPU {
		_, err = policy.leastOf(1, func() error { return n.bound.run(n.bound.single) }) // what CUDA sets up with a first run
	}
	if err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

// maxSongThreads bounds the threads of a run on the CPU: more of them hardly help.
const maxSongThreads = 8

func (n *songNet) openTensorRT(c *Contract, model []byte, policy Policy) error {
	built, err := builtEngine(c, policy, model, nil, 1)
	if err != nil {
		return err
	}
	n.provider.Nodes = built.Nodes
	if built.Precision != policy.Precision {
		n.provider.Precision = built.Precision
		n.warnings = append(n.warnings, fmt.Sprintf("%s runs in %s, as %s was too far from it: %v", c.Name, built.Precision, policy.Precision, built.Gate))
	}
	n.net, err = openFile(c, built.context(), policy, runOptions(built.Chosen), "")
	return err
}

func (n *songNet) openCUDA(c *Contract, model []byte, policy Policy) error {
	open := func(profile string) (*netSession, error) { return openNet(c, model, policy, profile) }
	placed, err := countNodes(c, 1, open)
	if err != nil {
		return err
	}
	n.provider.Nodes = placed.Nodes
	if err := placed.prove(ProviderCUDA); err != nil {
		if !policy.Fallback {
			return err
		}
		n.warnings = append(n.warnings, err.Error()+"; as fallback allows")
	}
	n.net, err = open("")
	return err
}

func (n *songNet) bind(c *Contract) (err error) {
	n.bound, err = newBinding(c, []network{{1, n.net}})
	return err
}

// close accepts a half-made one and may be called again.
func (n *songNet) close() error {
	var errs []error
	if n.bound != nil {
		errs = append(errs, n.bound.close())
	}
	if n.net != nil {
		errs = append(errs, n.net.Destroy())
	}
	n.bound, n.net = nil, nil
	return errors.Join(errs...)
}

// PrepareSeparators builds the engines that separate songs, of each preset, so that no song waits for them. Only TensorRT has any;
// where no separator is installed there is nothing to build.
func PrepareSeparators(policy Policy) error {
	if !spleeterInstalled() {
		return nil
	}
	for _, both := range []bool{false, true} {
		n, err := openSongNet(policy, both)
		if err != nil {
			return fmt.Errorf("separator %s: %w", SeparatorSpleeter, err)
		}
		if err := n.close(); err != nil {
			return err
		}
	}
	return nil
}

// gateSeparation separates recorded speech from plucked strings with both networks, as loud as samples go, which is where half
// precision may end, and compares what they take for the voice.
func gateSeparation(c *Contract, reference, candidate network) (Distance, error) {
	mixture, err := gateMixture()
	if err != nil {
		return Distance{}, err
	}
	want, err := gateVocals(c, reference, mixture)
	if err != nil {
		return Distance{}, err
	}
	got, err := gateVocals(c, candidate, mixture)
	if err != nil {
		return Distance{}, err
	}
	return distanceOf(want, got), nil
}

// gateVocals are the vocals of the left channel.
func gateVocals(c *Contract, net network, mixture [][]float32) ([]float32, error) {
	bound, err := newBinding(c, []network{{1, net.net}})
	if err != nil {
		return nil, err
	}
	s := newSongSeparatorOn(songPresets[PresetFast], &songNet{bound: bound})
	vocals := [][]float32{make([]float32, len(mixture[0])), make([]float32, len(mixture[0]))}
	err = s.ProcessMany(vocals, mixture)
	return vocals[0][s.Latency():], errors.Join(err, s.Close())
}

// gateMixture is long enough for two blocks, which are what a song has.
func gateMixture() ([][]float32, error) {
	speech, err := gateInput(songRate)
	if err != nil {
		return nil, err
	}
	n := (spleeterFrames + songPresets[PresetFast].step) * spleeterHop
	mixture := [][]float32{make([]float32, n), make([]float32, n)}
	for c := range mixture {
		pluck(mixture[c], 110*float64(c+2))
		var top float32
		for i := range mixture[c] {
			mixture[c][i] += 2 * speech[i%len(speech)]
			top = max(top, mixture[c][i], -mixture[c][i])
		}
		for i := range mixture[c] {
			mixture[c][i] /= top
		}
	}
	return mixture, nil
}

// pluck adds strings that are plucked every half second, a fifth higher each time, to a channel: a recursion a string.
func pluck(x []float32, hz float64) {
	noise := dsp.NewNoise(uint64(hz))
	for at := 0; at < len(x); at += songRate / 2 {
		period := int(songRate / hz)
		chord := make([]float32, period)
		noise.Uniform(chord)
		for i := range min(len(x)-at, songRate/2) {
			k := i % period
			chord[k] = 0.498 * (chord[k] + chord[(k+1)%period])
			x[at+i] += chord[k]
		}
		if hz *= 1.5; hz > 600 {
			hz /= 4
		}
	}
}
