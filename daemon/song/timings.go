package song

import (
	"fmt"
	"math"
	"time"

	"github.com/autovoiced/autovoiced/stream"
)

// stageNames are what the stages are called everywhere.
var stageNames = [stages]string{stream.StageSeparation, stream.StageF0Extraction, stream.StageConversion, stream.StageMixing}

// Timings say where the time of a song went. The stages work at the same time; each moment is shared among those that compute
// in it, so that the stages' times add up to the total. Separation includes reading the song, and mixing reading it
// again and writing the result.
type Timings struct {
	Separation, F0Extraction, Conversion, Mixing, Total time.Duration
}

// Stages lists the four in order, under the names of stream.
func (t Timings) Stages() (names []string, times []time.Duration) {
	return stageNames[:], []time.Duration{t.Separation, t.F0Extraction, t.Conversion, t.Mixing}
}

// Lacks is the part of the total that no stage computed in, 0 to 1.
func (t Timings) Lacks() float64 {
	sum := t.Separation + t.F0Extraction + t.Conversion + t.Mixing
	return math.Abs(float64(t.Total-sum)) / max(1, float64(t.Total))
}

// Milliseconds are the stages' times and their total by name.
func (t Timings) Milliseconds() map[string]float64 {
	ms := map[string]float64{stream.StageTotal: milliseconds(t.Total)}
	names, times := t.Stages()
	for i, name := range names {
		ms[name] = milliseconds(times[i])
	}
	return ms
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func (c *clock) timings() Timings {
	spent, total := c.read()
	return Timings{spent[separation], spent[f0Extraction], spent[conversion], spent[mixing], total}
}

// tellPatience is how long a profiling callback is waited for.
const tellPatience = 500 * time.Millisecond

// tell calls the profiling callback. One that panics or does not return costs a note and nothing else.
func (j *job) tell() {
	if j.o.Profile == nil {
		return
	}
	faults := make(chan error, int(stages)+2)
	go func() {
		defer close(faults)
		names, times := j.result.Timings.Stages()
		for i, name := range names {
			faults <- guarded(j.o.Profile, name, times[i])
		}
		faults <- guarded(j.o.Profile, stream.StageTotal, j.result.Timings.Total)
	}()
	patience := time.After(tellPatience)
	for {
		select {
		case err, more := <-faults:
			if !more {
				return
			}
			if err != nil {
				j.result.Notes = append(j.result.Notes, err.Error())
			}
		case <-patience:
			j.result.Notes = append(j.result.Notes, fmt.Sprintf("the profiling callback has not returned for %v: left behind", tellPatience))
			return
		}
	}
}

func guarded(call stream.ProfilingFunc, stage string, elapsed time.Duration) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("the profiling callback panicked at %s: %v", stage, fault)
		}
	}()
	call(stage, elapsed)
	return nil
}
