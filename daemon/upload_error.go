package daemon

import (
	"errors"
	"fmt"
	"net/http"
	"os"

	"golang.org/x/sys/unix"

	"github.com/autovoiced/autovoiced/client/wire"
)

// bodyError says in the protocol's words why taking in the body of a request ended. The field is what the body brings; tooLarge and tooSlow
// are what is told of limits, the former of how many bytes they allow.
func bodyError(err error, field string, tooLarge func(limit int64) string, tooSlow string) *wire.Error {
	var e *wire.Error
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &large):
		return wire.Errorf(wire.CodeTooLarge, field, "%s", tooLarge(large.Limit))
	case isTimeout(err):
		return wire.Errorf(wire.CodeIdleTimeout, field, "%s", tooSlow)
	}
	if e := keepError(err); e != nil {
		return e
	}
	return wire.Errorf(wire.CodeBadMessage, "", "the body is broken: %v", err)
}

// keepError is what a file that cannot be written means to a client, to whom its path is of no use; nil for other errors.
func keepError(err error) *wire.Error {
	var path *os.PathError
	switch {
	case diskFull(err):
		return wire.Errorf(wire.CodeDiskFull, "", "the daemon has no room on its disk for that")
	case errors.As(err, &path):
		return wire.Errorf(wire.CodeInternal, "", "%v", fmt.Errorf("keeping what was sent: %w", path.Err))
	}
	return nil
}

func diskFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
