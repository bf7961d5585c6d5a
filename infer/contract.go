package infer

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	// contractKey is the metadata_props key that holds the contract.
	contractKey = "autovoiced"
	// ContractFormat is the version of the contract that this build reads.
	ContractFormat = 1

	// KindVoice takes mel, f0, noise, speaker and state and gives audio and state_out.
	KindVoice = "voice"
	// KindPassthrough takes audio_in and gives audio.
	KindPassthrough = "passthrough"

	// hopsPerSecond: one run stands for 10 ms, the step of f0 throughout the pipeline.
	hopsPerSecond = 100

	maxState = 1 << 20
	maxHops  = 256
)

// Contract is what a pack says of itself, as JSON in its metadata.
type Contract struct {
	Format        int    `json:"format"`
	Kind          string `json:"kind"`
	Name          string `json:"name"`
	SampleRateIn  int    `json:"sample_rate_in"`
	SampleRateOut int    `json:"sample_rate_out"`
	HopIn         int    `json:"hop_in"`  // samples a run takes
	HopOut        int    `json:"hop_out"` // samples a run gives
	// LookaheadMS is how far the output lags behind the input, beyond the hop itself: output
	// sample n stands for the input of this many milliseconds earlier.
	LookaheadMS float64 `json:"lookahead_ms"`
	// Hops are the numbers of hops that the pack has a graph for, ascending from 1; absent where one
	// is all there is.
	Hops []int `json:"hops"`
	// Batch says that the pack has a graph for one hop of several sessions a run.
	Batch bool `json:"batch,omitempty"`

	Mel Mel `json:"mel"`
	// Noise is the distribution of the noise input: normal, uniform (-1 to 1), or "" for none.
	Noise string `json:"noise"`
	// F0DelayMS is how old the f0 of a run is that the model was trained with, relative to the
	// newest hop of its mel input.
	F0DelayMS float64 `json:"f0_delay_ms"`
	// State is the number of values carried from run to run; 0 when there is no state.
	State  int             `json:"state"`
	Voices []VoiceContract `json:"voices"`

	// Frames is how many mel frames a speaker encoder hears at once, and Embedding how many values
	// it says of them. Voices have neither.
	Frames    int `json:"frames,omitempty"`
	Embedding int `json:"embedding,omitempty"`

	// Sessions is how many a run serves at once: 0 in a pack, and for one. See of.
	Sessions int `json:"sessions,omitempty"`
	// Spectrum is what a live separator hears; others have none.
	Spectrum *Spectrum `json:"spectrum,omitempty"`

	Licence string   `json:"licence"`
	MadeBy  string   `json:"made_by"`
	Sources []string `json:"sources"`
}

// Mel is the log-mel analysis that the model was trained with: n_fft points, a periodic Hann
// window of the given length in their middle, natural log of the band power over the floor.
type Mel struct {
	NFFT   int     `json:"n_fft"`
	Window int     `json:"window"`
	Hop    int     `json:"hop"`
	Bands  int     `json:"bands"`
	FMin   float64 `json:"fmin"`
	FMax   float64 `json:"fmax"`
	Floor  float64 `json:"floor"`
	Scale  string  `json:"scale"`
}

// VoiceContract is one speaker of a pack.
type VoiceContract struct {
	Name        string    `json:"name"`
	Sex         string    `json:"sex"`
	MedianHz    float64   `json:"median_hz"`
	Embedding   []float32 `json:"embedding"`
	Reference   string    `json:"reference"` // a FLAC file of the speaker's own speech, beside the pack in references/
	Description string    `json:"description"`
	Licence     string    `json:"licence"`
}

// Lookahead is LookaheadMS as a duration.
func (c *Contract) Lookahead() time.Duration {
	return time.Duration(c.LookaheadMS * float64(time.Millisecond))
}

// VoiceNames lists the pack's voices in its own order.
func (c *Contract) VoiceNames() []string {
	names := make([]string, len(c.Voices))
	for i, v := range c.Voices {
		names[i] = v.Name
	}
	return names
}

