package song

import (
	"errors"

	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/infer"
)

// follower follows the pitch of a voice, at trackRate: Append and Finish add to a curve what is certain by then.
type follower interface {
	Append(curve, samples []float32) ([]float32, error)
	Finish(curve []float32) ([]float32, error)
	Close() error
}

// newFollower is the model that hears past and future where it is installed, else the live tracker.
func newFollower(o Options) (follower, error) {
	p, err := infer.NewSongPitch(o.MinHz, o.MaxHz)
	if errors.Is(err, infer.ErrNotInstalled) {
		return newTracker(o), nil
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// modelName is the name of the follower's model; "" of one that is none.
func modelName(f follower) string {
	if _, ok := f.(*infer.SongPitch); ok {
		return infer.SongPitchName
	}
	return ""
}

// tracker is the live tracker, which takes whole hops of 10 ms.
type tracker struct {
	pitch *dsp.Pitch
	skip  int // hops whose pitch describes moments before the beginning
	hop   []float32
	hops  int // begun
	given int
}

func newTracker(o Options) *tracker {
	p := dsp.NewPitch(dsp.PitchConfig{Rate: trackRate, Fmin: o.MinHz, Fmax: o.MaxHz})
	// The hop that ends at (n+1)·10 ms tells of the moment Delay before: the first to tell of 0 is the one that ends there.
	return &tracker{pitch: p, skip: int(p.Delay().Seconds()*curveRate) - 1, hop: make([]float32, 0, trackHop)}
}

func (t *tracker) Append(curve, samples []float32) ([]float32, error) {
	for len(samples) > 0 {
		if len(t.hop) == 0 {
			t.hops++
		}
		n := min(trackHop-len(t.hop), len(samples))
		t.hop, samples = append(t.hop, samples[:n]...), samples[n:]
		if len(t.hop) < trackHop {
			break
		}
		hz, _ := t.pitch.Process(t.hop)
		t.hop = t.hop[:0]
		if t.skip > 0 {
			t.skip--
			continue
		}
		curve = append(curve, hz)
		t.given++
	}
	return curve, nil
}

// Finish hears silence until all that was heard has its pitch.
func (t *tracker) Finish(curve []float32) ([]float32, error) {
	want := t.hops
	for silence := make([]float32, trackHop); t.given < want; {
		curve, _ = t.Append(curve, silence[len(t.hop):])
	}
	return curve, nil
}

func (t *tracker) Close() error { return nil }
