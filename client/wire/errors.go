package wire

import (
	"fmt"
	"slices"
)

// Code names what went wrong. The list is closed: a client may switch on it.
type Code string

// The error codes of v1. What each one means stands in README.md.
const (
	CodeBadMessage      Code = "bad_message"
	CodeUnknownType     Code = "unknown_type"
	CodeBadFrame        Code = "bad_frame"
	CodeBadAudio        Code = "bad_audio"
	CodeBadFormat       Code = "bad_format"
	CodeBadParam        Code = "bad_param"
	CodeUnknownVoice    Code = "unknown_voice"
	CodeUnsupported     Code = "unsupported"
	CodeBadVersion      Code = "bad_version"
	CodeNotStarted      Code = "not_started"
	CodeAlreadyStarted  Code = "already_started"
	CodeUnauthorized    Code = "unauthorized"
	CodeUnknownProfile  Code = "unknown_profile"
	CodeNameTaken       Code = "name_taken"
	CodeUnknownSession  Code = "unknown_session"
	CodeTooLarge        Code = "too_large"
	CodeTooManySessions Code = "too_many_sessions"
	CodeOverloaded      Code = "overloaded"
	CodeStartTimeout    Code = "start_timeout"
	CodeIdleTimeout     Code = "idle_timeout"
	CodeRateLimit       Code = "rate_limit"
	CodeSlowClient      Code = "slow_client"
	CodeUnknownJob      Code = "unknown_job"
	CodeTooManyJobs     Code = "too_many_jobs"
	CodeDiskFull        Code = "disk_full"
	CodeStarting        Code = "starting"
	CodeShuttingDown    Code = "shutting_down"
	CodeGPUMemory       Code = "gpu_memory"
	CodeGPULost         Code = "gpu_lost"
	CodeInternal        Code = "internal"
)

// Close codes that the server uses; the close reason is the error's code.
const (
	CloseNormal      = 1000 // after drained, or goodbye
	CloseGoingAway   = 1001 // the daemon stops
	CloseInvalidData = 1007 // what was sent cannot be understood
	ClosePolicy      = 1008 // a limit or the order of messages was broken
	CloseTooLarge    = 1009
	CloseInternal    = 1011
	CloseTryLater    = 1013
)

// rule says what a code means for a client: whether the same request may succeed later, and how
// the connection is closed when the error ends it.
type rule struct {
	code      Code
	retryable bool
	close     int
}

var rules = []rule{
	{CodeBadMessage, false, CloseInvalidData},
	{CodeUnknownType, false, CloseInvalidData},
	{CodeBadFrame, false, CloseInvalidData},
	{CodeBadAudio, false, CloseInvalidData},
	{CodeBadFormat, false, CloseInvalidData},
	{CodeBadParam, false, CloseInvalidData},
	{CodeUnknownVoice, false, ClosePolicy},
	{CodeUnsupported, false, ClosePolicy},
	{CodeBadVersion, false, ClosePolicy},
	{CodeNotStarted, false, ClosePolicy},
	{CodeAlreadyStarted, false, ClosePolicy},
	{CodeUnauthorized, false, ClosePolicy},
	{CodeUnknownProfile, false, ClosePolicy},
	{CodeNameTaken, false, ClosePolicy},
	{CodeUnknownSession, false, ClosePolicy},
	{CodeTooLarge, false, CloseTooLarge},
	{CodeTooManySessions, true, CloseTryLater},
	{CodeOverloaded, true, CloseTryLater},
	{CodeStartTimeout, true, ClosePolicy},
	{CodeIdleTimeout, true, ClosePolicy},
	{CodeRateLimit, true, ClosePolicy},
	{CodeSlowClient, true, ClosePolicy},
	{CodeUnknownJob, false, ClosePolicy},
	{CodeTooManyJobs, true, CloseTryLater},
	{CodeDiskFull, true, CloseTryLater},
	{CodeStarting, true, CloseTryLater},
	{CodeShuttingDown, true, CloseGoingAway},
	{CodeGPUMemory, true, CloseTryLater},
	{CodeGPULost, true, CloseInternal},
	{CodeInternal, true, CloseInternal},
}

// Codes is the closed list, in the order of README.md.
func Codes() []Code {
	codes := make([]Code, len(rules))
	for i, r := range rules {
		codes[i] = r.code
	}
	return codes
}

func (c Code) rule() rule {
	if i := slices.IndexFunc(rules, func(r rule) bool { return r.code == c }); i >= 0 {
		return rules[i]
	}
	return rule{code: c, retryable: false, close: CloseInternal}
}

// Retryable says whether the same request may succeed later.
func (c Code) Retryable() bool { return c.rule().retryable }

// Close is the close code of a connection that ends with this error.
func (c Code) Close() int { return c.rule().close }

// Error is the error message of the protocol, and the error value of both its ends.
type Error struct {
	Code      Code   `json:"code"`
	Message   string `json:"message"`
	Param     string `json:"param,omitempty"` // the field at fault, as in "format.rate"
	Retryable bool   `json:"retryable"`
	// Fatal says that the server closes the connection after this message.
	Fatal bool `json:"fatal"`
}

// Errorf makes a fatal error; whether it is retryable follows from the code.
func Errorf(code Code, param, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Param: param, Retryable: code.Retryable(), Fatal: true}
}

func (e *Error) Error() string {
	if e.Param == "" {
		return fmt.Sprintf("%s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%s: %s: %s", e.Code, e.Param, e.Message)
}

// Is makes errors.Is(err, &wire.Error{Code: c}) ask for the code alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}
