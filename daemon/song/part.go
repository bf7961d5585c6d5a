package song

import (
	"context"
	"fmt"

	"github.com/autovoiced/autovoiced/infer"
)

// part takes the vocals out of the mixture, puts them on tape and hands them on. They come out on the mixture's time: what the
// separator is late by is left out at the beginning and made up for at the end.
func (j *job) part(ctx context.Context, in, out *pipe) error {
	defer out.close()
	p := newParter(j)
	for b := in.next(ctx); b != nil; b = in.next(ctx) {
		p.push(b.channels)
		in.give(b)
		err := p.separate()
		if err == nil {
			err = p.deliver(ctx, out, j.piece)
		}
		if err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for p.end(); p.given < p.total; {
		err := p.silence()
		if err == nil {
			err = p.deliver(ctx, out, j.piece)
		}
		if err != nil {
			return err
		}
	}
	return p.deliver(ctx, out, 1)
}

// mostHops is how many hops a separator is given at once: enough for all processors to share in.
const mostHops = 64

// parter feeds a separator with whole hops at its own rate.
type parter struct {
	j       *job
	hop     int
	skip    int   // frames of vocals that lie before the beginning, still to come
	total   int64 // frames of the mixture so far, at the separator's rate
	given   int64 // frames of vocals so far
	rails   []rail
	mixture []queue // for each channel of the song
	vocals  []queue
	inside  [][]float32 // what the separator is given and gives, for each of its channels
	taken   [][]float32
	room    [][]float32 // for the most that it gives at once
}

func newParter(j *job) *parter {
	s := j.separator
	p := &parter{
		j: j, hop: s.Hop(), skip: s.Latency(), rails: newRails(j.channels, j.rate, s.Rate()),
		mixture: make([]queue, j.channels), vocals: make([]queue, j.channels),
	}
	p.inside, p.taken = make([][]float32, s.Channels()), make([][]float32, s.Channels())
	for range s.Channels() {
		p.room = append(p.room, make([]float32, mostHops*p.hop))
	}
	return p
}

// push takes a block of the song.
func (p *parter) push(block [][]float32) {
	before := p.mixture[0].len()
	for c, x := range block {
		q := &p.mixture[c]
		q.set(p.rails[c].carry(q.tail(), x))
	}
	p.total += int64(p.mixture[0].len() - before)
}

// separate runs all whole hops that wait.
func (p *parter) separate() error {
	for p.mixture[0].len() >= p.hop {
		n := min(p.mixture[0].len()/p.hop, mostHops) * p.hop
		for c := range p.inside {
			p.inside[c], p.taken[c] = p.mixture[c%len(p.mixture)].peek(n), p.room[c][:n]
		}
		if err := infer.ProcessHops(p.j.separator, p.taken, p.inside); err != nil {
			return err
		}
		for c := range p.mixture {
			p.mixture[c].drop(n)
		}
		p.keep(n)
	}
	return nil
}

// keep puts frames of vocals where they belong: those of a song in mono are the mean of what the separator gave for it.
func (p *parter) keep(n int) {
	from := min(p.skip, n)
	p.skip -= from
	if len(p.vocals) < len(p.taken) {
		p.taken[0] = down(p.taken[0], p.taken)
	}
	for c := range p.vocals {
		q := &p.vocals[c]
		q.set(append(q.tail(), p.taken[c][from:]...))
	}
	p.given += int64(n - from)
}

// end says that no more of the song follows.
func (p *parter) end() {
	before := p.mixture[0].len()
	for c := range p.mixture {
		q := &p.mixture[c]
		q.set(p.rails[c].finish(q.tail()))
	}
	p.total += int64(p.mixture[0].len() - before)
}

// silence has some of the rest come out, and no more than the mixture is long: the separator is late.
func (p *parter) silence() error {
	waits := p.mixture[0].len()
	lacks := int(p.total-p.given) + p.skip
	lacks = min((lacks+p.hop-1)/p.hop, mostHops)*p.hop - waits
	for c := range p.mixture {
		q := &p.mixture[c]
		q.set(append(q.tail(), make([]float32, lacks)...))
	}
	if err := p.separate(); err != nil {
		return err
	}
	if over := int(p.given - p.total); over > 0 {
		for c := range p.vocals {
			q := &p.vocals[c]
			q.set(q.frames[:len(q.frames)-over])
		}
		p.given = p.total
	}
	return nil
}

// deliver hands the vocals on when there are so many.
func (p *parter) deliver(ctx context.Context, out *pipe, least int) error {
	n := p.vocals[0].len()
	if n < least {
		return nil
	}
	b := out.take(ctx)
	if b == nil {
		return ctx.Err()
	}
	b.resize(len(p.vocals), n)
	for c := range p.vocals {
		copy(b.channels[c], p.vocals[c].take(n))
	}
	err := p.j.tape.write(b.channels)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrResult, err)
	}
	p.j.done[separation].add(seconds(int64(n), p.j.separator.Rate()))
	p.j.heard.part(b.channels)
	out.send(b)
	return nil
}
