//go:build e2e

package main

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/autovoiced/autovoiced/client/web/webtest"
)

// tabTo presses Tab until what a selector means has the focus, and is seen to have it.
func tabTo(t *testing.T, b *webtest.Browser, selector string) {
	t.Helper()
	for range 100 {
		b.Key(kb.Tab)
		if !webtest.Eval[bool](b, fmt.Sprintf(`document.activeElement?.matches(%q) ?? false`, selector)) {
			continue
		}
		seen := webtest.Eval[bool](b, `[document.activeElement, document.activeElement.closest("label")].some((node) => node && parseFloat(getComputedStyle(node).outlineWidth) > 0 && getComputedStyle(node).outlineStyle !== "none")`)
		if !seen {
			t.Errorf("nobody sees that %s has the focus", selector)
		}
		return
	}
	t.Fatalf("Tab does not come to %s", selector)
}

// Whoever has no mouse starts, changes the voice and its pitch, records, compares, and stops; a screen reader is told of each.
func TestE2EPageKeyboard(t *testing.T) {
	s := startService(t)
	b := webtest.Open(t, microphone(t))
	b.Go(s.url)
	b.Until("the list of voices", voices)
	told := func(words string) {
		t.Helper()
		b.Until("the words "+words, fmt.Sprintf(`document.getElementById("said").textContent.includes(%q)`, words))
	}
	tabTo(t, b, ".skip")
	b.Key(kb.Enter)
	b.Until("the controls to have the focus", `document.activeElement.id === "main"`)

	tabTo(t, b, "#start")
	b.Key(kb.Enter)
	b.Until("the voice to speak", isLive)
	told("Live")

	tabTo(t, b, `#voice-list [name="voice"]`)
	b.Key(kb.ArrowDown)
	eventually(t, "the next voice", func() bool {
		all := s.status(t).Sessions
		return len(all) == 1 && all[0].Voice == "nara"
	})
	if !webtest.Eval[bool](b, `document.activeElement?.value === "nara"`) {
		t.Error("the focus is not on the voice that was chosen")
	}
	tabTo(t, b, "#pitch-auto")
	b.Key(" ")
	tabTo(t, b, "#pitch") // from the end of the page to its start
	b.Key(kb.ArrowRight)
	eventually(t, "half a semitone", func() bool {
		all := s.status(t).Sessions
		return len(all) == 1 && all[0].Settings.Pitch.Semitones == 0.5
	})

	tabTo(t, b, "#record")
	b.Key(" ")
	told("Recording")
	tripsPast(b, 300)
	b.Key("r")
	told("compared")
	tabTo(t, b, `#compare-player [aria-label="Play"]`)
	b.Key(kb.Enter)
	b.Until("it to be played", `Number(document.querySelector("#compare-player input[type=range]").value) > 0.2`)
	tabTo(t, b, "#compare-player .ab input")
	b.Key(kb.ArrowLeft)
	b.Until("the other side to be heard", `document.querySelector("#compare-player .ab input").checked`)
	for _, fault := range axe(t, b) { // with something to compare
		t.Error(fault)
	}

	tabTo(t, b, "#start")
	b.Key(kb.Enter)
	b.Until("the end", isOff)
	told("Off")
	wantNoFaults(t, b)
}
