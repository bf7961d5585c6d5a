package wire

import "strings"

// The limits of v1 that hold whatever a daemon is configured to.
const (
	// MaxControl is the longest text message a server reads, in bytes.
	MaxControl = 64 << 10
	// MaxPitchShift is the largest shift in semitones, up or down.
	MaxPitchShift = 24
	// MaxGainDB is the largest gain in dB, up; -2·MaxGainDB is the least.
	MaxGainDB = 24
	// MaxTimings is the most timing messages a second.
	MaxTimings = 50
)

// Message is what a text frame holds: one of the message types of this package.
type Message interface{ kind() string }

// Start opens the stream; it is the client's first message and is answered by Ready or Error.
type Start struct {
	// Versions are those of the protocol that the client speaks; none means 1. Ready says which one counts.
	Versions []int `json:"versions,omitempty"`
	// Resume is the Session of a Ready whose connection was lost. The stream goes on where it was; what else is
	// given counts as an Update, and Format may be left out.
	Resume string `json:"resume,omitempty"`
	// Received is how many messages of the stream the client has got, Ready and Timing aside. What was sent after
	// them is sent again. Nil: nothing is.
	Received *uint64 `json:"received,omitempty"`
	// Voice is a name from GET /v1/voices; empty is the daemon's default voice.
	Voice string `json:"voice,omitempty"`
	// Profile is a target voice that the daemon's owner has added.
	Profile string `json:"profile,omitempty"`
	Format  Format `json:"format,omitzero"`
	// Preset is "live", the only one of v1's streams; empty is the same.
	Preset string      `json:"preset,omitempty"`
	Pitch  *PitchShift `json:"pitch_shift_semitones,omitempty"`
	Mix    *Mix        `json:"mix,omitempty"`
	Gate   *GateChange `json:"gate,omitempty"`
	// Monitor lets the captured voice be heard in place of the converted one, Mute nothing.
	Monitor *bool `json:"monitor,omitempty"`
	Mute    *bool `json:"mute,omitempty"`
	// Timings is how many timing messages a second the client wants, 0 to MaxTimings.
	Timings float64 `json:"timings,omitempty"`
}

// Update changes a running stream; what it leaves out stays. It is answered by Updated, or by an Error that
// is not fatal.
type Update struct {
	Voice *string `json:"voice,omitempty"`
	// Profile is a target voice that the daemon's owner has added, in place of Voice.
	Profile *string     `json:"profile,omitempty"`
	Pitch   *PitchShift `json:"pitch_shift_semitones,omitempty"`
	Mix     *Mix        `json:"mix,omitempty"`
	Gate    *GateChange `json:"gate,omitempty"`
	Monitor *bool       `json:"monitor,omitempty"`
	Mute    *bool       `json:"mute,omitempty"`
	Timings *float64    `json:"timings,omitempty"`
}

// Flush asks for everything sent so far: the server converts the rest, answers Drained with Final
// false and goes on with what follows as a new, unconnected signal.
type Flush struct{}

// Stop is Flush and the end: Drained with Final true, then close code 1000.
type Stop struct{}

// Ready answers Start: from here on audio flows.
type Ready struct {
	Version int `json:"version"`
	// Session is the stream's id as Status shows it, a hyphen, and a secret that nobody can guess: what Start.Resume
	// takes, once.
	Session string `json:"session"`
	// ResumeSeconds is how long a client may be away; 0: not at all.
	ResumeSeconds float64 `json:"resume_seconds"`
	// Resumed is what became of what was on its way; nil when the stream is new.
	Resumed *Resumed `json:"resumed,omitempty"`
	Voice   string   `json:"voice"`
	// Settings are those that hold, the daemon's own where start left them out.
	Settings Settings `json:"settings"`
	Format   Format   `json:"format"`
	// ChunkMS is the hop in which the server works; frames of any size may be sent.
	ChunkMS float64 `json:"chunk_ms"`
	// AlgorithmicLatencyMS is how much later than its input a sample can come out at the earliest.
	// The reply is trimmed by it: reply sample n stands for sample n that was sent.
	AlgorithmicLatencyMS float64  `json:"algorithmic_latency_ms"`
	Provider             Provider `json:"provider"`
	Limits               Limits   `json:"limits"`
}

// ID is the part of Session that Status shows.
func (r *Ready) ID() string {
	cut := strings.LastIndex(r.Session, "-")
	return r.Session[:max(0, cut)]
}

// Resumed says where a stream goes on.
type Resumed struct {
	// Accepted is how many of the client's messages were taken in, Starts aside: what it sent after them did not
	// arrive.
	Accepted uint64 `json:"accepted"`
	// Lost is how many of the server's messages, after those that the client has received, cannot be sent again.
	Lost uint64 `json:"lost"`
}

// Limits are what this server allows, so that a client can keep them.
type Limits struct {
	FrameBytes     int     `json:"frame_bytes"`
	IdleSeconds    float64 `json:"idle_seconds"`
	StallSeconds   float64 `json:"stall_seconds"`
	RealTimeFactor float64 `json:"real_time_factor"`
}

// Updated answers Update once it counts: from the next chunk on it is heard.
type Updated struct {
	Voice    string   `json:"voice"`
	Settings Settings `json:"settings"`
	// Ignored are fields of an update over HTTP that the server does not know; a stream gets a Notice.
	Ignored []string `json:"ignored,omitempty"`
}

// Timing is pushed while the stream runs, as often as the client asked for; the latest wins.
type Timing struct {
	Pipeline
}

// Notice tells of something that cost audio or may soon, and that the stream survived.
type Notice struct {
	Code    string `json:"code"` // one of the Notice constants
	Message string `json:"message"`
	Count   uint64 `json:"count,omitempty"` // how often since the last notice of this code
}

// Codes of a Notice.
const (
	NoticeDroppedOutput = "dropped_output" // the client reads too slowly: replies were dropped, oldest first
	NoticeOverload      = "overload"       // conversion takes longer than the audio lasts
	NoticeIgnoredFields = "ignored_fields" // a message had fields that the server does not know
	NoticeThrottled     = "throttled"      // input came faster than the server reads it and was held back
)

// Drained answers Flush and Stop, after the last audio frame.
type Drained struct {
	Final  bool   `json:"final"`
	Ledger Ledger `json:"ledger"`
}

// Goodbye is the last message of the status feed.
type Goodbye struct {
	Reason string `json:"reason"`
}

func (*Start) kind() string   { return "start" }
func (*Update) kind() string  { return "update" }
func (*Flush) kind() string   { return "flush" }
func (*Stop) kind() string    { return "stop" }
func (*Ready) kind() string   { return "ready" }
func (*Updated) kind() string { return "updated" }
func (*Timing) kind() string  { return "timing" }
func (*Notice) kind() string  { return "notice" }
func (*Drained) kind() string { return "drained" }
func (*Error) kind() string   { return "error" }
func (*Status) kind() string  { return "status" }
func (*Goodbye) kind() string { return "goodbye" }
