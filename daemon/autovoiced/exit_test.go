package main

import (
	"slices"
	"testing"
)

func TestExitCodes(t *testing.T) {
	inner := coded(exitFile, errFor("x.wav"))
	if got := exitCode(coded(exitModel, inner)); got != exitModel {
		t.Errorf("outermost code: %d", got)
	}
	if exitCode(nil) != exitOK || exitCode(errFor("x")) != exitFailure || coded(exitFile, nil) != nil {
		t.Error("codes of nil and of an error without one")
	}
	seen := map[int]bool{}
	for _, c := range exitCodes {
		if seen[c.code] || c.text == "" {
			t.Errorf("exit code %d twice or without a meaning", c.code)
		}
		seen[c.code] = true
	}
}

func TestNegativeValues(t *testing.T) {
	got := joinNegative([]string{"convert", "-3.wav", "-o", "-4", "--pitch", "-3", "--quiet", "--pitch=-2", "-.5"})
	want := []string{"convert", "-3.wav", "-o", "-4", "--pitch=-3", "--quiet", "--pitch=-2", "-.5"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

type errFor string

func (e errFor) Error() string { return string(e) }
