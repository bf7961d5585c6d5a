package infer

// Passthrough changes nothing: the samples go through ONNX Runtime and come back bit for bit. It is
// the latency floor, and what the daemon costs without a voice.
type Passthrough struct {
	*session
	audioIn []float32
	hop     int
}

func newPassthrough(e *Engine, name string) (*Passthrough, error) {
	s, err := newSession(e, name, 1)
	if err != nil {
		return nil, err
	}
	return &Passthrough{session: s, audioIn: s.bound.in("audio_in"), hop: e.contract.HopIn}, nil
}

// Convert copies src to dst by way of the graph; f0 is not looked at.
func (p *Passthrough) Convert(dst, src, _ []float32) error {
	n, err := p.hops(dst, src)
	if err != nil {
		return err
	}
	for i := range n {
		from, to := i*p.hop, (i+1)*p.hop
		if copy(p.audioIn, src[from:to]); !finite(p.audioIn) {
			p.badInput.Add(1)
			clear(p.audioIn)
		}
		if err := p.step(dst[from:to]); err != nil {
			clear(dst[from:])
			return err
		}
	}
	return nil
}

// Reset does nothing: there is no past.
func (p *Passthrough) Reset() {}

// Succeed is easy where there is no past.
func (p *Passthrough) Succeed(previous any) bool {
	_, ok := previous.(*Passthrough)
	return ok
}
