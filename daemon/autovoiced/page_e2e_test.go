//go:build e2e

package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/autovoiced/autovoiced/client"
	"github.com/autovoiced/autovoiced/client/web/webtest"
	"github.com/autovoiced/autovoiced/client/wire"
)

// microphone is a recording of a real speaker as a WAV file, which is what Chromium takes for one. It plays again and again.
func microphone(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "speech.wav")
	autovoiced(t, "convert", "../../testdata/audio/sample.flac", "-o", out, "--voice", passthrough).wantSuccess(t)
	return out
}

// eventually waits for something of the daemon.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	began := time.Now()
	defer func() { t.Logf("%s after %v", what, time.Since(began).Round(time.Millisecond)) }()
	for deadline := time.Now().Add(webtest.Patience); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", webtest.Patience, what)
		}
	}
}

func wantNoFaults(t *testing.T, b *webtest.Browser) {
	t.Helper()
	if faults := b.Faults(); len(faults) > 0 {
		t.Errorf("the page complains:\n%s", strings.Join(faults, "\n"))
	}
}

const (
	isLive  = `document.getElementById("live-state").dataset.state === "live"`
	isOff   = `document.getElementById("live-state").dataset.state === "off"`
	voices  = `document.querySelectorAll("#voice-list input").length > 3`
	notices = `document.getElementById("notices").textContent`
)

// tripsPast waits until that many replies more were heard.
func tripsPast(b *webtest.Browser, n int) {
	const count = `Number(document.getElementById("trip-p50").dataset.count || 0)`
	from := webtest.Eval[int](b, count)
	b.Until("replies to be heard", fmt.Sprintf("%s > %d", count, from+n))
}

// From microphone to headphones: another voice comes out, at the right time; the page says how late, and where the time went.
func TestE2EPageLive(t *testing.T) {
	s := startService(t)
	b := webtest.Open(t, microphone(t))
	b.Screen(1280, 800, false, true)
	figures := opened(t, b, s.url)
	b.Save("idle.png")
	start(b)
	tripsPast(b, 100)
	record(t, b, 3)
	b.Save("live.png")

	keepFigures(t, append(figures, tripped(t, b)...))
	stages := webtest.Eval[[]string](b, `[...document.querySelectorAll("#stages-table tbody tr")].map((row) => row.dataset.stage)`)
	if got := strings.Join(stages, " "); got != "separation f0_extraction conversion mixing total" {
		t.Errorf("the table shows %q", got)
	}
	b.Until("the ledger", `document.getElementById("ledger-sum").textContent === "adds up"`)
	wantNoFaults(t, b)
}

func start(b *webtest.Browser) {
	b.Click("#start")
	b.Until("the voice to speak", isLive)
}

// speak starts the voice on a page that is on its way, with the longer delay of the sound card: a busy machine would change to it by
// itself, in the middle of what is tested.
func speak(b *webtest.Browser) {
	b.Until("the list of voices", voices)
	webtest.Eval[any](b, `document.getElementById("steady").click()`) // which scrolls nothing, as a click of the mouse would
	start(b)
}

// Who hears crackling asks for longer buffers: the sound card is opened anew, and the wish is kept.
func TestE2EPageLongerDelay(t *testing.T) {
	const headphones = `Number(document.querySelector("#trip-legend [data-part=headphones] b").textContent)`
	s := startService(t)
	b := webtest.Open(t, microphone(t))
	b.Go(s.url)
	b.Until("the list of voices", voices)
	start(b)
	tripsPast(b, 50)
	short := webtest.Eval[float64](b, headphones)
	b.Click("#steady")
	b.Until("longer buffers", fmt.Sprintf(`%s && %s > %v`, isLive, headphones, short+5))
	tripsPast(b, 50)
	b.Go(s.url)
	b.Until("the wish to be kept", `document.getElementById("steady").checked`)
	wantNoFaults(t, b)
}

