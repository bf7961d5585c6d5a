// Command autovoiced turns the voice going in into another voice coming out. Main parses flags,
// listens for signals and maps errors to exit codes; everything else is in the packages below it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/autovoiced/autovoiced/daemon"
	"github.com/autovoiced/autovoiced/infer"
)

type cli struct {
	Config      string `short:"c" placeholder:"FILE" help:"Settings; ./config.yaml when it is there, else the built-in defaults."`
	ShowVersion bool   `name:"version" help:"Say which version this is."`

	Serve    serveCmd    `cmd:"" default:"withargs" help:"Run the daemon (the default)."`
	Live     liveCmd     `cmd:"" help:"Microphone, voice, loudspeaker, with level meters and latency."`
	Stream   streamCmd   `cmd:"" help:"Send a recording to a running daemon and keep what comes back."`
	Convert  convertCmd  `cmd:"" help:"Convert a song or a recording."`
	Voices   voicesCmd   `cmd:"" help:"List the voices."`
	Profiles profilesCmd `cmd:"" help:"Voices of your own, from a few seconds of recordings."`
	Devices  devicesCmd  `cmd:"" help:"List the sound devices."`
	Bench    benchCmd    `cmd:"" help:"Measure this machine: delay, load, how many voices it carries."`
	Report   reportCmd   `cmd:"" help:"Tell of a conversion: times, pitch and spectrograms, as text and as a page."`
	Engines  enginesCmd  `cmd:"" help:"What TensorRT runs: list, build, verify, clean."`
	Version  versionCmd  `cmd:"" help:"Say which version this is."`

	Completion   completionCmd   `cmd:"" help:"Print what lets a shell complete commands: bash, zsh or fish."`
	Complete     completeCmd     `cmd:"" name:"__complete" hidden:""`
	BenchClients crowdClientsCmd `cmd:"" name:"bench-clients" hidden:""`

	TrySession trySessionCmd `cmd:"" name:"try-session" hidden:""`
}

// env is what every command is given.
type env struct {
	ctx         context.Context // ends with the first signal
	flags       *cli
	out, errOut *os.File
}

func main() {
	log.SetOutput(io.Discard) // libraries talk there, of what is no concern of ours; our log is zerolog's
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, out, errOut *os.File) int {
	var c cli
	exited := -1
	parser := newParser(&c, out, errOut, func(code int) { exited = code })
	if len(args) > 0 && args[0] == "help" {
		args = append(args[1:], "--help")
	}
	parsed, err := parser.Parse(joinNegative(args))
	if exited >= 0 { // --help has been printed
		return exited
	}
	if err == nil && parsed.Command() != "serve" && c.ShowVersion {
		err = fmt.Errorf("--version goes without a command, not with %s", parsed.Command())
	}
	if err != nil {
		complain(errOut, misspelt(suggested(parser, args, err)))
		return exitUsage
	}
	ctx, stop := signals(errOut)
	defer stop()
	defer infer.WatchBuilding(ctx, func(b infer.Building) { tellBuilding(errOut, b) })() // the daemon logs it instead
	err = parsed.Run(&env{ctx: ctx, flags: &c, out: out, errOut: errOut}, parser.Model)
	if err != nil {
		complain(errOut, err)
	}
	return exitCode(err)
}

var negative = regexp.MustCompile(`^-\.?[0-9]`)

// joinNegative lets a flag have a negative number as its value without an equals sign: no flag of ours is a digit.
func joinNegative(args []string) []string {
	var out []string
	for _, a := range args {
		if n := len(out); n > 0 && strings.HasPrefix(out[n-1], "--") && !strings.Contains(out[n-1], "=") && negative.MatchString(a) {
			out[n-1] += "=" + a
			continue
		}
		out = append(out, a)
	}
	return out
}

func newParser(c *cli, out, errOut io.Writer, exit func(int)) *kong.Kong {
	parser, err := kong.New(c,
		kong.Name("autovoiced"),
		kong.Description("Turns the voice going in into another voice coming out, live."),
		kong.Writers(out, errOut),
		kong.Vars{"results": daemon.ResultsFolder},
		kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.Help(printHelp),
	)
	if err != nil {
		panic(err) // the struct above is wrong
	}
	return parser
}

// suggested names the commands that a word may have been meant to be. As long as there is a default command, kong takes
// any word for an argument of it, and suggests none.
func suggested(parser *kong.Kong, args []string, err error) error {
	if !strings.HasPrefix(err.Error(), "unexpected argument") {
		return err
	}
	parser.Model.DefaultCmd = nil
	if _, again := parser.Parse(args); again != nil && strings.Contains(again.Error(), "did you mean") {
		return again
	}
	return err
}

// misspelt says where what there is can be read.
func misspelt(err error) error {
	joint := ";"
	if strings.HasSuffix(err.Error(), "?") {
		joint = ""
	}
	return fmt.Errorf("%w%s `autovoiced help` lists what there is", err, joint)
}

func complain(w io.Writer, err error) {
	fmt.Fprintf(w, "autovoiced: %v\n", err)
}

// signals gives a context that the first SIGINT or SIGTERM ends: whatever runs drains. The second
// one does not wait.
func signals(errOut io.Writer) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	heard := make(chan os.Signal, 2)
	signal.Notify(heard, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case s := <-heard:
			fmt.Fprintf(errOut, "autovoiced: %v: draining what is on its way; once more to force\n", s)
			cancel()
		case <-done:
			return
		}
		select {
		case <-heard:
			fmt.Fprintln(errOut, "autovoiced: forced: what was on its way is lost")
			os.Exit(exitForced)
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(heard)
		close(done)
		cancel()
	}
}

// config loads the settings; its errors have their exit code.
func (e *env) config() (daemon.Config, error) {
	cfg, err := daemon.Load(e.flags.Config)
	return cfg, coded(exitConfig, err)
}

// interrupted says that a command ended because it was told to.
func interrupted(err error) bool { return errors.Is(err, context.Canceled) }
