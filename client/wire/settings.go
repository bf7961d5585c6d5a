package wire

import "math"

// Settings are how a session sounds beside its voice: what start and update set, and status shows.
type Settings struct {
	Pitch   PitchShift `json:"pitch_shift_semitones"`
	Mix     Mix        `json:"mix"`
	Gate    Gate       `json:"gate"`
	Monitor bool       `json:"monitor"`
	Mute    bool       `json:"mute"`
}

// Mix is how the converted voice is put together with the captured one.
type Mix struct {
	GainDB float64 `json:"gain_db"`
	// DryWet is 0 for the captured voice alone and 1 for the converted one alone.
	DryWet float64 `json:"dry_wet"`
}

// Gate is the noise gate before the voice: it opens at a peak level of OpenDB and closes below CloseDB, dBFS.
type Gate struct {
	On      bool    `json:"on"`
	OpenDB  float64 `json:"open_db"`
	CloseDB float64 `json:"close_db"`
}

// GateChange sets a Gate; what it leaves out stays.
type GateChange struct {
	On      *bool    `json:"on,omitempty"`
	OpenDB  *float64 `json:"open_db,omitempty"`
	CloseDB *float64 `json:"close_db,omitempty"`
}

// MinGateDB is the least level of a gate; 0 is the most.
const MinGateDB = -90

// Apply gives the gate after the change, or what is wrong with it.
func (c *GateChange) Apply(g Gate) (Gate, *Error) {
	if c == nil {
		return g, nil
	}
	if c.On != nil {
		g.On = *c.On
	}
	if c.OpenDB != nil {
		g.OpenDB = *c.OpenDB
	}
	if c.CloseDB != nil {
		g.CloseDB = *c.CloseDB
	}
	if g.CloseDB > g.OpenDB {
		return g, Errorf(CodeBadParam, "gate.close_db", "the gate would close at %v dB and open at %v dB, want it to close at or below where it opens",
			g.CloseDB, g.OpenDB)
	}
	return g, nil
}

func (c *GateChange) validate() *Error {
	if c == nil {
		return nil
	}
	for param, level := range map[string]*float64{"gate.open_db": c.OpenDB, "gate.close_db": c.CloseDB} {
		if level != nil && !(*level >= MinGateDB && *level <= 0) {
			return Errorf(CodeBadParam, param, "%v dB, want %d to 0", *level, MinGateDB)
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
