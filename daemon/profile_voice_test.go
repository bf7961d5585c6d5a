package daemon

import (
	"errors"
	"math"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/autovoiced/autovoiced/client"
	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
)

// putProfile makes a profile of an embedding instead of recordings, with no regard to its name.
func putProfile(t *testing.T, name string, embedding []float32, medianHz float64) *Profile {
	t.Helper()
	return putStudy(t, name, Study{Embedding: embedding, MedianHz: medianHz})
}

func putStudy(t *testing.T, name string, study Study) *Profile {
	t.Helper()
	pr := &Profile{Format: ProfileFormat, ID: newProfileID(), Name: name, Study: study}
	if err := OpenProfiles().put(name, pr.write); err != nil {
		t.Fatal(err)
	}
	return pr
}

// unit is a vector of length 1 that differs from place to place.
func unit(n int) []float32 {
	x, sum := make([]float32, n), 0.0
	for i := range x {
		x[i] = float32(1 + i%3)
		sum += float64(x[i] * x[i])
	}
	for i := range x {
		x[i] /= float32(math.Sqrt(sum))
	}
	return x
}

// A profile's name, its target and the recordings themselves speak alike, and like nobody else.
func TestConvertWithAProfile(t *testing.T) {
	cfg, _ := profileConfig(t)
	heard, err := Hear(t.Context(), cfg, woman)
	if err != nil {
		t.Fatal(err)
	}
	pr := putStudy(t, "she", Study{Embedding: heard.Embedding, MedianHz: heard.MedianHz, Tone: heard.Tone})
	target, recorded := pr.Target(), heard.Target("reference")
	dir := t.TempDir()
	in := filepath.Join(dir, "in.wav")
	writeWAV(t, in, 16000, dsp.S16LE, buzz(32000, 16000))
	outputs := map[string][]float32{}
	for name, o := range map[string]ConvertOptions{
		"she": {Voice: "she"}, "the target": {Target: &target}, "reference": {Target: &recorded}, tinyVoice: {Voice: tinyVoice},
	} {
		out := filepath.Join(dir, "out.wav")
		o.PCM, o.Pitch, o.Separator = dsp.F32LE, &wire.PitchShift{Auto: true}, infer.SeparatorNone
		result, err := Convert(t.Context(), cfg, in, out, o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if want := strings.Replace(name, "the target", "she", 1); result.Voice != want || result.Frames != 32000 {
			t.Errorf("%s: %+v", name, result)
		}
		outputs[name] = readWAV(t, out)
	}
	if peak(outputs["she"]) < 0.01 {
		t.Error("the profile says nothing")
	}
	for _, name := range []string{"the target", "reference"} {
		if !slices.Equal(outputs["she"], outputs[name]) {
			t.Errorf("the profile does not sound like %s", name)
		}
	}
	if slices.Equal(outputs["she"], outputs[tinyVoice]) {
		t.Error("the profile sounds like a voice of the pack")
	}
}

// The bundled pack speaks as anybody whose embedding is as long as its contract says.
func TestProfileWithTheBundledPack(t *testing.T) {
	cfg, _ := profileConfig(t)
	cfg.Infer.Models = ""
	s, err := newStudio(cfg)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := s.voices.Engine(firstVoice(s.voices.Voices()))
	if err != nil {
		t.Fatal(err)
	}
	contract := engine.Contract()
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	putProfile(t, "she", unit(contract.SpeakerSize()), 200)
	cfg.Voice.Name = "she"
	out := convertFile(t, cfg, readWAV(t, man[0])[:16000], mono16k)
	if p := peak(out); !(p > 0.001 && p <= 1) {
		t.Errorf("the peak is %g", p)
	}
	putProfile(t, "longer", unit(contract.SpeakerSize()+1), 200)
	cfg.Voice.Name = "longer"
	_, err = newStudio(cfg)
	wantWords(t, err, "longer", contract.Name, "takes")
}

func TestStreamWithAProfile(t *testing.T) {
	cfg, profiles := profileConfig(t)
	d := serve(t, func(c *Config) { c.Infer.Models = cfg.Infer.Models })
	// The daemon runs already when the profile is made.
	putProfile(t, "she", unit(8), 200)
	putProfile(t, "misfit", unit(7), 200)
	signal := buzz(16000, 16000)
	outputs := map[string][]float32{}
	for name, start := range map[string]wire.Start{
		"voice": {Voice: "she", Format: mono16k}, "profile": {Profile: "she", Format: mono16k}, tinyVoice: {Voice: tinyVoice, Format: mono16k},
	} {
		s := dial(t, d.url, start)
		if got := s.Ready().Voice; got != start.Voice+start.Profile {
			t.Errorf("%s: %q is ready", name, got)
		}
		outputs[name], _ = converse(t, s, signal, fixed(160))
	}
	if !slices.Equal(outputs["voice"], outputs["profile"]) || slices.Equal(outputs["voice"], outputs[tinyVoice]) || peak(outputs["voice"]) < 0.01 {
		t.Error("asked for as a voice and as a profile, it is not the same, or not another than the pack's voice")
	}
	for _, c := range []struct {
		start wire.Start
		code  wire.Code
		words []string
	}{
		{wire.Start{Profile: "nobody", Format: mono16k}, wire.CodeUnknownVoice, []string{"nobody"}},
		{wire.Start{Profile: tinyVoice, Format: mono16k}, wire.CodeUnknownVoice, []string{tinyVoice}},
		{wire.Start{Profile: "../she", Format: mono16k}, wire.CodeUnknownVoice, []string{"she"}},
		{wire.Start{Voice: "nobody", Format: mono16k}, wire.CodeUnknownVoice, []string{"nobody", tinyVoice, "profiles: misfit, she"}},
		{wire.Start{Voice: "misfit", Format: mono16k}, wire.CodeUnsupported, []string{"misfit", "7 values", "takes"}},
	} {
		_, err := client.Dial(t.Context(), d.url, client.Options{Start: c.start})
		if !errors.Is(err, &wire.Error{Code: c.code}) {
			t.Errorf("%+v: %v, want %s", c.start, err, c.code)
		}
		wantWords(t, err, c.words...)
	}

	var profileList []wire.Profile
	ask(t, http.MethodGet, d.url+"/v1/profiles", "", nil, &profileList)
	if len(profileList) != 2 || profileList[1].Name != "she" || profileList[1].MedianHz != 200 || profileList[1].Unusable != "" ||
		!strings.Contains(profileList[0].Unusable, "7 values") {
		t.Errorf("profiles %+v", profileList)
	}
	var voices []wire.Voice
	ask(t, http.MethodGet, d.url+"/v1/voices", "", nil, &voices)
	var kinds []string
	for _, v := range voices {
		if v.Kind == kindProfile {
			kinds = append(kinds, v.Name+" "+v.Pack)
		}
		if v.Name == "she" && (v.MedianHz < 150 || v.InRate != 16000 || v.OutRate != 24000 || v.LookaheadMS != 10) {
			t.Errorf("%+v", v)
		}
		if v.Name == "misfit" && !strings.Contains(v.Description, "unusable") {
			t.Errorf("%+v", v)
		}
	}
	if !slices.Equal(kinds, []string{"misfit ", "she tiny-voice"}) {
		t.Errorf("profiles in the list: %q", kinds)
	}
	if err := profiles.Remove("she"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Dial(t.Context(), d.url, client.Options{Start: wire.Start{Voice: "she", Format: mono16k}}); !errors.Is(err, &wire.Error{Code: wire.CodeUnknownVoice}) {
		t.Errorf("after it was removed: %v", err)
	}
}

// From a voice to a profile of the same pack and back while it speaks.
func TestUpdateToAProfile(t *testing.T) {
	cfg, _ := profileConfig(t)
	d := serve(t, func(c *Config) { c.Infer.Models, c.Voice.Name = cfg.Infer.Models, tinyVoice })
	putProfile(t, "she", unit(8), 200)
	putProfile(t, "misfit", unit(7), 200)
	s := dial(t, d.url, wire.Start{Format: mono16k})
	for _, c := range []struct {
		to, speaks string
		code       wire.Code
	}{
		{"she", "she", ""},
		{tinyVoice, tinyVoice, ""},
		{"she", "she", ""},
		{"misfit", "she", wire.CodeUnsupported},
		{"nobody", "she", wire.CodeUnknownVoice},
		{passthrough, "she", wire.CodeUnsupported},
		{"tiny-high", "tiny-high", ""},
	} {
		hz := 50.0
		if err := s.Update(t.Context(), wire.Update{Voice: &c.to}); err != nil {
			t.Fatal(err)
		}
		if err := s.Update(t.Context(), wire.Update{Timings: &hz}); err != nil {
			t.Fatal(err)
		}
		var code wire.Code
		for answered := false; !answered; { // a timing comes after the error, or instead of it
			ev, err := s.Recv(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			switch m := ev.Message.(type) {
			case *wire.Error:
				code = m.Code
				answered = true
			case *wire.Timing:
				answered = c.code == "" && d.Status().Sessions[0].Voice == c.speaks
			}
		}
		if got := d.Status().Sessions[0].Voice; got != c.speaks || code != c.code {
			t.Errorf("to %s: %s speaks, error %q, want %s and %q", c.to, got, code, c.speaks, c.code)
		}
	}
	if reply, _ := converse(t, s, buzz(8000, 16000), fixed(160)); len(reply) != 8000 {
		t.Errorf("%d frames, want 8000", len(reply))
	}
}

// Who asks for a name that a pack's voice has gets the voice, whatever profile came to have it.
func TestAVoiceGoesBeforeAProfile(t *testing.T) {
	cfg, _ := profileConfig(t)
	putProfile(t, tinyVoice, unit(8), 400)
	s := openStudio(t, cfg)
	_, target, err := s.speaker(tinyVoice)
	if err != nil || target.MedianHz != 110 {
		t.Errorf("%+v, %v", target, err)
	}
	cards, err := s.cards()
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(cards, func(v infer.VoiceInfo) bool { return v.Kind == kindProfile }); i >= 0 {
		t.Errorf("the hidden profile is listed: %+v", cards[i])
	}
	asked, werr := s.profileTarget(tinyVoice)
	if werr != nil || asked.MedianHz != 400 {
		t.Errorf("asked for as a profile: %+v, %v", asked, werr)
	}
	cfg.Voice.Name = "nobody"
	_, err = newStudio(cfg)
	wantWords(t, err, "voice.name", "nobody")
}