// Who stops while the browser still opens the microphone, and starts again, has one conversation and nothing to be told of.
func TestE2EPageStartedAgain(t *testing.T) {
	s := startService(t)
	b := webtest.Open(t, microphone(t))
	b.Go(s.url)
	b.Until("the list of voices", voices)
	webtest.Eval[any](b, `{ const it = document.getElementById("start"); it.click(); it.click(); it.click(); }`)
	b.Until("the voice to speak", isLive)
	tripsPast(b, 50)
	eventually(t, "one conversation", func() bool {
		return webtest.Eval[int](b, `fetch("/v1/status").then((r) => r.json()).then((s) => s.sessions.length)`) == 1
	})
	if said := webtest.Eval[string](b, notices); strings.TrimSpace(said) != "" {
		t.Errorf("the page says %q", said)
	}
	wantNoFaults(t, b)
}

// The controls reach the daemon while the voice speaks.
func TestE2EPageControls(t *testing.T) {
	s := startService(t)
	b := webtest.Open(t, microphone(t))
	b.Go(s.url)
	speak(b)
	session := func() wire.Session {
		if all := s.status(t).Sessions; len(all) == 1 {
			return all[0]
		}
		return wire.Session{}
	}
	b.Click(`#voice-list label:has([value="otto"])`)
	eventually(t, "the other voice", func() bool { return session().Voice == "otto" })
	tripsPast(b, 50)
	b.Click("#mute")
	eventually(t, "silence", func() bool { return session().Levels.InPeak < -100 })
	b.Click("#mute")
	eventually(t, "sound", func() bool { return session().Levels.InPeak > -40 })
	b.Key("m")
	b.Until("mute by its key", `document.getElementById("mute").getAttribute("aria-pressed") === "true"`)
	b.Key("m")
	b.Click("#monitor")
	eventually(t, "monitoring", func() bool { return session().Settings.Monitor })
	b.Click("#monitor")
	eventually(t, "the voice again", func() bool { return !session().Settings.Monitor })
	b.Click("#gate")
	eventually(t, "the gate to open", func() bool { return !session().Settings.Gate.On })

	b.Click("#talk-mode")
	eventually(t, "silence until the key is held", func() bool { return session().Levels.InPeak < -100 })
	b.Hold(" ", func() {
		eventually(t, "sound while the key is held", func() bool { return session().Levels.InPeak > -40 })
	})
	eventually(t, "silence again", func() bool { return session().Levels.InPeak < -100 })
	b.Click("#talk-mode")

	b.Click(`#voice-list label:has([value="` + passthrough + `"])`) // of another pack: another stream
	eventually(t, "the voice of another pack", func() bool { return session().Voice == passthrough })
	tripsPast(b, 50)
	b.Click("#start")
	b.Until("the end", isOff)
	eventually(t, "the session to end", func() bool { return s.status(t).Totals.SessionsActive == 0 })
	if n := s.status(t).Totals.Notices["ignored_fields"]; n > 0 {
		t.Errorf("%d messages of the page held fields that the protocol does not have", n)
	}
	wantNoFaults(t, b)
}

// The page is the remote control of the daemon's own sound card.
func TestE2EPageSoundCard(t *testing.T) {
	s, _ := startLive(t, startJACK(t))
	b := webtest.Open(t, "")
	b.Go(s.url)
	b.Until("the sound card", `!document.getElementById("card").hidden && !document.getElementById("card-mute").disabled`)
	b.Click("#card-mute")
	eventually(t, "mute", func() bool { return s.device(t).Settings.Mute })
	b.Until("mute to be shown", `document.getElementById("card-mute").getAttribute("aria-pressed") === "true"`)
	b.Click("#card-mute")
	eventually(t, "sound", func() bool { return !s.device(t).Settings.Mute })
	b.Pick("#card-voice", "otto")
	eventually(t, "the other voice", func() bool { return s.device(t).Voice == "otto" })
	wantNoFaults(t, b)
}

