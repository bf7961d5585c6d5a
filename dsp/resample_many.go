package dsp

import "slices"

const (
	leastShare = 2048    // outputs that are worth a goroutine
	mostShared = 1 << 20 // outputs of one call, so that no position overflows
)

// AppendMany is Append by all processors, for whoever has much of a signal at once. It gives the same samples, and allocates.
func (r *Resampler) AppendMany(dst, src []float32) []float32 {
	outs := r.Out(len(src))
	shares := min(2*Workers(), outs/leastShare)
	if Workers() == 1 || shares < 2 || outs > mostShared {
		return r.Append(dst, src)
	}
	all := append(append(make([]float32, 0, r.fill-r.start+len(src)), r.buf[r.start:r.fill]...), src...)
	at := len(dst)
	dst = slices.Grow(dst, outs)[:at+outs]
	Spread(shares, func(_, i int) {
		from, to := i*outs/shares, (i+1)*outs/shares
		start, phase := r.position(from)
		r.filtered(dst[at+from:at+to], all, start, phase)
	})
	start, phase := r.position(outs)
	r.fill, r.start, r.phase = copy(r.buf, all[start:]), 0, phase
	return dst
}

// position is where the output of that number from the next one on meets the first weight, counted from where the next one does.
func (r *Resampler) position(output int) (start int, phase uint64) {
	moved := r.phase + uint64(output)*(r.step%r.one)
	return output*int(r.step/r.one) + int(moved/r.one), moved % r.one
}
