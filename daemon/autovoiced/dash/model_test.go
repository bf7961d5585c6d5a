package dash

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/autovoiced/autovoiced/client/wire"
)

// console is a model with a hand on its keys.
type console struct {
	*model
	t *testing.T
}

func newConsole(t *testing.T, c Controls, width, height int, s *wire.Status) console {
	m := newModel(Options{Prefer: "device", Controls: c})
	m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	if s != nil {
		m.Update(s)
	}
	return console{m, t}
}

var keyCodes = map[string]tea.Key{
	"up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "left": {Code: tea.KeyLeft}, "right": {Code: tea.KeyRight},
	"enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEsc}, "tab": {Code: tea.KeyTab}, "ctrl+c": {Code: 'c', Mod: tea.ModCtrl},
}

// press presses keys and does what they asked for.
func (c console) press(keys ...string) (last tea.Cmd) {
	c.t.Helper()
	for _, name := range keys {
		key, ok := keyCodes[name]
		if !ok {
			key = tea.Key{Code: []rune(name)[0], Text: name}
		}
		_, last = c.Update(tea.KeyPressMsg(key))
		for done := false; !done; {
			select {
			case do := <-c.actions:
				c.Update(do(c.t.Context()))
			default:
				done = true
			}
		}
	}
	return last
}

func (c console) text() string { return ansi.Strip(strings.Join(c.draw(), "\n")) }

func (c console) wants(words ...string) {
	c.t.Helper()
	for _, w := range words {
		if !strings.Contains(c.text(), w) {
			c.t.Errorf("the screen lacks %q:\n%s", w, c.text())
		}
	}
}

func controlled() *wire.Status {
	s := busyStatus()
	s.Sessions[0].Settings = &wire.Settings{Mix: wire.Mix{DryWet: 1}}
	return s
}

// Whatever is shown fits, at every size from tiny to wide, and no line is left over from before.
func TestScreenFits(t *testing.T) {
	wide := controlled()
	wide.Device.Output = "スピーカー" + strings.Repeat(" 音", 60)
	wide.Sessions[0].Voice = "e\u0301\x1b[31m" + strings.Repeat("声", 50)
	wide.Sessions = append(wide.Sessions, wide.Sessions[0], wide.Sessions[0])
	wide.Jobs = wire.Jobs{Queued: 3, Running: []wire.Job{{Name: "\x1b[31m" + strings.Repeat("歌", 50), Stage: "separation", Progress: 2}, {}}}
	for _, s := range []*wire.Status{nil, controlled(), wide, {State: "starting"}} {
		for _, width := range []int{20, 41, 59, 60, 61, 68, 77, 80, 90, 120, 163, 200} {
			for _, height := range []int{1, 24, 50} {
				c := newConsole(t, &hands{}, width, height, s)
				c.Update(logLines{strings.Repeat("a log line ", 30), "\x1b[2Jevil\r\n"})
				for _, keys := range [][]string{{}, {"?"}, {"?", "v"}} {
					c.press(keys...)
					lines := c.draw()
					if len(lines) != height {
						t.Fatalf("%d×%d: %d lines", width, height, len(lines))
					}
					for _, line := range lines {
						if n := ansi.StringWidth(line); n > width {
							t.Fatalf("%d×%d: %d columns: %q", width, height, n, line)
						}
						if strings.ContainsAny(ansi.Strip(line), "\x1b\r\n\t") {
							t.Fatalf("what moves the cursor is drawn: %q", line)
						}
					}
				}
			}
		}
	}
}

