package infer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

const (
	// RuntimeVersion is the ONNX Runtime that `make deps` installs and that we test with.
	RuntimeVersion = "1.31.1"
	// minRuntimeMinor is the C API that the binding was compiled against (1.24): an older library
	// does not have it, newer ones keep it.
	minRuntimeMinor = 24

	// EnvLibrary is the environment variable with the path of the library.
	EnvLibrary = "AUTOVOICE_ORT_LIB"
	// EnvLog is the environment variable with ONNX Runtime's log level on stderr: verbose, info,
	// warning, error or fatal, which is the default.
	EnvLog = "AUTOVOICE_ORT_LOG"
)

// environment is the process's one ONNX Runtime. It lives as long as the process: the library
// keeps threads and statics that do not survive being unloaded and loaded again.
var environment struct {
	sync.Mutex
	path, version string // empty until it runs
}

// Version is the version of the ONNX Runtime in use, "" before the first engine is loaded.
func Version() string {
	environment.Lock()
	defer environment.Unlock()
	return environment.version
}

// Library is the path of the ONNX Runtime library in use, "" before the first engine is loaded.
func Library() string {
	environment.Lock()
	defer environment.Unlock()
	return environment.path
}

// Start loads ONNX Runtime, once for the process; loading an engine does it as well. After a
// failure it may be called again.
func Start() error {
	environment.Lock()
	defer environment.Unlock()
	if environment.version != "" {
		return nil
	}
	path, version, err := findLibrary()
	if err != nil {
		return err
	}
	level, err := logLevel()
	if err != nil {
		return err
	}
	ort.SetSharedLibraryPath(path)
	if err := ort.InitializeEnvironment(level); err != nil {
		return fmt.Errorf("onnx runtime %s at %s does not start: %w", version, path, err)
	}
	if err := ort.DisableTelemetry(); err != nil {
		return fmt.Errorf("onnx runtime %s: disable telemetry: %w", version, err)
	}
	environment.path, environment.version = path, version
	return nil
}

// findLibrary loads the first library that is there: the one named by the environment, else the
// one in the user's cache folder, else whatever the loader's path has. A library that is there but
// does not serve is an error, not a reason to try the next: the wrong version should be seen.
func findLibrary() (path, version string, err error) {
	if path = os.Getenv(EnvLibrary); path != "" {
		version, err = checkLibrary(path)
		if err != nil {
			err = fmt.Errorf("%s: %w", EnvLibrary, err)
		}
		return path, version, err
	}
	cached, err := cachedLibrary()
	if err != nil {
		return "", "", err
	}
	if _, err := os.Stat(cached); err == nil {
		version, err = checkLibrary(cached)
		return cached, version, err
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", "", fmt.Errorf("onnx runtime: %w", err)
	}
	for _, name := range []string{"libonnxruntime.so." + RuntimeVersion, "libonnxruntime.so.1", "libonnxruntime.so"} {
		if version, err = libraryVersion(name); err == nil {
			return name, version, checkVersion(name, version)
		}
	}
	return "", "", fmt.Errorf("onnx runtime %s not found: not at %s, not on the loader's path, and %s is not set; `make deps` installs it",
		RuntimeVersion, cached, EnvLibrary)
}

// cachedLibrary is where `make deps` puts the library.
func cachedLibrary() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("onnx runtime: no cache folder to look in: %w; set %s", err, EnvLibrary)
	}
	return filepath.Join(cache, "autovoice", "onnxruntime", RuntimeVersion, "libonnxruntime.so."+RuntimeVersion), nil
}

func checkLibrary(path string) (string, error) {
	version, err := libraryVersion(path)
	if err != nil {
		return "", fmt.Errorf("onnx runtime does not load: %w; `make deps` installs version %s", err, RuntimeVersion)
	}
	return version, checkVersion(path, version)
}

func checkVersion(path, version string) error {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) == 3 {
		major, err1 := strconv.Atoi(parts[0])
		minor, err2 := strconv.Atoi(parts[1])
		if err1 == nil && err2 == nil && major == 1 && minor >= minRuntimeMinor {
			return nil
		}
	}
	return fmt.Errorf("onnx runtime at %s is version %s, needed is 1.%d or a later 1.x (tested: %s); `make deps` installs it",
		path, version, minRuntimeMinor, RuntimeVersion)
}

// logLevel keeps ONNX Runtime off stderr: what matters comes back as an error with its text.
func logLevel() (ort.EnvironmentOption, error) {
	switch level := os.Getenv(EnvLog); level {
	case "", "fatal":
		return ort.WithLogLevelFatal(), nil
	case "error":
		return ort.WithLogLevelError(), nil
	case "warning":
		return ort.WithLogLevelWarning(), nil
	case "info":
		return ort.WithLogLevelInfo(), nil
	case "verbose":
		return ort.WithLogLevelVerbose(), nil
	default:
		return nil, fmt.Errorf("%s: %q is not a level; allowed: verbose, info, warning, error, fatal", EnvLog, level)
	}
}
