package media

import (
	"os"
	"sync"
	"syscall"
)

var readUmask = sync.OnceValue(func() os.FileMode {
	mask := syscall.Umask(0)
	syscall.Umask(mask)
	return os.FileMode(mask)
})

// umask is what the files of this process must not be to others. It can be asked for only by
// changing it, for an instant, so that happens once.
func umask() os.FileMode { return readUmask() }