// A daemon that goes and comes back: the page says so, and goes on by itself.
func TestE2EPageOutlivesTheDaemon(t *testing.T) {
	s := startService(t)
	b := webtest.Open(t, microphone(t))
	b.Go(s.url)
	speak(b)
	tripsPast(b, 50)
	s.signal(t, syscall.SIGKILL)
	<-s.exited
	b.Until("the bad news", notices+`.includes("does not answer")`)
	b.Until("its attempts", `document.getElementById("live-state").dataset.state === "lost"`)
	b.Forgive() // connections that were refused
	startServiceAt(t, strings.TrimPrefix(s.url, "http://"))
	b.Until("the voice to speak again", isLive)
	tripsPast(b, 50)
	b.Until("the good news", `!`+notices+`.includes("does not answer")`)
}

// A connection that is cut for a moment costs a moment of sound: the conversation, its settings and its ledger go on.
func TestE2EPageComesBack(t *testing.T) {
	s := startService(t)
	line := startLine(t, strings.TrimPrefix(s.url, "http://"))
	b := webtest.Open(t, microphone(t))
	b.Go("http://" + line.address)
	speak(b)
	tripsPast(b, 50)
	before := s.status(t).Sessions[0]
	line.cut()
	eventually(t, "the voice to speak again", func() bool {
		all := s.status(t).Sessions
		return len(all) == 1 && !all[0].Away && all[0].Ledger.Out > before.Ledger.Out+uint64(before.Format.Rate)
	})
	tripsPast(b, 50)
	after := s.status(t)
	if len(after.Sessions) != 1 || after.Sessions[0].ID != before.ID || after.Totals.Sessions != 1 {
		t.Errorf("%d sessions since the start, now %+v; want %s alone, gone on with", after.Totals.Sessions, after.Sessions, before.ID)
	}
}

// line is a network between browser and daemon that can be cut.
type line struct {
	address string
	mu      sync.Mutex
	open    []net.Conn
}

func startLine(t *testing.T, daemon string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{address: listener.Addr().String()}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", daemon)
			if err != nil {
				_ = near.Close()
				continue
			}
			l.mu.Lock()
			l.open = append(l.open, near, far)
			l.mu.Unlock()
			for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
				go func() {
					_, _ = io.Copy(pair[0], pair[1])
					_ = pair[0].Close()
				}()
			}
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		l.cut()
	})
	return l
}

