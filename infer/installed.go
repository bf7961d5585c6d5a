package infer

import (
	"fmt"
	"os"
	"path/filepath"
)

// EnvModels is the environment variable with the folder of the models that `make deps` installs.
const EnvModels = "AUTOVOICE_MODELS"

// installed is the folder of a model of others, which `make deps` fills.
func installed(name string) (string, error) {
	if folder := os.Getenv(EnvModels); folder != "" {
		return filepath.Join(folder, name), nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder to look in: %w; set %s", err, EnvModels)
	}
	return filepath.Join(cache, "autovoice", "models", name), nil
}
