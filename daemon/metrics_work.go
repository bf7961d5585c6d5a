package daemon

import (
	"strconv"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
)

// jobTally is what became of the songs, those that are forgotten too. It is guarded by jobs.mu.
type jobTally struct {
	ended       map[wire.JobState]uint64
	audio, took time.Duration // of those that are done
}

// count books a job that has ended.
func (t *jobTally) count(look *wire.Job) {
	if t.ended == nil {
		t.ended = map[wire.JobState]uint64{}
	}
	t.ended[look.State]++
	if look.State == wire.JobDone {
		t.audio += time.Duration(look.AudioSeconds * float64(time.Second))
		t.took += time.Duration(look.ElapsedSeconds * float64(time.Second))
	}
}

// jobsLook is the songs as they are now.
type jobsLook struct {
	now         map[wire.JobState]int
	ended       map[wire.JobState]uint64
	audio, took time.Duration
}

func (j *jobs) figures() jobsLook {
	j.mu.Lock()
	defer j.mu.Unlock()
	look := jobsLook{now: map[wire.JobState]int{}, ended: map[wire.JobState]uint64{}, audio: j.tally.audio, took: j.tally.took}
	for _, state := range []wire.JobState{wire.JobQueued, wire.JobRunning, wire.JobDone, wire.JobFailed, wire.JobCancelled} {
		look.now[state] = 0
		if state.Final() {
			look.ended[state] = j.tally.ended[state]
		}
	}
	for _, one := range j.all {
		look.now[one.look.State]++
	}
	return look
}

var jobFamilies = []family{
	{
		name: "autovoiced_jobs", help: "Songs now, by state; those that have ended until they are fetched or forgotten.", labels: []string{"state"},
		value: func(l *metricsLook, tell tell) { tellAll(l.jobs.now, tell) },
	},
	{
		name: "autovoiced_jobs_ended_total", help: "Songs that have ended since the start, by state.", labels: []string{"state"},
		value: func(l *metricsLook, tell tell) { tellAll(l.jobs.ended, tell) },
	},
	{
		name: "autovoiced_job_audio_seconds_total", help: "Songs converted, in seconds of audio.",
		value: func(l *metricsLook, tell tell) { tell(l.jobs.audio.Seconds()) },
	},
	{
		name: "autovoiced_job_elapsed_seconds_total", help: "Time that the songs converted took.",
		value: func(l *metricsLook, tell tell) { tell(l.jobs.took.Seconds()) },
	},
}

var batchFamilies = []family{
	byPack("autovoiced_batch_sessions", "Live conversations of a voice pack, which share runs of its model when it is busy.",
		func(b *wire.Batching) float64 { return float64(b.Sessions) }),
	byPack("autovoiced_batch_queue_hops", "Hops of 10 ms that wait for a run now.", func(b *wire.Batching) float64 { return float64(b.Waiting) }),
	byPack("autovoiced_batch_load_ratio", "Share of the time of all runs beside each other that is used, of late.",
		func(b *wire.Batching) float64 { return b.LoadPercent / 100 }),
	byPack("autovoiced_batch_late_hops_total", "Hops that were done later than the next one came.", func(b *wire.Batching) float64 { return float64(b.Late) }),
	byPack("autovoiced_batch_warmups_total", "Runs for nobody, which keep a GPU warm.", func(b *wire.Batching) float64 { return float64(b.Warmups) }),
	bySize("autovoiced_batch_runs_total", "Runs of the model, by how many conversations they can serve.",
		func(z *wire.BatchSize) float64 { return float64(z.Runs) }),
	bySize("autovoiced_batch_hops_total", "Hops done in them: over runs it is how many a run served.",
		func(z *wire.BatchSize) float64 { return float64(z.Hops) }),
}

func byPack(name, help string, of func(*wire.Batching) float64) family {
	return family{name: name, help: help, labels: []string{"pack"}, value: func(l *metricsLook, tell tell) {
		for i := range l.status.Batching {
			tell(of(&l.status.Batching[i]), l.status.Batching[i].Pack)
		}
	}}
}

func bySize(name, help string, of func(*wire.BatchSize) float64) family {
	return family{name: name, help: help, labels: []string{"pack", "size"}, value: func(l *metricsLook, tell tell) {
		for i := range l.status.Batching {
			b := &l.status.Batching[i]
			for k := range b.Sizes {
				tell(of(&b.Sizes[k]), b.Pack, strconv.Itoa(b.Sizes[k].Sessions))
			}
		}
	}}
}
