package infer

import (
	"encoding/binary"
	"math"
	"testing"
)

func TestDistance(t *testing.T) {
	x, _ := speech(200)
	if d := distanceOf(x, x); d.LogSpectral != 0 || d.SNR < 119 {
		t.Errorf("of a signal from itself: %v", &d)
	}
	half := make([]float32, len(x))
	for i, v := range x {
		half[i] = v / 2
	}
	// Half is 6.02 dB less in every bin that is heard, and the noise is half of the signal.
	d := distanceOf(x, half)
	if math.Abs(d.SNR-6.02) > 0.01 || d.LogSpectral < 3 || d.LogSpectral > 6.03 {
		t.Errorf("of a signal from its half: %v", &d)
	}
	wantError(t, d.check(), "6.0 dB", "at least 25", "at most 1)")
	silent := make([]float32, len(x))
	if d := distanceOf(silent, silent); d.LogSpectral != 0 || d.check() != nil {
		t.Errorf("of silence from itself: %v", &d)
	}
	if d := distanceOf(silent, x); d.check() == nil {
		t.Errorf("of silence from a signal: %v", &d)
	}
}

// The gate on the shipped voice, on recorded speech: weights rounded to half precision pass, weights of three bits do not.
func TestGateOnRecordedSpeech(t *testing.T) {
	needRuntime(t)
	c, model := packAt(t, "voices/first.onnx")
	const hops = 32 // the quickest of its graphs
	plain := networkOf(t, &c, model, hops)
	fp16, err := gate(&c, plain, networkOf(t, &c, rounded(t, model, 10), hops))
	check(t, err)
	t.Logf("weights rounded to 10 bits: %v", &fp16)
	check(t, fp16.check())
	bad, err := gate(&c, plain, networkOf(t, &c, rounded(t, model, 2), hops))
	check(t, err)
	t.Logf("weights rounded to 2 bits: %v", &bad)
	wantError(t, bad.check(), "dB")
}

func networkOf(t *testing.T, c *Contract, model []byte, hops int) network {
	t.Helper()
	graph, err := modelOf(model, hops)
	if err != nil {
		t.Fatal(err)
	}
	net, err := openNet(c, graph, DefaultPolicy(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, net.Destroy()) })
	return network{hops, net}
}

// rounded gives the model with mantissas of so many bits in its larger weights, which are fp32 or, cast when they are read, fp16.
// TensorProto in onnx.proto3: data_type = 2, raw_data = 9; initializer = 5 of graph = 7.
func rounded(t *testing.T, model []byte, bits int) []byte {
	t.Helper()
	out := append([]byte(nil), model...)
	err := inside(out, 7, func(f field) error {
		if f.id != 5 {
			return nil
		}
		var kind uint64
		return fields(f.bytes, func(f field) error {
			switch {
			case f.id == 2:
				kind = f.value
			case f.id == 9 && kind == 1 && len(f.bytes) >= 1024:
				drop := 23 - bits
				for raw := f.bytes; len(raw) >= 4; raw = raw[4:] {
					binary.LittleEndian.PutUint32(raw, (binary.LittleEndian.Uint32(raw)+1<<(drop-1))>>drop<<drop)
				}
			case f.id == 9 && kind == 10 && bits < 10:
				drop := 10 - bits
				for raw := f.bytes; len(raw) >= 2; raw = raw[2:] {
					binary.LittleEndian.PutUint16(raw, (binary.LittleEndian.Uint16(raw)+1<<(drop-1))>>drop<<drop)
				}
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The graph for many sessions is held to that for one: the same passes, coarser weights do not, and no row can hide.
func TestGateOfABatch(t *testing.T) {
	needRuntime(t)
	c, model := packAt(t, "voices/first.onnx")
	const sessions = 5
	single := networkOf(t, &c, model, 1)
	many := func(model []byte) network {
		whole, err := batchOf(model, sessions)
		check(t, err)
		net, err := openNet(&c, whole, DefaultPolicy(), "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { check(t, net.Destroy()) })
		return network{1, net}
	}
	good, err := gateBatch(c.of(sessions), single, many(model))
	check(t, err)
	t.Logf("as it is: %v", &good)
	if good.SNR < 90 {
		t.Errorf("%v: a run of many says something else than runs of one", &good)
	}
	bad, err := gateBatch(c.of(sessions), single, many(rounded(t, model, 2)))
	check(t, err)
	t.Logf("weights rounded to 2 bits: %v", &bad)
	wantError(t, bad.check(), "dB")
}
