package song

import (
	"io"
	"slices"
)

// mostKept is how much of a song is kept in memory from one reading to the next, in bytes: four minutes in stereo. What is longer is
// decoded again.
const mostKept = 96 << 20

// reel keeps a song as it was decoded, so that it need not be decoded again. It is written by one goroutine, then read by any number of
// players.
type reel struct {
	most   int // bytes that may be kept
	pieces [][][]float32
	bytes  int
	over   bool // the song is too long, and nothing is kept
}

// keep takes a block's copy.
func (r *reel) keep(block [][]float32) {
	if r.bytes += 4 * len(block) * len(block[0]); r.over || r.bytes > r.most {
		r.pieces, r.over = nil, true
		return
	}
	piece := make([][]float32, len(block))
	for c := range block {
		piece[c] = slices.Clone(block[c])
	}
	r.pieces = append(r.pieces, piece)
}

// reelPlayer reads a reel from its beginning.
type reelPlayer struct {
	*reel
	piece, at int
}

// read implements recording.
func (p *reelPlayer) read(dst [][]float32) (int, error) {
	n := 0
	for n < len(dst[0]) && p.piece < len(p.pieces) {
		piece, took := p.pieces[p.piece], 0
		for c := range dst {
			took = copy(dst[c][n:], piece[c][p.at:])
		}
		n += took
		if p.at += took; p.at == len(piece[0]) {
			p.piece, p.at = p.piece+1, 0
		}
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (p *reelPlayer) close() error { return nil }
