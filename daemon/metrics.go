package daemon

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/stream"
)

// family is one metric: its name, what it tells, the labels it has, and where its values come from.
// To add one, add it to the table of what it is about.
type family struct {
	name, help string
	labels     []string
	value      func(look *metricsLook, tell tell)             // gauge or, where the name ends in _total, counter
	spread     func(look *metricsLook, tell tellDistribution) // histogram
	bounds     func() []time.Duration                         // of the histogram; nil is meterBounds
}

type (
	tell             func(v float64, labels ...string)
	tellDistribution func(d stream.Distribution, labels ...string)
)

// metricsLook is what one scrape is made of.
type metricsLook struct {
	status     *wire.Status
	kinds      map[string]stream.Meters
	logDropped uint64
	built      uint64 // engines
	jobs       jobsLook
}

// metrics collects the families when a scrape asks, from counters that are there anyway: audio does nothing for it.
type metrics struct {
	d        *Daemon
	families []family
	descs    []*prometheus.Desc
}

func newMetrics(d *Daemon) *metrics {
	m := &metrics{d: d, families: slices.Concat(daemonFamilies, providerFamilies, sessionFamilies, pipelineFamilies, batchFamilies, jobFamilies, deviceFamilies)}
	for _, f := range m.families {
		m.descs = append(m.descs, prometheus.NewDesc(f.name, f.help, f.labels, nil))
	}
	return m
}

// metricsHandler answers with the daemon's families, the Go runtime's and the process's.
func (d *Daemon) metricsHandler() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(newMetrics(d), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range m.descs {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	look := &metricsLook{m.d.Status(), m.d.meters.look(), m.d.log.Dropped(), m.d.building.built.Load(), m.d.jobs.figures()}
	for i, f := range m.families {
		desc := m.descs[i]
		if f.spread != nil {
			bounds := meterBounds()
			if f.bounds != nil {
				bounds = f.bounds()
			}
			f.spread(look, func(d stream.Distribution, labels ...string) {
				within := make(map[float64]uint64, len(bounds))
				for i, n := range d.Within {
					within[bounds[i].Seconds()] = n
				}
				out <- prometheus.MustNewConstHistogram(desc, d.Count, d.Sum.Seconds(), within, labels...)
			})
			continue
		}
		kind := prometheus.GaugeValue
		if isCounter(f.name) {
			kind = prometheus.CounterValue
		}
		f.value(look, func(v float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(desc, kind, v, labels...)
		})
	}
}

func isCounter(name string) bool {
	const suffix = "_total"
	return len(name) > len(suffix) && name[len(name)-len(suffix):] == suffix
}

func tellAll[K ~string, N int | uint64](counts map[K]N, tell tell) {
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		tell(float64(counts[key]), string(key))
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

var daemonFamilies = []family{
	{
		name: "autovoiced_build_info", help: "Version of the daemon and of its protocol; always 1.", labels: []string{"version", "protocol"},
		value: func(l *metricsLook, tell tell) { tell(1, l.status.Version, strconv.Itoa(l.status.Protocol)) },
	},
	{
		name: "autovoiced_uptime_seconds", help: "Time since the start.",
		value: func(l *metricsLook, tell tell) { tell(l.status.UptimeSeconds) },
	},
	{
		name: "autovoiced_ready", help: "1 while it converts, 0 while it starts or stops.",
		value: func(l *metricsLook, tell tell) { tell(truth(l.status.State == stateRunning)) },
	},
	{
		name: "autovoiced_errors_total", help: "Errors told to clients, by code.", labels: []string{"code"},
		value: func(l *metricsLook, tell tell) {
			n := map[string]uint64{} // a counter that begins at 1 has not grown, for Prometheus
			for _, code := range wire.Codes() {
				n[string(code)] = 0
			}
			maps.Copy(n, l.status.Totals.Errors)
			tellAll(n, tell)
		},
	},
	{
		name: "autovoiced_notices_total", help: "Notices told to clients, by code.", labels: []string{"code"},
		value: func(l *metricsLook, tell tell) { tellAll(l.status.Totals.Notices, tell) },
	},
	{
		name: "autovoiced_log_dropped_total", help: "Log lines lost because their reader was too slow.",
		value: func(l *metricsLook, tell tell) { tell(float64(l.logDropped)) },
	},
}

var providerFamilies = []family{
	{
		name: "autovoiced_provider_info", help: "What the models were asked to run on and what they run on; always 1.",
		labels: []string{"requested", "active", "precision"},
		value: func(l *metricsLook, tell tell) {
			p := l.status.Provider
			tell(1, p.Requested, p.Active, p.Precision)
		},
	},
	{
		name: "autovoiced_provider_nodes", help: "Graph nodes of the default voice by the provider that runs them.", labels: []string{"provider"},
		value: func(l *metricsLook, tell tell) { tellAll(l.status.Provider.Nodes, tell) },
	},
	{
		name: "autovoiced_tensorrt_requested", help: "1 where TensorRT was asked for.",
		value: func(l *metricsLook, tell tell) {
			t := l.status.Provider.TensorRT
			tell(truth(t != nil && t.Requested))
		},
	},
	{
		name: "autovoiced_tensorrt_enabled", help: "1 where every graph node of the default voice was found on TensorRT.",
		value: func(l *metricsLook, tell tell) {
			t := l.status.Provider.TensorRT
			tell(truth(t != nil && t.Enabled))
		},
	},
	{
		name: "autovoiced_engine_building", help: "1 while an engine for TensorRT is built or waited for.",
		value: func(l *metricsLook, tell tell) { tell(truth(l.status.Building != nil)) },
	},
	{
		name: "autovoiced_engine_builds_total", help: "Engines that this process tried to build for TensorRT: 0 where all were found built.",
		value: func(l *metricsLook, tell tell) { tell(float64(l.built)) },
	},
	{
		name: "autovoiced_gpu_lost", help: "1 once the GPU has failed so that only another start helps.",
		value: func(l *metricsLook, tell tell) { tell(truth(l.status.Fault != "")) },
	},
}
