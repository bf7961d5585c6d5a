package song

import (
	"errors"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
)

// follower follows the pitch of a voice, at trackRate. It joins what the live tracker hears with what a network guesses, where that is
// installed, and looks ahead: append and finish add to a curve what is certain by then.
type follower struct {
	scan    *dsp.PitchScan
	late    int              // hops whose candidates describe moments before the beginning, still to come
	network *infer.SongPitch // nil: not installed
	moments []moment         // heard, of which there is no guess yet
	guesses []infer.PitchGuess
	path    *path
}

// moment is what the live tracker hears.
type moment struct {
	candidates []dsp.PitchCandidate
	bar        float64
}

// newFollower looks for pitches between the options' bounds; parted says that the voice will have been taken out of music.
func newFollower(o Options, parted bool) (*follower, error) {
	scan := dsp.NewPitchScan(dsp.PitchConfig{Rate: trackRate, Fmin: o.MinHz, Fmax: o.MaxHz})
	network, err := infer.NewSongPitch(o.MinHz, o.MaxHz)
	if err != nil && !errors.Is(err, infer.ErrNotInstalled) {
		return nil, err
	}
	// The hop that ends at (n+1)·10 ms tells of the moment Delay before: the first to tell of 0 is the one that ends there.
	late := int(scan.Delay().Seconds()*curveRate) - 1
	return &follower{scan: scan, late: late, network: network, path: newPath(network != nil, parted)}, nil
}

// name is which of the ways to follow a pitch this is.
func (f *follower) name() string {
	if f.network == nil {
		return PitchLive
	}
	return PitchJoint
}

// model is the name of the network; "" where there is none.
func (f *follower) model() string {
	if f.network == nil {
		return ""
	}
	return infer.SongPitchName
}

// append hears the next hop of 10 ms.
func (f *follower) append(curve, hop []float32) (_ []float32, err error) {
	f.listen(hop)
	if f.network != nil {
		f.guesses, err = f.network.Append(f.guesses, hop)
	} else {
		f.guesses = append(f.guesses, infer.PitchGuess{})
	}
	return f.join(curve), err
}

// finish hears silence until all that was heard has its pitch.
func (f *follower) finish(curve []float32) (_ []float32, err error) {
	if f.network != nil {
		f.guesses, err = f.network.Finish(f.guesses)
	}
	for silence := make([]float32, trackHop); len(f.moments) < len(f.guesses); {
		f.listen(silence)
	}
	return f.path.finish(f.join(curve)), err
}

func (f *follower) listen(hop []float32) {
	candidates, bar := f.scan.Process(hop)
	if f.late > 0 {
		f.late--
		return
	}
	f.moments = append(f.moments, moment{append([]dsp.PitchCandidate(nil), candidates...), bar})
}

func (f *follower) join(curve []float32) []float32 {
	n := min(len(f.moments), len(f.guesses))
	for i, m := range f.moments[:n] {
		curve = f.path.append(curve, m.candidates, m.bar, f.guesses[i])
	}
	f.moments = f.moments[:copy(f.moments, f.moments[n:])]
	f.guesses = f.guesses[:copy(f.guesses, f.guesses[n:])]
	return curve
}

func (f *follower) close() error {
	if f.network == nil {
		return nil
	}
	return f.network.Close()
}
