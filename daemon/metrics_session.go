package daemon

import (
	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/stream"
)

// What sessions did, of all since the start, and what those that run do now. No label names a session: there
// is no end of those, and the status feed tells each of them.

var sessionKinds = []string{kindDevice, kindStream, kindConvert}

var sessionFamilies = []family{
	{
		name: "autovoiced_sessions", help: "Sessions that run now, by kind: device is the sound card's.", labels: []string{"kind"},
		value: func(l *metricsLook, tell tell) {
			n := map[string]int{}
			for _, kind := range sessionKinds {
				n[kind] = 0
			}
			for i := range l.status.Sessions {
				n[l.status.Sessions[i].Kind]++
			}
			tellAll(n, tell)
		},
	},
	{
		name: "autovoiced_sessions_started_total", help: "Sessions since the start.",
		value: func(l *metricsLook, tell tell) { tell(float64(l.status.Totals.Sessions)) },
	},
	{
		name: "autovoiced_frames_in_total", help: "Frames of input.",
		value: func(l *metricsLook, tell tell) { tell(float64(l.status.Totals.Ledger.In)) },
	},
	{
		name: "autovoiced_frames_out_total", help: "Frames of input whose conversion was delivered.",
		value: func(l *metricsLook, tell tell) { tell(float64(l.status.Totals.Ledger.Out)) },
	},
	{
		name: "autovoiced_frames_dropped_total", help: "Frames of input dropped, by reason.", labels: []string{"reason"},
		value: func(l *metricsLook, tell tell) {
			n := map[string]uint64{}
			for _, why := range stream.DropReasons() {
				n[why.String()] = 0
			}
			for why, dropped := range l.status.Totals.Ledger.Dropped {
				n[why] = dropped
			}
			tellAll(n, tell)
		},
	},
	{
		name: "autovoiced_frames_in_flight", help: "Frames of input on their way.",
		value: func(l *metricsLook, tell tell) { tell(float64(l.status.Totals.Ledger.InFlight)) },
	},
	{
		name: "autovoiced_queue_chunks", help: "Chunks that wait for a stage now, in all sessions.", labels: []string{"stage"},
		value: func(l *metricsLook, tell tell) {
			n := map[string]int{}
			for i := range l.status.Sessions {
				for _, stage := range l.status.Sessions[i].Stages {
					n[stage.Name] += stage.QueueLen
				}
				n["delivery"] += l.status.Sessions[i].Total.QueueLen
			}
			tellAll(n, tell)
		},
	},
	{
		name: "autovoiced_load_ratio", help: "Computing time over the audio's duration, of the last second, of the session that has most.",
		labels: []string{"kind"},
		value: func(l *metricsLook, tell tell) {
			worst(l.status.Sessions, tell, func(s *wire.Session) float64 { return s.LoadPercent / 100 })
		},
	},
	{
		name: "autovoiced_algorithmic_latency_seconds", help: "Delay of the signal itself, free of compute and waits, of the session that has most.",
		labels: []string{"kind"},
		value: func(l *metricsLook, tell tell) {
			worst(l.status.Sessions, tell, func(s *wire.Session) float64 { return s.AlgorithmicLatencyMS / 1000 })
		},
	},
}

// worst tells the largest value of each kind that has a session.
func worst(sessions []wire.Session, tell tell, of func(*wire.Session) float64) {
	for _, kind := range sessionKinds {
		most, found := 0., false
		for i := range sessions {
			if sessions[i].Kind == kind {
				most, found = max(most, of(&sessions[i])), true
			}
		}
		if found {
			tell(most, kind)
		}
	}
}

