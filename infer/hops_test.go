package infer

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"math"
	"testing"

	"github.com/autovoiced/autovoiced/stream"
)

// tinyHops' graphs for 3 and 8 hops are its one hop over and over, so that they give the same bytes.
var tinyWithHops = broken("tiny-hops")

func TestRunsOfManyHops(t *testing.T) {
	samples, f0 := speech(tinyHops)
	want := convert(t, open(t, load(t, tinyVoice), "tiny-low", SessionOptions{}), samples, f0, 1)
	e := load(t, tinyWithHops)
	for _, c := range []struct{ asked, runs int }{{0, 1}, {2, 1}, {3, 3}, {7, 3}, {8, 8}, {1000, 8}} {
		if run := e.contract.Run(c.asked); run != c.runs {
			t.Errorf("asked for %d hops: %d a run, expected %d", c.asked, run, c.runs)
		}
		for _, call := range []int{1, 3, 7, 11, tinyHops} {
			v := open(t, e, "tiny-low", SessionOptions{Hops: c.asked})
			if !same(want, convert(t, v, samples, f0, call)) {
				t.Errorf("for %d hops, %d a call: other bytes than hop by hop", c.asked, call)
			}
			v.Reset()
			if !same(want, convert(t, v, samples, f0, call)) {
				t.Errorf("for %d hops, %d a call: after Reset the session is not as new", c.asked, call)
			}
		}
	}
	if len(e.nets) != 3 {
		t.Errorf("%d networks for graphs of 1, 3 and 8 hops, each asked for several times", len(e.nets))
	}
}

// One bad hop in a long run costs no more than live, and the rest is as if it had been live.
func TestOutputThatIsNoNumberInALongRun(t *testing.T) {
	samples, f0 := speech(tinyHops)
	for i := range f0 {
		f0[i] = 150
	}
	f0[10], f0[11], f0[57] = 950, 950, 950
	live := open(t, load(t, broken("nan-above-900")), "tiny-low", SessionOptions{})
	want := convert(t, live, samples, f0, 1)
	long := open(t, load(t, broken("nan-in-hops")), "tiny-low", SessionOptions{Hops: 8})
	if got := convert(t, long, samples, f0, tinyHops); !same(want, got) || !finite(got) {
		t.Error("other bytes than hop by hop")
	}
	if long.Faults() != live.Faults() || long.Faults() != (Faults{Output: 3}) {
		t.Errorf("faults %+v, expected %+v", long.Faults(), live.Faults())
	}
}

func TestLongRunsAllocateNothing(t *testing.T) {
	samples, f0 := speech(8 + 2)
	c := open(t, load(t, tinyWithHops), "tiny-low", SessionOptions{Hops: 8, Shift: Shift{Auto: true}})
	out := make([]float32, len(f0)*240)
	if n := testing.AllocsPerRun(200, func() { check(t, c.Convert(out, samples, f0)) }); n != 0 {
		t.Errorf("%v allocations a run", n)
	}
}

// with gives the model another entry of metadata; nil takes it away.
func with(t *testing.T, model []byte, key string, value []byte) (changed []byte) {
	t.Helper()
	err := fields(model, func(f field) error {
		if f.id == 14 && bytes.Contains(f.bytes, append([]byte(key), 0x12)) { // its value follows
			return nil
		}
		if f.bytes == nil {
			changed = append(changed, byte(f.id<<3), byte(f.value))
			return nil
		}
		changed = appendField(changed, f.id, f.bytes)
		return nil
	})
	check(t, err)
	if value != nil {
		changed = appendField(changed, 14, appendField(appendField(nil, 1, []byte(key)), 2, value))
	}
	return changed
}

