package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// jobsFolder is where this process keeps songs. It is locked while the process lives, so that what a crash has left behind is
// known and can go.
type jobsFolder struct {
	path string
	lock *os.File
}

// openJobsFolder makes one in parent, or in the user's cache where that is empty, and removes those of processes that are no more.
func openJobsFolder(parent string) (*jobsFolder, error) {
	if parent == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("a folder for songs: %w; jobs.folder names another", err)
		}
		parent = filepath.Join(cache, "autovoice", "jobs")
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, fmt.Errorf("a folder for songs: %w; jobs.folder names another", err)
	}
	sweepJobs(parent)
	path, err := os.MkdirTemp(parent, "daemon-")
	if err != nil {
		return nil, fmt.Errorf("a folder for songs: %w; jobs.folder names another", err)
	}
	lock, err := lockFolder(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("a folder for songs: %w", err), os.RemoveAll(path))
	}
	return &jobsFolder{path, lock}, nil
}

func (f *jobsFolder) remove() error {
	return errors.Join(os.RemoveAll(f.path), f.lock.Close())
}

// lockFolder fails where another process has it.
func lockFolder(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

// sweepJobs removes the folders that nobody has locked.
func sweepJobs(parent string) {
	left, _ := filepath.Glob(filepath.Join(parent, "daemon-*")) // the pattern is sound
	for _, path := range left {
		if lock, err := lockFolder(path); err == nil {
			_ = os.RemoveAll(path) // another time then
			_ = lock.Close()
		}
	}
}