// cut ends all connections without a word.
func (l *line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.open {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
	l.open = nil
}

// A daemon with a token: asked for once, kept for the tab, never in the address bar.
func TestE2EPageToken(t *testing.T) {
	const token = "correct horse battery staple"
	s := startService(t, "AUTOVOICED_HTTP_TOKEN="+token)
	b := webtest.Open(t, microphone(t))
	b.Go(s.url)
	b.Until("the question", `document.getElementById("token").open`)
	b.Type("#token-value", "a wrong one\r")
	b.Until("the question again", `document.getElementById("token").open && document.getElementById("token-value").value === ""`)
	b.Type("#token-value", token+"\r")
	speak(b)
	tripsPast(b, 50)
	b.Forgive() // 401s are told on the console
	b.Go(s.url + "/#token=" + strings.ReplaceAll(token, " ", "%20"))
	b.Until("the token to be taken", `location.hash === ""`)
	b.Until("the list of voices", voices)
	if address := webtest.Eval[string](b, `location.href`); strings.Contains(address, "token") {
		t.Errorf("the token stays in the address: %s", address)
	}
	wantNoFaults(t, b)
}

// Without a microphone the page says what to do, and can be used.
func TestE2EPageWithoutMicrophone(t *testing.T) {
	s := startService(t)
	b := webtest.Open(t, "")
	b.Go(s.url)
	b.Until("the list of voices", voices)
	b.Click("#start")
	b.Until("words", notices+`.toLowerCase().includes("microphone")`)
	b.Until("the start to be given up", isOff)
	if all := s.status(t).Totals; all.Sessions != 0 {
		t.Errorf("%d sessions were begun without a microphone", all.Sessions)
	}
	wantNoFaults(t, b)
}

// A full daemon is told at once, and not tried again behind the user's back.
func TestE2EPageFull(t *testing.T) {
	s := startService(t, "AUTOVOICED_HTTP_MAX_SESSIONS=1")
	ctx, cancel := context.WithTimeout(t.Context(), 2*webtest.Patience)
	defer cancel()
	format := wire.Format{Encoding: wire.F32LE, Rate: 16000, Channels: 1}
	other, err := client.Dial(ctx, s.url, client.Options{Start: wire.Start{Voice: passthrough, Format: format}})
	if err != nil {
		t.Fatal(err)
	}
	b := webtest.Open(t, microphone(t))
	b.Go(s.url)
	b.Until("the list of voices", voices)
	b.Click("#start")
	b.Until("words", notices+`.includes("full")`)
	b.Until("the start to be given up", isOff)
	_ = other.Close()
	eventually(t, "room", func() bool { return s.status(t).Totals.SessionsActive == 0 })
	start(b)
	wantNoFaults(t, b)
}

// On a desk and on a phone, dark and light: everything can be read, named by a screen reader, and reached.
func TestE2EPageLooks(t *testing.T) {
	s := startService(t)
	b := webtest.Open(t, microphone(t))
	audit := string(read(t, "../../client/web/testdata/audit.js"))
	b.Go(s.url)
	speak(b)
	tripsPast(b, 400)
	for _, look := range []struct {
		name          string
		width, height int64
		phone, dark   bool
	}{
		{"desktop-dark", 1280, 800, false, true},
		{"desktop-light", 1280, 800, false, false},
		{"phone-dark", 390, 844, true, true},
		{"phone-light", 390, 844, true, false},
	} {
		b.Screen(look.width, look.height, look.phone, look.dark)
		for _, view := range []string{"live", "songs", "voices"} {
			webtest.Eval[string](b, "location.hash = '#"+view+"'")
			b.Until("the view", fmt.Sprintf(`!document.getElementById("view-%s").hidden`, view))
			if view == "live" && os.Getenv("AUTOVOICED_SCREENSHOTS") != "" {
				tripsPast(b, 900) // the spectrograms begin anew with another size
			}
			for _, fault := range webtest.Eval[[]string](b, audit) {
				t.Errorf("%s, %s: %s", look.name, view, fault)
			}
			for _, control := range b.Nameless() {
				t.Errorf("%s, %s: a screen reader has no name for %s", look.name, view, control)
			}
			for _, fault := range axe(t, b) {
				t.Errorf("%s, %s: %s", look.name, view, fault)
			}
			b.Save(view + "-" + look.name + ".png")
		}
	}
	wantNoFaults(t, b)
}

// axe runs axe-core, which .ci/deps fetches, over what is seen.
func axe(t *testing.T, b *webtest.Browser) []string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(cache, "autovoice/tools/axe-4.12.1/axe.min.js")
	if _, err := os.Stat(script); err != nil && os.Getenv("CI") == "" {
		return nil
	}
	return webtest.Eval[[]string](b, string(read(t, script))+`;axe.run().then(({violations, passes}) => passes.length < 10 ? ["axe has nothing to look at"] : violations.map(
		({id, help, nodes}) => id + ": " + help + ": " + nodes.map((node) => node.html.slice(0, 90)).join(" | ")))`)
}

// A voice of one's own: recorded into the page, saved, spoken with, and removed.
func TestE2EPageProfile(t *testing.T) {
	s := startService(t)
	b := webtest.Open(t, microphone(t))
	b.Go(s.url + "/#voices")
	b.Until("the list of voices", voices)
	b.Type("#profile-name", "mine")
	b.Click("#profile-record")
	b.Until("enough to be recorded", `document.getElementById("profile-time").textContent.includes("enough")`)
	b.Click("#profile-record")
	b.Until("the recording", `document.querySelectorAll("#profile-clips li").length === 1`)
	b.Click("#profile-save")
	b.Until("the voice", `document.querySelector('#profiles [data-profile="mine"]') !== null`)
	b.Save("profile.png")
	b.Click(`#profiles [data-profile="mine"] .tool`)
	b.Until("the choice", `document.querySelector('#voice-list [value="mine"]')?.checked && location.hash === "#live"`)
	start(b)
	eventually(t, "the voice of one's own", func() bool {
		all := s.status(t).Sessions
		return len(all) == 1 && all[0].Voice == "mine"
	})
	tripsPast(b, 100)
	b.Click("#start")
	b.Until("the end", isOff)
	webtest.Eval[string](b, `location.hash = "#voices"`)
	b.Click(`#profiles [data-profile="mine"] .icon`)
	b.Click(`#profiles [data-profile="mine"] .icon`) // sure
	b.Until("its end", `document.querySelector('#profiles [data-profile="mine"]') === null && document.querySelector('#voice-list [value="mine"]') === null`)
	wantNoFaults(t, b)
}

