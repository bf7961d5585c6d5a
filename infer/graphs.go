package infer

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
)

// A pack's main graph runs one hop. Further graphs that run more of them at once lie in the metadata,
// base64 of gzip of a GraphProto: nodes, inputs, outputs and what weights they do not share with the
// main graph. So the weights are in the file once, and the file is a model like any other.

// maxGraph bounds what one such graph may unpack to, in bytes.
const maxGraph = 8 << 20

// graphKey is the metadata_props key of the graph for so many hops.
func graphKey(hops int) string { return fmt.Sprintf("%s.graph.%d", contractKey, hops) }

// batchKey is that of the graph for one hop of as many sessions as its inputs have rows.
const batchKey = contractKey + ".graph.batch"

// unpackGraph reads a further graph out of the metadata.
func unpackGraph(metadata map[string]string, key string) ([]byte, error) {
	text, ok := metadata[key]
	if !ok {
		return nil, fmt.Errorf("contract: 'hops' or 'batch' speaks of a graph, expected it in metadata %q, found none", key)
	}
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("metadata %q: expected base64: %w", key, err)
	}
	unpack, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("metadata %q: expected gzip: %w", key, err)
	}
	graph, err := io.ReadAll(io.LimitReader(unpack, maxGraph+1))
	if err != nil {
		return nil, fmt.Errorf("metadata %q: %w", key, err)
	}
	if len(graph) > maxGraph {
		return nil, fmt.Errorf("metadata %q: expected a graph of %d bytes at most, found more", key, maxGraph)
	}
	return graph, nil
}

// modelOf is the model that runs so many hops, whole.
func modelOf(model []byte, hops int) ([]byte, error) {
	if hops == 1 {
		return model, nil
	}
	graph, err := furtherGraph(model, graphKey(hops))
	if err != nil {
		return nil, err
	}
	return joinGraph(model, graph)
}

// batchOf is the model that runs one hop of so many sessions, whole; 0 leaves it to each run how many.
func batchOf(model []byte, sessions int) ([]byte, error) {
	graph, err := furtherGraph(model, batchKey)
	if err == nil && sessions > 0 {
		graph, err = setRows(graph, sessions)
	}
	if err != nil {
		return nil, err
	}
	return joinGraph(model, graph)
}

func furtherGraph(model []byte, key string) ([]byte, error) {
	s, err := readSignature(model)
	if err != nil {
		return nil, err
	}
	return unpackGraph(s.metadata, key)
}

// setRows gives every input and output of a graph that many rows. Nothing else in such a graph says how many there are,
// so that the shapes of all of it follow from these.
func setRows(graph []byte, rows int) ([]byte, error) {
	row := binary.AppendUvarint([]byte{1 << 3}, uint64(rows)) // TensorShapeProto.Dimension.dim_value = 1
	return rewrite(graph, func(f field) ([]byte, error) {     // GraphProto.input = 11, output = 12; value_info = 13 would still tell of any number
		if f.id == 13 {
			return nil, nil
		}
		if f.id != 11 && f.id != 12 {
			return f.bytes, nil
		}
		first := true
		return rewritePath(f.bytes, []int{2, 1, 2, 1}, func(dim []byte) []byte { // type, tensor_type, shape, dim
			if !first {
				return dim
			}
			first = false
			return row
		})
	})
}

// rewritePath replaces the messages at the end of a path of field numbers.
func rewritePath(message []byte, path []int, replace func([]byte) []byte) ([]byte, error) {
	return rewrite(message, func(f field) ([]byte, error) {
		switch {
		case f.id != path[0] || f.bytes == nil:
			return f.bytes, nil
		case len(path) == 1:
			return replace(f.bytes), nil
		}
		return rewritePath(f.bytes, path[1:], replace)
	})
}

// rewrite copies a message of varints and bytes, the latter as replace gives them; nil leaves a field out.
func rewrite(message []byte, replace func(field) ([]byte, error)) ([]byte, error) {
	out := make([]byte, 0, len(message)+64)
	err := fields(message, func(f field) error {
		if f.bytes == nil {
			out = binary.AppendUvarint(binary.AppendUvarint(out, uint64(f.id)<<3), f.value)
			return nil
		}
		value, err := replace(f)
		if err == nil && value != nil {
			out = appendField(out, f.id, value)
		}
		return err
	})
	return out, err
}

// joinGraph puts a graph in the place of the model's, and into it those of the model's initializers
// that it reads. What a model needs beside its graph is ir_version = 1 and opset_import = 8.
func joinGraph(model, graph []byte) ([]byte, error) {
	wanted := map[string]bool{}
	err := inside(graph, 1, func(f field) error { // GraphProto.node = 1, NodeProto.input = 1
		if f.id == 1 {
			wanted[string(f.bytes)] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var head []byte
	whole := append(make([]byte, 0, len(graph)+len(model)), graph...)
	err = fields(model, func(f field) error {
		switch f.id {
		case 1:
			head = binary.AppendUvarint(append(head, 1<<3), f.value)
		case 8:
			head = appendField(head, 8, f.bytes)
		case 7:
			return fields(f.bytes, func(f field) error {
				if f.id != 5 {
					return nil
				}
				name, err := initializerName(f.bytes)
				if err == nil && wanted[name] {
					whole = appendField(whole, 5, f.bytes)
				}
				return err
			})
		}
		return nil
	})
	return appendField(head, 7, whole), err
}

func initializerName(tensor []byte) (name string, err error) {
	err = fields(tensor, func(f field) error {
		if f.id == 8 {
			name = string(f.bytes)
		}
		return nil
	})
	return name, err
}

// appendField appends a field of the wire type for bytes.
func appendField(message []byte, id int, value []byte) []byte {
	message = binary.AppendUvarint(message, uint64(id)<<3|2)
	message = binary.AppendUvarint(message, uint64(len(value)))
	return append(message, value...)
}
