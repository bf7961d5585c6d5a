package main

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/alecthomas/kong"
)

// helpOf is what the program says to --help.
func helpOf(t *testing.T, words ...string) string {
	t.Helper()
	var out bytes.Buffer
	_, _ = newParser(&cli{}, &out, io.Discard, func(int) {}).Parse(append(words, "--help")) // it stops after the help
	return out.String()
}

func commands(node *kong.Node) (all []*kong.Node) {
	for _, child := range node.Children {
		if !child.Hidden {
			all = append(append(all, child), commands(child)...)
		}
	}
	return all
}

// Every level's help is there, fits a terminal, and says what each command, argument and flag is for.
func TestHelpReadsWell(t *testing.T) {
	var c cli
	model := newParser(&c, io.Discard, io.Discard, func(int) {}).Model
	for _, node := range append(commands(model.Node), model.Node) {
		path := commandPath(node)
		text := helpOf(t, strings.Fields(path)...)
		for _, line := range strings.Split(text, "\n") {
			if n := utf8.RuneCountInString(line); n > helpWidth {
				t.Errorf("help of %q: %d columns: %s", path, n, line)
			}
		}
		for _, want := range []string{"Usage: autovoiced " + path, "Examples:", "xit codes"} {
			if path != "version" && !strings.Contains(text, want) {
				t.Errorf("help of %q lacks %q (examples are in help.go):\n%s", path, want, text)
			}
		}
		for _, child := range node.Children {
			if !child.Hidden && !strings.Contains(text, child.Name) {
				t.Errorf("help of %q lacks its command %s", path, child.Name)
			}
		}
		for _, f := range node.Flags {
			if f.Help == "" {
				t.Errorf("flag --%s of %q has no help", f.Name, path)
			}
		}
		for _, a := range node.Positional {
			if a.Help == "" {
				t.Errorf("argument %s of %q has no help", a.Name, path)
			}
		}
	}
	for _, want := range []string{"--profile", "--check", "AUTOVOICED_SECTION_KEY", "NO_COLOR", "  102  forced"} {
		if !strings.Contains(helpOf(t), want) {
			t.Errorf("the program's help lacks %q", want)
		}
	}
}

// Every example is a line that the program takes, and belongs to a command that there is.
func TestExamplesParse(t *testing.T) {
	for path, lines := range examples {
		model := newParser(&cli{}, io.Discard, io.Discard, func(int) {}).Model
		known := path == "" || slices.ContainsFunc(commands(model.Node), func(n *kong.Node) bool { return commandPath(n) == path })
		if !known {
			t.Errorf("examples of %q, which is no command", path)
		}
		for _, e := range lines {
			_, rest, found := strings.Cut(e.line, "autovoiced")
			rest, _, _ = strings.Cut(rest, "|")
			rest, _, _ = strings.Cut(rest, ">")
			rest, _, _ = strings.Cut(rest, ")")
			_, err := newParser(&cli{}, io.Discard, io.Discard, func(int) {}).Parse(joinNegative(strings.Fields(rest)))
			if !found || err != nil {
				t.Errorf("%s: %v", e.line, err)
			}
		}
	}
}

// A misspelt command or flag names what it may have been.
func TestSuggestions(t *testing.T) {
	for args, want := range map[string]string{
		"liv": `"live"`, "covnert a -o b": `"convert"`, "profiles ad": `"add"`, "live --vioce x": `"--voice"`, "nothinglikeit": "unexpected argument",
	} {
		words := strings.Fields(args)
		parser := newParser(&cli{}, io.Discard, io.Discard, func(int) {})
		_, err := parser.Parse(words)
		if err == nil {
			t.Errorf("%s is taken", args)
			continue
		}
		if got := suggested(parser, words, err).Error(); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s in it", args, got, want)
		}
	}
	for text, want := range map[string]string{"no such flag": "no such flag; `", `did you mean "live"?`: "\"live\"? `"} {
		if got := misspelt(errors.New(text)).Error(); !strings.Contains(got, want) {
			t.Errorf("%s, want %s in it", got, want)
		}
	}
	if err := errors.New("another fault"); suggested(nil, nil, err) != err {
		t.Error("another error is changed")
	}
}

func TestCompletion(t *testing.T) {
	app := newParser(&cli{}, io.Discard, io.Discard, func(int) {}).Model
	names := func(profiles bool) []string {
		if profiles {
			return []string{"anna"}
		}
		return []string{"alto\tlow", "anna"}
	}
	for _, c := range []struct {
		words string // the last one is being typed
		want  string
	}{
		{"con", "convert"},
		{"profiles |", "add list show remove export import refresh"},
		{"profiles s", "show"},
		{"profiles show |", "anna"},
		{"profiles remove anna |", "anna"},
		{"profiles add |", ""},
		{"profiles add x |", ":files"},
		{"help liv", "live"},
		{"live --vo", "--voice"},
		{"live --voice |", "alto anna"},
		{"live --voice al", "alto"},
		{"live --voice=al", "--voice=alto"},
		{"live --voice = al", "alto"}, // bash
		{"live --voice =", "alto anna"},
		{"live --config |", ":files"},
		{"-c |", ":files"},
		{"--profile --j", "--json"},
		{"live --pitch |", "auto"},
		{"convert |", ":files"},
		{"convert a --preset b", "balanced"},
		{"completion |", "bash zsh fish"},
		{"completion bash |", ""},
		{"nothing |", ""},
		{"live --nothing=", ""},
	} {
		words := strings.Fields(c.words)
		if last := len(words) - 1; words[last] == "|" {
			words[last] = ""
		}
		var got []string
		for _, line := range complete(app, words, names) {
			word, _, _ := strings.Cut(line, "\t")
			got = append(got, word)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s gives %q, want %q", c.words, got, c.want)
		}
	}
}
