package dash

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/autovoiced/autovoiced/client/wire"
)

// model is all that the screen knows. Bubble Tea calls Update and View from one goroutine.
type model struct {
	opt           Options
	width, height int
	status        *wire.Status // the newest; nil before the first
	session       string       // id of the one shown in full
	since         bool         // percentiles since the start instead of the last 10 s
	trends        *trends
	log           []string
	told          told
	help          bool
	picker        *picker
	actions       chan action
}

// told is what the last key came to, shown for a while.
type told struct {
	text  string
	wrong bool
	at    time.Time
}

const (
	keepLog  = 100 // lines
	toldTime = 6 * time.Second
)

type logLines []string

func newModel(opt Options) *model {
	return &model{opt: opt, width: 80, height: 24, trends: newTrends(), actions: make(chan action, 16)}
}

// Init implements tea.Model.
func (m *model) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case *wire.Status:
		m.take(msg)
	case logLines:
		for _, line := range msg {
			m.log = append(m.log, clean(line))
		}
		m.log = m.log[max(0, len(m.log)-keepLog):]
	case told:
		msg.at = time.Now()
		m.told = msg
	case []wire.Voice:
		m.picker = newPicker(msg, m.shown())
	case tea.KeyPressMsg:
		return m, m.press(msg.String())
	}
	return m, nil
}

// take shows a newer status. The session shown stays the same while it runs; after it, the preferred kind, else the
// oldest.
func (m *model) take(s *wire.Status) {
	m.status = s
	m.trends.take(s, time.Now())
	if m.shown() != nil || len(s.Sessions) == 0 {
		return
	}
	at := max(0, slices.IndexFunc(s.Sessions, func(one wire.Session) bool { return one.Kind == m.opt.Prefer }))
	m.session = s.Sessions[at].ID
}

// shown is the session shown in full; nil when there is none.
func (m *model) shown() *wire.Session {
	if at := m.shownAt(); at >= 0 {
		return &m.status.Sessions[at]
	}
	return nil
}

func (m *model) shownAt() int {
	if m.status == nil {
		return -1
	}
	return slices.IndexFunc(m.status.Sessions, func(one wire.Session) bool { return one.ID == m.session })
}

// next shows the session that is so many further.
func (m *model) next(step int) {
	if n := len(m.sessions()); n > 0 {
		m.session = m.status.Sessions[((m.shownAt()+step)%n+n)%n].ID
	}
}

func (m *model) sessions() []wire.Session {
	if m.status == nil {
		return nil
	}
	return m.status.Sessions
}
