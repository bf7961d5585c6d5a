package wire

import (
	"encoding/json"
	"math"
	"strconv"
)

// PitchShift is a shift in semitones, or "auto": the shift that brings the speaker's usual pitch to
// the target voice's.
type PitchShift struct {
	Auto      bool
	Semitones float64
}

// MarshalJSON gives a number or "auto".
func (p PitchShift) MarshalJSON() ([]byte, error) {
	if p.Auto {
		return []byte(`"auto"`), nil
	}
	return json.Marshal(p.Semitones)
}

// UnmarshalJSON takes a number or "auto".
func (p *PitchShift) UnmarshalJSON(data []byte) error {
	if string(data) == `"auto"` {
		*p = PitchShift{Auto: true}
		return nil
	}
	v, err := strconv.ParseFloat(string(data), 64)
	if err != nil {
		return Errorf(CodeBadParam, "pitch_shift_semitones", "%s, want a number of semitones or \"auto\"", data)
	}
	*p = PitchShift{Semitones: v}
	return nil
}

func (p *PitchShift) validate() *Error {
	if p == nil || p.Auto {
		return nil
	}
	if math.IsNaN(p.Semitones) || math.Abs(p.Semitones) > MaxPitchShift {
		return Errorf(CodeBadParam, "pitch_shift_semitones", "%v semitones, want %d to %d or \"auto\"",
			p.Semitones, -MaxPitchShift, MaxPitchShift)
	}
	return nil
}
