package dash

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/autovoiced/autovoiced/client/wire"
)

// action is what a key asked for; it gives what to tell, or voices to choose from.
type action func(context.Context) tea.Msg

const actionTime = 10 * time.Second

// act does what keys asked for, in order, until the context ends.
func (m *model) act(ctx context.Context, send func(tea.Msg)) {
	for {
		select {
		case <-ctx.Done():
			return
		case do := <-m.actions:
			limited, cancel := context.WithTimeout(ctx, actionTime)
			send(do(limited))
			cancel()
		}
	}
}

// keyTexts are the keys as the help tells them; the short ones stand in the last line.
var keyTexts = []struct {
	keys, short, long string
	controls          bool // needs Controls
}{
	{"v", "voice", "choose another voice or profile", true},
	{"↑ ↓", "pitch", "pitch up or down by a semitone; ← → by a tenth; a: automatic", true},
	{"m", "mute", "be silent, or speak again", true},
	{"o", "monitor", "hear the captured voice instead of the converted one", true},
	{"r", "record", "keep what is heard in a WAV file of this folder; again: stop", true},
	{"+ −", "", "louder or softer by 1 dB", true},
	{"tab", "next", "the next session; shift+tab: the one before", false},
	{"t", "", "percentiles of the last 10 s, or since the start", false},
	{"?", "help", "these lines, or back", false},
	{"q", "quit", "end; Ctrl-C too", false},
}

func (m *model) keyLine() string {
	var parts []string
	for _, k := range keyTexts {
		if k.short == "" || k.controls && m.opt.Controls == nil || k.keys == "tab" && len(m.sessions()) < 2 {
			continue
		}
		parts = append(parts, bold.Render(k.keys)+" "+faint.Render(k.short))
	}
	line := strings.Join(parts, "  ")
	for len(parts) > 2 && ansi.StringWidth(line) > m.width { // help and quit stay
		parts = append(parts[:len(parts)-3], parts[len(parts)-2:]...)
		line = strings.Join(parts, "  ")
	}
	return line
}

func (m *model) helpLines() []string {
	lines := []string{"", bold.Render("Keys")}
	for _, k := range keyTexts {
		if k.controls && m.opt.Controls == nil {
			continue
		}
		lines = append(lines, accent.Render(pad(k.keys, 5))+k.long)
	}
	return append(lines, "",
		bold.Render("What the table shows"),
		"Each chunk is captured, passes the stages and is delivered. Every compute and every wait is measured; "+
			"together they are the total. All times are in ms. Queue: chunks that wait there now. Bars: the longest time of each second.")
}

// press answers a key.
func (m *model) press(key string) tea.Cmd {
	if key == "ctrl+c" || key == "q" {
		return tea.Quit
	}
	if m.picker != nil {
		m.pick(key)
		return nil
	}
	switch key {
	case "?", "h":
		m.help = !m.help
	case "esc":
		m.help = false
	case "tab":
		m.next(1)
	case "shift+tab":
		m.next(-1)
	case "t":
		m.since = !m.since
	default:
		m.control(key)
	}
	return nil
}

// control answers the keys that change how the session sounds.
func (m *model) control(key string) {
	s, c := m.shown(), m.opt.Controls
	if s == nil || c == nil {
		return
	}
	id, now := s.ID, wire.Settings{}
	if s.Settings != nil {
		now = *s.Settings
	}
	switch key {
	case "v":
		m.do(func(ctx context.Context) tea.Msg {
			voices, err := c.Voices(ctx)
			if err != nil {
				return told{text: err.Error(), wrong: true}
			}
			return voices
		})
	case "r":
		m.do(func(ctx context.Context) tea.Msg {
			text, err := c.Record(ctx, id)
			if err != nil {
				return told{text: err.Error(), wrong: true}
			}
			return told{text: text}
		})
	case "up":
		m.shift(id, now.Pitch, 1)
	case "down":
		m.shift(id, now.Pitch, -1)
	case "right":
		m.shift(id, now.Pitch, 0.1)
	case "left":
		m.shift(id, now.Pitch, -0.1)
	case "a":
		m.update(id, "pitch follows the speaker", wire.Update{Pitch: &wire.PitchShift{Auto: true}})
	case "m":
		on := !now.Mute
		m.update(id, onOff("muted", "speaking again", on), wire.Update{Mute: &on})
	case "o":
		on := !now.Monitor
		m.update(id, onOff("hearing the captured voice", "hearing the converted voice", on), wire.Update{Monitor: &on})
	case "+", "=", "-", "_":
		step := 1.
		if key == "-" || key == "_" {
			step = -1
		}
		mix := now.Mix
		mix.GainDB = max(-2*wire.MaxGainDB, min(mix.GainDB+step, wire.MaxGainDB))
		m.update(id, fmt.Sprintf("gain %+.0f dB", mix.GainDB), wire.Update{Mix: &mix})
	}
}

func onOff(on, off string, is bool) string {
	if is {
		return on
	}
	return off
}

// shift moves the pitch, from 0 where it was automatic. The status will say the same; until then, the next key
// starts from here.
func (m *model) shift(id string, from wire.PitchShift, by float64) {
	to := wire.PitchShift{Semitones: math.Round(10*(from.Semitones+by)) / 10}
	if from.Auto {
		to.Semitones = by
	}
	to.Semitones = max(-wire.MaxPitchShift, min(to.Semitones, wire.MaxPitchShift))
	if s := m.shown(); s.Settings != nil {
		s.Settings.Pitch = to
	}
	m.update(id, fmt.Sprintf("pitch %+.1f semitones", to.Semitones), wire.Update{Pitch: &to})
}

// update asks for a change and tells what came of it.
func (m *model) update(id, text string, u wire.Update) {
	m.do(func(ctx context.Context) tea.Msg {
		if err := m.opt.Controls.Update(ctx, id, &u); err != nil {
			return told{text: err.Error(), wrong: true}
		}
		return told{text: text}
	})
}

// do has it done after what was asked for before; where too much waits, it is not.
func (m *model) do(a action) {
	select {
	case m.actions <- a:
	default:
		m.told = told{text: "the daemon does not keep up with the keys", wrong: true, at: time.Now()}
	}
}