// What one wants to know is on a screen of 80 × 24, with figures below their titles.
func TestScreenShows(t *testing.T) {
	c := newConsole(t, &hands{}, 80, 24, controlled())
	c.wants("autovoiced v0.1.0  ● running  up 1:02:03", "1 of 3 sessions", "models cpu fp32 (asked: auto)  143 nodes on cpu", "errors bad_frame 2",
		"system (JACK) → a loudspeaker", "── s1  voice alto  48 kHz mono  10 ms chunks",
		"capture ", "separation ", "f0_extraction ", "conversion ", "mixing ", "delivery ", "total ",
		"12.3 %  RTF 0.123  overloads 7", "algorithmic latency 25.0 ms", "-23.4 dBFS  peak  -12.0",
		"1000 in = 900 out + 40 dropped + 60 in flight  catch_up 40", "in 1/0 out 0/2", "drift -12 ppm",
		"pitch +0.0  mute off  monitor off", "v voice", "q quit")
	lines := strings.Split(c.text(), "\n")
	at := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "p50") && strings.Contains(l, "p95") })
	for i, title := range []string{"p50", "p95", "p99", "max"} {
		end := strings.Index(lines[at], title) + len(title)
		want := []string{"1.099", "1.500", "2.211", "15.250"}[i]
		if row := lines[at+4]; !strings.HasSuffix(row[:end], " "+want) {
			t.Errorf("under %s: %q, want %s at its end", title, row[:end], want)
		}
	}
}

// What a GPU does or fails at is shown, and the rest still fits.
func TestScreenTellsOfTheGPU(t *testing.T) {
	s := controlled()
	s.State, s.Fault = "failed", "the GPU is lost"
	s.Building = &wire.Building{Pack: "bundled", Hops: 4, Precision: "fp16", ElapsedSeconds: 15, EstimateSeconds: 60}
	c := newConsole(t, &hands{}, 80, 24, s)
	c.wants("○ failed", "the GPU is lost", "engine █████···············", "building bundled, 4 hops, fp16: 15 s of about 60 s", "q quit")
	s.Building.Waiting = true
	s.Batching = []wire.Batching{{Pack: "alone", Sessions: 1}, {Pack: "bundled", Sessions: 12, LoadPercent: 40, Waiting: 3, Late: 7}}
	c.wants("bundled: 12 conversations, load 40 %, 3 hops wait, 7 late")
	if strings.Contains(c.text(), "alone") {
		t.Error("a conversation that shares with nobody is told of")
	}
	c.wants("another process builds bundled")
}

// A song that is converted shows above whoever speaks, and how many wait behind it.
func TestScreenTellsOfSongs(t *testing.T) {
	s := controlled()
	s.Jobs = wire.Jobs{Queued: 1, Running: []wire.Job{{Name: "a.mp3", Stage: "mixing", Progress: 0.5, Speed: 8}}}
	c := newConsole(t, &hands{}, 80, 24, s)
	c.wants("song   ████████········  50 %  a.mp3  mixing  8.0×  +1 waiting", "total ", "q quit")
	s.Jobs = wire.Jobs{}
	if strings.Contains(c.text(), "song ") {
		t.Errorf("a song that has ended is shown:\n%s", c.text())
	}
}

// hands notes what keys ask for.
type hands struct {
	asked  []string
	refuse error
}

func (h *hands) Voices(context.Context) ([]wire.Voice, error) {
	return []wire.Voice{{Name: "alto"}, {Name: "bass", MedianHz: 90}}, nil
}

func (h *hands) Update(_ context.Context, session string, u *wire.Update) error {
	text := session
	switch {
	case u.Voice != nil:
		text += " voice " + *u.Voice
	case u.Pitch != nil && u.Pitch.Auto:
		text += " pitch auto"
	case u.Pitch != nil:
		text += fmt.Sprintf(" pitch %g", u.Pitch.Semitones)
	case u.Mute != nil:
		text += fmt.Sprintf(" mute %v", *u.Mute)
	case u.Monitor != nil:
		text += fmt.Sprintf(" monitor %v", *u.Monitor)
	case u.Mix != nil:
		text += fmt.Sprintf(" mix %+v", *u.Mix)
	}
	h.asked = append(h.asked, text)
	return h.refuse
}

func (h *hands) Record(_ context.Context, session string) (string, error) {
	h.asked = append(h.asked, session+" record")
	return "recording to x.wav", nil
}

