package infer

import (
	"fmt"
	"math"
)

// In fp16 a graph multiplies its matrices by weights of half precision, and computes everything else in fp32. What is left to
// TensorRT's own choice may put phases of harmonics into 11 bits, and takes twice as long to build; TensorRT keeps the types that a
// graph has when it is not told that it may choose.

const elemHalf = 10

// halfProducts gives a model whose products with weights that the pack stores in half precision, cast when they are read, are computed in
// it: so weights lose nothing. It says how many products there are.
func halfProducts(model []byte) (half []byte, products int, err error) {
	half, err = rewrite(model, func(f field) ([]byte, error) {
		if f.id != 7 {
			return f.bytes, nil
		}
		h := halver{halves: map[string]string{}, read: map[string]int{}}
		graph, err := h.graph(f.bytes)
		products = h.products
		return graph, err
	})
	return half, products, err
}

// halver is one graph's rewriting.
type halver struct {
	halves   map[string]string // a weight as the graph reads it, to the half of it that is stored
	read     map[string]int    // how often it is read other than by a product
	products int
}

// node is what we look at of a NodeProto: input = 1, output = 2, op_type = 4, attribute = 5.
type node struct {
	op         string
	in, out    []string
	attributes [][]byte
}

func readNode(message []byte) (n node, err error) {
	err = fields(message, func(f field) error {
		switch f.id {
		case 1:
			n.in = append(n.in, string(f.bytes))
		case 2:
			n.out = append(n.out, string(f.bytes))
		case 4:
			n.op = string(f.bytes)
		case 5:
			n.attributes = append(n.attributes, f.bytes)
		}
		return nil
	})
	return n, err
}

func (n *node) message() []byte {
	var m []byte
	for _, in := range n.in {
		m = appendText(m, 1, in)
	}
	for _, out := range n.out {
		m = appendText(m, 2, out)
	}
	m = appendText(m, 4, n.op)
	for _, a := range n.attributes {
		m = appendField(m, 5, a)
	}
	return m
}

// gain is an attribute of a number, 1 unless told. AttributeProto: name = 1, f = 2.
func (n *node) gain(name string) (value float32) {
	value = 1
	for _, a := range n.attributes {
		var called string
		told := value
		_ = fields(a, func(f field) error { //nolint:errcheck // ONNX Runtime has read it
			switch f.id {
			case 1:
				called = string(f.bytes)
			case 2:
				told = math.Float32frombits(uint32(f.value))
			}
			return nil
		})
		if called == name {
			value = told
		}
	}
	return value
}

func (h *halver) graph(graph []byte) ([]byte, error) {
	if err := h.survey(graph); err != nil {
		return nil, err
	}
	out := make([]byte, 0, len(graph)+4096)
	err := fields(graph, func(f field) error {
		if f.id != 1 {
			if f.bytes != nil {
				out = appendField(out, f.id, f.bytes)
			}
			return nil
		}
		n, err := readNode(f.bytes)
		if err != nil {
			return err
		}
		switch {
		case h.isProduct(&n):
			for _, m := range h.product(&n) {
				out = appendField(out, 1, m.message())
			}
		case n.op == "Cast" && h.halves[n.out[0]] != "" && h.read[n.out[0]] == 0: // nobody reads it any more
		default:
			out = appendField(out, 1, f.bytes)
		}
		return nil
	})
	return out, err
}

// survey finds the weights that are stored as halves, and who reads them. TensorProto: data_type = 2, name = 8; initializer = 5.
func (h *halver) survey(graph []byte) error {
	stored := map[string]bool{}
	err := fields(graph, func(f field) error {
		if f.id != 5 {
			return nil
		}
		var name string
		var kind uint64
		err := fields(f.bytes, func(f field) error {
			switch f.id {
			case 2:
				kind = f.value
			case 8:
				name = string(f.bytes)
			}
			return nil
		})
		stored[name] = kind == elemHalf
		return err
	})
	if err != nil {
		return err
	}
	return fields(graph, func(f field) error {
		if f.id != 1 {
			return nil
		}
		n, err := readNode(f.bytes)
		if err != nil {
			return err
		}
		if n.op == "Cast" && stored[n.in[0]] {
			h.halves[n.out[0]] = n.in[0]
		}
		product := h.isProduct(&n)
		for i, in := range n.in {
			if !product || i != 1 {
				h.read[in]++
			}
		}
		return nil
	})
}

// isProduct: a matrix by a weight that is stored as halves, with or without something added.
func (h *halver) isProduct(n *node) bool {
	return n.op == "Gemm" && h.halves[n.in[1]] != "" && n.gain("alpha") == 1 && n.gain("beta") == 1
}

// product is the same in half precision; what is added to it is so in fp32.
func (h *halver) product(n *node) []node {
	h.products++
	name := func(of string) string { return fmt.Sprintf("half.%d.%s", h.products, of) }
	to := func(elem int) [][]byte { return [][]byte{integer("to", elem)} }
	out := n.out[0]
	added := len(n.in) > 2 && n.in[2] != ""
	if added {
		out = name("sum")
	}
	nodes := []node{
		{op: "Cast", in: n.in[:1], out: []string{name("in")}, attributes: to(elemHalf)},
		{op: "Gemm", in: []string{name("in"), h.halves[n.in[1]]}, out: []string{name("out")}, attributes: n.attributes},
		{op: "Cast", in: []string{name("out")}, out: []string{out}, attributes: to(elemFloat)},
	}
	if added {
		nodes = append(nodes, node{op: "Add", in: []string{out, n.in[2]}, out: n.out})
	}
	return nodes
}
