package main

import (
	_ "embed"
	"fmt"

	"github.com/autovoiced/autovoiced/daemon"
)

// licences are the notices of what is linked into the program. They go wherever it goes, as most of them ask.
// go test ./daemon/autovoiced -run Licences -update makes the file anew.
//
//go:embed licences.txt
var licences string

type versionCmd struct {
	Licences bool `aliases:"licenses" help:"The licences of the libraries in the program."`
}

// Run prints the version, or the notices.
func (c versionCmd) Run(e *env) error {
	if c.Licences {
		_, err := fmt.Fprint(e.out, licences)
		return err
	}
	_, err := fmt.Fprintln(e.out, "autovoiced", daemon.Version)
	return err
}
