package infer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// signature is what an ONNX file says of itself: the graph's inputs and outputs, and metadata_props.
// We read it straight from the file (onnx.proto3, field numbers below), because the binding must
// know the names before it opens a session, and because listing voices should neither load ONNX
// Runtime nor build networks. ONNX Runtime holds the graph to the same declarations when it loads.
type signature struct {
	inputs, outputs []tensor
	metadata        map[string]string
}

// tensor is a graph's input or output. A dimension without a fixed size is -1.
type tensor struct {
	name     string
	elemType int // TensorProto.DataType: 1 is float
	shape    []int64
}

const (
	elemFloat = 1
	elemInt64 = 7
)

func elemName(elemType int) string {
	names := []string{"undefined", "float", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16", "double"}
	if elemType >= 0 && elemType < len(names) {
		return names[elemType]
	}
	return fmt.Sprintf("type %d", elemType)
}

func (t tensor) String() string {
	dims := make([]string, len(t.shape))
	for i, d := range t.shape {
		dims[i] = fmt.Sprint(d)
		if d < 0 {
			dims[i] = "?"
		}
	}
	return fmt.Sprintf("%s [%s]", elemName(t.elemType), strings.Join(dims, ","))
}

var errTruncated = errors.New("the file ends in the middle of a field: it is truncated or not ONNX")

// field is one field of a protobuf message: a number for the scalar wire types but that of doubles, bytes for the rest.
type field struct {
	id    int
	value uint64
	bytes []byte
}

// fields calls visit for each field of a protobuf message.
func fields(message []byte, visit func(field) error) error {
	for len(message) > 0 {
		key, n := binary.Uvarint(message)
		if n <= 0 || key>>3 == 0 || key>>3 > 1<<29 {
			return errTruncated
		}
		message = message[n:]
		f := field{id: int(key >> 3)}
		switch key & 7 {
		case 0:
			if f.value, n = binary.Uvarint(message); n <= 0 {
				return errTruncated
			}
		case 1:
			n = 8
		case 5:
			if n = 4; len(message) >= n {
				f.value = uint64(binary.LittleEndian.Uint32(message))
			}
		case 2:
			size, m := binary.Uvarint(message)
			if m <= 0 || size > uint64(len(message)-m) {
				return errTruncated
			}
			n = m + int(size)
			f.bytes = message[m:n]
		default:
			return errors.New("it is not ONNX (no protobuf)")
		}
		if n > len(message) {
			return errTruncated
		}
		message = message[n:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// readSignature reads ModelProto: graph = 7, metadata_props = 14.
func readSignature(model []byte) (signature, error) {
	s := signature{metadata: map[string]string{}}
	if len(model) == 0 {
		return s, errors.New("the file is empty")
	}
	graphs := 0
	err := fields(model, func(f field) error {
		switch f.id {
		case 7:
			graphs++
			return s.readGraph(f.bytes)
		case 14:
			var key, value string
			err := fields(f.bytes, func(f field) error {
				switch f.id {
				case 1:
					key = string(f.bytes)
				case 2:
					value = string(f.bytes)
				}
				return nil
			})
			s.metadata[key] = value
			return err
		}
		return nil
	})
	if err == nil && graphs != 1 {
		err = errors.New("it is not an ONNX model (no graph in it)")
	}
	return s, err
}

// readGraph reads GraphProto: initializer = 5 (its name = 8), input = 11, output = 12. Older files
// list their weights among the inputs as well.
func (s *signature) readGraph(graph []byte) error {
	weights := map[string]bool{}
	var inputs []tensor
	err := fields(graph, func(f field) error {
		switch f.id {
		case 5:
			return fields(f.bytes, func(f field) error {
				if f.id == 8 {
					weights[string(f.bytes)] = true
				}
				return nil
			})
		case 11:
			t, err := readTensor(f.bytes)
			inputs = append(inputs, t)
			return err
		case 12:
			t, err := readTensor(f.bytes)
			s.outputs = append(s.outputs, t)
			return err
		}
		return nil
	})
	for _, t := range inputs {
		if !weights[t.name] {
			s.inputs = append(s.inputs, t)
		}
	}
	return err
}

// readTensor reads ValueInfoProto: name = 1, type = 2 → tensor_type = 1 → elem_type = 1,
// shape = 2 → dim = 1 → dim_value = 1.
func readTensor(info []byte) (tensor, error) {
	var t tensor
	err := fields(info, func(f field) error {
		switch f.id {
		case 1:
			t.name = string(f.bytes)
		case 2:
			return inside(f.bytes, 1, func(f field) error {
				switch f.id {
				case 1:
					t.elemType = int(f.value)
				case 2:
					return fields(f.bytes, func(f field) error {
						if f.id != 1 {
							return nil
						}
						size := int64(-1)
						err := fields(f.bytes, func(f field) error {
							if f.id == 1 {
								size = int64(f.value)
							}
							return nil
						})
						t.shape = append(t.shape, size)
						return err
					})
				}
				return nil
			})
		}
		return nil
	})
	return t, err
}

// inside visits the fields of the sub-messages with the given number.
func inside(message []byte, id int, visit func(field) error) error {
	return fields(message, func(f field) error {
		if f.id != id {
			return nil
		}
		return fields(f.bytes, visit)
	})
}
