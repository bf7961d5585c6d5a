package dash

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/autovoiced/autovoiced/client/wire"
)

func busyStatus() *wire.Status {
	times := wire.Times{Count: 123456, Last: 1104.2, Mean: 1100, P50: 1099, P95: 1500, P99: 2210.9, Max: 15250}
	stage := func(name, mode string) wire.Stage {
		return wire.Stage{Name: name, Mode: mode, Compute: times, Wait: wire.Times{P50: 31}, QueueLen: 1}
	}
	total := stage("total", "")
	total.Compute.Max = 1234567
	return &wire.Status{
		Version: "v0.1.0", State: "running", UptimeSeconds: 3723,
		Provider: wire.Provider{Requested: "auto", Active: "cpu", Precision: "fp32", Nodes: map[string]int{"cpu": 143, "cuda": 0}},
		Device: wire.Device{
			State: "running", Input: "system (JACK)", Output: "a loudspeaker with a name so long that it cannot fit beside all the rest",
			Xruns: wire.Xruns{InputOverflow: 1, OutputUnderflow: 2}, DriftPPM: -12.4,
		},
		Totals: wire.Totals{Sessions: 3, SessionsActive: 1, Errors: map[string]uint64{"bad_frame": 2}},
		Sessions: []wire.Session{{
			ID: "s1", Kind: "device", Voice: "alto", Format: wire.Format{Encoding: "f32le", Rate: 48000, Channels: 1}, ChunkMS: 10,
			Pipeline: wire.Pipeline{
				Stages: []wire.Stage{stage("separation", "gate"), stage("f0_extraction", "yin"), stage("conversion", "model"), stage("mixing", "mix+limit")},
				Total:  total, LoadPercent: 12.345, Overloads: 7,
				Waits: &wire.Waits{Capture: times, Sink: times, Delivery: times}, RTF: 0.123, AlgorithmicLatencyMS: 25,
				Ledger: wire.Ledger{In: 1000, Out: 900, Dropped: map[string]uint64{"catch_up": 40}, InFlight: 60},
				Levels: wire.Levels{InRMS: -23.4, InPeak: -12, OutRMS: -120, OutPeak: -120},
			},
		}},
	}
}

// What the issue asks to be seen must be there, and fit a terminal of 80 × 24.
func TestStatusTable(t *testing.T) {
	lines := Lines(busyStatus())
	if len(lines) > 23 {
		t.Errorf("%d lines, a terminal of 24 lines shows 23 and a cursor", len(lines))
	}
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{
		"autovoiced v0.1.0  running  up 1:02:03  sessions 1 (3 since the start)",
		"models on cpu fp32 (asked: auto)  143 nodes on cpu  errors bad_frame 2",
		"sound card running  in system (JACK)  out a loudspeaker with a na…",
		"xruns in 1/0 out 0/2", "drift -12 ppm",
		"conversion    model      123456   1.104   1.099   1.500   2.211  15.250  0.031 1",
		"total                    123456   1.104   1.099   1.500   2.211  1234.6",
		"load 12.3 %  RTF 0.123  algorithmic latency 25.0 ms  overloads 7",
		"capture                  123456   1.104", "sink queue ", "delivery ",
		"frames 1000 in = 900 out + 40 dropped + 60 in flight  catch_up 40",
		"in  ██████████████████·····▌······  -23.4 dBFS  peak  -12.0",
		"out ······························ -120.0 dBFS  peak -120.0",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("table lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "cuda") {
		t.Error("a provider without nodes is shown")
	}
}

// In a pipe all sessions are shown in full.
func TestManySessions(t *testing.T) {
	s := busyStatus()
	s.Sessions = append(s.Sessions, s.Sessions[0], s.Sessions[0])
	s.Fault, s.Building = "the GPU is lost", &wire.Building{Pack: "bundled", Hops: 2, Precision: "fp16"}
	text := strings.Join(Lines(s), "\n")
	if n := strings.Count(text, "f0_extraction"); n != 3 {
		t.Errorf("%d full tables in a pipe, want 3", n)
	}
	if !strings.Contains(text, "fault the GPU is lost\nbuilding bundled, 2 hops, fp16: 0 s\n") {
		t.Errorf("the GPU's troubles are missing:\n%s", text)
	}
}

// Songs show while there are any, and their names do no harm.
func TestSongsInAPipe(t *testing.T) {
	s := busyStatus()
	if text := strings.Join(Lines(s), "\n"); strings.Contains(text, "song") {
		t.Errorf("songs are told of where there are none:\n%s", text)
	}
	s.Jobs = wire.Jobs{Queued: 2, Ended: map[wire.JobState]uint64{wire.JobDone: 5, wire.JobFailed: 1}, Running: []wire.Job{
		{Name: "a \x1b[2Jsong.mp3", Stage: "conversion", Progress: 0.42, Speed: 3.25, ETASeconds: 61},
		{Name: strings.Repeat("long ", 30)},
	}}
	lines := Lines(s)
	text := strings.Join(lines, "\n")
	for _, want := range []string{"songs 2 running, 2 waiting, 5 done, 1 failed\n", "song  42 %  a song.mp3  conversion  3.2×  0:01:01 left\n", "song   0 %  long long long long…"} {
		if !strings.Contains(text, want) {
			t.Errorf("table lacks %q:\n%s", want, text)
		}
	}
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}

func TestLedgerThatDoesNotAddUpShows(t *testing.T) {
	if got := Ledger(wire.Ledger{In: 10, Out: 9}); !strings.Contains(got, "10 in ≠ 9 out") {
		t.Errorf("got %q", got)
	}
}
