// Package webtest opens the page in a real Chromium, for tests.
package webtest

import (
	"context"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// Patience is how long a page may take for anything: the slowest machine is not the subject of a test.
const Patience = 90 * time.Second

// Browser is one window of Chromium. It ends with the test.
type Browser struct {
	t      testing.TB
	ctx    context.Context
	mu     sync.Mutex
	faults []string
}

// Open starts Chromium, with recording (a WAV file) for a microphone, or none where it is empty. The test is skipped where there
// is no Chromium, unless CI is set.
func Open(t testing.TB, recording string) *Browser {
	t.Helper()
	program := find(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 800),
		chromedp.Flag("headless", "new"), chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("disable-dev-shm-usage", true), // which is small in containers
		chromedp.Flag("disable-background-timer-throttling", true), chromedp.Flag("disable-renderer-backgrounding", true),
		chromedp.WSURLReadTimeout(Patience),
	)
	if recording != "" {
		options = append(options,
			chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true),
			chromedp.Flag("use-file-for-fake-audio-capture", recording))
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	b := &Browser{t: t, ctx: ctx}
	listening, quiet := context.WithCancel(ctx)
	var heard sync.WaitGroup
	messages := chromedp.Console(listening) // starts the browser
	heard.Go(func() { b.listen(messages) })
	t.Cleanup(func() {
		quiet()
		heard.Wait()
		_ = chromedp.Cancel(ctx) // waits for the process
		cancel()
		stop()
	})
	return b
}

func find(t testing.TB) string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("no chromium: .ci/deps test installs it")
	}
	t.Skip("no chromium here: .ci/deps test installs it")
	return ""
}

// listen keeps what the page complains of.
func (b *Browser) listen(messages iter.Seq2[chromedp.ConsoleMessage, error]) {
	for m, err := range messages {
		if err != nil {
			return
		}
		if !m.IsException() && m.Type != "error" && m.Type != "warning" && m.Type != "assert" {
			continue
		}
		b.mu.Lock()
		b.faults = append(b.faults, fmt.Sprintf("%s (%s:%d)", m, m.URL, m.Line+1))
		b.mu.Unlock()
	}
}

// Faults are the errors and warnings of the console so far.
func (b *Browser) Faults() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.faults...)
}

// Forgive forgets faults that the test has provoked.
func (b *Browser) Forgive() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = nil
}

// run does one thing within Patience, or ends the test.
func run[T any](b *Browser, what string, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, Patience)
	defer cancel()
	out, err := chromedp.Run(ctx, action)
	if err != nil {
		b.Save("failed.png")
		b.t.Fatalf("%s: %v; the console says:\n%s", what, err, strings.Join(b.Faults(), "\n"))
	}
	return out
}

// Go opens an address.
func (b *Browser) Go(url string) {
	b.t.Helper()
	run(b, url, chromedp.Navigate(url))
}

// Eval gives the value of an expression in the page, awaited where it is a promise.
func Eval[T any](b *Browser, expression string) T {
	b.t.Helper()
	return run(b, expression, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Until waits for an expression to become true; what says what for.
func (b *Browser) Until(what, expression string) {
	b.t.Helper()
	run(b, "waiting for "+what, chromedp.Poll[chromedp.Void](expression,
		chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(Patience)))
}

// Click clicks as a hand does.
func (b *Browser) Click(selector string) {
	b.t.Helper()
	run(b, "click on "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// Type writes into a field.
func (b *Browser) Type(selector, text string) {
	b.t.Helper()
	run(b, "typing into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Key presses a key and lets it go.
func (b *Browser) Key(key string) {
	b.t.Helper()
	run(b, "key "+key, chromedp.KeyEvent(key))
}

// Hold does something while a key is held down.
func (b *Browser) Hold(key string, while func()) {
	b.t.Helper()
	code := map[string]string{" ": "Space"}[key]
	b.press(input.DispatchKeyEventTypeKeyDown, key, code)
	while()
	b.press(input.DispatchKeyEventTypeKeyUp, key, code)
}

func (b *Browser) press(kind input.DispatchKeyEventType, key, code string) {
	b.t.Helper()
	run(b, "key "+code, chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: kind, Key: key, Code: code})
		return err
	}))
}

// Pick chooses an option of a list as a hand does: by a change that the page hears of.
func (b *Browser) Pick(selector, value string) {
	b.t.Helper()
	Eval[string](b, fmt.Sprintf(`(() => {
		const list = document.querySelector(%q);
		list.value = %q;
		list.dispatchEvent(new Event("change", { bubbles: true }));
		return list.value;
	})()`, selector, value))
}

// Choose gives files to a file input.
func (b *Browser) Choose(selector string, files ...string) {
	b.t.Helper()
	run(b, "files for "+selector, chromedp.SetUploadFiles(chromedp.CSS(selector), files))
}

// Screen makes the window a screen of that size in CSS pixels, with or without fingers, dark or light, on which nothing moves.
func (b *Browser) Screen(width, height int64, phone, dark bool) {
	b.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	run(b, "screen", chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: width, Height: height, DeviceScaleFactor: 1, Mobile: phone,
		})
		if err != nil {
			return err
		}
		if _, err = chromedp.Call(ctx, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: phone}); err != nil {
			return err
		}
		_, err = chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{
				{Name: "prefers-color-scheme", Value: scheme},
				{Name: "prefers-reduced-motion", Value: "reduce"}, // colours on their way from one to another are none of the design's
			},
		})
		return err
	}))
}

// Nameless are the controls that a screen reader cannot name, as Chromium's accessibility tree has them.
func (b *Browser) Nameless() []string {
	b.t.Helper()
	return run(b, "accessibility tree", func(ctx context.Context, _ *chromedp.Target) ([]string, error) {
		tree, err := chromedp.Call(ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		if err != nil {
			return nil, err
		}
		var out []string
		controls := 0
		for _, node := range tree.Nodes {
			switch role := text(node.Role); role {
			case "button", "link", "checkbox", "radio", "slider", "combobox", "textbox", "meter", "progressbar", "image", "dialog", "region", "navigation":
				controls++
				if !node.Ignored && text(node.Name) == "" {
					out = append(out, fmt.Sprintf("%s %d of the DOM", role, node.BackendDOMNodeID))
				}
			}
		}
		if controls < 10 {
			return nil, fmt.Errorf("%d controls: the tree is not that of the page", controls)
		}
		return out, nil
	})
}

func text(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	return strings.Trim(string(v.Value), `" `)
}

// Save writes a picture of what is seen into the folder that AUTOVOICED_SCREENSHOTS names, if it does.
func (b *Browser) Save(name string) {
	b.t.Helper()
	dir := os.Getenv("AUTOVOICED_SCREENSHOTS")
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, Patience)
	defer cancel()
	data, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
	}
	if err != nil {
		b.t.Errorf("screenshot %s: %v", name, err)
	}
}
