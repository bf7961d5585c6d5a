package song

import "math"

// What repair takes for a slip of the tracker, in values of 10 ms.
const (
	slipLongest = 12  // of a run that is an octave off
	slipNear    = 1.5 // semitones that its ends come to their neighbours once it is moved by an octave
	islandLeast = 3   // of a run with silence around it, below which it is noise
	gapLongest  = 2   // of silence within a note
	gapNear     = 1   // semitones between a gap's two sides
)

// repair mends what the search for the cheapest path leaves: short jumps by an octave, specks of pitch in silence, and holes in
// a note.
func (c curve) repair() {
	for at := 0; at < len(c); {
		end := c.run(at)
		if c[at] > 0 {
			c.slip(at, end)
		}
		at = end
	}
	c.voicing()
}

// run is the end of the piece that begins at a value: of silence, or of pitch without a jump.
func (c curve) run(at int) int {
	end := at + 1
	for end < len(c) && (c[end] > 0) == (c[at] > 0) {
		if c[at] > 0 && c.leaps(end) {
			break
		}
		end++
	}
	return end
}

// back is the beginning of the piece of pitch that ends before a value.
func (c curve) back(end int) int {
	at := end - 1
	for at > 0 && c[at-1] > 0 && !c.leaps(at) {
		at--
	}
	return at
}

// leaps says whether the pitch jumps to a value from the one before it, which has pitch, too.
func (c curve) leaps(to int) bool { return math.Abs(interval(c[to-1], c[to])) > 6 }

// slip moves a short piece by an octave if that joins it to both its neighbours, or to the one that it touches. They must be longer:
// what slipped is not the greater part of a note.
func (c curve) slip(at, end int) {
	size := end - at
	if size > slipLongest {
		return
	}
	for _, octave := range []float32{0.5, 2} {
		joins, touches := 0, 0
		if at > 0 && c[at-1] > 0 {
			touches++
			if at-c.back(at) > size && math.Abs(interval(c[at-1], c[at]*octave)) < slipNear {
				joins++
			}
		}
		if end < len(c) && c[end] > 0 {
			touches++
			if c.run(end)-end > size && math.Abs(interval(c[end], c[end-1]*octave)) < slipNear {
				joins++
			}
		}
		if touches > 0 && joins == touches {
			for i := at; i < end; i++ {
				c[i] *= octave
			}
			return
		}
	}
}

// voicing clears specks and fills holes.
func (c curve) voicing() {
	voiced := func(hz float32) bool { return hz > 0 }
	for at := 0; at < len(c); {
		end := at + 1
		for end < len(c) && voiced(c[end]) == voiced(c[at]) {
			end++
		}
		switch inside := at > 0 && end < len(c); {
		case voiced(c[at]) && end-at < islandLeast:
			clear(c[at:end])
		case !voiced(c[at]) && inside && end-at <= gapLongest && math.Abs(interval(c[at-1], c[end])) < gapNear:
			for i, n := at, float64(end-at+1); i < end; i++ {
				c[i] = float32(float64(c[at-1]) * math.Pow(float64(c[end]/c[at-1]), float64(i-at+1)/n))
			}
		}
		at = end
	}
}

// interval is how far b is above a in semitones.
func interval(a, b float32) float64 { return 12 * math.Log2(float64(b)/float64(a)) }
