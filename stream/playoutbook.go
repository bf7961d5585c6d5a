package stream

// playoutBook remembers which frames of a playout ring stand for how many input frames, until the
// device has played them or they were overwritten. The ring's writer owns it.
type playoutBook struct {
	ring    *Ring
	ledger  *Ledger
	entries []playoutEntry // a circle
	first   int
	count   int
	end     uint64 // ring index after the newest entry
	lost    uint64 // ring frames lost that are booked
}

type playoutEntry struct {
	end    uint64 // ring index after its last frame
	length uint64
	frames int // input frames
}

func newPlayoutBook(ring *Ring, ledger *Ledger, size int) playoutBook {
	return playoutBook{ring: ring, ledger: ledger, entries: make([]playoutEntry, size)}
}

// add notes that the next n ring frames stand for so many input frames.
func (b *playoutBook) add(n, frames int) {
	b.end += uint64(n)
	if b.count == len(b.entries) { // many tiny writes: the newest two share an entry
		last := &b.entries[(b.first+b.count-1)%len(b.entries)]
		last.end, last.length, last.frames = b.end, last.length+uint64(n), last.frames+frames
		return
	}
	b.entries[(b.first+b.count)%len(b.entries)] = playoutEntry{b.end, uint64(n), frames}
	b.count++
}

// retire books what the ring's reader has passed: dropped as far as frames were lost, else out.
func (b *playoutBook) retire() {
	a := b.ring.Account()
	for b.count > 0 {
		e := &b.entries[b.first]
		if e.end > a.Read+a.Dropped {
			return
		}
		gone := min(a.Dropped-b.lost, e.length)
		b.lost += gone
		lost := int(uint64(e.frames) * gone / e.length)
		b.ledger.Drop(PlayoutOverrun, lost)
		b.ledger.Out(e.frames - lost)
		b.first = (b.first + 1) % len(b.entries)
		b.count--
	}
}
