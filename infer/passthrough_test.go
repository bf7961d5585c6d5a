package infer

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

// Any finite number comes back bit for bit: denormals, negative zero and far beyond full scale too.
func TestPassthroughIsBitExact(t *testing.T) {
	c := open(t, load(t, passthrough), "passthrough", SessionOptions{})
	if c.InRate() != 48000 || c.OutRate() != 48000 || c.Latency() != 0 {
		t.Errorf("%d to %d Hz, %v", c.InRate(), c.OutRate(), c.Latency())
	}
	random := rand.New(rand.NewPCG(1, 2))
	in, out := make([]float32, 10*480), make([]float32, 10*480)
	for i := range in {
		for in[i] = float32(math.NaN()); !finite(in[i : i+1]); {
			in[i] = math.Float32frombits(random.Uint32())
		}
	}
	copy(in, []float32{0, float32(math.Copysign(0, -1)), math.SmallestNonzeroFloat32, math.MaxFloat32, -1, 1})
	check(t, c.Convert(out, in, nil))
	if !same(in, out) {
		t.Error("what came out is not what went in")
	}
	if c.Faults() != (Faults{}) {
		t.Errorf("faults %+v", c.Faults())
	}
}

func TestPassthroughSilencesWhatIsNoNumber(t *testing.T) {
	c := open(t, load(t, passthrough), "passthrough", SessionOptions{})
	in, out := make([]float32, 3*480), make([]float32, 3*480)
	for i := range in {
		in[i] = 0.5
	}
	in[500] = float32(math.Inf(1))
	check(t, c.Convert(out, in, nil))
	clear(in[480:960])
	if !same(in, out) || c.Faults() != (Faults{Input: 1}) {
		t.Errorf("faults %+v, expected one hop of silence", c.Faults())
	}
}

func TestEmbeddedPassthroughIsTheOneMade(t *testing.T) {
	embedded, err := bundled.ReadFile("voices/passthrough.onnx")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(embedded, read(t, passthrough)) {
		t.Error("voices/passthrough.onnx differs from testdata's: run make.py")
	}
}