// download gives what a link of the page would save: the samples of a WAV file.
func download(b *webtest.Browser, name string) []float64 {
	text := webtest.Eval[string](b, fmt.Sprintf(`fetch(document.querySelector('#compare a[download="%s"]').href).then((r) => r.blob()).then((blob) => new Promise((done) => {
		const reader = new FileReader();
		reader.onload = () => done(reader.result.split(",")[1]);
		reader.readAsDataURL(blob);
	}))`, name))
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err) // the page's own encoding
	}
	var out []float64
	for at := 44; at+1 < len(data); at += 2 {
		out = append(out, float64(int16(binary.LittleEndian.Uint16(data[at:])))/32768)
	}
	return out
}

// record records both sides through the page and compares them. Where the machine had no time for all chunks it tries again: what
// is late is left out of a live voice, and then there is less to compare.
func record(t *testing.T, b *webtest.Browser, attempts int) {
	t.Helper()
	const link = `(document.querySelector('#compare a[download="you.wav"]')?.href ?? "")`
	for {
		before := webtest.Eval[string](b, link)
		b.Click("#record")
		tripsPast(b, 800)
		b.Click("#record")
		b.Until("the recording", fmt.Sprintf("%s !== %q", link, before))
		verdict, err := anotherVoice(download(b, "you.wav"), download(b, "alma.wav"))
		attempts--
		switch {
		case err == nil:
			t.Log(verdict)
			return
		case attempts == 0:
			t.Error(err)
			return
		}
		t.Logf("%v; once more", err)
	}
}

// anotherVoice holds what was heard against what was said: speech where speech was, and not the same sound.
func anotherVoice(said, heard []float64) (string, error) {
	if len(said) != len(heard) || len(said) < 4*48000 {
		return "", fmt.Errorf("%d samples were said and %d heard, want equally many and some seconds", len(said), len(heard))
	}
	const window = 4800
	a, b := loudness(said, window), loudness(heard, window)
	where := correlation(a, b)
	same := 0.0
	for lag := -480; lag <= 480; lag += 4 {
		same = max(same, math.Abs(correlation(said[480:len(said)-480], heard[480+lag:len(heard)-480+lag])))
	}
	verdict := fmt.Sprintf("loudness of what was said and heard correlates with %.2f, the samples with %.2f at most; the loudest tenth of a second is at %.0f dBFS",
		where, same, slices.Max(b))
	switch {
	case where < 0.5:
		return "", fmt.Errorf("speech is not where it was: %s", verdict)
	case slices.Max(b) < -40:
		return "", fmt.Errorf("silence: %s", verdict)
	case same > 0.6:
		return "", fmt.Errorf("what was heard is what was said: %s", verdict)
	}
	return verdict, nil
}

// loudness is the level of each window in dBFS, not less than -60.
func loudness(x []float64, window int) []float64 {
	var out []float64
	for ; len(x) >= window; x = x[window:] {
		sum := 0.0
		for _, v := range x[:window] {
			sum += v * v
		}
		out = append(out, max(-60, 10*math.Log10(sum/float64(window)+1e-12)))
	}
	return out
}

func correlation(a, b []float64) float64 {
	n := float64(len(a))
	var sa, sb, saa, sbb, sab float64
	for i := range a {
		sa += a[i]
		sb += b[i]
		saa += a[i] * a[i]
		sbb += b[i] * b[i]
		sab += a[i] * b[i]
	}
	return (sab - sa*sb/n) / math.Sqrt((saa-sa*sa/n)*(sbb-sb*sb/n)+1e-18)
}
