package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var updateLicences = flag.Bool("update", false, "write licences.txt and the table of docs/third-party.md anew")

// library is a module whose code is in the program, or Go's own.
type library struct {
	path, licence string // the licence by its SPDX name
	notices       []string
}

// libraries are those that the program links, by path.
func libraries(t *testing.T) []library {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=Module", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	dirs := map[string]string{"Go": strings.TrimSpace(string(root))}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Module *struct {
				Path, Dir string
				Main      bool
			}
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Module != nil && !p.Module.Main {
			dirs[p.Module.Path] = p.Module.Dir
		}
	}
	var all []library
	for path, dir := range dirs {
		all = append(all, readLibrary(t, path, dir))
	}
	slices.SortFunc(all, func(a, b library) int { return strings.Compare(strings.ToLower(a.path), strings.ToLower(b.path)) })
	return all
}

// noticeFile matches what must go along with a library.
var noticeFile = regexp.MustCompile(`(?i)^(un)?licen[cs]e|^copying|^notice`)

func readLibrary(t *testing.T, path, dir string) library {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	further, _ := filepath.Glob(filepath.Join(dir, "THIRD_PARTY_LICENSES", "*")) // the pattern is sound
	l := library{path: path}
	for _, file := range files {
		if noticeFile.MatchString(filepath.Base(file)) {
			l.add(t, file)
		}
	}
	l.licence = licenceOf(strings.Join(l.notices, "\n"))
	if l.licence == "" {
		t.Errorf("%s: a licence that is not known here, or none: look at %s, and whether it may be linked", path, dir)
	}
	for _, file := range further {
		l.add(t, file)
	}
	return l
}

func (l *library) add(t *testing.T, file string) {
	t.Helper()
	if i, err := os.Stat(file); err != nil || i.IsDir() {
		return
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	l.notices = append(l.notices, strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")))
}

// licenceOf tells a licence by its words. Those that ask more than notices of who links them are left out on purpose.
func licenceOf(text string) string {
	words := strings.Join(strings.Fields(text), " ")
	has := func(s string) bool { return strings.Contains(words, s) }
	switch {
	case has("GNU GENERAL PUBLIC") || has("GNU LESSER") || has("Mozilla Public License"):
		return ""
	case has("Apache License Version 2.0"):
		return "Apache-2.0"
	case has("free and unencumbered software released into the public domain"):
		return "Unlicense"
	case has("Permission is hereby granted, free of charge"):
		return "MIT"
	case has("Redistribution and use in source and binary forms") && has("ndorse or promote products"):
		return "BSD-3-Clause"
	case has("Redistribution and use in source and binary forms"):
		return "BSD-2-Clause"
	}
	return ""
}

// noticesOf is licences.txt: each text once, below those that it is of.
func noticesOf(all []library) string {
	var texts []string
	of := map[string][]string{}
	for _, l := range all {
		for _, text := range l.notices {
			if of[text] == nil {
				texts = append(texts, text)
			}
			if !slices.Contains(of[text], l.path) {
				of[text] = append(of[text], l.path)
			}
		}
	}
	var b strings.Builder
	b.WriteString("autovoiced is under the Apache License, Version 2.0. These are the libraries in the program, with their licences.\n" +
		"What it loads or fetches besides (ONNX Runtime, PortAudio, models) is listed in daemon/docs/third-party.md.\n")
	for _, text := range texts {
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(of[text], "\n"), text)
	}
	return b.String()
}

// TestLicences: the program has the notices of all that is linked into it, and the document lists it.
func TestLicences(t *testing.T) {
	all := libraries(t)
	if len(all) < 30 {
		t.Fatalf("%d libraries: the list is not read as it is meant", len(all))
	}
	const page = "../docs/third-party.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	for _, l := range all {
		fmt.Fprintf(&rows, "| `%s` | %s |\n", l.path, l.licence)
	}
	const begin = "| Library | Licence |\n|---|---|\n"
	head, rest, ok := strings.Cut(string(text), begin)
	end := strings.Index(rest, "\n\n")
	if !ok || end < 0 {
		t.Fatalf("%s has no table of libraries", page)
	}
	want := head + begin + rows.String() + rest[end+1:]
	if *updateLicences {
		if err := errors.Join(os.WriteFile("licences.txt", []byte(noticesOf(all)), 0o644), os.WriteFile(page, []byte(want), 0o644)); err != nil {
			t.Fatal(err)
		}
		return
	}
	const remedy = "make it anew: go test ./daemon/autovoiced -run Licences -update"
	if licences != noticesOf(all) {
		t.Errorf("licences.txt is not that of what is linked; %s", remedy)
	}
	if string(text) != want {
		t.Errorf("%s lists other libraries than are linked; %s", page, remedy)
	}
}

// TestLicencesAreTold: with the version, by either spelling.
func TestLicencesAreTold(t *testing.T) {
	for _, flag := range []string{"--licences", "--licenses"} {
		code, out, errOut := said(t, "version", flag)
		if code != exitOK {
			t.Errorf("%s: %d, %s", flag, code, errOut)
		}
		for _, words := range []string{"github.com/dhowden/tag\n", "gonum.org/v1/gonum\n", "Redistributions in binary form must reproduce", "The Go Authors"} {
			if !strings.Contains(out, words) {
				t.Errorf("%s does not say %q", flag, words)
			}
		}
	}
}
