package portaudio

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

func TestLaneLetsOneInAtATime(t *testing.T) {
	l := newLane()
	var inside, most, done atomic.Int32
	for range 8 {
		go func() {
			defer done.Add(1)
			_, err := enter(l, 5*time.Second, func(func(string)) (int, error) {
				most.Store(max(most.Load(), inside.Add(1)))
				time.Sleep(time.Millisecond)
				inside.Add(-1)
				return 0, nil
			}, nil)
			if err != nil {
				t.Error(err)
			}
		}()
	}
	for done.Load() < 8 {
		time.Sleep(time.Millisecond)
	}
	if most.Load() != 1 {
		t.Errorf("%d inside at once", most.Load())
	}
}

func TestLaneGivesResultAndError(t *testing.T) {
	l := newLane()
	fault := errors.New("no")
	got, err := enter(l, time.Second, func(func(string)) (int, error) { return 7, fault }, func(int) { t.Error("undone") })
	if got != 7 || !errors.Is(err, fault) {
		t.Errorf("got %d, %v", got, err)
	}
}

func TestLaneQuarantinesAHungCallAndUndoesWhatItMade(t *testing.T) {
	l := newLane()
	release, undone := make(chan struct{}), make(chan int, 1)
	begin := time.Now()
	_, err := enter(l, 20*time.Millisecond, func(step func(string)) (int, error) {
		step("Pa_Something")
		<-release
		return 42, nil
	}, func(made int) { undone <- made })
	var hung *HungError
	if !errors.As(err, &hung) || hung.Step != "Pa_Something" || hung.For < 20*time.Millisecond {
		t.Fatalf("got %v", err)
	}
	if waited := time.Since(begin); waited > time.Second {
		t.Errorf("the caller waited %s", waited)
	}

	begin = time.Now()
	_, err = enter(l, time.Minute, func(func(string)) (int, error) { t.Error("let in"); return 0, nil }, nil)
	if !errors.As(err, &hung) || time.Since(begin) > time.Second {
		t.Errorf("quarantine: got %v after %s", err, time.Since(begin))
	}

	close(release)
	if made := <-undone; made != 42 {
		t.Errorf("undone %d", made)
	}
	for l.quarantine() != nil {
		time.Sleep(time.Millisecond)
	}
	if got, err := enter(l, time.Second, func(func(string)) (int, error) { return 1, nil }, nil); got != 1 || err != nil {
		t.Errorf("after the quarantine: %d, %v", got, err)
	}
}
