package stream

import (
	"fmt"

	"github.com/autovoiced/autovoiced/dsp"
)

// modelSeparation runs a model over chunks. Where it is not asked for, the signal is as late as the model would make
// it, and the model goes on hearing, so that either can take over at any time.
type modelSeparation struct {
	Separator
	late    *dsp.Delay
	mixture []float32 // the chunk, as late as the vocals
	hop     [][]float32
	share   float32 // of the model in what was given last
}

func newModelSeparation(model Separator) *modelSeparation {
	return &modelSeparation{Separator: model, late: dsp.NewDelay(model.Latency()), hop: make([][]float32, 1), share: -1}
}

// process works in place; a change from or to the model is faded over the chunk.
func (m *modelSeparation) process(x []float32, on bool) error {
	n := m.Hop()
	if len(x)%n != 0 {
		return fmt.Errorf("chunk of %d frames, expected whole hops of %d", len(x), n)
	}
	if cap(m.mixture) < len(x) {
		m.mixture = make([]float32, len(x))
	}
	mixture := m.mixture[:len(x)]
	m.late.Process(mixture, x)
	for at := 0; at < len(x); at += n {
		m.hop[0] = x[at : at+n]
		if err := m.Process(m.hop, m.hop); err != nil {
			return err
		}
	}
	var share float32
	if on {
		share = 1
	}
	if m.share < 0 {
		m.share = share
	}
	step := (share - m.share) / float32(len(x))
	for i, v := range x {
		m.share += step
		x[i] = mixture[i] + m.share*(v-mixture[i])
	}
	m.share = share
	return nil
}

func (m *modelSeparation) reset(on bool) {
	m.late.Reset()
	m.Reset()
	if m.share = 0; on {
		m.share = 1
	}
}
