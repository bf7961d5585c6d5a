package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// Commands stand in the documents as blocks that begin with ```sh. TestE2EDocuments runs them, line by line, unless the block says
// "not run" with one of these words; then they are only checked for words and flags that there are.
var notRun = map[string]string{
	"ci":        "it is what CI runs, or would change the source",
	"container": "it needs a container engine",
	"gpu":       "it needs a GPU",
	"long":      "it fetches and computes for a quarter of an hour or more",
}

const checkout = "../.."

// block is some lines of a document that stand apart.
type block struct {
	file  string
	line  int    // of the first of lines
	info  string // what stands behind ```, or "indented"
	lines []string
}

func (b block) where(i int) string { return fmt.Sprintf("%s:%d", b.file, b.line+i) }

// isRun says whether a block is to be run, and where it is not, why.
func (b block) isRun() (run bool, why string) {
	_, why, marked := strings.Cut(b.info, "sh not run: ")
	return b.info == "sh", map[bool]string{true: why}[marked]
}

// documents are the project's Markdown files; those that tests and scripts write are not for reading.
func documents(t *testing.T) (files []string) {
	t.Helper()
	skipped := []string{".git", ".cache", ".venv", "bin", "build", "testdata/report", "infer/train/evaluate/separate"}
	err := filepath.WalkDir(checkout, func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(checkout, path)
		if entry != nil && entry.IsDir() && slices.Contains(skipped, name) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(name, ".md") {
			files = append(files, name)
		}
		return err
	})
	if err != nil || len(files) < 15 {
		t.Fatalf("%d documents: %v", len(files), err)
	}
	return files
}

// blocksOf cuts the blocks out of a document.
func blocksOf(t *testing.T, file string) (all []block) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(checkout, file))
	if err != nil {
		t.Fatal(err)
	}
	var open *block
	before := ""
	for i, line := range strings.Split(string(data), "\n") {
		fence, indented := strings.HasPrefix(line, "```"), strings.HasPrefix(line, "    ") && strings.TrimSpace(line) != ""
		switch {
		case open == nil && fence:
			open = &block{file: file, line: i + 2, info: strings.TrimPrefix(line, "```")}
		case open == nil && indented && before == "":
			open = &block{file: file, line: i + 1, info: "indented", lines: []string{strings.TrimSpace(line)}}
		case open == nil:
		case fence || (open.info == "indented" && !indented):
			all, open = append(all, *open), nil
		default:
			open.lines = append(open.lines, strings.TrimPrefix(line, map[bool]string{true: "    "}[open.info == "indented"]))
		}
		before = line
	}
	if open != nil {
		t.Errorf("%s: a block does not end", open.where(0))
	}
	return all
}

var (
	assignments = regexp.MustCompile(`^(?:\w+=(?:"[^"]*"|'[^']*'|\S*) )*`)
	asRoot      = regexp.MustCompile(`^sudo (?:--?\S+ )*`)
	programs    = regexp.MustCompile(`^(bin/autovoiced|autovoiced|make|curl|docker|go|python3|source|systemctl|install|apt-get|jackd|export)( |$)`)
	operator    = regexp.MustCompile(`\s*(?: #|[|>;&)]).*`)
)

// command is a line without what may stand before and after the words of a program: settings, sudo, a pipe, a comment.
func command(line string) string {
	line = asRoot.ReplaceAllString(strings.TrimSpace(line), "")
	line = assignments.ReplaceAllString(line, "")
	return strings.TrimSpace(operator.ReplaceAllString(line, ""))
}

// TestEveryCommandIsRunOrMarked: no command hides in a block of another kind, and marks are of those that there are.
func TestEveryCommandIsRunOrMarked(t *testing.T) {
	run := 0
	for _, file := range documents(t) {
		for _, b := range blocksOf(t, file) {
			isRun, why := b.isRun()
			if strings.HasPrefix(b.info, "sh") && !isRun && notRun[why] == "" {
				t.Errorf("%s: ```%s is neither run nor marked; want ```sh, or ```sh not run: and one of %v", b.where(-1), b.info, notRun)
			}
			for i, line := range b.lines {
				if isRun {
					run++
				}
				words := command(line)
				if !programs.MatchString(words) {
					continue
				}
				if !strings.HasPrefix(b.info, "sh") && b.info != "text" && b.info != "python" {
					t.Errorf("%s: a command in a block that is not marked ```sh: %s", b.where(i), line)
				}
				if err := sound(words); err != nil && b.info != "text" {
					t.Errorf("%s: %s: %v", b.where(i), line, err)
				}
			}
		}
	}
	if run < 30 {
		t.Errorf("%d commands are run", run)
	}
}

var (
	inline = regexp.MustCompile("`([^`]+)`")
	letter = regexp.MustCompile(`^[a-z-]+$`)
	target = regexp.MustCompile(`(?m)^([a-z0-9-]+):`)
)

