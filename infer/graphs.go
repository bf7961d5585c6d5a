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

// unpackGraph reads the graph for more than one hop out of the metadata.
func unpackGraph(metadata map[string]string, hops int) ([]byte, error) {
	key := graphKey(hops)
	text, ok := metadata[key]
	if !ok {
		return nil, fmt.Errorf("contract: 'hops' lists %d, expected metadata %q with its graph, found none", hops, key)
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
	s, err := readSignature(model)
	if err != nil {
		return nil, err
	}
	graph, err := unpackGraph(s.metadata, hops)
	if err != nil {
		return nil, err
	}
	return joinGraph(model, graph)
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
