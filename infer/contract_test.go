package infer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ort "github.com/yalue/onnxruntime_go"
)

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestContractOfTinyVoice(t *testing.T) {
	c, err := ReadContract(tinyVoice)
	if err != nil {
		t.Fatal(err)
	}
	if c.Kind != KindVoice || c.SampleRateIn != 16000 || c.SampleRateOut != 24000 || c.HopIn != 160 || c.HopOut != 240 ||
		c.State != 4 || c.Mel.Bands != 80 || c.Noise != "normal" || !slices.Equal(c.VoiceNames(), []string{"tiny-low", "tiny-high"}) {
		t.Errorf("contract %+v", c)
	}
}

// Each broken file names itself, the tensor or key, what was expected and what was found; and it
// does so through Load as well.
func TestBrokenModels(t *testing.T) {
	for name, words := range map[string][]string{
		"wrong-shape":    {`output "audio"`, "expected float [1,240]", "found float [1,200]"},
		"wrong-type":     {`input "f0"`, "expected float [1,1]", "found int64 [1,1]"},
		"missing-input":  {`input "noise"`, "expected float [1,240]", "found none", "mel, f0, speaker, state"},
		"extra-input":    {`input "energy"`, "expected none", "found float [1,1]"},
		"dynamic-shape":  {`input "mel"`, "expected float [1,80,1]", "found float [1,80,?]"},
		"state-mismatch": {`input "state"`, "expected float [1,5]", "found float [1,4]"},
		"no-metadata":    {`no metadata "autovoiced"`},
		"bad-metadata":   {`metadata "autovoiced"`, "not JSON"},
		"future-format":  {"format 99", "1 expected", "another version"},
		"wrong-rate":     {"'hop_out'", "240 samples at 12000 Hz", "expected 120"},
	} {
		_, err := ReadContract(broken(name))
		wantError(t, err, append(words, broken(name))...)
		_, err = Load(broken(name), DefaultPolicy())
		wantError(t, err, words...)
	}
}

func TestATextFileAsModel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.onnx")
	check(t, os.WriteFile(path, []byte("Dear model,\nplease speak.\n"), 0o600))
	_, err := Load(path, DefaultPolicy())
	wantError(t, err, path, "ONNX")

	check(t, os.WriteFile(path, nil, 0o600))
	_, err = Load(path, DefaultPolicy())
	wantError(t, err, path, "empty")

	_, err = Load(filepath.Join(t.TempDir(), "absent.onnx"), DefaultPolicy())
	wantError(t, err, "absent.onnx", "no such file")
}

// However it was cut, a truncated model is refused.
func TestATruncatedModel(t *testing.T) {
	model := read(t, tinyVoice)
	for n := range model {
		if _, err := ReadContractBytes("cut.onnx", model[:n]); err == nil || !strings.Contains(err.Error(), "cut.onnx") {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(model), err)
		}
	}
	path := filepath.Join(t.TempDir(), "cut.onnx")
	check(t, os.WriteFile(path, model[:len(model)/2], 0o600))
	_, err := Load(path, DefaultPolicy())
	wantError(t, err, path, "truncated")
}

// A file whose signature is right and whose graph is nonsense is ONNX Runtime's to refuse.
func TestAModelThatONNXRuntimeRefuses(t *testing.T) {
	needRuntime(t)
	model := []byte(strings.ReplaceAll(string(read(t, tinyVoice)), "Softmax", "Hardmux"))
	_, err := LoadBytes("nonsense.onnx", model, DefaultPolicy())
	wantError(t, err, "nonsense.onnx", "onnx runtime", "Hardmux")
}

// A model that cannot even be silent is refused at load.
func TestAModelThatGivesNaNForSilence(t *testing.T) {
	needRuntime(t)
	_, err := Load(broken("nan-always"), DefaultPolicy())
	wantError(t, err, "nan-always.onnx", "warm-up", `output "audio"`, "expected numbers", "found NaN")
}

