package daemon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestLogFormats(t *testing.T) {
	var buf bytes.Buffer
	log, err := NewLog(LogConfig{Level: "info", Format: "json"}, &buf)
	if err != nil {
		t.Fatal(err)
	}
	log.Debug().Msg("unheard")
	log.Info().Str("voice", "alto").Msg("ready")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	var line map[string]string
	if err := json.Unmarshal(buf.Bytes(), &line); err != nil || line["voice"] != "alto" || line["level"] != "info" || line["time"] == "" {
		t.Errorf("%q: %v", buf.String(), err)
	}

	buf.Reset()
	log, err = NewLog(LogConfig{Level: "info", Format: "console"}, &buf)
	if err != nil {
		t.Fatal(err)
	}
	log.Warn().Str("voice", "alto").Msg("ready")
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if got := buf.String(); !strings.Contains(got, "WRN ready voice=alto") {
		t.Errorf("console line is %q", got)
	}
	if _, err := NewLog(LogConfig{Level: "loud"}, &buf); err == nil {
		t.Error("a level that does not exist was taken")
	}
}

// The last line before the end is often the one that says why it ends.
func TestLogKeepsTheLastLine(t *testing.T) {
	for i := range 2000 {
		var buf bytes.Buffer
		log, err := NewLog(LogConfig{Level: "info", Format: "json"}, &buf)
		if err != nil {
			t.Fatal(err)
		}
		log.Error().Msg("last words")
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(buf.String(), "last words") {
			t.Fatalf("log %d lost its line: %q", i, buf.String())
		}
	}
}

// Standard error is not the log's to close: the last words of the program come after it.
func TestLogLeavesItsWriterOpen(t *testing.T) {
	r, w := io.Pipe()
	go func() { _, _ = io.Copy(io.Discard, r) }()
	log, err := NewLog(LogConfig{Level: "info", Format: "json"}, w)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("last words")); err != nil {
		t.Errorf("after the log's close: %v", err)
	}
	_ = w.Close()
}

// A reader that never reads must cost lines, not time.
func TestLogNeverWaits(t *testing.T) {
	r, w := io.Pipe()
	log, err := NewLog(LogConfig{Level: "info", Format: "json"}, w)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	const lines = 5 * logBuffer
	for i := range lines {
		log.Info().Int("i", i).Msg("storm")
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("%d lines into a blocked pipe took %v", lines, took)
	}
	read := make(chan int)
	go func() {
		data, _ := io.ReadAll(r)
		read <- bytes.Count(data, []byte("\n"))
	}()
	_ = log.Close()
	_ = w.Close()
	got := <-read
	if log.Dropped() == 0 || got == 0 || got+int(log.Dropped()) != lines {
		t.Errorf("read %d + dropped %d, want %d in all and some of both", got, log.Dropped(), lines)
	}
}

func TestFolderTellsOnceASecond(t *testing.T) {
	var told []string
	now := time.Unix(100, 0)
	f := newFolder(func(kind, text string, times uint64) {
		told = append(told, fmt.Sprintf("%s: %s (%d)", kind, text, times))
	}, func() time.Time { return now })

	for i := range 150 { // 1.5 s of faults, one each 10 ms
		f.Reportf("overload", "chunk %d was late", i)
		now = now.Add(10 * time.Millisecond)
	}
	f.Reportf("xrun", "capture overflow")
	want := []string{"overload: chunk 0 was late (1)", "overload: chunk 100 was late (100)", "xrun: capture overflow (1)"}
	if !reflect.DeepEqual(told, want) {
		t.Fatalf("told %q, want %q", told, want)
	}
	f.flush(false)
	if len(told) != 3 {
		t.Errorf("told within the second: %q", told[3:])
	}
	now = now.Add(time.Second)
	f.flush(false)
	f.flush(false)
	if len(told) != 4 || told[3] != "overload: chunk 149 was late (49)" {
		t.Errorf("what was held back: %q", told[3:])
	}
}

func TestFolderCloseTellsTheRest(t *testing.T) {
	var told []uint64
	f := NewFolder(func(_, _ string, times uint64) { told = append(told, times) })
	for range 5 {
		f.Reportf("k", "fault")
	}
	f.Close()
	if !reflect.DeepEqual(told, []uint64{1, 4}) {
		t.Errorf("told %v, want one at once and four at the end", told)
	}
}
