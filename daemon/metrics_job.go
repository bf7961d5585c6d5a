package daemon

import (
	"maps"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/stream"
)

// jobBounds are the upper bounds of the songs' histograms: from a jingle on a GPU to an hour on a small machine.
func jobBounds() []time.Duration {
	const ms, s, m = time.Millisecond, time.Second, time.Minute
	return []time.Duration{
		100 * ms, 250 * ms, 500 * ms, 1 * s, 2500 * ms, 5 * s, 10 * s, 20 * s, 30 * s, 1 * m, 2 * m, 5 * m, 10 * m, 30 * m, 60 * m,
	}
}

// jobStages are in the order of the work.
var jobStages = []string{stream.StageSeparation, stream.StageF0Extraction, stream.StageConversion, stream.StageMixing}

// jobTally is what became of the songs, those that are forgotten too. It is guarded by jobs.mu.
type jobTally struct {
	ended  map[wire.JobState]uint64
	audio  time.Duration       // of those that are done
	waited stream.Distribution // until a worker took them up
	took   stream.Distribution // those that are done
	stages map[string]stream.Distribution
}

func newJobTally() jobTally {
	t := jobTally{ended: map[wire.JobState]uint64{wire.JobDone: 0, wire.JobFailed: 0, wire.JobCancelled: 0}, stages: map[string]stream.Distribution{}}
	t.waited, t.took = noSpans(), noSpans()
	for _, stage := range jobStages {
		t.stages[stage] = noSpans()
	}
	return t
}

// noSpans is a histogram that shows although nothing is counted in it.
func noSpans() stream.Distribution {
	return stream.Distribution{Within: make([]uint64, len(jobBounds()))}
}

// with is d and one more. The slice is a new one: who looks keeps what it saw.
func with(d stream.Distribution, took time.Duration) stream.Distribution {
	d.Count, d.Sum = d.Count+1, d.Sum+took
	within := make([]uint64, len(d.Within))
	for i, bound := range jobBounds() {
		within[i] = d.Within[i]
		if took <= bound {
			within[i]++
		}
	}
	d.Within = within
	return d
}

// begun books that a job is taken up.
func (t *jobTally) begun(waited time.Duration) { t.waited = with(t.waited, waited) }

// count books a job that has ended.
func (t *jobTally) count(look *wire.Job) {
	t.ended[look.State]++
	if look.State != wire.JobDone {
		return
	}
	t.audio += time.Duration(look.AudioSeconds * float64(time.Second))
	t.took = with(t.took, time.Duration(look.ElapsedSeconds*float64(time.Second)))
	for _, stage := range jobStages {
		t.stages[stage] = with(t.stages[stage], time.Duration(look.Result.StageTimingsMS[stage]*float64(time.Millisecond)))
	}
}

// jobsLook is the songs as they are now.
type jobsLook struct {
	now   map[wire.JobState]int
	tally jobTally
}

func (j *jobs) figures() jobsLook {
	j.mu.Lock()
	defer j.mu.Unlock()
	look := jobsLook{now: map[wire.JobState]int{wire.JobQueued: 0, wire.JobRunning: 0, wire.JobDone: 0, wire.JobFailed: 0, wire.JobCancelled: 0}, tally: j.tally}
	look.tally.ended, look.tally.stages = maps.Clone(j.tally.ended), maps.Clone(j.tally.stages)
	for _, one := range j.all {
		look.now[one.look.State]++
	}
	return look
}

// status is what the daemon's status says of the songs.
func (j *jobs) status() wire.Jobs {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := wire.Jobs{Running: []wire.Job{}, Ended: maps.Clone(j.tally.ended)}
	for _, one := range j.all {
		switch one.look.State {
		case wire.JobQueued:
			s.Queued++
		case wire.JobRunning:
			s.Running = append(s.Running, j.view(one))
		}
	}
	return s
}

var jobFamilies = []family{
	{
		name: "autovoiced_jobs", help: "Songs now, by state; those that have ended until they are forgotten.", labels: []string{"state"},
		value: func(l *metricsLook, tell tell) { tellAll(l.jobs.now, tell) },
	},
	{
		name: "autovoiced_jobs_ended_total", help: "Songs that have ended since the start, by state.", labels: []string{"state"},
		value: func(l *metricsLook, tell tell) { tellAll(l.jobs.tally.ended, tell) },
	},
	{
		name: "autovoiced_job_audio_seconds_total", help: "Songs converted, in seconds of audio: over job_seconds_sum it is the speed.",
		value: func(l *metricsLook, tell tell) { tell(l.jobs.tally.audio.Seconds()) },
	},
	{
		name: "autovoiced_job_wait_seconds", help: "Time that a song waited until it was its turn.", bounds: jobBounds,
		spread: func(l *metricsLook, tell tellDistribution) { tell(l.jobs.tally.waited) },
	},
	{
		name: "autovoiced_job_seconds", help: "Time that a song took, loading its voice included, of those that are done.", bounds: jobBounds,
		spread: func(l *metricsLook, tell tellDistribution) { tell(l.jobs.tally.took) },
	},
	{
		name: "autovoiced_job_stage_seconds", help: "A stage's share of the time that a song took, of those that are done.", labels: []string{"stage"}, bounds: jobBounds,
		spread: func(l *metricsLook, tell tellDistribution) {
			for stage, d := range l.jobs.tally.stages {
				tell(d, stage)
			}
		},
	},
}
