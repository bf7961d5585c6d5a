package daemon

import (
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/infer"
)

const (
	// mostLate is the share of hops that may come late of late: above, the machine is busy with something else.
	mostLate = 0.5
	// weighed is how many of the newest sessions tell what one costs beside its model.
	weighed = 8
	// fewest sessions are let in whatever they cost: where one is late, a number says it better than a refusal.
	fewest = 1
)

// admission lets in as many conversations as will be in time, by what they were measured to cost, and no more: one too many
// makes all of them late.
type admission struct {
	// limit is the share of the processors' time, and of the model's own, that may be used; 0 lets everybody in.
	limit float64
	cores float64
}

func newAdmission(cfg HTTPConfig) *admission {
	return &admission{limit: cfg.MaxLoad / 100, cores: float64(runtime.GOMAXPROCS(0))}
}

// admit says whether one more fits beside those that run. Its voice is made already, and counts as one of its model's.
func (a *admission) admit(s *session, active []*session) *wire.Error {
	if a.limit <= 0 || len(active) < fewest {
		return nil
	}
	n := len(active) + 1
	beside := float64(n) * besideModel(active) / a.cores
	model := infer.Forecast{}
	onCPU := true
	if e := engineOf(s); e != nil {
		model = e.Forecast(e.Batching().Sessions)
		onCPU = e.Provider().Active == infer.ProviderCPU
	}
	load := max(model.Load, beside)
	if onCPU {
		load = model.Load + beside
	}
	switch {
	case load > a.limit:
		return overloaded("conversation %d would need %.0f %% of the time that there is, http.max_load allows %.0f", n, 100*load, 100*a.limit)
	case model.Hop > s.chunk && n > int(a.cores):
		return overloaded("conversation %d would wait %v for each chunk of %v", n, model.Hop.Round(100*time.Microsecond), s.chunk)
	case model.Late > mostLate:
		return overloaded("%.0f %% of all chunks are late already", 100*model.Late)
	}
	return nil
}

func overloaded(format string, args ...any) *wire.Error {
	return wire.Errorf(wire.CodeOverloaded, "", "the machine is full: %s; try again later", fmt.Sprintf(format, args...))
}

// besideModel is the share of a processor that a conversation takes without its model: the median of what the newest took.
func besideModel(active []*session) float64 {
	var shares []float64
	for _, s := range slices.Backward(active) {
		p := s.pipeline.Load()
		if p == nil {
			continue
		}
		look := p.Snapshot()
		if look.Chunks == 0 {
			continue
		}
		compute := look.Delivery.P50
		for _, stage := range look.Stages {
			if stage.Name != "conversion" {
				compute += stage.Compute.P50
			}
		}
		if shares = append(shares, compute.Seconds()/s.chunk.Seconds()); len(shares) == weighed {
			break
		}
	}
	if len(shares) == 0 {
		return 0
	}
	slices.Sort(shares)
	return shares[len(shares)/2]
}

func engineOf(s *session) *infer.Engine {
	if c, ok := s.conv.(interface{ Engine() *infer.Engine }); ok {
		return c.Engine()
	}
	return nil
}

// batching is how conversations share runs of each model that is loaded, for the status and whoever else counts.
func (s *studio) batching() []wire.Batching {
	all := []wire.Batching{}
	for _, b := range s.voices.Batching() {
		one := wire.Batching{
			Pack: b.Pack, Separate: b.Separate, Sessions: b.Sessions, Waiting: b.Waiting, Parallel: b.Parallel,
			LoadPercent: 100 * b.Load, Hops: b.Hops, Late: b.Late, Warmups: b.Warmups, Refused: b.Refused,
			OneByOne: b.OneByOne,
		}
		for _, z := range b.Sizes {
			size := wire.BatchSize{Sessions: z.Sessions, Runs: z.Runs, Hops: z.Rows, CostUS: micros(z.Cost), LeastUS: micros(z.Least), MostUS: micros(z.Most), Slow: z.Slow, Precision: z.Precision}
			if z.Gate != nil {
				size.SNRDB, size.LogSpectralDB = z.Gate.SNR, z.Gate.LogSpectral
			}
			one.Sizes = append(one.Sizes, size)
		}
		all = append(all, one)
	}
	return all
}
