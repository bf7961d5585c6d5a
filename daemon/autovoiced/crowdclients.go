package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/autovoiced/autovoiced/client"
	"github.com/autovoiced/autovoiced/client/wire"
)

// crowdRequest is what the clients of a crowd are told, on their standard input.
type crowdRequest struct {
	URL      string        `json:"url"`
	Sessions int           `json:"sessions"`
	Rate     int           `json:"rate"`
	Chunk    time.Duration `json:"chunk"`
	Warmup   time.Duration `json:"warmup"`
	Measure  time.Duration `json:"measure"`
}

// crowdMark is told when they begin to count, and when they have counted.
type crowdMark struct {
	CPU time.Duration `json:"cpu"` // of the clients' process so far
}

// crowdHeard is what they heard.
type crowdHeard struct {
	Lateness spreadMS `json:"lateness_ms"` // of all replies
	// WorstP99 and MedianP99 are over the sessions.
	WorstP99    float64 `json:"worst_session_p99_ms"`
	MedianP99   float64 `json:"median_session_p99_ms"`
	InTime      int     `json:"sessions_in_time"`
	Replies     int     `json:"replies"`
	LostReplies int     `json:"lost_replies"`
	// SentLate is how late the clients themselves sent, so that a busy machine is seen for what it is.
	SentLate spreadMS `json:"clients_sent_late_ms"`
	// ClientHiccups are of the clients' process.
	ClientHiccups hiccups `json:"client_hiccups"`
}

type spreadMS struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// crowdClientsCmd is for the benchmark's own use: the clients have a process of their own, so that what they take is not
// taken for the daemon's.
type crowdClientsCmd struct{}

// Run speaks as many clients until the time is over.
func (crowdClientsCmd) Run(e *env) error {
	var r crowdRequest
	input := json.NewDecoder(os.Stdin)
	if err := input.Decode(&r); err != nil {
		return fmt.Errorf("bench-clients is for autovoiced's own use, with a request on standard input: %w", err)
	}
	debug.SetGCPercent(800) // they measure: their own collector, on every processor at once, is not to be in what they hear
	c := &crowdClients{crowdRequest: r, signal: crowdSpeech(r.Rate)}
	go func() { // for as long as the process lives
		_, _ = io.Copy(io.Discard, io.MultiReader(input.Buffered(), os.Stdin))
		c.over.Store(true)
	}()
	return c.run(e)
}

type crowdClients struct {
	crowdRequest
	signal     []float32
	begin, end time.Time   // what is sent between counts
	over       atomic.Bool // all has been counted
	members    []*crowdMember
}

// crowdMember is one client.
type crowdMember struct {
	stream   *client.Stream
	late     []float32 // ms
	sentLate []float32
	lost     int
	err      error
}

func (c *crowdClients) run(e *env) error {
	for range c.Sessions {
		s, err := client.Dial(e.ctx, c.URL, client.Options{Start: wire.Start{
			Format: wire.Format{Encoding: wire.S16LE, Rate: c.Rate, Channels: 1},
		}})
		if err != nil {
			return err
		}
		defer s.Close() //nolint:errcheck // it is over
		c.members = append(c.members, &crowdMember{stream: s})
	}
	start := time.Now().Add(100 * time.Millisecond)
	c.begin = start.Add(c.Warmup)
	c.end = c.begin.Add(c.Measure)
	var all sync.WaitGroup
	for i, m := range c.members {
		phase := c.Chunk * time.Duration(i) / time.Duration(c.Sessions) // spread over a chunk, as people are
		all.Go(func() { m.speak(e.ctx, c, start.Add(phase), i) })
		all.Go(func() { m.listen(e.ctx, c) })
	}
	answers := json.NewEncoder(e.out)
	watch := newPulse()
	defer close(watch.stop)
	var seen hiccups
	for _, at := range []time.Time{c.begin, c.end} {
		select {
		case <-time.After(time.Until(at)):
		case <-e.ctx.Done():
		}
		seen = watch.seen()
		if err := answers.Encode(crowdMark{processTime()}); err != nil {
			return err
		}
		watch.reset()
	}
	all.Wait()
	heard, err := c.heard()
	if err != nil {
		return err
	}
	heard.ClientHiccups = seen
	return answers.Encode(heard)
}

