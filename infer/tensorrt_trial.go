package infer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// TrialCommand is the hidden sub-command with which the binary calls itself, to do in a process of its own what may end the
// process: a wrong set-up of TensorRT crashes where nobody can catch it. A program that loads models on TensorRT must answer it
// with Trial.
const TrialCommand = "try-session"

// trialRequest says what a child is to do: build an engine of Model in Dir, or open Context and prove it.
type trialRequest struct {
	Build     bool      `json:"build"`
	Contract  *Contract `json:"contract"`
	Hops      int       `json:"hops"`
	Policy    Policy    `json:"policy"`
	Precision string    `json:"precision"`
	Choose    bool      `json:"choose"` // TensorRT may choose where it computes in half precision
	Source    string    `json:"source"` // what the engine is built of
	Model     string    `json:"model"`  // the graph in fp32; with Context, what fp16 is compared with
	Alone     string    `json:"alone"`  // of a graph for many sessions: the graph for one, which it is compared with instead
	Dir       string    `json:"dir"`
	Timing    string    `json:"timing"` // folder of TensorRT's timing cache
	Context   string    `json:"context"`
}

type trialAnswer struct {
	Error    string    `json:"error,omitempty"`
	Nodes    Nodes     `json:"nodes"`
	Distance *Distance `json:"distance,omitempty"`
}

// Trial is the child's side: a request on in, the answer on out.
func Trial(in io.Reader, out io.Writer) error {
	var r trialRequest
	if err := json.NewDecoder(in).Decode(&r); err != nil {
		return fmt.Errorf("%s is for autovoiced's own use, with a request on standard input: %w", TrialCommand, err)
	}
	answer, err := r.do()
	if err != nil {
		answer.Error = err.Error()
	}
	return json.NewEncoder(out).Encode(answer)
}

func (r *trialRequest) do() (a trialAnswer, err error) {
	if err := Start(); err != nil {
		return a, err
	}
	switch {
	case r.Build:
		return a, r.buildEngine()
	case r.Context == "": // the CPU's turn: the model's own file
		model, err := os.ReadFile(r.Model)
		if err != nil {
			return a, err
		}
		placed, err := countNodes(r.Contract, r.Hops, func(profile string) (*netSession, error) {
			return openNet(r.Contract, model, r.Policy, profile)
		})
		a.Nodes = placed.Nodes
		return a, errors.Join(err, placed.prove(r.Policy.Provider))
	}
	if err := r.survey(serving); err != nil {
		return a, err
	}
	placed, err := countNodes(r.Contract, r.Hops, func(profile string) (*netSession, error) {
		return openFile(r.Contract, r.Context, r.Policy, runOptions(r.Choose), profile)
	})
	if err == nil {
		a.Nodes, err = placed.Nodes, placed.prove(ProviderTensorRT)
	}
	if err == nil && r.Precision == FP16 && r.Model != "" {
		a.Distance, err = r.compare()
	}
	return a, err
}

func (r *trialRequest) survey(to purpose) error {
	_, err := surveyMachine(ProviderTensorRT, Library(), to)
	return err
}

// buildEngine works in the folder, as the engine's name in the EP-context model is relative.
func (r *trialRequest) buildEngine() error {
	if err := r.survey(building); err != nil {
		return err
	}
	if err := errors.Join(os.MkdirAll(r.Timing, 0o755), os.Mkdir(filepath.Join(r.Dir, "engine"), 0o755), os.Chdir(r.Dir)); err != nil {
		return err
	}
	net, err := openFile(r.Contract, r.Source, r.Policy, buildOptions(r.Choose, r.Timing), "")
	if err != nil {
		return err
	}
	_, err = warmUp(r.Contract, network{r.Hops, net}, r.Policy)
	if err := errors.Join(err, net.Destroy()); err != nil {
		return err
	}
	if _, err := os.Stat(engineFile); err != nil {
		return fmt.Errorf("tensorrt left no EP-context model: it takes the graph only in parts: %w", err)
	}
	return nil
}

// compare converts recorded speech with the engine, and with the model itself in fp32 on the CPU.
func (r *trialRequest) compare() (*Distance, error) {
	file := r.Model
	if r.Contract.Sessions > 0 {
		file = r.Alone
	}
	model, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	plain, err := openNet(r.Contract, model, DefaultPolicy(), "")
	if err != nil {
		return nil, err
	}
	defer plain.Destroy() //nolint:errcheck // the process ends soon
	quick, err := openFile(r.Contract, r.Context, r.Policy, runOptions(r.Choose), "")
	if err != nil {
		return nil, err
	}
	defer quick.Destroy() //nolint:errcheck // the process ends soon
	compare := gate
	if r.Contract.Sessions > 0 {
		compare = gateBatch
	}
	d, err := compare(r.Contract, network{r.Hops, plain}, network{r.Hops, quick})
	return &d, err
}

// try lets a child do it. What the child says on standard error goes into the error when it dies.
func try(ctx context.Context, r trialRequest) (trialAnswer, error) {
	self, err := os.Executable()
	if err != nil {
		return trialAnswer{}, fmt.Errorf("first session: %w", err)
	}
	request, err := json.Marshal(r)
	if err != nil {
		return trialAnswer{}, fmt.Errorf("first session: %w", err)
	}
	child := exec.CommandContext(ctx, self, TrialCommand)
	var out, errOut bytes.Buffer
	child.Stdin, child.Stdout, child.Stderr = bytes.NewReader(request), &out, &errOut
	if os.Getenv(EnvLog) != "" { // what was asked for is for the eyes
		child.Stderr = io.MultiWriter(&errOut, os.Stderr)
	}
	if library := Library(); library != "" {
		child.Env = append(os.Environ(), EnvLibrary+"="+library)
	}
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // never without us
	runtime.LockOSThread()                                               // the child goes with the thread that started it, which so must last
	err = child.Run()
	runtime.UnlockOSThread()
	if ctx.Err() != nil {
		return trialAnswer{}, fmt.Errorf("building was given up: %w", context.Cause(ctx))
	}
	if err != nil {
		return trialAnswer{}, fmt.Errorf("first session, tried in a process of its own: %s", ending(child, err, errOut.String()))
	}
	var answer trialAnswer
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
		return trialAnswer{}, fmt.Errorf("first session, tried in a process of its own: %s does not answer %s: %w", self, TrialCommand, err)
	}
	if answer.Error != "" {
		return answer, errors.New(answer.Error)
	}
	return answer, nil
}

// crash is how Go reports a signal that came while a library ran.
var crash = regexp.MustCompile(`(?:\[signal )?(SIG[A-Z]+): [a-z]+`)

// ending says how a child ended, with the last of what it said.
func ending(child *exec.Cmd, err error, said string) string {
	signal := ""
	if child.ProcessState != nil {
		if status, ok := child.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			signal = unix.SignalName(status.Signal())
		}
	}
	if at := crash.FindStringSubmatchIndex(said); at != nil {
		signal, said = said[at[2]:at[3]], said[:at[0]]
	}
	text := err.Error()
	if signal != "" {
		text = fmt.Sprintf("it was ended by %s: a library of the GPU set-up crashes; %s=verbose shows what it did last", signal, EnvLog)
	}
	if said = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(said), "fatal error: unexpected signal during runtime execution")); len(said) > 400 {
		said = "..." + said[len(said)-400:]
	}
	if said != "" {
		text += "; it said: " + strings.ReplaceAll(said, "\n", " | ")
	}
	return text
}