func TestKeys(t *testing.T) {
	h := &hands{}
	c := newConsole(t, h, 80, 24, controlled())
	c.press("up", "up", "left", "a", "m", "o", "+", "v", "down", "enter", "r")
	want := []string{"s1 pitch 1", "s1 pitch 2", "s1 pitch 1.9", "s1 pitch auto", "s1 mute true", "s1 monitor true", "s1 mix {GainDB:1 DryWet:1}", "s1 voice bass", "s1 record"}
	if !slices.Equal(h.asked, want) {
		t.Errorf("asked for %q, want %q", h.asked, want)
	}
	c.wants("recording to x.wav")
	h.refuse = errors.New("voice \"bass\" cannot be left")
	c.press("m")
	c.wants("cannot be left")
	c.told.at = time.Now().Add(-time.Minute)
	c.wants("q quit")
	c.press("v")
	c.wants("Voices", "› alto", "bass", "90 Hz")
	c.press("esc", "?")
	c.wants("choose another voice", "Ctrl-C too")
	for _, key := range []string{"q", "ctrl+c"} {
		if quit := c.press(key); quit == nil {
			t.Errorf("%s does not quit", key)
		} else if _, ok := quit().(tea.QuitMsg); !ok {
			t.Errorf("%s gives %T", key, quit())
		}
	}
}

// Without controls the keys only look, and none is offered that would do nothing.
func TestKeysWithoutControls(t *testing.T) {
	c := newConsole(t, nil, 80, 24, controlled())
	c.press("up", "m", "v", "r")
	if strings.Contains(c.text(), "mute ") && strings.Contains(c.text(), "m mute") {
		t.Errorf("a key is offered that does nothing:\n%s", c.text())
	}
}

// The sound card's session comes first; another is chosen with tab and kept; when it ends, the first is shown again.
func TestSessionShown(t *testing.T) {
	s := controlled()
	other := s.Sessions[0]
	other.ID, other.Kind = "stream-7", "stream"
	s.Sessions = append([]wire.Session{other}, s.Sessions...)
	c := newConsole(t, nil, 80, 30, s)
	c.wants("── s1 ", "2/2", "stream-7  voice alto  load")
	c.press("tab")
	c.wants("── stream-7 ")
	c.Update(s)
	c.wants("── stream-7 ")
	c.Update(controlled())
	c.wants("── s1 ")
	gone := controlled()
	gone.Sessions = nil
	c.Update(gone)
	c.wants("Nobody speaks")
	if len(c.trends.rows) != 0 {
		t.Error("trends of sessions that have ended are kept")
	}
}

func TestTrends(t *testing.T) {
	trends := newTrends()
	at := time.Unix(1000, 0)
	for _, step := range []struct {
		after time.Duration
		last  float64
	}{{0, 5}, {100 * time.Millisecond, 9}, {time.Second, 3}, {4 * time.Second, 7}} {
		s := busyStatus()
		s.Sessions[0].Stages[0].Compute.Last = step.last
		trends.take(s, at.Add(step.after))
	}
	if got := trends.of("s1", "separation", 10); !slices.Equal(got, []float64{9, 3, 0, 0, 7}) {
		t.Errorf("trend %v", got)
	}
	if got := trends.of("s1", "separation", 2); !slices.Equal(got, []float64{0, 7}) {
		t.Errorf("the last two seconds %v", got)
	}
	s := busyStatus()
	trends.take(s, at.Add(time.Hour))
	if n := len(trends.of("s1", "separation", 1000)); n > keepTrend {
		t.Errorf("%d seconds kept after an hour without a look", n)
	}
}

func TestBars(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{ansi.Strip(bar(0.5, 4, good)), "██··"},
		{ansi.Strip(bar(0.53125, 4, good)), "██▏·"},
		{ansi.Strip(bar(2, 3, good)), "███"},
		{ansi.Strip(spark([]float64{0, 7, 3.5}, 5)), "  ▁█▄"},
		{ansi.Strip(levelBar(-30, -6, 10)), "█████···▌·"},
		{ansi.Strip(levelBar(-120, -120, 4)), "····"},
		{ansi.Strip(queueBar(1, 2)), "▮▯    "},
		{ansi.Strip(queueBar(1, 64)), "▮▯▯▯  "},
		{ansi.Strip(queueBar(-1, 2)), "      "},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