// speak sends a chunk whenever one would have been captured.
func (m *crowdMember) speak(ctx context.Context, c *crowdClients, next time.Time, who int) {
	n := int(c.Chunk * time.Duration(c.Rate) / time.Second)
	at := who * 997 * n % len(c.signal)
	for !c.over.Load() && ctx.Err() == nil {
		time.Sleep(time.Until(next))
		if at+n > len(c.signal) {
			at = 0
		}
		if err := m.stream.Send(ctx, c.signal[at:at+n]); err != nil {
			return // the listener knows why
		}
		if next.After(c.begin) && next.Before(c.end) {
			m.sentLate = append(m.sentLate, milli32(time.Since(next)))
		}
		at += n
		next = next.Add(c.Chunk)
	}
	_ = m.stream.Stop(ctx)
}

// listen takes the time of each reply.
func (m *crowdMember) listen(ctx context.Context, c *crowdClients) {
	m.late = make([]float32, 0, c.Measure/c.Chunk+16)
	algorithmic := time.Duration(m.stream.Ready().AlgorithmicLatencyMS * float64(time.Millisecond))
	for {
		ev, err := m.stream.Recv(ctx)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				m.err = err
			}
			return
		}
		now := time.Now()
		if !now.After(c.begin) || !now.Before(c.end) {
			continue
		}
		m.lost += int(ev.Lost)
		if ev.Audio != nil {
			m.late = append(m.late, milli32(m.stream.RoundTrips().Last()-algorithmic))
		}
	}
}

func milli32(d time.Duration) float32 { return float32(d.Microseconds()) / 1000 }

func (c *crowdClients) heard() (*crowdHeard, error) {
	h := new(crowdHeard)
	var late, sent, worst []float32
	chunk := milli32(c.Chunk)
	for _, m := range c.members {
		if m.err != nil {
			return nil, m.err
		}
		slices.Sort(m.late)
		p99 := quantile(m.late, 0.99)
		worst = append(worst, p99)
		if p99 <= chunk && m.lost == 0 && len(m.late) > 0 {
			h.InTime++
		}
		h.LostReplies += m.lost
		late, sent = append(late, m.late...), append(sent, m.sentLate...)
	}
	h.Replies = len(late)
	h.Lateness, h.SentLate = spread(late), spread(sent)
	slices.Sort(worst)
	h.WorstP99, h.MedianP99 = tidy(quantile(worst, 1)), tidy(quantile(worst, 0.5))
	return h, nil
}

func spread(x []float32) spreadMS {
	slices.Sort(x)
	return spreadMS{tidy(quantile(x, 0.5)), tidy(quantile(x, 0.95)), tidy(quantile(x, 0.99)), tidy(quantile(x, 1))}
}

func tidy(x float32) float64 { return math.Round(float64(x)*1000) / 1000 }

// quantile is of sorted values; 0 of none.
func quantile(sorted []float32, q float64) float32 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// crowdSpeech is 4 s of a voice-like sound with pauses.
func crowdSpeech(rate int) []float32 {
	x := make([]float32, 4*rate)
	phase := 0.
	for i := range x {
		t := float64(i) / float64(rate)
		phase += (140 + 40*math.Sin(2*math.Pi*0.7*t)) / float64(rate)
		if math.Mod(t, 1) > 0.8 {
			continue
		}
		for h := 1.; h <= 12; h++ {
			x[i] += float32(0.2 / h * math.Sin(2*math.Pi*h*phase))
		}
	}
	return x
}
