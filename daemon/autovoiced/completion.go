package main

import (
	_ "embed"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/autovoiced/autovoiced/daemon"
	"github.com/autovoiced/autovoiced/infer"
)

// The shells' own part is a few lines each: they ask the program what may follow.
var (
	//go:embed completion.bash
	completionBash string
	//go:embed completion.zsh
	completionZsh string
	//go:embed completion.fish
	completionFish string
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run prints the script.
func (c *completionCmd) Run(e *env) error {
	script := map[string]string{"bash": completionBash, "zsh": completionZsh, "fish": completionFish}[c.Shell]
	_, err := io.WriteString(e.out, script)
	return err
}

type completeCmd struct {
	Words []string `arg:"" optional:"" passthrough:""`
}

// Run tells the shell what may stand in place of the last word: one candidate a line with its description after a tab, and
// ":files" where a file may.
func (c *completeCmd) Run(e *env, app *kong.Application) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	for _, found := range complete(app, words, e.names) {
		fmt.Fprintln(e.out, found)
	}
	return nil
}

const completeFiles = ":files"

// names lists voices, or profiles alone. What is wrong with them is not the completion's business.
func (e *env) names(profilesOnly bool) (names []string) {
	if profilesOnly {
		all, _ := daemon.OpenProfiles().List()
		for _, p := range all {
			names = append(names, p.Name)
		}
		return names
	}
	cfg, err := e.config()
	if err != nil {
		return nil
	}
	registry, err := infer.NewRegistry(cfg.Infer)
	if err != nil {
		return nil
	}
	defer registry.Close()
	voices, _ := daemon.Voices(registry, daemon.OpenProfiles(), cfg.Voice.Name)
	for _, v := range voices {
		names = append(names, v.Name+"\t"+v.Description)
	}
	return names
}

// complete gives what may stand in place of the last of the words that follow the program's name.
func complete(app *kong.Application, words []string, names func(profilesOnly bool) []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	c := completer{node: app.Node, names: names}
	words, bash := joinEquals(words)
	last := words[len(words)-1]
	for _, w := range words[:len(words)-1] {
		c.pass(w)
	}
	flag, value, assigned := strings.Cut(last, "=")
	switch {
	case c.wants != nil:
		return c.matching(c.values(c.wants.Value, c.wants.PlaceHolder), last)
	case assigned && strings.HasPrefix(flag, "-"):
		f := c.flag(flag)
		if f == nil {
			return nil
		}
		found := c.matching(c.values(f.Value, f.PlaceHolder), value)
		if !bash { // the others want the whole word
			for i := range found {
				if found[i] != completeFiles {
					found[i] = flag + "=" + found[i]
				}
			}
		}
		return found
	case strings.HasPrefix(last, "-"):
		return c.matching(c.flags(), last)
	}
	return c.matching(append(c.commands(), c.arguments()...), last)
}

// joinEquals undoes bash, which makes three words of --flag=value.
func joinEquals(words []string) (joined []string, bash bool) {
	for i := 0; i < len(words); i++ {
		if n := len(joined); words[i] == "=" && n > 0 {
			bash = true
			joined[n-1] += "="
			if i+1 < len(words) {
				i++
				joined[n-1] += words[i]
			}
			continue
		}
		joined = append(joined, words[i])
	}
	return joined, bash
}

// completer is how far the words have come.
type completer struct {
	node       *kong.Node
	positional int        // arguments passed
	wants      *kong.Flag // whose value comes next
	names      func(profilesOnly bool) []string
}

// pass takes a word that is complete.
func (c *completer) pass(word string) {
	switch {
	case c.wants != nil:
		c.wants = nil
	case strings.HasPrefix(word, "-"):
		if f := c.flag(word); f != nil && !f.IsBool() && !strings.Contains(word, "=") {
			c.wants = f
		}
	default:
		for _, child := range c.node.Children {
			if child.Name == word {
				c.node = child
				return
			}
		}
		if word != "help" {
			c.positional++
		}
	}
}

// all are the flags of the command and of those above it; without a command, the default command's too.
func (c *completer) all() []*kong.Flag {
	var all []*kong.Flag
	for n := c.node; n != nil; n = n.Parent {
		all = append(all, n.Flags...)
		if n.Type == kong.ApplicationNode && n == c.node && n.DefaultCmd != nil {
			all = append(all, n.DefaultCmd.Flags...)
		}
	}
	return all
}

func (c *completer) flag(word string) *kong.Flag {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	for _, f := range c.all() {
		if f.Name == name && strings.HasPrefix(word, "--") || f.Short != 0 && string(f.Short) == name {
			return f
		}
	}
	return nil
}

func (c *completer) flags() (out []string) {
	for _, f := range c.all() {
		if !f.Hidden {
			out = append(out, "--"+f.Name+"\t"+f.Help)
		}
	}
	return out
}

func (c *completer) commands() (out []string) {
	if c.positional > 0 {
		return nil
	}
	for _, child := range c.node.Children {
		if !child.Hidden {
			out = append(out, child.Name+"\t"+child.Help)
		}
	}
	if c.node.Type == kong.ApplicationNode {
		out = append(out, "help\tTell more of a command.")
	}
	return out
}

// arguments are what the next argument may be; the last one may come again if it is a list.
func (c *completer) arguments() []string {
	if len(c.node.Positional) == 0 {
		return nil
	}
	at := min(c.positional, len(c.node.Positional)-1)
	arg := c.node.Positional[at]
	if c.positional > at && !arg.IsCumulative() {
		return nil
	}
	if strings.HasPrefix(commandPath(c.node), "profiles ") && arg.Name == "name" {
		if c.node.Name == "add" {
			return nil // a new one
		}
		return c.names(true)
	}
	return c.values(arg, "")
}

// values are what a flag or argument may be: of a list, a name, or a file.
func (c *completer) values(v *kong.Value, placeHolder string) []string {
	switch {
	case v.Enum != "":
		return v.EnumSlice()
	case v.Name == "voice":
		return c.names(false)
	case v.Name == "pitch":
		return []string{"auto"}
	case slices.Contains([]string{"NAME", "TOKEN", "URL", "DEVICE", "DURATION"}, placeHolder):
		return nil
	}
	return []string{completeFiles}
}

func (c *completer) matching(candidates []string, prefix string) (out []string) {
	for _, one := range candidates {
		if one == completeFiles || strings.HasPrefix(one, prefix) {
			out = append(out, one)
		}
	}
	return out
}
