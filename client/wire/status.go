package wire

import "time"

// Status is one look at a running daemon: the answer of GET /v1/status and each message of its
// feed. Times are µs unless a name says otherwise; counters only grow while the daemon lives.
type Status struct {
	Version       string    `json:"version"` // of the daemon
	Protocol      int       `json:"protocol"`
	At            time.Time `json:"at"`
	UptimeSeconds float64   `json:"uptime_seconds"`
	State         string    `json:"state"` // starting, running, failed or stopping
	// Fault says why it is failed.
	Fault    string   `json:"fault,omitempty"`
	Provider Provider `json:"provider"`
	// Building is how far the building of an engine for a GPU is, while one is built or waited for.
	Building *Building `json:"building,omitempty"`
	Device   Device    `json:"device"`
	Sessions []Session `json:"sessions"`
	// Batching is of each voice pack that is loaded.
	Batching []Batching `json:"batching,omitempty"`
	// Jobs are the songs of /v1/convert.
	Jobs   Jobs   `json:"jobs"`
	Totals Totals `json:"totals"`
}

// Building is how far the building of an engine for a GPU is.
type Building struct {
	Pack            string  `json:"pack"`
	Hops            int     `json:"hops"`
	Precision       string  `json:"precision"`
	ElapsedSeconds  float64 `json:"elapsed_seconds"`
	EstimateSeconds float64 `json:"estimate_seconds,omitempty"`
	// Waiting: another process builds.
	Waiting bool `json:"waiting,omitempty"`
}

// Provider is what the models were asked to run on and what they run on.
type Provider struct {
	Requested string `json:"requested"`
	Active    string `json:"active"`
	Precision string `json:"precision"`
	// Nodes counts graph nodes by the provider that runs them, as measured in the warm-up.
	Nodes map[string]int `json:"nodes,omitempty"`
	// TensorRT says whether it was asked for and is what runs.
	TensorRT *TensorRT `json:"tensorrt,omitempty"`
	// Note says why active is not what was requested.
	Note string `json:"note,omitempty"`
}

// TensorRT is what was asked of it, and what came of that. Enabled means proven: every node runs there.
type TensorRT struct {
	Requested bool `json:"requested"`
	Enabled   bool `json:"enabled"`
	// Precision is fp32 or fp16, empty while it is not enabled.
	Precision string `json:"precision,omitempty"`
}

// Device is the state of the sound card's session.
type Device struct {
	// State is off, unavailable, starting, running, reconnecting, failed, closed or stopped.
	State  string `json:"state"`
	Input  string `json:"input,omitempty"`
	Output string `json:"output,omitempty"`
	Error  string `json:"error,omitempty"`
	Xruns  Xruns  `json:"xruns"`
	// Reconnects counts how often a lost device came back.
	Reconnects uint64 `json:"reconnects"`
	// DriftPPM is how much faster the capture clock runs than the playout clock.
	DriftPPM float64 `json:"drift_ppm"`
}

// Xruns counts what the sound card reported or the rings had to do, since the start.
type Xruns struct {
	InputOverflow   uint64 `json:"input_overflow"`
	InputUnderflow  uint64 `json:"input_underflow"`
	OutputOverflow  uint64 `json:"output_overflow"`
	OutputUnderflow uint64 `json:"output_underflow"`
	// Rebuffers counts the times that playout ran dry, Catchups those that it was shortened.
	Rebuffers uint64 `json:"rebuffers"`
	Catchups  uint64 `json:"catchups"`
}

// Session is one speaker.
type Session struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"` // device, stream or convert
	Voice   string    `json:"voice"`
	Since   time.Time `json:"since"`
	Format  Format    `json:"format"`
	ChunkMS float64   `json:"chunk_ms"`
	// Away says that the client's connection is lost and may come back.
	Away bool `json:"away,omitempty"`
	// Settings are how it sounds now.
	Settings *Settings `json:"settings,omitempty"`
	// Recording: what is heard is being kept in a file, by who runs the daemon.
	Recording bool `json:"recording,omitempty"`
	Pipeline
}

