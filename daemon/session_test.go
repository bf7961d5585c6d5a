package daemon

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/stream"
)

// slow is a stage that takes longer than its chunks last.
type slow struct{ stream.Stage }

func (s slow) Process(c *stream.Chunk) error {
	time.Sleep(c.Duration() * 13 / 10)
	return s.Stage.Process(c)
}

// openStudio is one for a test, which closes it.
func openStudio(t *testing.T, cfg Config) *studio {
	t.Helper()
	s, err := newStudio(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestOverloadIsTold: a voice that is too slow for the machine is told of, once for the whole run of it.
func TestOverloadIsTold(t *testing.T) {
	cfg := testConfig(t)
	st := openStudio(t, cfg)
	s, werr := st.newSession(request{kind: kindConvert, format: mono48k})
	if werr != nil {
		t.Fatal(werr)
	}
	defer func() { _ = s.close() }()
	s.chain.stages[2] = slow{s.chain.stages[2]}

	in := filepath.Join(t.TempDir(), "in.wav")
	writeWAV(t, in, 48000, dsp.S16LE, buzz(48000*5/2, 48000))
	source, err := stream.OpenFile(in)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.Close() }()
	sink, err := stream.CreateWAV(filepath.Join(t.TempDir(), "out.wav"), 48000, dsp.S16LE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sink.Close() }()

	ctx, cancel := context.WithCancel(t.Context())
	var told []*wire.Notice
	attended := make(chan struct{})
	go func() {
		defer close(attended)
		s.attend(ctx, func(n *wire.Notice) { told = append(told, n) })
	}()
	if err := s.run(ctx, source, sink); err != nil {
		t.Error(err)
	}
	cancel()
	<-attended
	if len(told) != 1 || told[0].Code != wire.NoticeOverload || told[0].Count < overloadRun {
		t.Errorf("told %+v, want overload once", told)
	}
}

// TestRateChangesAtOnce: a new rate does not wait for the old one's period, and 0 never comes.
func TestRateChangesAtOnce(t *testing.T) {
	r := newRate(0)
	if r.tick() != nil {
		t.Error("a rate of 0 ticks")
	}
	r.set(1000)
	<-r.changed
	select {
	case <-r.tick():
	case <-time.After(time.Second):
		t.Error("1000 Hz does not tick within a second")
	}
}
