package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNoPermissionIsExplained(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"pcmC0D0c", "pcmC0D0p", "timer"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	missing := errors.New("no input device")
	nodes := filepath.Join(dir, "pcm*")
	refuse := func(path string, _ uint32) error {
		if strings.HasSuffix(path, "c") {
			return unix.EACCES
		}
		return nil
	}
	err := explainedBy(missing, nodes, refuse)
	if !errors.Is(err, missing) || !strings.Contains(err.Error(), "no permission for "+filepath.Join(dir, "pcmC0D0c")+": add it to the group audio") {
		t.Errorf("got %v", err)
	}
	if err := explainedBy(missing, nodes, unix.Access); os.Geteuid() == 0 && err != missing {
		t.Errorf("to whom everything is open: %v", err)
	}
	if err := explainedBy(nil, nodes, refuse); err != nil {
		t.Errorf("no failure: %v", err)
	}
}
