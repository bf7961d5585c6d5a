package daemon

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/term"
)

// logBuffer is how many lines may wait for a slow reader of the log before lines are dropped.
const logBuffer = 1000

// Log is the daemon's logger. Writing to it never waits: lines that the terminal or pipe behind it
// is too slow for are dropped and counted. Close writes out what is buffered.
type Log struct {
	zerolog.Logger
	queue *lineQueue
}

// NewLog writes to w as the configuration says. Close it after the last line.
func NewLog(c LogConfig, w io.Writer) (*Log, error) {
	level, err := zerolog.ParseLevel(c.Level)
	if err != nil {
		return nil, keyErrorf("log.level", "%q, allowed: debug, info, warn, error", c.Level)
	}
	l := &Log{queue: newLineQueue(w, logBuffer)}
	// The queue is innermost: what is written to it is formatted already.
	var out io.Writer = l.queue
	if c.Format == "console" || c.Format == "auto" && isTerminal(w) {
		out = zerolog.ConsoleWriter{Out: l.queue, TimeFormat: time.TimeOnly, NoColor: !isTerminal(w)}
	}
	l.Logger = zerolog.New(out).Level(level).With().Timestamp().Logger()
	return l, nil
}

// Dropped is how many lines were lost to a slow reader so far.
func (l *Log) Dropped() uint64 { return l.queue.dropped.Load() }

// Close writes out what is buffered.
func (l *Log) Close() error { return l.queue.Close() }

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// foldEvery is how often a repeated fault may be told.
const foldEvery = time.Second

// Folder tells each kind of fault at once and then at most once a second, with how often it
// happened in between. It is for faults that may come with every chunk: a bad second must not
// become a storm of lines. Any goroutine may report; nobody reports from a device callback.
type Folder struct {
	say   func(kind, text string, times uint64)
	now   func() time.Time
	mu    sync.Mutex
	kinds map[string]*fold
	stop  chan struct{}
	done  chan struct{}
}

type fold struct {
	told  time.Time
	times uint64 // since told
	text  string // the latest
}

// NewFolder tells through say, and starts the goroutine that tells what is left over; Close ends it.
func NewFolder(say func(kind, text string, times uint64)) *Folder {
	f := newFolder(say, time.Now)
	go f.run()
	return f
}

func newFolder(say func(kind, text string, times uint64), now func() time.Time) *Folder {
	return &Folder{
		say: say, now: now, kinds: map[string]*fold{},
		stop: make(chan struct{}), done: make(chan struct{}),
	}
}

// Folder gives a Folder that writes to this log as warnings.
func (l *Log) Folder() *Folder {
	return NewFolder(func(kind, text string, times uint64) {
		l.Warn().Str("kind", kind).Uint64("times", times).Msg(text)
	})
}

// Reportf reports one fault of a kind. The kinds are few and fixed: they are kept for ever.
func (f *Folder) Reportf(kind, format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.kinds[kind]
	if k == nil {
		k = &fold{}
		f.kinds[kind] = k
	}
	k.times++
	k.text = fmt.Sprintf(format, args...)
	f.tell(kind, k, f.now(), false)
}

// tell says a fault unless it was told within the last second.
func (f *Folder) tell(kind string, k *fold, now time.Time, last bool) {
	if k.times == 0 || !last && !k.told.IsZero() && now.Sub(k.told) < foldEvery {
		return
	}
	f.say(kind, k.text, k.times)
	k.told, k.times = now, 0
}

// flush tells what was held back for long enough, or all of it at the end.
func (f *Folder) flush(last bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for kind, k := range f.kinds {
		f.tell(kind, k, f.now(), last)
	}
}

func (f *Folder) run() {
	defer close(f.done)
	tick := time.NewTicker(foldEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.flush(false)
		case <-f.stop:
			f.flush(true)
			return
		}
	}
}

// Close tells what was held back and ends the Folder. It is called once, before the log's Close.
func (f *Folder) Close() {
	close(f.stop)
	<-f.done
}
