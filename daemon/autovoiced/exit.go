package main

import (
	"errors"
	"fmt"
)

// Exit codes. They are part of the interface: scripts and service managers switch on them, and
// `autovoiced help` and the README list them.
const (
	exitOK      = 0
	exitFailure = 1   // something else went wrong
	exitUsage   = 2   // unknown command, flag or value
	exitConfig  = 3   // the configuration is not sound
	exitAddress = 4   // the address to listen on is taken or not ours
	exitDevice  = 5   // no such sound device, or it does not do what was asked
	exitModel   = 6   // a voice, its file, or ONNX Runtime
	exitFile    = 7   // an audio file cannot be read or written
	exitDaemon  = 8   // the daemon is not there or refused
	exitForced  = 102 // a second signal: audio in flight was abandoned
)

var exitCodes = []struct {
	code int
	text string
}{
	{exitOK, "done"},
	{exitFailure, "failed for a reason that has no code of its own"},
	{exitUsage, "unknown command, flag or value"},
	{exitConfig, "the configuration is not sound"},
	{exitAddress, "the address to listen on is taken or not this machine's"},
	{exitDevice, "no such sound device, or it cannot do what was asked"},
	{exitModel, "a voice or its model is missing or not sound, or ONNX Runtime is"},
	{exitFile, "an audio file cannot be read or written"},
	{exitDaemon, "the daemon to talk to is not there, or refused"},
	{exitForced, "forced by a second signal: what was on its way was abandoned"},
}

// codedError carries the exit code of a failure up to main.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// coded gives err an exit code; nil stays nil.
func coded(code int, err error) error {
	if err == nil {
		return nil
	}
	return &codedError{code, err}
}

func codedf(code int, format string, args ...any) error {
	return coded(code, fmt.Errorf(format, args...))
}

// exitCode is the code of the outermost error that has one.
func exitCode(err error) int {
	var c *codedError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &c):
		return c.code
	default:
		return exitFailure
	}
}
