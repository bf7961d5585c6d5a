package daemon

import (
	"context"
	"io"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
	"github.com/autovoiced/autovoiced/dsp"
	"github.com/autovoiced/autovoiced/stream"
)

// scriptedSource speaks a signal in chunks and does something before some of them.
type scriptedSource struct {
	rate   int
	signal []float32
	at     int
	before func(frame int)
}

func (s *scriptedSource) Rate() int    { return s.rate }
func (s *scriptedSource) Close() error { return nil }

func (s *scriptedSource) Read(_ context.Context, c *stream.Chunk) error {
	n := min(s.rate/100, len(s.signal)-s.at)
	if n == 0 {
		return io.EOF
	}
	if s.before != nil {
		s.before(s.at)
	}
	c.Samples = append(c.Samples[:0], s.signal[s.at:s.at+n]...)
	c.Rate, c.Frames = s.rate, n
	s.at += n
	return nil
}

// speakWith converts a signal with a fresh session; before is told of each chunk.
func speakWith(t *testing.T, st *studio, voice string, signal []float32, before func(s *session, frame int)) []float32 {
	t.Helper()
	s, werr := st.newSession(request{kind: kindStream, voice: voice, pitch: &wire.PitchShift{}})
	if werr != nil {
		t.Fatal(werr)
	}
	in, out := s.rates()
	source := &scriptedSource{rate: in, signal: signal}
	if before != nil {
		source.before = func(frame int) { before(s, frame) }
	}
	sink := &memorySink{rate: out}
	if err := s.run(t.Context(), source, sink); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	return sink.samples
}

// hiss is the power above two thirds of the spectrum in each 2.5 ms, where a click is and a voice hardly.
func hiss(x []float32, rate int) (power []float64) {
	x = slices.Clone(x)
	for range 4 {
		pass := dsp.NewHighPass(float64(rate), float64(rate)/3, 0.7071)
		pass.Process(x)
	}
	n := rate / 400
	for at := 0; at+n <= len(x); at += n {
		sum := 1e-10 // -100 dBFS: what is below is no click to anybody
		for _, v := range x[at : at+n] {
			sum += float64(v) * float64(v) / float64(n)
		}
		power = append(power, sum)
	}
	return power
}

// click is how much louder the loudest 2.5 ms of hiss in the fade that begins at a frame are than what the others
// have there or 10 ms around, in dB.
func click(x []float32, at, rate int, others ...[]float32) float64 {
	block, fade := rate/400, rate/50
	loudest := func(x []float32, from, to int) float64 {
		const lead = 4800 // for the filters to settle
		h := hiss(x[from-lead:min(len(x), to)], rate)
		return slices.Max(h[lead/block:])
	}
	least := 0.0
	for _, o := range others {
		least = max(least, loudest(o, at-rate/100, at+fade+rate/100))
	}
	return 10 * math.Log10(loudest(x, at-block, at+fade+block)/least)
}

// TestAVoiceIsSwitchedWithoutAClick: with the bundled pack and recorded speech, at many places. Cut hard from one
// voice's output to the other's, the same measure finds clicks.
func TestAVoiceIsSwitchedWithoutAClick(t *testing.T) {
	cfg := testConfig(t)
	transparent(&cfg)
	cfg.Infer.Models = ""
	st := openStudio(t, cfg)
	first, second := "alma", "bruno"
	signal := slices.Concat(readWAV(t, man[0]), readWAV(t, woman[0]))[:16000*9/2]
	const rate = 24000
	a, b := speakWith(t, st, first, signal, nil), speakWith(t, st, second, signal, nil)
	const every = 16000 * 22 / 100
	turns := 0
	got := speakWith(t, st, first, signal, func(s *session, frame int) {
		if frame == 0 || frame%every != 0 {
			return
		}
		turns++
		to := []string{first, second}[turns%2]
		if err := s.update(&wire.Update{Voice: &to}); err != nil {
			t.Error(err)
		}
		s.dismiss()
	})
	if len(got) != len(a) || turns < 15 {
		t.Fatalf("%d frames and %d turns, want %d frames", len(got), turns, len(a))
	}
	var soft, hard []float64
	for turn := 1; turn <= turns; turn++ {
		// What plays at that moment: up to a few chunks later, as far as the pipeline ran ahead or behind.
		from, to := a, b
		if turn%2 == 0 {
			from, to = b, a
		}
		at := turn * every * rate / 16000
		if at < rate/4 || at+rate/5 > len(got) {
			continue
		}
		heard := switched(got[at-rate/10:at+rate/10], from[at-rate/10:at+rate/10]) + at - rate/10
		soft = append(soft, click(got, heard, rate, a, b))
		cut := slices.Concat(from[:heard], to[heard:])
		hard = append(hard, click(cut, heard, rate, a, b))
	}
	t.Logf("%d switches: faded %.1f dB at worst, cut %.1f dB at worst", turns, slices.Max(soft), slices.Max(hard))
	if worst := slices.Max(soft); worst > 6 {
		t.Errorf("a switch hisses %.1f dB more than either voice, want 6 at most: %.1f", worst, soft)
	}
	if worst := slices.Max(hard); worst < 10 {
		t.Errorf("cut hard, the worst switch hisses only %.1f dB more: the measure finds no clicks", worst)
	}
}

