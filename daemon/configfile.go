package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// DefaultConfigFile is read when no other is named, if it is there.
const DefaultConfigFile = "config.yaml"

const envPrefix = "AUTOVOICED_"

// Load makes the configuration: the defaults, then the file, then the environment, then Validate.
// An empty path means DefaultConfigFile in the working directory, or no file at all.
func Load(path string) (Config, error) {
	name, optional := path, path == ""
	if optional {
		name = DefaultConfigFile
	}
	data, err := os.ReadFile(name)
	if optional && errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	return parseConfig(name, data, os.Environ())
}

// loader remembers where each key was set, so that every message can say where to look.
type loader struct {
	config  Config
	name    string // of the file, when there is one
	byPath  map[string]setting
	origins map[string]string
}

// parseConfig is Load on what was read; name is for messages.
func parseConfig(name string, data []byte, environ []string) (Config, error) {
	l := &loader{config: Default(), byPath: map[string]setting{}, origins: map[string]string{}}
	for _, s := range settings(&l.config) {
		l.byPath[s.path] = s
	}
	if err := l.file(name, data); err != nil {
		return Config{}, err
	}
	if err := l.environment(environ); err != nil {
		return Config{}, err
	}
	if err := l.config.Validate(); err != nil {
		return Config{}, l.located(err)
	}
	return l.config, nil
}

func (l *loader) file(name string, data []byte) error {
	if len(data) > 0 {
		l.name = name
	}
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return fmt.Errorf("%s: not YAML: %s", name, strings.TrimSpace(firstLine(err.Error())))
	}
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if err := l.mapping(name, "", doc.Body); err != nil {
			return err
		}
	}
	return nil
}

// mapping reads one level of the file; prefix is the section's name and a dot.
func (l *loader) mapping(name, prefix string, node ast.Node) error {
	var pairs []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		return &locatedError{fmt.Sprintf("%s:%d", name, lineOf(node)), fmt.Errorf("expected keys with values, found %q", node.String())}
	}
	for _, pair := range pairs {
		path := prefix + pair.Key.GetToken().Value
		where := fmt.Sprintf("%s:%d", name, lineOf(pair.Key))
		if first, dup := l.origins[path]; dup {
			return &locatedError{where, fmt.Errorf("'%s' is set twice, first at %s", path, first)}
		}
		l.origins[path] = where
		if err := l.pair(name, path, pair.Value); err != nil {
			var le *locatedError
			if errors.As(err, &le) {
				return err
			}
			return &locatedError{where, err}
		}
	}
	return nil
}

func (l *loader) pair(name, path string, value ast.Node) error {
	s, isKey := l.byPath[path]
	if !isKey {
		if !l.isSection(path) {
			return l.unknown(path)
		}
		if value.Type() == ast.NullType { // a section whose keys are all commented out
			return nil
		}
		return l.mapping(name, path+".", value)
	}
	switch n := value.(type) {
	case *ast.SequenceNode:
		var items []string
		for _, v := range n.Values {
			text, err := scalar(path, v)
			if err != nil {
				return err
			}
			items = append(items, text)
		}
		return s.setList(items)
	default:
		text, err := scalar(path, value)
		if err != nil {
			return err
		}
		return s.set(text)
	}
}

func scalar(path string, node ast.Node) (string, error) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return node.GetToken().Value, nil
	case *ast.NullNode:
		return "", keyErrorf(path, `empty; write "" for an empty text, or leave the key out for its default`)
	default:
		return "", keyErrorf(path, "%s, expected one value", strings.ToLower(node.Type().String()))
	}
}

func (l *loader) isSection(path string) bool {
	for p := range l.byPath {
		if strings.HasPrefix(p, path+".") {
			return true
		}
	}
	return false
}

// unknown names the keys that there are, in the same section.
func (l *loader) unknown(path string) error {
	section, _, nested := strings.Cut(path, ".")
	var known []string
	for _, s := range settings(&l.config) {
		head, rest, _ := strings.Cut(s.path, ".")
		switch {
		case !nested && !slices.Contains(known, head):
			known = append(known, head)
		case nested && head == section:
			known = append(known, rest)
		}
	}
	return fmt.Errorf("'%s' is not a key, allowed: %s", path, strings.Join(known, ", "))
}

// environment applies AUTOVOICED_SECTION_KEY=value; lists are separated by commas.
func (l *loader) environment(environ []string) error {
	byName := map[string]setting{}
	for path, s := range l.byPath {
		byName[envName(path)] = s
	}
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		s, known := byName[name]
		if !known {
			continue
		}
		l.origins[s.path] = "environment " + name
		err := error(nil)
		if s.isList() {
			err = s.setList(splitList(text))
		} else {
			err = s.set(text)
		}
		if err != nil {
			return &locatedError{l.origins[s.path], err}
		}
	}
	return nil
}

func envName(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

func splitList(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// locatedError is a fault with the place to look at.
type locatedError struct {
	where string
	err   error
}

func (e *locatedError) Error() string { return e.where + ": " + e.err.Error() }
func (e *locatedError) Unwrap() error { return e.err }

// locate names the line where a key was set, or the file that should have set it.
func (l *loader) locate(key *keyError) error {
	if where := l.origins[key.path]; where != "" {
		return &locatedError{where, key}
	}
	if l.name != "" {
		return &locatedError{l.name, key}
	}
	return key
}

// located puts the place where a key was set before each fault that Validate found.
func (l *loader) located(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	errs := slices.Clone(joined.Unwrap())
	for i, e := range errs {
		var key *keyError
		if errors.As(e, &key) {
			errs[i] = l.locate(key)
		}
	}
	return errors.Join(errs...)
}

func lineOf(n ast.Node) int { return n.GetToken().Position.Line }

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
