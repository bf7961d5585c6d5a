package daemon

import (
	"strings"
	"testing"

	"github.com/autovoiced/autovoiced/client"
	"github.com/autovoiced/autovoiced/client/wire"
)

// Whoever would take more than may be taken is refused, and let in when there is room again.
func TestOverloaded(t *testing.T) {
	d := serve(t, func(c *Config) { c.Voice.Name, c.HTTP.MaxLoad = tinyVoice, 1e-4 })
	first := dial(t, d.url, wire.Start{Format: mono16k})
	_, err := client.Dial(t.Context(), d.url, client.Options{Start: wire.Start{Format: mono16k}})
	e, ok := err.(*wire.Error)
	if !ok || e.Code != wire.CodeOverloaded || !e.Retryable {
		t.Fatalf("the second gets %v, want a retryable %s", err, wire.CodeOverloaded)
	}
	if !strings.Contains(e.Message, "http.max_load") {
		t.Errorf("the message %q does not say what allows it", e.Message)
	}
	if n := d.Status().Totals.Errors[string(wire.CodeOverloaded)]; n != 1 {
		t.Errorf("counted %d times", n)
	}
	converse(t, first, noise(100, 1), fixed(100))
	eventually(t, "there is room", func() bool {
		s, err := client.Dial(t.Context(), d.url, client.Options{Start: wire.Start{Format: mono16k}})
		if err != nil {
			return false
		}
		_ = s.Close()
		return true
	})
}

// What conversations of one pack take together is in the status, and as numbers.
func TestBatchingIsTold(t *testing.T) {
	d := serve(t, func(c *Config) { c.Voice.Name = tinyVoice })
	s := dial(t, d.url, wire.Start{Format: mono16k})
	dial(t, d.url, wire.Start{Format: mono16k})
	converse(t, s, noise(16000, 1), fixed(160))
	all := d.Status().Batching
	if len(all) != 1 {
		t.Fatalf("%+v, expected one pack", all)
	}
	b := all[0]
	if b.Sessions < 1 || b.Hops < 100 || b.Parallel < 1 || b.Separate == "" || len(b.Sizes) != 1 || b.Sizes[0].Hops != b.Hops || b.Sizes[0].CostUS <= 0 {
		t.Errorf("%+v", b)
	}
}
