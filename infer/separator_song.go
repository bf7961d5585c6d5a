package infer

import (
	"fmt"
	"math"

	"github.com/autovoiced/autovoiced/dsp"
)

// songPreset says how carefully Spleeter is asked.
type songPreset struct {
	both bool // both U-nets, not the voice's alone
	step int  // frames from one block to the next: what two blocks see is faded from one to the other
}

var songPresets = map[string]songPreset{
	PresetFast:     {both: false, step: 480},
	PresetBalanced: {both: true, step: 448},
	PresetQuality:  {both: true, step: 256},
}

const (
	// Above what the network sees, the voice's share is what it is on average in these bins, 7 to 11 kHz: sibilants
	// go on up there, and cymbals too.
	spleeterTop = 640
	// songRound is how many hops are worked on at once, by as many processors as there are. It is less than a block: what a round
	// gives is of spectra that earlier ones have left.
	songRound = 64
	// songRing is how many spectra are kept: those of a block, and those of a round.
	songRing = spleeterFrames + songRound
	songBins = spleeterSize/2 + 1
)

// songSeparator asks Spleeter's network about blocks of frames that overlap, and gives the frames out as soon as
// no later block says more of them. Between calls it holds a block: 512 frames of spectra.
type songSeparator struct {
	preset songPreset
	net    *songNet
	in     []float32 // magnitudes of the block: channel, frame, bin; the network's own
	window []float32
	way    []float32 // the window on the way back, over the sum that overlapping ones make

	channels [songChannels]songChannel
	kept     []float32 // masks of the last block's overlap with the next
	first    bool      // no block yet: nothing to fade from
	filled   int       // frames of the block so far
	heard    int       // spectra so far; spectrum n is in slot n mod songRing
	mask     []float32 // masks of the frames that are final: channel, frame, bin
	final    int       // how many those are
	given    int       // how many of them are given out
	closed   bool
	many     bool // hops came at once

	scratch []songScratch // of each worker
	round   songWork      // what the workers do now
	analyse func(worker, item int)
	give    func(worker, item int)
	gather  func(worker, item int)
	settle  func(worker, item int)
}

// songChannel is what each channel has for itself.
type songChannel struct {
	signal []float32   // the last samples of the round before, and those of this one
	specs  []complex64 // a ring
	silent [songRing]bool
	frames []float32 // of the round, seen through the window on the way back
	sum    []float32 // what frames before the round add to what comes
}

// songScratch is what one worker has for itself.
type songScratch struct {
	fft   *dsp.FFT
	spec  []complex128
	frame []float32
}

// songWork is where what a round gives comes from and goes to.
type songWork struct {
	vocals [][]float32
	at     int // hop of vocals that the first goes to
	oldest int // number of its spectrum
}

func newSongSeparator(policy Policy, preset string) (*songSeparator, error) {
	p := songPresets[preset]
	net, err := openSongNet(policy, p.both)
	if err != nil {
		return nil, fmt.Errorf("separator %s: %w", SeparatorSpleeter, err)
	}
	return newSongSeparatorOn(p, net), nil
}

// newSongSeparatorOn takes the network over.
func newSongSeparatorOn(p songPreset, net *songNet) *songSeparator {
	s := &songSeparator{
		preset: p, net: net, in: net.bound.in("magnitude"), mask: make([]float32, songChannels*spleeterFrames*spleeterBins),
		window: dsp.Hann(make([]float32, spleeterSize)),
	}
	s.way = dsp.WayBack(s.window, s.window, spleeterHop)
	s.kept = make([]float32, songChannels*s.overlap()*spleeterBins)
	for c := range s.channels {
		s.channels[c] = songChannel{
			signal: make([]float32, spleeterSize-spleeterHop+songRound*spleeterHop),
			specs:  make([]complex64, songRing*songBins),
			frames: make([]float32, songRound*spleeterSize),
			sum:    make([]float32, spleeterSize),
		}
	}
	s.analyse = func(worker, item int) { s.analyseFrame(s.scratchOf(worker), item%songChannels, item/songChannels) }
	s.give = func(worker, item int) { s.giveFrame(s.scratchOf(worker), item%songChannels, item/songChannels) }
	s.gather = func(_, item int) { s.gatherHop(item%songChannels, item/songChannels) }
	s.settle = func(_, c int) { s.settleMasks(c) }
	s.Reset()
	return s
}

func (s *songSeparator) overlap() int { return spleeterFrames - s.preset.step }

func (s *songSeparator) Name() string  { return SeparatorSpleeter }
func (s *songSeparator) Rate() int     { return songRate }
func (s *songSeparator) Channels() int { return songChannels }
func (s *songSeparator) Hop() int      { return spleeterHop }

