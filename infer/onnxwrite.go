package infer

import (
	"encoding/binary"
	"fmt"
	"math"
)

// graphWriter makes an ONNX model (onnx.proto3): nodes in the order that they are added, weights as raw floats.
type graphWriter struct {
	graph []byte
	names int
}

const onnxOpset = 17

// attribute is a node's, as AttributeProto.
type attribute []byte

// AttributeProto: name = 1, f = 2, i = 3, ints = 8, type = 20 (FLOAT 1, INT 2, INTS 7).
func ints(name string, values ...int) attribute {
	a := appendText(nil, 1, name)
	for _, v := range values {
		a = appendNumber(a, 8, v)
	}
	return appendNumber(a, 20, 7)
}

func integer(name string, v int) attribute {
	return appendNumber(appendNumber(appendText(nil, 1, name), 3, v), 20, 2)
}

func number(name string, v float32) attribute {
	a := append(appendText(nil, 1, name), 2<<3|5)
	return appendNumber(binary.LittleEndian.AppendUint32(a, math.Float32bits(v)), 20, 1)
}

func appendNumber(m []byte, id, v int) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(m, uint64(id)<<3), uint64(v))
}

func appendText(m []byte, id int, s string) []byte { return appendField(m, id, []byte(s)) }

// input and output declare the graph's.
func (g *graphWriter) input(t tensor)  { g.graph = appendField(g.graph, 11, t.message()) }
func (g *graphWriter) output(t tensor) { g.graph = appendField(g.graph, 12, t.message()) }

// weight adds an initializer and returns its name.
func (g *graphWriter) weight(values []float32, shape ...int) string {
	g.names++
	name := fmt.Sprint("w", g.names)
	raw := make([]byte, 4*len(values))
	for i, v := range values {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
	}
	var t []byte // TensorProto: dims = 1, data_type = 2, name = 8, raw_data = 9
	for _, d := range shape {
		t = appendNumber(t, 1, d)
	}
	t = appendText(appendNumber(t, 2, elemFloat), 8, name)
	g.graph = appendField(g.graph, 5, appendField(t, 9, raw))
	return name
}

// whole is weight for int64, a list of them.
func (g *graphWriter) whole(values ...int64) string {
	g.names++
	name := fmt.Sprint("w", g.names)
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	t := appendText(appendNumber(appendNumber(nil, 1, len(values)), 2, elemInt64), 8, name)
	g.graph = appendField(g.graph, 5, appendField(t, 9, raw))
	return name
}

// node adds a node of one output, which it returns the name of.
func (g *graphWriter) node(op string, inputs []string, attributes ...attribute) string {
	g.names++
	return g.nodeTo(fmt.Sprint("t", g.names), op, inputs, attributes...)
}

// nodeTo is node with a name for the output. NodeProto: input = 1, output = 2, op_type = 4, attribute = 5.
func (g *graphWriter) nodeTo(output, op string, inputs []string, attributes ...attribute) string {
	var n []byte
	for _, in := range inputs {
		n = appendText(n, 1, in)
	}
	n = appendText(appendText(n, 2, output), 4, op)
	for _, a := range attributes {
		n = appendField(n, 5, a)
	}
	g.graph = appendField(g.graph, 1, n)
	return output
}

// model is the whole file. ModelProto: ir_version = 1, graph = 7, opset_import = 8 (version = 2).
func (g *graphWriter) model(name string) []byte {
	m := appendNumber(nil, 1, 8)
	m = appendField(m, 8, appendNumber(nil, 2, onnxOpset))
	return appendField(m, 7, appendText(g.graph, 2, name))
}

// message is the tensor as a ValueInfoProto, see readTensor.
func (t tensor) message() []byte {
	var shape []byte
	for _, d := range t.shape {
		shape = appendField(shape, 1, appendNumber(nil, 1, int(d)))
	}
	kind := appendField(appendNumber(nil, 1, t.elemType), 2, shape)
	return appendField(appendText(nil, 1, t.name), 2, appendField(nil, 1, kind))
}
