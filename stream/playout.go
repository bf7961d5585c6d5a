package stream

import "sync/atomic"

// Playout is the reading side of a playout ring: what a device callback plays. It gives silence
// until the ring is ready to keep its target level; when the ring runs dry it counts an underrun and
// waits for the target again before it resumes, so one late chunk makes one gap and not many.
type Playout struct {
	ring   *Ring
	target atomic.Int64

	seen  uint64 // Play's own: the ring's head when it last moved while silent,
	since int    // and the silent frames given since then

	playing   atomic.Bool
	draining  atomic.Bool
	underruns atomic.Uint64
	silence   atomic.Uint64
}

// NewPlayout plays ring once it holds target frames.
func NewPlayout(ring *Ring, target int) *Playout {
	p := &Playout{ring: ring}
	p.SetTarget(target)
	return p
}

// SetTarget changes the level from which playing resumes after the next underrun.
func (p *Playout) SetTarget(frames int) { p.target.Store(int64(max(1, min(frames, p.ring.Cap())))) }

// Target is that level in frames.
func (p *Playout) Target() int { return int(p.target.Load()) }

// Playing reports whether frames come out; false while it buffers.
func (p *Playout) Playing() bool { return p.playing.Load() }

// lead is how many more frames of silence come before the first sound, when the next block has so
// many frames. The target is the level just after a chunk has come; so what has come and the time
// since then must reach it together. Waiting for the level alone would wait for one chunk more, and
// keep that much delay for good.
func (p *Playout) lead(frames int) int {
	if head := p.ring.head.Load(); head != p.seen {
		p.seen, p.since = head, 0
	} else {
		p.since += frames
	}
	held := p.ring.Len()
	if held == 0 {
		return frames
	}
	return max(0, p.Target()-held-p.since)
}

// Play fills dst with the next frames, then silence, and says how many frames are real. When it
// begins to play, silence fills dst up to the first of them. It never waits or allocates; one
// callback at a time calls it.
func (p *Playout) Play(dst []float32) int {
	draining := p.draining.Load()
	if !p.playing.Load() {
		lead := 0
		if !draining {
			lead = min(p.lead(len(dst)), len(dst))
		}
		p.quiet(dst[:lead])
		if dst = dst[lead:]; len(dst) == 0 {
			return 0
		}
		p.playing.Store(true)
	}
	n, _, _, _ := p.ring.Read(dst)
	if n < len(dst) && !draining {
		p.playing.Store(false)
		p.underruns.Add(1)
	}
	p.quiet(dst[n:])
	return n
}

func (p *Playout) quiet(dst []float32) {
	clear(dst)
	if p.ring.head.Load() > 0 { // silence before the first sound is no loss
		p.silence.Add(uint64(len(dst)))
	}
}
