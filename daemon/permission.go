package daemon

import (
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// soundNodes are the kernel's sound devices. PortAudio leaves out those that this user may not open, so
// that they seem not to exist.
const soundNodes = "/dev/snd/pcm*"

// explained adds to a failure to open the sound card what the sound library does not tell: that there are
// cards, and who may use them.
func explained(err error) error { return explainedBy(err, soundNodes, unix.Access) }

func explainedBy(err error, nodes string, access func(path string, mode uint32) error) error {
	var closed []string
	found, _ := filepath.Glob(nodes) // the pattern is ours
	for _, node := range found {
		if access(node, unix.R_OK|unix.W_OK) != nil {
			closed = append(closed, node)
		}
	}
	if err == nil || len(closed) == 0 {
		return err
	}
	return fmt.Errorf("%w; this user has no permission for %s: add it to the group audio and log in again", err, strings.Join(closed, ", "))
}