// Run is the largest number of hops that the pack runs at once, of at most the given number.
func (c *Contract) Run(most int) int {
	run := 1
	for _, n := range c.Hops {
		if n <= most {
			run = n
		}
	}
	return run
}

func (c *Contract) voice(name string) (VoiceContract, error) {
	i := slices.IndexFunc(c.Voices, func(v VoiceContract) bool { return v.Name == name })
	if i < 0 {
		return VoiceContract{}, fmt.Errorf("no voice %q in pack %s; it has: %s", name, c.Name, strings.Join(c.VoiceNames(), ", "))
	}
	return c.Voices[i], nil
}

// ReadContract reads and checks the contract of a model file without ONNX Runtime: the metadata,
// and the graph's inputs and outputs against it.
func ReadContract(path string) (Contract, error) {
	model, err := os.ReadFile(path)
	if err != nil {
		return Contract{}, fmt.Errorf("model: %w", err)
	}
	return ReadContractBytes(path, model)
}

// ReadContractBytes is ReadContract for a model in memory; file is its name for errors.
func ReadContractBytes(file string, model []byte) (Contract, error) {
	s, err := readSignature(model)
	if err != nil {
		return Contract{}, fmt.Errorf("model %s: %w", file, err)
	}
	c, err := parseContract(s.metadata)
	if err == nil {
		err = c.validate()
	}
	if err == nil {
		err = c.checkGraphs(s)
	}
	if err != nil {
		return Contract{}, fmt.Errorf("model %s: %w", file, err)
	}
	return c, nil
}

func parseContract(metadata map[string]string) (Contract, error) {
	text, ok := metadata[contractKey]
	if !ok {
		return Contract{}, fmt.Errorf("no metadata %q: not a voice pack, or exported without its contract", contractKey)
	}
	// The format first: a later one may have changed the type of anything else.
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal([]byte(text), &head); err != nil {
		return Contract{}, fmt.Errorf("metadata %q is not JSON: %w", contractKey, err)
	}
	if head.Format != ContractFormat {
		return Contract{}, fmt.Errorf("contract format %d found, %d expected: the pack was made for another version of autovoiced",
			head.Format, ContractFormat)
	}
	var c Contract
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return Contract{}, fmt.Errorf("metadata %q: %w", contractKey, err)
	}
	c.Sessions = 0
	return c, nil
}

// validate checks the contract against itself.
func (c *Contract) validate() error {
	if c.Kind != KindVoice && c.Kind != KindPassthrough {
		return fmt.Errorf("contract: 'kind' is %q, expected %s or %s", c.Kind, KindVoice, KindPassthrough)
	}
	if c.Name == "" {
		return fmt.Errorf("contract: 'name' is empty")
	}
	for _, side := range []struct {
		name      string
		rate, hop int
	}{{"in", c.SampleRateIn, c.HopIn}, {"out", c.SampleRateOut, c.HopOut}} {
		if side.rate < 8000 || side.rate > 48000 {
			return fmt.Errorf("contract: 'sample_rate_%s' is %d, expected 8000 to 48000", side.name, side.rate)
		}
		if side.hop*hopsPerSecond != side.rate {
			return fmt.Errorf("contract: 'hop_%s' is %d samples at %d Hz, expected %d (10 ms)",
				side.name, side.hop, side.rate, side.rate/hopsPerSecond)
		}
	}
	if !(c.LookaheadMS >= 0 && c.LookaheadMS <= 500) {
		return fmt.Errorf("contract: 'lookahead_ms' is %g, expected 0 to 500", c.LookaheadMS)
	}
	for i, n := range c.Hops {
		if c.Kind != KindVoice || (i == 0) != (n == 1) || n > maxHops || i > 0 && n <= c.Hops[i-1] {
			return fmt.Errorf("contract: 'hops' is %v, expected none, or for a voice 1 and more up to %d, ascending", c.Hops, maxHops)
		}
	}
	if c.Batch && c.Kind != KindVoice {
		return fmt.Errorf("contract: 'batch' is true, expected that of a voice alone")
	}
	if c.Kind == KindVoice {
		return c.validateVoice()
	}
	if c.State != 0 || c.LookaheadMS != 0 || c.SampleRateIn != c.SampleRateOut {
		return fmt.Errorf("contract: a passthrough has 'state' 0, 'lookahead_ms' 0 and one rate, found %d, %g and %d to %d Hz",
			c.State, c.LookaheadMS, c.SampleRateIn, c.SampleRateOut)
	}
	return c.validateVoices()
}