var pipelineFamilies = []family{
	byKind("autovoiced_chunks_total", "Chunks converted.", func(m stream.Meters) float64 { return float64(m.Chunks) }),
	byKind("autovoiced_chunk_deadline_misses_total", "Chunks that took longer to compute than they last.",
		func(m stream.Meters) float64 { return float64(m.Overloads) }),
	byKind("autovoiced_discontinuities_total", "Breaks in the captured signal: something was lost before it.",
		func(m stream.Meters) float64 { return float64(m.Discontinuities) }),
	byKind("autovoiced_bad_samples_total", "Samples that were no number or absurd, replaced by silence.",
		func(m stream.Meters) float64 { return float64(m.BadSamples) }),
	byKind("autovoiced_audio_seconds_total", "Audio converted.", func(m stream.Meters) float64 { return m.Audio.Seconds() }),
	byKind("autovoiced_compute_seconds_total", "Time computed on it, in all stages: over audio_seconds it is the real-time factor.",
		func(m stream.Meters) float64 { return m.Computed.Seconds() }),
	{
		name: "autovoiced_stage_compute_seconds", help: "Time that a stage computed on a chunk.", labels: []string{"kind", "stage"},
		spread: func(l *metricsLook, tell tellDistribution) {
			for kind, m := range l.kinds {
				for _, s := range m.Stages {
					tell(s.Compute, kind, s.Name)
				}
			}
		},
	},
	{
		name: "autovoiced_stage_wait_seconds", help: "Time that a chunk waited: for a stage, for its own end (capture), after the last stage (sink).",
		labels: []string{"kind", "stage"},
		spread: func(l *metricsLook, tell tellDistribution) {
			for kind, m := range l.kinds {
				tell(m.CaptureWait, kind, "capture")
				for _, s := range m.Stages {
					tell(s.Wait, kind, s.Name)
				}
				tell(m.SinkWait, kind, "sink")
			}
		},
	},
	spreadByKind("autovoiced_delivery_seconds", "Time to resample a chunk to the output's rate and hand it over.",
		func(m stream.Meters) stream.Distribution { return m.Delivery }),
	spreadByKind("autovoiced_chunk_compute_seconds", "Time that all stages together computed on a chunk.",
		func(m stream.Meters) stream.Distribution { return m.Compute }),
	spreadByKind("autovoiced_chunk_latency_seconds", "Time from a chunk's capture to its delivery: every compute and every wait.",
		func(m stream.Meters) stream.Distribution { return m.Total }),
}

func byKind(name, help string, of func(stream.Meters) float64) family {
	return family{name: name, help: help, labels: []string{"kind"}, value: func(l *metricsLook, tell tell) {
		for kind, m := range l.kinds {
			tell(of(m), kind)
		}
	}}
}

func spreadByKind(name, help string, of func(stream.Meters) stream.Distribution) family {
	return family{name: name, help: help, labels: []string{"kind"}, spread: func(l *metricsLook, tell tellDistribution) {
		for kind, m := range l.kinds {
			tell(of(m), kind)
		}
	}}
}

var deviceFamilies = []family{
	{
		name: "autovoiced_device_info", help: "The sound card's session: its state and its devices; always 1.", labels: []string{"state", "input", "output"},
		value: func(l *metricsLook, tell tell) {
			d := l.status.Device
			tell(1, d.State, d.Input, d.Output)
		},
	},
	{
		name: "autovoiced_device_reconnects_total", help: "Times that a lost device came back.",
		value: func(l *metricsLook, tell tell) { tell(float64(l.status.Device.Reconnects)) },
	},
	{
		name: "autovoiced_device_drift_ratio", help: "How much faster the capture clock runs than the playout clock, over the latter.",
		value: func(l *metricsLook, tell tell) { tell(l.status.Device.DriftPPM / 1e6) },
	},
	{
		name: "autovoiced_xruns_total", help: "Faults that the sound card reported, by direction and kind.", labels: []string{"direction", "kind"},
		value: func(l *metricsLook, tell tell) {
			x := l.status.Device.Xruns
			tell(float64(x.InputOverflow), "input", "overflow")
			tell(float64(x.InputUnderflow), "input", "underflow")
			tell(float64(x.OutputOverflow), "output", "overflow")
			tell(float64(x.OutputUnderflow), "output", "underflow")
		},
	},
	{
		name: "autovoiced_rebuffers_total", help: "Times that playout ran dry.",
		value: func(l *metricsLook, tell tell) { tell(float64(l.status.Device.Xruns.Rebuffers)) },
	},
	{
		name: "autovoiced_catchups_total", help: "Times that playout was shortened to win back delay.",
		value: func(l *metricsLook, tell tell) { tell(float64(l.status.Device.Xruns.Catchups)) },
	},
}