// What we read from the file is what ONNX Runtime sees in it.
func TestSignatureIsWhatONNXRuntimeSees(t *testing.T) {
	needRuntime(t)
	for _, path := range []string{tinyVoice, passthrough, broken("wrong-type"), broken("dynamic-shape"), broken("wrong-shape")} {
		model := read(t, path)
		ours, err := readSignature(model)
		if err != nil {
			t.Fatal(err)
		}
		inputs, outputs, err := ort.GetInputOutputInfoWithONNXData(model)
		if err != nil {
			t.Fatal(err)
		}
		for _, side := range []struct {
			ours   []tensor
			theirs []ort.InputOutputInfo
		}{{ours.inputs, inputs}, {ours.outputs, outputs}} {
			if len(side.ours) != len(side.theirs) {
				t.Fatalf("%s: %d tensors, ONNX Runtime has %d", path, len(side.ours), len(side.theirs))
			}
			for i, mine := range side.ours {
				its := side.theirs[i]
				if mine.name != its.Name || mine.elemType != int(its.DataType) || !slices.Equal(mine.shape, its.Dimensions) {
					t.Errorf("%s: %s is %s, ONNX Runtime has %s", path, mine.name, mine, its.String())
				}
			}
		}
		meta, err := ort.GetModelMetadataWithONNXData(model)
		if err != nil {
			t.Fatal(err)
		}
		text, _, err := meta.LookupCustomMetadataMap(contractKey)
		if err != nil || text != ours.metadata[contractKey] {
			t.Errorf("%s: metadata differs: %q, %v", path, text, err)
		}
		check(t, meta.Destroy())
	}
}

func TestContractValidate(t *testing.T) {
	good := read(t, tinyVoice)
	s, err := readSignature(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		change func(*Contract)
		words  []string
	}{
		{func(c *Contract) { c.Name = "" }, []string{"'name'"}},
		{func(c *Contract) { c.Kind = "song" }, []string{"'kind'", `"song"`, "voice or passthrough"}},
		{func(c *Contract) { c.SampleRateIn = 0 }, []string{"'sample_rate_in'", "0", "8000 to 48000"}},
		{func(c *Contract) { c.SampleRateOut = 500000 }, []string{"'sample_rate_out'", "500000"}},
		{func(c *Contract) { c.HopIn = 320 }, []string{"'hop_in'", "320", "160"}},
		{func(c *Contract) { c.LookaheadMS = -1 }, []string{"'lookahead_ms'", "-1"}},
		{func(c *Contract) { c.F0DelayMS = 1000 }, []string{"'f0_delay_ms'", "1000"}},
		{func(c *Contract) { c.State = -1 }, []string{"'state'", "-1"}},
		{func(c *Contract) { c.Noise = "pink" }, []string{"'noise'", `"pink"`}},
		{func(c *Contract) { c.Mel.Hop = 80 }, []string{"'mel.hop'", "80", "160"}},
		{func(c *Contract) { c.Mel.Window = 1024 }, []string{"'mel'", "1024"}},
		{func(c *Contract) { c.Mel.Bands = 0 }, []string{"'mel.bands'"}},
		{func(c *Contract) { c.Mel.FMax = 9000 }, []string{"'mel'", "9000", "8000"}},
		{func(c *Contract) { c.Mel.Floor = 0 }, []string{"'mel.floor'"}},
		{func(c *Contract) { c.Mel.Scale = "bark" }, []string{"'mel.scale'", `"bark"`}},
		{func(c *Contract) { c.Voices = nil }, []string{"'voices'"}},
		{func(c *Contract) { c.Voices[1].Name = "tiny-low" }, []string{"voice 2", `"tiny-low"`}},
		{func(c *Contract) { c.Voices[1].Embedding = nil }, []string{"tiny-high", "0 values", "8"}},
		{func(c *Contract) { c.Voices[0].MedianHz = 0 }, []string{"tiny-low", "'median_hz'"}},
		{func(c *Contract) { c.Hops = []int{2, 4} }, []string{"'hops'", "[2 4]", "1 and more"}},
		{func(c *Contract) { c.Hops = []int{1, 4, 4} }, []string{"'hops'", "[1 4 4]", "ascending"}},
		{func(c *Contract) { c.Hops = []int{1, 1000} }, []string{"'hops'", "up to 256"}},
		{func(c *Contract) { c.Kind = KindPassthrough }, []string{"passthrough", "'state' 0"}},
	} {
		contract, err := parseContract(s.metadata)
		if err != nil {
			t.Fatal(err)
		}
		check(t, contract.validate())
		c.change(&contract)
		wantError(t, contract.validate(), c.words...)
	}
}

func TestContractRoundTrip(t *testing.T) {
	c, err := ReadContract(tinyVoice)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	again, err := parseContract(map[string]string{contractKey: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	check(t, again.validate())
}

func FuzzReadContract(f *testing.F) {
	for _, path := range []string{tinyVoice, tinyWithHops, passthrough, broken("no-metadata"), broken("bad-metadata")} {
		f.Add(read(f, path))
	}
	f.Fuzz(func(t *testing.T, model []byte) {
		c, err := ReadContractBytes("fuzz.onnx", model)
		if err == nil && len(c.Voices) == 0 {
			t.Error("a contract without voices was let through")
		}
	})
}