func (c *Contract) validateMel() error {
	m := c.Mel
	if m.Hop != c.HopIn {
		return fmt.Errorf("contract: 'mel.hop' is %d, expected %d, the same as 'hop_in'", m.Hop, c.HopIn)
	}
	if m.Window < m.Hop || m.NFFT < m.Window || m.NFFT > 1<<16 {
		return fmt.Errorf("contract: 'mel' has n_fft %d, window %d, hop %d, expected n_fft ≥ window ≥ hop", m.NFFT, m.Window, m.Hop)
	}
	if m.Bands < 1 || m.Bands > 512 {
		return fmt.Errorf("contract: 'mel.bands' is %d, expected 1 to 512", m.Bands)
	}
	if !(m.FMin >= 0 && m.FMin < m.FMax && m.FMax <= float64(c.SampleRateIn)/2) {
		return fmt.Errorf("contract: 'mel' goes from %g to %g Hz, expected 0 ≤ fmin < fmax ≤ %d", m.FMin, m.FMax, c.SampleRateIn/2)
	}
	if !(m.Floor > 0 && m.Floor < 1) {
		return fmt.Errorf("contract: 'mel.floor' is %g, expected above 0 and below 1", m.Floor)
	}
	if m.Scale != "slaney" {
		return fmt.Errorf("contract: 'mel.scale' is %q, expected slaney", m.Scale)
	}
	return nil
}

func (c *Contract) validateVoice() error {
	if err := c.validateMel(); err != nil {
		return err
	}
	if c.Noise != "" && c.Noise != "normal" && c.Noise != "uniform" {
		return fmt.Errorf("contract: 'noise' is %q, expected normal, uniform or empty", c.Noise)
	}
	if !(c.F0DelayMS >= 0 && c.F0DelayMS <= 200) {
		return fmt.Errorf("contract: 'f0_delay_ms' is %g, expected 0 to 200", c.F0DelayMS)
	}
	if c.State < 0 || c.State > maxState {
		return fmt.Errorf("contract: 'state' is %d, expected 0 to %d", c.State, maxState)
	}
	return c.validateVoices()
}

func (c *Contract) validateVoices() error {
	if len(c.Voices) == 0 {
		return fmt.Errorf("contract: 'voices' is empty, expected at least one")
	}
	seen := map[string]bool{}
	for i, v := range c.Voices {
		if v.Name == "" || seen[v.Name] {
			return fmt.Errorf("contract: voice %d is named %q, expected a name of its own", i+1, v.Name)
		}
		seen[v.Name] = true
		if c.Kind != KindVoice {
			continue
		}
		if len(v.Embedding) == 0 || len(v.Embedding) != len(c.Voices[0].Embedding) {
			return fmt.Errorf("contract: voice %q has an embedding of %d values, expected %d, as the first voice has",
				v.Name, len(v.Embedding), max(1, len(c.Voices[0].Embedding)))
		}
		if !(v.MedianHz >= minMedianHz && v.MedianHz <= maxMedianHz) {
			return fmt.Errorf("contract: voice %q has 'median_hz' %g, expected %d to %d", v.Name, v.MedianHz, minMedianHz, maxMedianHz)
		}
	}
	return nil
}

// of is the contract of the pack's graph for so many sessions.
func (c *Contract) of(sessions int) *Contract {
	many := *c
	many.Sessions = sessions
	return &many
}

