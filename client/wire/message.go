package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

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
	// Voice is a name from GET /v1/voices; empty is the daemon's default voice.
	Voice string `json:"voice,omitempty"`
	// Profile is a target voice that the daemon's owner has added.
	Profile string `json:"profile,omitempty"`
	Format  Format `json:"format"`
	// Preset is "live", the only one of v1's streams; empty is the same.
	Preset string      `json:"preset,omitempty"`
	Pitch  *PitchShift `json:"pitch_shift_semitones,omitempty"`
	Mix    *Mix        `json:"mix,omitempty"`
	// Timings is how many timing messages a second the client wants, 0 to MaxTimings.
	Timings float64 `json:"timings,omitempty"`
}

// Update changes a running stream; what it leaves out stays. It is answered only by a
// non-fatal Error when it cannot be done.
type Update struct {
	Voice   *string     `json:"voice,omitempty"`
	Pitch   *PitchShift `json:"pitch_shift_semitones,omitempty"`
	Mix     *Mix        `json:"mix,omitempty"`
	Timings *float64    `json:"timings,omitempty"`
}

// Flush asks for everything sent so far: the server converts the rest, answers Drained with Final
// false and goes on with what follows as a new, unconnected signal.
type Flush struct{}

// Stop is Flush and the end: Drained with Final true, then close code 1000.
type Stop struct{}

// Mix is how the converted voice is put together with the captured one.
type Mix struct {
	GainDB float64 `json:"gain_db"`
	// DryWet is 0 for the captured voice alone and 1 for the converted one alone.
	DryWet float64 `json:"dry_wet"`
}

// Ready answers Start: from here on audio flows.
type Ready struct {
	Version int    `json:"version"`
	Session string `json:"session"`
	Voice   string `json:"voice"`
	Format  Format `json:"format"`
	// ChunkMS is the hop in which the server works; frames of any size may be sent.
	ChunkMS float64 `json:"chunk_ms"`
	// AlgorithmicLatencyMS is how much later than its input a sample can come out at the earliest.
	// The reply is trimmed by it: reply sample n stands for sample n that was sent.
	AlgorithmicLatencyMS float64  `json:"algorithmic_latency_ms"`
	Provider             Provider `json:"provider"`
	Limits               Limits   `json:"limits"`
}

// Limits are what this server allows, so that a client can keep them.
type Limits struct {
	FrameBytes     int     `json:"frame_bytes"`
	IdleSeconds    float64 `json:"idle_seconds"`
	StallSeconds   float64 `json:"stall_seconds"`
	RealTimeFactor float64 `json:"real_time_factor"`
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
func (*Timing) kind() string  { return "timing" }
func (*Notice) kind() string  { return "notice" }
func (*Drained) kind() string { return "drained" }
func (*Error) kind() string   { return "error" }
func (*Status) kind() string  { return "status" }
func (*Goodbye) kind() string { return "goodbye" }

// Encode gives the text frame of a message: its fields after a leading "type".
func Encode(m Message) ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("wire: encode %s: %w", m.kind(), err)
	}
	out := make([]byte, 0, len(body)+24)
	out = append(out, `{"type":"`...)
	out = append(out, m.kind()...)
	out = append(out, '"')
	if len(body) > len("{}") {
		out = append(out, ',')
	}
	return append(out, body[1:]...), nil
}

// DecodeClient reads a text frame that a client sent. Unknown types and fields are refused, so
// that a misspelt setting is not silently left out.
func DecodeClient(data []byte) (Message, *Error) {
	if len(data) > MaxControl {
		return nil, Errorf(CodeTooLarge, "", "text message of %d bytes, at most %d", len(data), MaxControl)
	}
	kind, err := kindOf(data)
	if err != nil {
		return nil, err
	}
	var m Message
	switch kind {
	case "start":
		m = &Start{}
	case "update":
		m = &Update{}
	case "flush":
		m = &Flush{}
	case "stop":
		m = &Stop{}
	default:
		return nil, Errorf(CodeBadMessage, "type", "unknown message type %q, want start, update, flush or stop", kind)
	}
	err = decodeStrict(data, m)
	if err == nil {
		err = validate(m)
	}
	if err == nil {
		return m, nil
	}
	if kind == "update" && err.Code == CodeBadParam {
		err.Fatal = false // the stream goes on with what it had
	}
	return nil, err
}

