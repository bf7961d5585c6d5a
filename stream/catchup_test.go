package stream

import (
	"math"
	"testing"
)

func TestCatchUpLeavesShortExcessAlone(t *testing.T) {
	k := newCatchUp(48000, 480)
	x := noise(480)
	for i := range 40 {
		excess := 2000
		if i%catchUpPatience == catchUpPatience-1 {
			excess = 480
		}
		if out, dropped := k.step(x, excess, false); dropped != 0 || len(out) != len(x) {
			t.Fatalf("chunk %d: %d frames out, %d dropped", i, len(out), dropped)
		}
	}
	if k.times.Load() != 0 {
		t.Errorf("%d catch-ups", k.times.Load())
	}
}

func TestCatchUpDropsSilenceDownToTheTarget(t *testing.T) {
	k := newCatchUp(48000, 480)
	excess, chunks := 3000, 0
	for ; excess > 0 && chunks < 50; chunks++ {
		_, dropped := k.step(make([]float32, 480), excess, false)
		excess -= dropped
	}
	if excess >= k.least || chunks > catchUpPatience+8 || k.times.Load() != 1 || k.frames.Load() != uint64(3000-excess) {
		t.Errorf("excess %d after %d chunks, %d catch-ups of %d frames", excess, chunks, k.times.Load(), k.frames.Load())
	}
}

func TestCatchUpDropsPartsOfAChunkInThePause(t *testing.T) {
	k := newCatchUp(48000, 480)
	x, pause := noise(480), make([]float32, 480)
	for i := range 2 * catchUpGrace {
		if out, dropped := k.step(x, 300, false); dropped != 0 || len(out) != 480 {
			t.Fatalf("chunk %d of sound: %d frames dropped", i, dropped)
		}
	}
	if out, dropped := k.step(pause, 300, false); dropped != 300 || len(out) != 180 {
		t.Errorf("pause: %d frames dropped, %d left", dropped, len(out))
	}
	if _, dropped := k.step(pause, 0, false); dropped != 0 {
		t.Errorf("at the target: %d frames dropped", dropped)
	}
	if _, dropped := k.step(pause, 300, false); dropped != 0 {
		t.Errorf("at once: %d frames dropped", dropped)
	}
}

// TestCatchUpShortensWithoutAClick takes time out of a tone, whose steps are bounded by its slope.
func TestCatchUpShortensWithoutAClick(t *testing.T) {
	const hz, amplitude = 150, 0.5
	k := newCatchUp(48000, 480)
	var all []float32
	excess, in := 9600, 0
	for range 100 {
		x := make([]float32, 480)
		for i := range x {
			x[i] = float32(amplitude * math.Sin(2*math.Pi*hz*float64(in)/48000))
			in++
		}
		out, dropped := k.step(x, excess, false)
		excess -= dropped
		all = append(all, out...)
	}
	all = append(all, k.flush(nil)...)
	if excess > 480 || len(all) != in-int(k.frames.Load()) {
		t.Errorf("excess %d, %d frames in, %d out, %d taken out", excess, in, len(all), k.frames.Load())
	}
	steepest := amplitude * 2 * math.Pi * hz / 48000
	for i := 1; i < len(all); i++ {
		if step := math.Abs(float64(all[i] - all[i-1])); step > 1.5*steepest {
			t.Fatalf("a step of %v at frame %d, the tone's own are at most %v", step, i, steepest)
		}
	}
}

func TestCatchUpStartsPlayoutAtItsTarget(t *testing.T) {
	k := newCatchUp(48000, 480)
	x := noise(480)
	if out, dropped := k.step(x, -100, true); dropped != 0 || len(out) != 480 {
		t.Errorf("below the target: %d frames out, %d dropped", len(out), dropped)
	}
	if out, dropped := k.step(x, 130, true); dropped != 130 || len(out) != 350 || out[0] != x[130] {
		t.Errorf("130 above: %d frames out, %d dropped", len(out), dropped)
	}
	if out, dropped := k.step(x, 2000, true); dropped != 480 || len(out) != 0 {
		t.Errorf("2000 above: %d frames out, %d dropped", len(out), dropped)
	}
}
