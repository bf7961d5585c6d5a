package daemon

import (
	"strings"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client/wire"
)

// TestNoSoundCard: without one the daemon serves clients and says what is missing, whether it keeps looking
// or not. With one it is tested against JACK in the e2e tests.
func TestNoSoundCard(t *testing.T) {
	for _, enabled := range []string{audioAuto, "true"} {
		d := serve(t, transparent, func(c *Config) {
			c.Audio.Enabled, c.Audio.Input = enabled, "a card that nobody has"
		})
		eventually(t, "the card is known to be missing", func() bool { return d.Status().Device.State == deviceUnavailable })
		if fault := d.Status().Device.Error; !strings.Contains(fault, "input") {
			t.Errorf("enabled %s: the fault is %q, want it to name the input", enabled, fault)
		}
		signal := noise(4800, 1)
		if reply, _ := converse(t, dial(t, d.url, wire.Start{Format: mono48k}), signal, fixed(480)); difference(reply, signal) >= 0 {
			t.Errorf("enabled %s: clients are not served", enabled)
		}
		began := time.Now()
		if err := d.stop(); err != nil || time.Since(began) > 3*time.Second {
			t.Errorf("enabled %s: stopping took %v: %v", enabled, time.Since(began), err)
		}
		if got := d.Status().Device.State; enabled == "true" && got != deviceStopped {
			t.Errorf("after the stop the card is %s, want %s", got, deviceStopped)
		}
	}
}