// TestEveryCommandInTheTextIsThere: words and flags in `autovoiced convert …`, `make …`, `go test -run …` within sentences and tables.
func TestEveryCommandInTheTextIsThere(t *testing.T) {
	seen := 0
	for _, file := range documents(t) {
		data, err := os.ReadFile(filepath.Join(checkout, file))
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(data), "\n") {
			for _, span := range inline.FindAllStringSubmatch(line, -1) {
				words := command(span[1])
				if !programs.MatchString(words) {
					continue
				}
				seen++
				if err := known(words); err != nil {
					t.Errorf("%s:%d: `%s`: %v", file, i+1, span[1], err)
				}
			}
		}
	}
	if seen < 60 {
		t.Errorf("%d commands are seen", seen)
	}
}

var (
	reference = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading   = regexp.MustCompile(`(?m)^#+ (.*)$`)
	dropped   = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// TestEveryLinkLeadsSomewhere: files and headings that documents refer to are there.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	seen := 0
	for _, file := range documents(t) {
		data, err := os.ReadFile(filepath.Join(checkout, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range reference.FindAllStringSubmatch(string(data), -1) {
			if strings.Contains(found[1], "://") {
				continue
			}
			seen++
			name, anchor, _ := strings.Cut(found[1], "#")
			path := filepath.Join(checkout, filepath.Dir(file), name)
			if name == "" {
				path = filepath.Join(checkout, file)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s refers to %s: %v", file, found[1], err)
				continue
			}
			if anchor == "" {
				continue
			}
			there, err := os.ReadFile(path)
			if err != nil || !slices.Contains(anchors(string(there)), anchor) {
				t.Errorf("%s refers to %s: no such heading, %v", file, found[1], err)
			}
		}
	}
	if seen < 50 {
		t.Errorf("%d links are seen", seen)
	}
}

// anchors are what the headings of a document can be referred to by.
func anchors(text string) (all []string) {
	for _, h := range heading.FindAllStringSubmatch(text, -1) {
		all = append(all, strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-"))
	}
	return all
}

// sound says whether the program takes a whole line.
func sound(words string) error {
	name, rest, _ := strings.Cut(words, " ")
	if filepath.Base(name) != "autovoiced" {
		return known(words)
	}
	_, err := newParser(&cli{}, io.Discard, io.Discard, func(int) {}).Parse(joinNegative(strings.Fields(rest)))
	return err
}

// known says whether the words and flags of a command that may have gaps are there.
func known(words string) error {
	fields := strings.Fields(words)
	switch filepath.Base(fields[0]) {
	case "autovoiced":
		return knownFlags(fields[1:])
	case "make":
		return knownTargets(fields[1:])
	case "go":
		return knownTests(fields[1:])
	}
	return nil
}

func knownFlags(words []string) error {
	app := newParser(&cli{}, io.Discard, io.Discard, func(int) {}).Model
	node := app.Node
	flags := slices.Concat(app.Flags, app.DefaultCmd.Flags)
	for _, w := range words {
		name, isFlag := strings.CutPrefix(w, "--")
		if isFlag {
			name, _, _ = strings.Cut(name, "=")
			if !slices.ContainsFunc(flags, func(f *kong.Flag) bool { return f.Name == name }) {
				return fmt.Errorf("%s has no flag --%s", node.Name, name)
			}
			continue
		}
		next := slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == w })
		if next >= 0 {
			node = node.Children[next]
			flags = append(flags, node.Flags...)
		} else if node == app.Node && letter.MatchString(w) && w != "help" {
			return fmt.Errorf("there is no command %s", w)
		}
	}
	return nil
}

func knownTargets(words []string) error {
	var all []string
	files := []string{checkout + "/Makefile"}
	for _, pattern := range []string{"*.mk", "*/*.mk", "*/*/*.mk"} {
		found, _ := filepath.Glob(filepath.Join(checkout, "infer/train", pattern))
		files = append(files, found...)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, found := range target.FindAllStringSubmatch(string(data), -1) {
			all = append(all, found[1])
		}
	}
	for _, w := range words {
		if letter.MatchString(w) && !strings.HasPrefix(w, "-") && !slices.Contains(all, w) {
			return fmt.Errorf("make has no word %s", w)
		}
	}
	return nil
}

// knownTests finds a test or benchmark that -run or -bench names, in the package that is named.
func knownTests(words []string) error {
	if len(words) == 0 || words[0] != "test" {
		return nil
	}
	var names []string
	at := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "./") })
	if at < 0 { // of no package
		return nil
	}
	folder := words[at]
	for i, w := range words[1:] {
		kind, name := map[string]string{"-run": "Test", "-bench": "Benchmark"}[words[i]], strings.Trim(w, "'^$")
		if kind != "" && name != "" {
			names = append(names, `func `+kind+`\w*`+strings.TrimPrefix(name, kind))
		}
	}
	files, _ := filepath.Glob(filepath.Join(checkout, folder, "*_test.go"))
	if len(files) == 0 {
		return fmt.Errorf("no tests in %s", folder)
	}
	for _, name := range names {
		if !slices.ContainsFunc(files, func(file string) bool {
			data, _ := os.ReadFile(file)
			return regexp.MustCompile(name).Match(data)
		}) {
			return fmt.Errorf("no %s in %s", name, folder)
		}
	}
	return nil
}
