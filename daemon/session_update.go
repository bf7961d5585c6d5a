package daemon

import (
	"errors"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/infer"
	"github.com/autovoiced/autovoiced/stream"
)

// retired is a voice that spoke and is to be closed when the stage has given it back.
type retired struct {
	conv infer.Converter
	free <-chan stream.Converter
}

// sound is how a session begins: as configured, but for what is asked.
func (s *studio) sound(r request) (wire.Settings, *wire.Error) {
	out := wire.Settings{
		Pitch:   s.cfg.Voice.Pitch,
		Mix:     wire.Mix{GainDB: s.cfg.Mixing.GainDB, DryWet: s.cfg.Mixing.DryWet},
		Monitor: s.cfg.Mixing.Monitor,
	}
	set(&out.Pitch, r.pitch)
	set(&out.Mix, r.mix)
	set(&out.Monitor, r.monitor)
	set(&out.Mute, r.mute)
	var err *wire.Error
	out.Gate, err = r.gate.Apply(s.cfg.Separation.gate())
	return out, err
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// sounds is who speaks, and how.
func (s *session) sounds() (voice string, sound wire.Settings) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.voice, s.sound
}

// rates are those of the voice, the same for all that can follow one another.
func (s *session) rates() (in, out int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conv.InRate(), s.conv.OutRate()
}

// update changes how the session sounds, from the next chunk on. Any goroutine may call it. What needs no
// other voice happens at once; another voice is made ready here, off the audio's goroutines, and then takes
// over. What fails leaves the rest as it was.
func (s *session) update(u *wire.Update) *wire.Error {
	pitches, err := s.adjust(u)
	if err == nil && namesVoice(u) {
		err = s.recast(u, pitches)
	}
	return err
}

func namesVoice(u *wire.Update) bool { return u.Voice != nil || u.Profile != nil }

// adjust sets what can be set at once. With another voice, the pitch waits for it. It says how often the
// pitch was set so far.
func (s *session) adjust(u *wire.Update) (pitches int, err *wire.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() {
		if err != nil {
			err.Fatal = false
		}
	}()
	next := s.sound
	set(&next.Mix, u.Mix)
	set(&next.Monitor, u.Monitor)
	set(&next.Mute, u.Mute)
	if next.Gate, err = u.Gate.Apply(s.sound.Gate); err != nil {
		return s.pitches, err
	}
	if next.Gate != s.sound.Gate {
		if err := s.chain.separation.Set(s.studio.cfg.Separation.config(next.Gate)); err != nil {
			return s.pitches, wire.Errorf(wire.CodeBadParam, "gate", "%v", err)
		}
	}
	if next != s.sound {
		if err := s.chain.mixing.Set(s.studio.mixingConfig(next)); err != nil {
			return s.pitches, wire.Errorf(wire.CodeBadParam, "mix", "%v", err)
		}
	}
	s.sound = next
	if u.Timings != nil {
		s.timings.set(*u.Timings)
	}
	if u.Pitch != nil {
		s.pitches++
		if !namesVoice(u) {
			err = s.setPitch(*u.Pitch)
		}
	}
	return s.pitches, err
}

// setPitch is for who holds mu.
func (s *session) setPitch(pitch wire.PitchShift) *wire.Error {
	if shifter, ok := s.conv.(interface{ SetShift(infer.Shift) error }); ok {
		if err := shifter.SetShift(inferShift(pitch)); err != nil {
			return wire.Errorf(wire.CodeBadParam, "pitch_shift_semitones", "%v", err)
		}
	}
	s.sound.Pitch = pitch
	return nil
}

// recast makes another voice ready and lets it take over. A pitch that was set since the update came counts
// more than the update's.
func (s *session) recast(u *wire.Update, pitches int) (werr *wire.Error) {
	s.casting.Lock()
	defer s.casting.Unlock()
	param := "voice"
	if u.Profile != nil {
		param = "profile"
	}
	defer func() {
		if werr != nil {
			werr.Fatal, werr.Param = false, param
		}
	}()
	engine, target, werr := s.studio.audition(u)
	if werr != nil {
		return werr
	}
	voice, sound := s.sounds()
	pitch := sound.Pitch
	set(&pitch, u.Pitch)
	if u.Voice != nil && target.Name == voice && s.studio.isPackVoice(voice) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.pitches != pitches {
			pitch = s.sound.Pitch
		}
		return s.setPitch(pitch)
	}
	next, err := s.chain.cast(engine, target, pitch)
	if err != nil {
		return voiceError(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = next.Close() // nobody has used it
		return wire.Errorf(wire.CodeUnknownSession, "", "the session has ended")
	}
	free, err := s.chain.conversion.Swap(next, conversionMode(engine))
	if err != nil {
		_ = next.Close() // nobody has used it
		return wire.Errorf(wire.CodeUnsupported, param, "%s cannot take over from %s without a break; open another stream: %v", target.Name, voice, err)
	}
	s.retired = append(s.retired, retired{s.conv, free})
	s.conv, s.voice = next, target.Name
	if s.pitches != pitches {
		pitch = s.sound.Pitch
	}
	return s.setPitch(pitch)
}

// isPackVoice tells a voice that stays as it is from a profile that may have been made anew.
func (s *studio) isPackVoice(name string) bool {
	_, err := s.voices.Find(name)
	return err == nil
}

// audition finds who is asked for, and the engine that speaks as them.
func (s *studio) audition(u *wire.Update) (*infer.Engine, infer.Target, *wire.Error) {
	var r request
	if u.Voice != nil {
		r.voice = *u.Voice
	} else {
		target, werr := s.profileTarget(*u.Profile)
		if werr != nil {
			return nil, infer.Target{}, werr
		}
		r.target = target
	}
	engine, target, err := s.cast(r)
	if err != nil {
		return nil, infer.Target{}, voiceError(err)
	}
	return engine, target, nil
}

// dismiss closes the voices that the stage has given back; what goes wrong is told by close.
func (s *session) dismiss() {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.retired[:0]
	for _, r := range s.retired {
		select {
		case <-r.free:
			s.closing = errors.Join(s.closing, r.conv.Close())
		default:
			kept = append(kept, r)
		}
	}
	clear(s.retired[len(kept):])
	s.retired = kept
}
