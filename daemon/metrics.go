package daemon

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/autovoiced/autovoiced/client/wire"
)

// serveMetrics writes the status as Prometheus text (version 0.0.4). Times are in seconds, as its
// conventions want; the sessions' series end with their sessions, the totals stay.
func (d *Daemon) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	m := &metrics{out: w}
	m.daemon(d.Status(), d.log.Dropped())
}

// metrics writes families: HELP and TYPE once, then samples.
type metrics struct{ out io.Writer }

type label struct{ name, value string }

type sample struct {
	suffix string
	labels []label
	value  float64
}

func (m *metrics) family(name, kind, help string, samples ...sample) {
	if len(samples) == 0 {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	for _, s := range samples {
		b.WriteString(name + s.suffix)
		for i, l := range s.labels {
			b.WriteByte("{,"[min(i, 1)])
			b.WriteString(l.name + `="` + escapeLabel.Replace(l.value) + `"`)
		}
		if len(s.labels) > 0 {
			b.WriteByte('}')
		}
		b.WriteString(" " + strconv.FormatFloat(s.value, 'g', -1, 64) + "\n")
	}
	_, _ = io.WriteString(m.out, b.String()) // the client may have gone
}

var escapeLabel = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func one(v float64, labels ...label) sample { return sample{labels: labels, value: v} }

func (m *metrics) daemon(s *wire.Status, logDropped uint64) {
	m.family("autovoiced_build_info", "gauge", "Version of the daemon and of its protocol; always 1.",
		one(1, label{"version", s.Version}, label{"protocol", strconv.Itoa(s.Protocol)}))
	m.family("autovoiced_uptime_seconds", "gauge", "Time since the start.", one(s.UptimeSeconds))
	m.family("autovoiced_ready", "gauge", "1 while it converts, 0 while it starts or stops.", one(truth(s.State == stateRunning)))
	m.family("autovoiced_provider_info", "gauge", "What the models were asked to run on and what they run on; always 1.",
		one(1, label{"requested", s.Provider.Requested}, label{"active", s.Provider.Active}, label{"precision", s.Provider.Precision}))
	m.family("autovoiced_provider_nodes", "gauge", "Graph nodes of the default voice by the provider that runs them.", byKey("provider", s.Provider.Nodes)...)
	if t := s.Provider.TensorRT; t != nil {
		m.family("autovoiced_tensorrt_requested", "gauge", "1 where TensorRT was asked for.", one(truth(t.Requested)))
		m.family("autovoiced_tensorrt_enabled", "gauge", "1 where every graph node of the default voice was found on TensorRT.", one(truth(t.Enabled)))
	}
	m.family("autovoiced_sessions", "gauge", "Sessions that run now.", one(float64(s.Totals.SessionsActive)))
	m.family("autovoiced_sessions_total", "counter", "Sessions since the start.", one(float64(s.Totals.Sessions)))
	m.family("autovoiced_errors_total", "counter", "Errors told to clients, by code.", byKey("code", s.Totals.Errors)...)
	m.family("autovoiced_notices_total", "counter", "Notices told to clients, by code.", byKey("code", s.Totals.Notices)...)
	m.family("autovoiced_frames_in_total", "counter", "Frames of input, of all sessions since the start.", one(float64(s.Totals.Ledger.In)))
	m.family("autovoiced_frames_out_total", "counter", "Frames of input whose conversion was delivered.", one(float64(s.Totals.Ledger.Out)))
	m.family("autovoiced_frames_dropped_total", "counter", "Frames of input dropped, by reason.", byKey("reason", s.Totals.Ledger.Dropped)...)
	m.family("autovoiced_frames_in_flight", "gauge", "Frames of input on their way.", one(float64(s.Totals.Ledger.InFlight)))
	m.family("autovoiced_log_dropped_total", "counter", "Log lines lost because their reader was too slow.", one(float64(logDropped)))
	m.device(s.Device)
	m.sessions(s.Sessions)
}

func (m *metrics) device(d wire.Device) {
	m.family("autovoiced_device_state", "gauge", "State of the sound card's session; always 1.", one(1, label{"state", d.State}))
	m.family("autovoiced_device_reconnects_total", "counter", "Times that a lost device came back.", one(float64(d.Reconnects)))
	m.family("autovoiced_device_drift_ppm", "gauge", "How much faster the capture clock runs than the playout clock.", one(d.DriftPPM))
	m.family("autovoiced_xruns_total", "counter", "Faults that the sound card reported, by direction and kind.",
		one(float64(d.Xruns.InputOverflow), label{"direction", "input"}, label{"kind", "overflow"}),
		one(float64(d.Xruns.InputUnderflow), label{"direction", "input"}, label{"kind", "underflow"}),
		one(float64(d.Xruns.OutputOverflow), label{"direction", "output"}, label{"kind", "overflow"}),
		one(float64(d.Xruns.OutputUnderflow), label{"direction", "output"}, label{"kind", "underflow"}))
	m.family("autovoiced_rebuffers_total", "counter", "Times that playout ran dry.", one(float64(d.Xruns.Rebuffers)))
	m.family("autovoiced_catchups_total", "counter", "Times that playout was shortened to win back delay.", one(float64(d.Xruns.Catchups)))
}

func (m *metrics) sessions(all []wire.Session) {
	var compute, wait, queue, total, load, rtf []sample
	for _, s := range all {
		id := []label{{"session", s.ID}, {"kind", s.Kind}}
		for _, stage := range s.Stages {
			labels := append(slices.Clone(id), label{"stage", stage.Name})
			compute = append(compute, summary(labels, stage.Compute)...)
			wait = append(wait, summary(labels, stage.Wait)...)
			queue = append(queue, one(float64(stage.QueueLen), labels...))
		}
		total = append(total, summary(id, s.Total.Compute)...)
		load = append(load, one(s.LoadPercent/100, id...))
		rtf = append(rtf, one(s.RTF, id...))
	}
	m.family("autovoiced_stage_compute_seconds", "summary", "Time that a stage computed on a chunk.", compute...)
	m.family("autovoiced_stage_wait_seconds", "summary", "Time that a chunk waited for a stage.", wait...)
	m.family("autovoiced_stage_queue_chunks", "gauge", "Chunks that wait for a stage now.", queue...)
	m.family("autovoiced_total_seconds", "summary", "Time from a chunk's capture to its delivery.", total...)
	m.family("autovoiced_load_ratio", "gauge", "Computing time over the audio's duration, of late.", load...)
	m.family("autovoiced_rtf_ratio", "gauge", "Computing time over the audio's duration, since the start of the session.", rtf...)
}

// summary gives a distribution in Prometheus' own shape.
func summary(labels []label, t wire.Times) []sample {
	out := make([]sample, 0, 5)
	for _, q := range []struct {
		name string
		us   float64
	}{{"0.5", t.P50}, {"0.95", t.P95}, {"0.99", t.P99}} {
		out = append(out, one(q.us/1e6, append(slices.Clone(labels), label{"quantile", q.name})...))
	}
	return append(out,
		sample{"_sum", labels, t.Mean * float64(t.Count) / 1e6},
		sample{"_count", labels, float64(t.Count)})
}

func byKey[N int | uint64](name string, counts map[string]N) []sample {
	var out []sample
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, one(float64(counts[key]), label{name, key}))
	}
	return out
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