// Pipeline is what a session's pipeline measured.
type Pipeline struct {
	Stages []Stage `json:"stages"`
	// Total's Compute is the time from capture to delivery: the sum of all compute and waits.
	Total Stage `json:"total"`
	// LoadPercent is compute over the duration of the audio, of late; RTF the same as a ratio,
	// since the start.
	LoadPercent float64 `json:"load_percent"`
	RTF         float64 `json:"rtf"`
	Ledger      Ledger  `json:"ledger"`
	Levels      Levels  `json:"levels"`
	// AlgorithmicLatencyMS is the delay of the signal itself, free of compute and waits.
	AlgorithmicLatencyMS float64 `json:"algorithmic_latency_ms"`
	// Waits are the parts of the total that belong to no stage.
	Waits *Waits `json:"waits,omitempty"`
	// Overloads counts chunks that took longer to compute than they last.
	Overloads       uint64 `json:"overloads"`
	Discontinuities uint64 `json:"discontinuities"`
	BadSamples      uint64 `json:"bad_samples"` // not finite, replaced by 0
	// QueueCap is how many chunks may wait for a stage.
	QueueCap int `json:"queue_capacity,omitempty"`
}

// Waits complete the identity: for each chunk, Total = Capture + every stage's Wait and Compute + Sink +
// Delivery.
type Waits struct {
	Capture  Times `json:"capture_us"`  // from the first sample's capture until the chunk was complete
	Sink     Times `json:"sink_us"`     // in the queue after the last stage
	Delivery Times `json:"delivery_us"` // resampling to the output's rate and handing over
	Compute  Times `json:"compute_us"`  // of all stages together
}

// Stage is one stage's figures: its compute, and the wait in the queue before it.
type Stage struct {
	Name     string `json:"name"`
	Mode     string `json:"mode,omitempty"` // what it really does: gate, yin, model, bypass, ...
	Compute  Times  `json:"compute_us"`
	Wait     Times  `json:"wait_us"`
	QueueLen int    `json:"queue_len"`
	Dropped  uint64 `json:"dropped"` // chunks
}

// Times is a distribution in µs.
type Times struct {
	Count uint64  `json:"count"`
	Last  float64 `json:"last"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
	// Recent is the same for the last 10 s.
	Recent *Recent `json:"recent,omitempty"`
}

// Recent is a distribution over the last 10 s, in µs.
type Recent struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// Ledger accounts for every frame, in frames of the session's input: In = Out + the sum of
// Dropped + InFlight at any moment.
type Ledger struct {
	In       uint64            `json:"in"`
	Out      uint64            `json:"out"`
	Dropped  map[string]uint64 `json:"dropped,omitempty"` // by reason
	InFlight int64             `json:"in_flight"`
}

// DroppedFrames is the sum over all reasons.
func (l Ledger) DroppedFrames() uint64 {
	var n uint64
	for _, d := range l.Dropped {
		n += d
	}
	return n
}

// Balanced says whether the ledger adds up.
func (l Ledger) Balanced() bool {
	return int64(l.In) == int64(l.Out)+int64(l.DroppedFrames())+l.InFlight
}

// Levels are in dB relative to full scale; -120 is the floor.
type Levels struct {
	InRMS   float64 `json:"in_rms_dbfs"`
	InPeak  float64 `json:"in_peak_dbfs"`
	OutRMS  float64 `json:"out_rms_dbfs"`
	OutPeak float64 `json:"out_peak_dbfs"`
}

// Totals count over all sessions since the start, the ended ones too.
type Totals struct {
	Sessions       uint64            `json:"sessions"`
	SessionsActive int               `json:"sessions_active"`
	Errors         map[string]uint64 `json:"errors,omitempty"`  // by error code
	Notices        map[string]uint64 `json:"notices,omitempty"` // by notice code
	Ledger         Ledger            `json:"ledger"`
}

// Voice is one entry of GET /v1/voices.
type Voice struct {
	Name        string  `json:"name"`
	Pack        string  `json:"pack"`
	Kind        string  `json:"kind"` // voice, passthrough or profile
	Sex         string  `json:"sex,omitempty"`
	MedianHz    float64 `json:"median_hz,omitempty"`
	Description string  `json:"description,omitempty"`
	Licence     string  `json:"licence"`
	InRate      int     `json:"sample_rate_in"` // of the model; a stream may have any rate
	OutRate     int     `json:"sample_rate_out"`
	LookaheadMS float64 `json:"lookahead_ms"`
	Reference   bool    `json:"reference"` // there is a recording of the speaker
	Default     bool    `json:"default"`
}
