package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// screen shows a block of lines, each time in place of the last one on a terminal; elsewhere the
// blocks follow one another. It is used from one goroutine, its notes from any.
type screen struct {
	out  io.Writer
	fd   int
	live bool // a terminal

	mu    sync.Mutex
	notes []string // the last lines of the log
	part  string
	last  []string
}

const screenNotes = 4

func newScreen(out *os.File) *screen {
	s := &screen{out: out, fd: int(out.Fd()), live: term.IsTerminal(int(out.Fd()))}
	if s.live {
		// The alternate screen leaves what was there before, and no cursor blinks in the table.
		fmt.Fprint(s.out, "\x1b[?1049h\x1b[?25l")
	}
	return s
}

// height is how many lines there are to fill, without the notes; 0 where there is no end.
func (s *screen) height() int {
	if !s.live {
		return 0
	}
	_, height, err := term.GetSize(s.fd)
	if err != nil {
		return 24
	}
	return height
}

// show replaces the block. On a terminal it is cut to the window, and the notes stand below it.
func (s *screen) show(lines []string) {
	s.last = lines
	if !s.live {
		fmt.Fprint(s.out, strings.Join(lines, "\n"), "\n\n")
		return
	}
	width, height, err := term.GetSize(s.fd)
	if err != nil {
		width, height = 80, 24
	}
	if notes := s.takeNotes(); len(notes) > 0 {
		room := max(0, height-1-len(notes))
		lines = append(append([]string(nil), lines[:min(len(lines), room)]...), notes...)
	}
	var b strings.Builder
	b.WriteString("\x1b[H")
	for i, line := range lines[:min(len(lines), height)] {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(cut(line, width))
		b.WriteString("\x1b[K")
	}
	b.WriteString("\x1b[J")
	fmt.Fprint(s.out, b.String()) // one write, so that nothing flickers
}

// close gives the terminal back and leaves the last block on it.
func (s *screen) close() {
	if !s.live {
		return
	}
	fmt.Fprint(s.out, "\x1b[?25h\x1b[?1049l")
	if len(s.last) > 0 {
		fmt.Fprint(s.out, strings.Join(s.last, "\n"), "\n")
	}
}

// Write takes the log while the screen is in use: its last lines are shown below the table.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := strings.Split(s.part+string(p), "\n")
	s.part = lines[len(lines)-1]
	s.notes = append(s.notes, lines[:len(lines)-1]...)
	s.notes = s.notes[max(0, len(s.notes)-screenNotes):]
	return len(p), nil
}

func (s *screen) takeNotes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.notes) == 0 {
		return nil
	}
	return append([]string{""}, s.notes...)
}
