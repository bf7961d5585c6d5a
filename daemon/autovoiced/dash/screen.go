package dash

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"golang.org/x/term"

	"github.com/autovoiced/autovoiced/client/wire"
)

// Controls is what the keys act on. Its methods are called from one goroutine, one after the other, and may take
// their time.
type Controls interface {
	// Voices are those to choose from.
	Voices(ctx context.Context) ([]wire.Voice, error)
	// Update changes how a session sounds.
	Update(ctx context.Context, session string, u *wire.Update) error
	// Record begins to keep what the session says in a file, or ends it, and tells which.
	Record(ctx context.Context, session string) (told string, err error)
}

// Screen shows statuses in a terminal until it is quit. Show, Write and Quit may be called from any goroutine at
// any time.
type Screen struct {
	program *tea.Program
	model   *model

	mu   sync.Mutex
	part string    // of a log line
	log  io.Writer // once nothing is drawn any more
}

// Options say what a screen is for.
type Options struct {
	// Prefer is the kind of session that is shown first.
	Prefer string
	// Controls may be nil: then the keys only look.
	Controls Controls
	// Log takes what is written to the screen after Run; nil: nobody does.
	Log io.Writer
}

// IsTerminal says whether a screen can be drawn there, rather than lines.
func IsTerminal(out *os.File) bool {
	return term.IsTerminal(int(out.Fd())) && os.Getenv("TERM") != "dumb"
}

// NewScreen draws nothing yet; Run does.
func NewScreen(ctx context.Context, out *os.File, opt Options) *Screen {
	m := newModel(opt)
	options := []tea.ProgramOption{tea.WithContext(ctx), tea.WithOutput(out), tea.WithoutSignalHandler()}
	if os.Getenv("NO_COLOR") != "" { // whatever it is set to
		options = append(options, tea.WithColorProfile(colorprofile.ASCII))
	}
	return &Screen{program: tea.NewProgram(m, options...), model: m}
}

// Run draws until a key or Quit ends it, or the context does, and gives the terminal back as it was.
func (s *Screen) Run(ctx context.Context) error {
	work, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.model.act(work, s.program.Send)
	}()
	_, err := s.program.Run()
	stop()
	<-done
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = s.model.opt.Log
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// Show draws a status, soon. It keeps the status, which must not change any more.
func (s *Screen) Show(status *wire.Status) { s.program.Send(status) }

// Quit ends Run.
func (s *Screen) Quit() { s.program.Quit() }

// Last is the newest status shown; nil before the first. It is for after Run.
func (s *Screen) Last() *wire.Status { return s.model.status }

// Write takes the log while the screen is in use: its last lines are shown at the bottom.
func (s *Screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	if s.log != nil {
		defer s.mu.Unlock()
		return s.log.Write(p)
	}
	lines := strings.Split(s.part+string(p), "\n")
	s.part = lines[len(lines)-1]
	s.mu.Unlock()
	if whole := lines[:len(lines)-1]; len(whole) > 0 {
		s.program.Send(logLines(whole))
	}
	return len(p), nil
}
