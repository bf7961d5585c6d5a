package infer

import (
	"strings"
	"testing"
)

// Products in half precision stay within the gate on the shipped voice, and a graph for many sessions has them as well.
func TestHalfProductsPassTheGate(t *testing.T) {
	needRuntime(t)
	c, model := packAt(t, "voices/first.onnx")
	for _, sessions := range []int{1, 16} {
		whole, err := batchOf(model, sessions)
		check(t, err)
		if _, products, err := halfProducts(whole); err != nil || products < 30 {
			t.Errorf("for %d sessions: %d products in half precision, %v", sessions, products, err)
		}
	}
	for _, hops := range []int{32} { // the quickest of its graphs
		whole, err := modelOf(model, hops)
		check(t, err)
		half, products, err := halfProducts(whole)
		check(t, err)
		if products < 30 {
			t.Errorf("%d hops: %d products in half precision, expected those of all layers", hops, products)
		}
		exact := networkOf(t, &c, model, hops)
		run := func(model []byte) Distance {
			net, err := openNet(&c, model, DefaultPolicy(), "")
			if err != nil {
				t.Fatal(err)
			}
			d, err := gate(&c, exact, network{hops, net})
			check(t, err)
			check(t, net.Destroy())
			return d
		}
		// ONNX Runtime's CPU provider has no such products: it takes both casts away, and what is left must be the same graph.
		if d := run(half); d.SNR < 100 {
			t.Errorf("%d hops: the graph has become another: %v", hops, &d)
		}
		d := run(asHalf(t, half))
		t.Logf("%d hops, %d products: %v", hops, products, &d)
		check(t, d.check())
		if d.SNR > 100 {
			t.Errorf("%d hops: %v: nothing is rounded", hops, &d)
		}
	}
}

// asHalf computes in fp32 what halfProducts leaves to half precision, rounding what goes in and comes out to 11 bits and to its range.
func asHalf(t *testing.T, model []byte) []byte {
	t.Helper()
	w := graphWriter{names: 1e6} // clear of those that are there
	split, most, least := w.weight([]float32{1<<13 + 1}), w.weight([]float32{65504}), w.weight([]float32{-65504})
	round := func(in, out string) {
		in = w.node("Clip", []string{in, least, most})
		scaled := w.node("Mul", []string{in, split})
		w.nodeTo(out, "Sub", []string{scaled, w.node("Sub", []string{scaled, in})})
	}
	out, err := rewrite(model, func(f field) ([]byte, error) {
		if f.id != 7 {
			return f.bytes, nil
		}
		err := fields(f.bytes, func(f field) error {
			if f.id != 1 {
				w.graph = appendField(w.graph, f.id, f.bytes)
				return nil
			}
			n, err := readNode(f.bytes)
			switch {
			case strings.HasPrefix(n.in[0], "half.") && n.op == "Gemm":
				weight := w.node("Cast", n.in[1:2], integer("to", elemFloat))
				w.graph = appendField(w.graph, 1, (&node{op: "Gemm", in: []string{n.in[0], weight}, out: n.out, attributes: n.attributes}).message())
			case n.op == "Cast" && (strings.HasPrefix(n.in[0], "half.") || strings.HasPrefix(n.out[0], "half.")):
				round(n.in[0], n.out[0])
			default:
				w.graph = appendField(w.graph, 1, f.bytes)
			}
			return err
		})
		return w.graph, err
	})
	check(t, err)
	return out
}
