package dash

import (
	"fmt"
	"slices"

	"github.com/autovoiced/autovoiced/client/wire"
)

// picker is the list of voices to choose from.
type picker struct {
	session string
	voices  []wire.Voice
	at      int
}

func newPicker(voices []wire.Voice, s *wire.Session) *picker {
	if len(voices) == 0 || s == nil {
		return nil
	}
	at := max(0, slices.IndexFunc(voices, func(v wire.Voice) bool { return v.Name == s.Voice }))
	return &picker{s.ID, voices, at}
}

// pick answers a key while the list is open.
func (m *model) pick(key string) {
	p := m.picker
	switch key {
	case "up", "k":
		p.at = max(0, p.at-1)
	case "down", "j":
		p.at = min(len(p.voices)-1, p.at+1)
	case "home", "g":
		p.at = 0
	case "end", "G":
		p.at = len(p.voices) - 1
	case "enter":
		name := p.voices[p.at].Name
		m.picker = nil
		m.update(p.session, "voice "+name, wire.Update{Voice: &name})
	case "esc", "v":
		m.picker = nil
	}
}

// lines shows as many voices around the chosen one as there is room for.
func (p *picker) lines(room int) []string {
	room = max(1, room-2)
	first := max(0, min(p.at-room/2, len(p.voices)-room))
	lines := []string{"", bold.Render("Voices") + faint.Render("  ↑ ↓ enter, esc: back")}
	for i := first; i < min(len(p.voices), first+room); i++ {
		v := &p.voices[i]
		median := ""
		if v.MedianHz > 0 {
			median = fmt.Sprintf("%.0f Hz", v.MedianHz)
		}
		text := pad(clean(v.Name), 18) + pad(v.Kind, 13) + pad(v.Sex, 8) + pad(median, 8) + clean(v.Description)
		if i == p.at {
			lines = append(lines, accent.Bold(true).Render("› "+text))
			continue
		}
		lines = append(lines, "  "+text)
	}
	return lines
}