// inputs and outputs are the tensors that the graph for so many hops has, in the order we bind them.
func (c *Contract) inputs(hops int) []tensor { return together(c.inputsOfOne(hops), c.Sessions) }

func (c *Contract) outputs(hops int) []tensor { return together(c.outputsOfOne(hops), c.Sessions) }

func (c *Contract) inputsOfOne(hops int) []tensor {
	switch c.Kind {
	case KindPassthrough:
		return []tensor{floats("audio_in", c.HopIn)}
	case kindSongSeparator:
		return []tensor{spleeterInput()}
	}
	in := []tensor{{"mel", elemFloat, []int64{1, int64(c.Mel.Bands), int64(hops)}}, floats("f0", hops)}
	if c.Noise != "" {
		in = append(in, floats("noise", hops*c.HopOut))
	}
	in = append(in, floats("speaker", len(c.Voices[0].Embedding)))
	if c.State > 0 {
		in = append(in, floats("state", c.State))
	}
	return in
}

func (c *Contract) outputsOfOne(hops int) []tensor {
	if c.Kind == kindSongSeparator {
		return []tensor{spleeterOutput()}
	}
	out := []tensor{floats("audio", hops*c.HopOut)}
	if c.Kind == KindVoice && c.State > 0 {
		out = append(out, floats("state_out", c.State))
	}
	return out
}

// together are the tensors of one session's run as those of several: a row for each. -1 leaves it open how many.
func together(one []tensor, sessions int) []tensor {
	if sessions == 0 {
		return one
	}
	many := slices.Clone(one)
	for i, t := range many {
		many[i].shape = slices.Clone(t.shape)
		many[i].shape[0] = int64(sessions)
	}
	return many
}

func floats(name string, n int) tensor { return tensor{name, elemFloat, []int64{1, int64(n)}} }

// checkGraphs holds the real inputs and outputs of the main graph and of those for more hops against
// the contract.
func (c *Contract) checkGraphs(s signature) error {
	if err := c.checkGraph(s, 1); err != nil {
		return err
	}
	for _, n := range c.Hops[min(1, len(c.Hops)):] {
		graph, err := unpackGraph(s.metadata, graphKey(n))
		if err != nil {
			return err
		}
		var more signature
		if err = more.readGraph(graph); err == nil {
			err = c.checkGraph(more, n)
		}
		if err != nil {
			return fmt.Errorf("graph for %d hops: %w", n, err)
		}
	}
	if !c.Batch {
		return nil
	}
	graph, err := unpackGraph(s.metadata, batchKey)
	var many signature
	if err == nil {
		err = many.readGraph(graph)
	}
	if err == nil {
		err = checkTensors("input", c.of(-1).inputs(1), many.inputs)
	}
	if err == nil {
		err = checkTensors("output", c.of(-1).outputs(1), many.outputs)
	}
	if err != nil {
		return fmt.Errorf("graph for many sessions: %w", err)
	}
	return nil
}

func (c *Contract) checkGraph(s signature, hops int) error {
	if err := checkTensors("input", c.inputs(hops), s.inputs); err != nil {
		return err
	}
	return checkTensors("output", c.outputs(hops), s.outputs)
}

func checkTensors(side string, expected, found []tensor) error {
	names := make([]string, len(found))
	for i, t := range found {
		names[i] = t.name
	}
	for _, want := range expected {
		i := slices.Index(names, want.name)
		if i < 0 {
			return fmt.Errorf("%s %q: expected %s, found none of that name (the graph has: %s)",
				side, want.name, want, strings.Join(names, ", "))
		}
		if got := found[i]; got.elemType != want.elemType || !slices.Equal(got.shape, want.shape) {
			return fmt.Errorf("%s %q: expected %s, found %s", side, want.name, want, got)
		}
	}
	for _, got := range found {
		if !slices.ContainsFunc(expected, func(t tensor) bool { return t.name == got.name }) {
			return fmt.Errorf("%s %q: expected none of that name, found %s", side, got.name, got)
		}
	}
	return nil
}