// switched is where two signals part: the first frame from which they differ by more than a tenth of their level.
func switched(x, y []float32) int {
	level := max(1e-4, float64(dsp.RMS(y)))
	for i := range x {
		if math.Abs(float64(x[i]-y[i])) > level/10 {
			return i
		}
	}
	return len(x)
}

// TestASwitchIsHeardSoon: from the client's update to the first reply that the other voice has a part in, with a
// client that speaks in real time.
func TestASwitchIsHeardSoon(t *testing.T) {
	d := serve(t, transparent, func(c *Config) { c.Infer.Models, c.Voice.Name = "", "alma" })
	st := d.studio
	signal := slices.Concat(readWAV(t, man[0]), readWAV(t, man[1]))[:16000*3]
	s := dial(t, d.url, wire.Start{Format: mono16k, Pitch: &wire.PitchShift{}})
	voices := map[string][]float32{}
	for _, v := range []string{"alma", "bruno"} {
		voices[v] = replyOf(t, st, v, signal)
	}
	type sending struct {
		frame int
		at    time.Time
	}
	updates := make(chan sending, 100)
	ctx := t.Context()
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for at := 0; at+160 <= len(signal); at += 160 {
			<-tick.C
			if at > 0 && at%(16000/2) == 0 {
				to := []string{"alma", "bruno"}[at/(16000/2)%2]
				updates <- sending{at, time.Now()}
				if err := s.Update(ctx, wire.Update{Voice: &to}); err != nil {
					t.Error(err)
				}
			}
			if err := s.Send(ctx, signal[at:at+160]); err != nil {
				t.Error(err)
			}
		}
		_ = s.Stop(ctx)
		close(updates)
	}()
	var reply []float32
	var came []time.Time // of each reply frame, by its number
	for {
		ev, err := s.Recv(ctx)
		if err != nil {
			break
		}
		for range ev.Audio {
			came = append(came, time.Now())
		}
		reply = append(reply, ev.Audio...)
	}
	var took []time.Duration
	n := 0
	for u := range updates {
		n++
		before := voices[[]string{"alma", "bruno"}[(n+1)%2]]
		at := switched(reply[u.frame:u.frame+3200], before[u.frame:u.frame+3200])
		took = append(took, came[u.frame+at].Sub(u.at))
	}
	slices.Sort(took)
	t.Logf("%d switches heard after %v", len(took), took)
	if len(took) < 5 {
		t.Fatalf("%d switches, want 5", len(took))
	}
	if best := took[0]; best > 50*time.Millisecond { // others are the machine's
		t.Errorf("the soonest switch was heard after %v, want 50 ms at most", best)
	}
}

// replyOf is what a stream of 16 kHz answers in one voice.
func replyOf(t *testing.T, st *studio, voice string, signal []float32) []float32 {
	t.Helper()
	s, werr := st.newSession(request{kind: kindStream, voice: voice, pitch: &wire.PitchShift{}, format: mono16k})
	if werr != nil {
		t.Fatal(werr)
	}
	defer s.close()
	sink := &memorySink{rate: 16000}
	if err := s.run(t.Context(), &scriptedSource{rate: 16000, signal: signal}, sink); err != nil {
		t.Fatal(err)
	}
	return sink.samples
}