func TestBrokenGraphsForMoreHops(t *testing.T) {
	good := read(t, tinyWithHops)
	if _, err := ReadContractBytes("tiny.onnx", with(t, good, "none", nil)); err != nil {
		t.Fatal(err)
	}
	s, err := readSignature(good)
	if err != nil {
		t.Fatal(err)
	}
	pack := func(graph []byte) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, err := z.Write(graph)
		check(t, err)
		check(t, z.Close())
		return []byte(base64.StdEncoding.EncodeToString(b.Bytes()))
	}
	three, err := unpackGraph(s.metadata, graphKey(3))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		graph []byte
		words []string
	}{
		"missing":   {nil, []string{"autovoiced.graph.8", "found none"}},
		"no base64": {[]byte("%"), []string{"autovoiced.graph.8", "base64"}},
		"no gzip":   {[]byte("AAAA"), []string{"autovoiced.graph.8", "gzip"}},
		"for 3":     {pack(three), []string{"graph for 8 hops", `input "mel"`, "expected float [1,80,8]", "found float [1,80,3]"}},
		"cut":       {pack(three[:len(three)/2]), []string{"graph for 8 hops", "truncated"}},
		"nothing":   {pack(nil), []string{"graph for 8 hops", `input "mel"`, "none"}},
		"a bomb":    {pack(make([]byte, maxGraph+1)), []string{"autovoiced.graph.8", fmt.Sprint(maxGraph)}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadContractBytes("tiny.onnx", with(t, good, graphKey(8), c.graph))
			wantError(t, err, append(c.words, "tiny.onnx")...)
		})
	}
	for n := range good {
		if _, err := ReadContractBytes("cut.onnx", good[:n]); err == nil {
			t.Fatalf("cut to %d of %d bytes: no error", n, len(good))
		}
	}
}

// What only ONNX Runtime can find in a graph for more hops is an error of the session that asks for it.
func TestAGraphThatONNXRuntimeRefuses(t *testing.T) {
	needRuntime(t)
	good := read(t, tinyWithHops)
	graph, err := joinedGraph(good, 3)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err = z.Write(bytes.ReplaceAll(graph, []byte("Softmax"), []byte("Hardmux")))
	check(t, err)
	check(t, z.Close())
	model := with(t, good, graphKey(3), []byte(base64.StdEncoding.EncodeToString(b.Bytes())))
	e, err := LoadBytes("tiny.onnx", model, DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close() //nolint:errcheck // not what is tested
	for range 2 {
		_, err = e.NewSession("tiny-low", SessionOptions{Hops: 3})
		wantError(t, err, "tiny.onnx", "graph for 3 hops", "Hardmux")
		wantError(t, e.Prepare(7), "tiny.onnx", "graph for 3 hops", "Hardmux")
	}
	check(t, e.Prepare(8))
	check(t, e.Prepare(1))
	samples, f0 := speech(3)
	convert(t, open(t, e, "tiny-low", SessionOptions{}), samples, f0, 1)
}

func joinedGraph(model []byte, hops int) ([]byte, error) {
	s, err := readSignature(model)
	if err != nil {
		return nil, err
	}
	return unpackGraph(s.metadata, graphKey(hops))
}

// The bundled voices say the same in runs of any length, on real speech: to -60 dB is promised, more is seen.
func TestBundledVoicesInLongRuns(t *testing.T) {
	seen := map[*Engine]bool{}
	eachVoice(t, func(t *testing.T, e *Engine, voice string) {
		if seen[e] {
			return // one voice of each pack will do
		}
		seen[e] = true
		samples := someone(t, 3.5)
		f0 := follow(t, samples)
		live := convert(t, open(t, e, voice, SessionOptions{}), samples, f0, 1)
		if levelDB(live) < -60 {
			t.Fatalf("%.0f dB: the voice is silent", levelDB(live))
		}
		hops := e.Contract().Hops
		if len(hops) < 2 {
			t.Skipf("%s has no graph for more than one hop", e.File())
		}
		for _, n := range hops[1:] {
			long := convert(t, open(t, e, voice, SessionOptions{Hops: n}), samples, f0, len(f0))
			if same(live, long) {
				t.Errorf("%d hops a run: not a bit differs from single hops: it was no other graph", n)
			}
			for i := range long {
				long[i] -= live[i]
			}
			apart := levelDB(long) - levelDB(live)
			t.Logf("%s: %d hops a run differ from single ones by %.0f dB", voice, n, apart)
			if !(apart < -80) {
				t.Errorf("%d hops a run differ from single ones by %.0f dB", n, apart)
			}
		}
	})
}

// follow is the pitch of speech, one value a hop.
func follow(t testing.TB, samples []float32) []float32 {
	t.Helper()
	stage, err := stream.NewF0Extraction(16000, stream.DefaultF0Config())
	if err != nil {
		t.Fatal(err)
	}
	c := stream.Chunk{Samples: samples, Rate: 16000}
	check(t, stage.Process(&c))
	voiced := 0
	for _, hz := range c.F0 {
		if hz > 0 && !math.IsNaN(float64(hz)) {
			voiced++
		}
	}
	if voiced < len(c.F0)/8 {
		t.Fatalf("%d of %d hops are voiced: no speech", voiced, len(c.F0))
	}
	return c.F0
}