// DecodeServer reads a text frame that a server sent. Fields it does not know are left out: a
// server of a later minor version may send more.
func DecodeServer(data []byte) (Message, error) {
	kind, kerr := kindOf(data)
	if kerr != nil {
		return nil, kerr
	}
	var m Message
	switch kind {
	case "ready":
		m = &Ready{}
	case "timing":
		m = &Timing{}
	case "notice":
		m = &Notice{}
	case "drained":
		m = &Drained{}
	case "error":
		m = &Error{}
	case "status":
		m = &Status{}
	case "goodbye":
		m = &Goodbye{}
	default:
		return nil, Errorf(CodeBadMessage, "type", "unknown message type %q from the server", kind)
	}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, Errorf(CodeBadMessage, kind, "%v", err)
	}
	return m, nil
}

func kindOf(data []byte) (string, *Error) {
	var head struct {
		Type *string `json:"type"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return "", Errorf(CodeBadMessage, "", "text message is not a JSON object with a type: %v", err)
	}
	if head.Type == nil {
		return "", Errorf(CodeBadMessage, "type", "text message has no type")
	}
	return *head.Type, nil
}

// decodeStrict refuses fields that m does not have, "type" excepted.
func decodeStrict(data []byte, m Message) *Error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return Errorf(CodeBadMessage, "", "%v", err)
	}
	delete(fields, "type")
	rest, err := json.Marshal(fields)
	if err != nil {
		return Errorf(CodeBadMessage, "", "%v", err)
	}
	dec := json.NewDecoder(bytes.NewReader(rest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(m); err != nil {
		var te *json.UnmarshalTypeError
		if errors.As(err, &te) {
			return Errorf(CodeBadMessage, te.Field, "%s where %s is wanted", te.Value, te.Type)
		}
		var we *Error
		if errors.As(err, &we) {
			return we
		}
		return Errorf(CodeBadMessage, m.kind(), "%v", err)
	}
	return nil
}

func validate(m Message) *Error {
	switch m := m.(type) {
	case *Start:
		if m.Voice != "" && m.Profile != "" {
			return Errorf(CodeBadParam, "profile", "both voice and profile are given, want one")
		}
		if m.Preset != "" && m.Preset != "live" {
			return Errorf(CodeUnsupported, "preset", "preset %q, a stream knows \"live\" only", m.Preset)
		}
		if err := m.Format.Validate(); err != nil {
			return err
		}
		return first(m.Pitch.validate(), m.Mix.validate(), validateTimings(m.Timings))
	case *Update:
		var rate float64
		if m.Timings != nil {
			rate = *m.Timings
		}
		return first(m.Pitch.validate(), m.Mix.validate(), validateTimings(rate))
	}
	return nil
}

func first(errs ...*Error) *Error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *Mix) validate() *Error {
	switch {
	case m == nil:
		return nil
	case math.IsNaN(m.GainDB) || m.GainDB < -2*MaxGainDB || m.GainDB > MaxGainDB:
		return Errorf(CodeBadParam, "mix.gain_db", "gain %v dB, want %d to %d", m.GainDB, -2*MaxGainDB, MaxGainDB)
	case math.IsNaN(m.DryWet) || m.DryWet < 0 || m.DryWet > 1:
		return Errorf(CodeBadParam, "mix.dry_wet", "dry_wet %v, want 0 (captured) to 1 (converted)", m.DryWet)
	}
	return nil
}

func validateTimings(hz float64) *Error {
	if hz < 0 || hz > MaxTimings {
		return Errorf(CodeBadParam, "timings", "%v timing messages a second, want 0 to %d", hz, MaxTimings)
	}
	return nil
}