// Latency is a block, less the hop that fills it, and what the frames overlap.
func (s *songSeparator) Latency() int {
	return (spleeterFrames-1)*spleeterHop + spleeterSize - spleeterHop
}

// Provider implements Placed.
func (s *songSeparator) Provider() (Provider, []string) { return s.net.provider, s.net.warnings }

func (s *songSeparator) Process(vocals, mixture [][]float32) error {
	if err := checkFrames(s, vocals, mixture); err != nil {
		return err
	}
	s.many = false
	return s.process(vocals, mixture)
}

// ProcessMany implements Bulk.
func (s *songSeparator) ProcessMany(vocals, mixture [][]float32) error {
	if err := checkHops(s, vocals, mixture); err != nil {
		return err
	}
	s.many = true
	return s.process(vocals, mixture)
}

// process works in rounds that end where a block does.
func (s *songSeparator) process(vocals, mixture [][]float32) error {
	if s.closed {
		return fmt.Errorf("separator %s: it is closed", SeparatorSpleeter)
	}
	hops := len(mixture[0]) / spleeterHop
	for at := 0; at < hops; {
		n := min(hops-at, songRound, spleeterFrames-s.filled)
		err := s.processRound(vocals, mixture, at, n)
		if err != nil {
			for c := range vocals {
				clear(vocals[c][at*spleeterHop:])
			}
			return err
		}
		at += n
	}
	return nil
}

// processRound takes n hops from one on. Where they fill the block, the network says what becomes of the last.
func (s *songSeparator) processRound(vocals, mixture [][]float32, at, n int) error {
	for c := range s.channels {
		newest := s.channels[c].signal[spleeterSize-spleeterHop:][:n*spleeterHop]
		copy(newest, mixture[c][at*spleeterHop:])
		if !finite(newest) {
			silenceOddities(newest)
		}
	}
	s.prepare()
	s.spread(n*songChannels, s.analyse)
	for c := range s.channels {
		signal := s.channels[c].signal
		copy(signal, signal[n*spleeterHop:][:spleeterSize-spleeterHop])
	}
	s.filled += n
	before := n
	if s.filled == spleeterFrames {
		before--
	}
	s.deliver(vocals, at, before, s.heard)
	s.heard += n
	if before == n {
		return nil
	}
	if err := s.separate(); err != nil {
		return err
	}
	s.deliver(vocals, at+n-1, 1, s.heard-1)
	return nil
}

// spread shares items among the processors where many hops came at once; else it allocates nothing.
func (s *songSeparator) spread(n int, do func(worker, item int)) {
	if s.many {
		dsp.Spread(n, do)
		return
	}
	for i := range n {
		do(0, i)
	}
}

// prepare gives every worker its scratch.
func (s *songSeparator) prepare() {
	for len(s.scratch) < dsp.Workers() {
		s.scratch = append(s.scratch, songScratch{dsp.NewFFT(spleeterSize), make([]complex128, songBins), make([]float32, spleeterSize)})
	}
}

func (s *songSeparator) scratchOf(worker int) *songScratch { return &s.scratch[worker] }

// analyseFrame makes the spectrum of a hop of the round, and the magnitudes that the network sees of it.
func (s *songSeparator) analyseFrame(w *songScratch, c, hop int) {
	ch, slot := &s.channels[c], (s.heard+hop)%songRing
	spec := ch.specs[slot*songBins:][:songBins]
	row := s.in[(c*spleeterFrames+s.filled+hop)*spleeterBins:][:spleeterBins]
	samples := ch.signal[hop*spleeterHop:][:spleeterSize]
	if ch.silent[slot] = isSilent(samples); ch.silent[slot] {
		clear(spec)
		clear(row)
		return
	}
	for i, v := range s.window {
		w.frame[i] = v * samples[i]
	}
	w.fft.Forward(w.spec, w.frame)
	for i, v := range w.spec {
		spec[i] = complex64(v)
	}
	for i := range row {
		row[i] = float32(math.Sqrt(float64(real(spec[i])*real(spec[i]) + imag(spec[i])*imag(spec[i]))))
	}
}

func isSilent(x []float32) bool {
	for _, v := range x {
		if v != 0 {
			return false
		}
	}
	return true
}

// separate runs the network on a full block and makes its first frames final.
func (s *songSeparator) separate() error {
	if err := s.net.bound.run(s.net.bound.single); err != nil {
		return fmt.Errorf("separator %s: %w", SeparatorSpleeter, err)
	}
	s.spread(songChannels, s.settle)
	s.first, s.filled, s.final, s.given = false, s.overlap(), s.preset.step, 0
	return nil
}

