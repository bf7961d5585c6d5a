package daemon

import (
	"strconv"

	"github.com/autovoiced/autovoiced/client/wire"
)

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