// settleMasks fades a channel's masks in where the last block had its say, keeps what the next will have its say of, and moves on.
func (s *songSeparator) settleMasks(c int) {
	step, overlap := s.preset.step, s.overlap()
	block := s.net.bound.single.audio[c*spleeterFrames*spleeterBins:][:spleeterFrames*spleeterBins]
	if !finite(block) {
		silenceOddities(block)
	}
	kept := s.kept[c*overlap*spleeterBins:][:overlap*spleeterBins]
	for f := 0; f < overlap && !s.first; f++ {
		fade := (float32(f) + 0.5) / float32(overlap)
		row, before := block[f*spleeterBins:][:spleeterBins], kept[f*spleeterBins:][:spleeterBins]
		for i, v := range before {
			row[i] = v + fade*(row[i]-v)
		}
	}
	copy(s.mask[c*spleeterFrames*spleeterBins:], block[:step*spleeterBins])
	copy(kept, block[step*spleeterBins:])
	magnitudes := s.in[c*spleeterFrames*spleeterBins:][:spleeterFrames*spleeterBins]
	copy(magnitudes, magnitudes[step*spleeterBins:])
}

// deliver writes the vocals of n hops from one on, the first of which came in as spectrum number newest. Before the first block is
// full they are silent.
func (s *songSeparator) deliver(vocals [][]float32, at, n, newest int) {
	if s.final == 0 || n == 0 {
		for c := range vocals {
			clear(vocals[c][at*spleeterHop:][:n*spleeterHop])
		}
		return
	}
	s.round = songWork{vocals, at, newest - (spleeterFrames - 1)}
	s.spread(n*songChannels, s.give)
	s.spread(n*songChannels, s.gather)
	for c := range s.channels {
		s.channels[c].carry(n)
	}
	s.given += n
}

// giveFrame makes a final frame of its spectrum and its mask.
func (s *songSeparator) giveFrame(w *songScratch, c, hop int) {
	ch, slot := &s.channels[c], (s.round.oldest+hop)%songRing
	frame := ch.frames[hop*spleeterSize:][:spleeterSize]
	if ch.silent[slot] {
		clear(frame)
		return
	}
	spec := ch.specs[slot*songBins:][:songBins]
	mask := s.mask[(c*spleeterFrames+s.given+hop)*spleeterBins:][:spleeterBins]
	for i, m := range mask {
		w.spec[i] = complex128(spec[i]) * complex(float64(m), 0)
	}
	var top float64
	for _, m := range mask[spleeterTop:] {
		top += float64(m)
	}
	top /= float64(len(mask) - spleeterTop)
	for i := spleeterBins; i < songBins; i++ {
		w.spec[i] = complex128(spec[i]) * complex(top, 0)
	}
	w.fft.Inverse(w.frame, w.spec)
	for i, v := range s.way {
		frame[i] = v * w.frame[i]
	}
}

// gatherHop adds up what overlaps in a hop, the oldest first.
func (s *songSeparator) gatherHop(c, hop int) {
	ch := &s.channels[c]
	out := s.round.vocals[c][(s.round.at+hop)*spleeterHop:][:spleeterHop]
	clear(out)
	if from := hop * spleeterHop; from < spleeterSize {
		copy(out, ch.sum[from:])
	}
	for k := max(0, hop-spleeterSize/spleeterHop+1); k <= hop; k++ {
		part := ch.frames[k*spleeterSize+(hop-k)*spleeterHop:][:spleeterHop]
		for i, v := range part {
			out[i] += v
		}
	}
}

// carry keeps what the frames of a round of n hops add to what comes after it.
func (ch *songChannel) carry(n int) {
	rest := 0
	if n*spleeterHop < spleeterSize {
		rest = copy(ch.sum, ch.sum[n*spleeterHop:])
	}
	clear(ch.sum[rest:])
	for k := max(0, n-spleeterSize/spleeterHop+1); k < n; k++ {
		part := ch.frames[k*spleeterSize:][:spleeterSize][(n-k)*spleeterHop:]
		for i, v := range part {
			ch.sum[i] += v
		}
	}
}

// Reset forgets the past signal.
func (s *songSeparator) Reset() {
	for c := range s.channels {
		ch := &s.channels[c]
		clear(ch.signal)
		clear(ch.sum)
		clear(ch.specs)
		for i := range ch.silent {
			ch.silent[i] = true
		}
	}
	s.first, s.filled, s.heard, s.final, s.given = true, 0, 0, 0, 0
}

// Close gives the network back. It may be called again.
func (s *songSeparator) Close() error {
	s.closed, s.in = true, nil
	return s.net.close()
}
