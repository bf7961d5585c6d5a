//go:build e2e

package jacktest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Options describe the dummy sound card.
type Options struct {
	Rate   int // Hz; 0: 48000
	Period int // frames; 0: 128
}

// Server is a jackd of our own, under a name of its own.
type Server struct {
	Name string
	opt  Options

	mu       sync.Mutex
	cmd      *exec.Cmd
	log      *logBuffer
	realtime bool
}

var serial atomic.Int32

// Start runs jackd on its dummy driver, with real-time priority where that is allowed, and waits
// until clients can connect.
func Start(opt Options) (*Server, error) {
	if opt.Rate == 0 {
		opt.Rate = 48000
	}
	if opt.Period == 0 {
		opt.Period = 128
	}
	s := &Server{Name: fmt.Sprintf("avtest%d-%d", os.Getpid(), serial.Add(1)), opt: opt}
	if err := s.Restart(); err != nil {
		return nil, err
	}
	return s, nil
}

// Env is what a program needs to find this server and no other.
func (s *Server) Env() []string {
	return []string{"JACK_DEFAULT_SERVER=" + s.Name, "JACK_NO_START_SERVER=1", "JACK_NO_AUDIO_RESERVATION=1"}
}

// Realtime says whether the server was allowed real-time priority: if not, expect xruns.
func (s *Server) Realtime() bool { return s.realtime }

// Restart starts the server again after Kill or Stop, as it was.
func (s *Server) Restart() error {
	var faults []error
	for _, mode := range []string{"-R", "-r"} {
		err := s.launch(mode)
		if err == nil {
			s.realtime = mode == "-R"
			return nil
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// RestartAs is Restart with another sound card under the same name.
func (s *Server) RestartAs(opt Options) error {
	s.opt = opt
	return s.Restart()
}

func (s *Server) launch(mode string) error {
	cmd := exec.Command("jackd", "-n", s.Name, mode, "-d", "dummy",
		"-r", strconv.Itoa(s.opt.Rate), "-p", strconv.Itoa(s.opt.Period))
	cmd.Env = append(os.Environ(), s.Env()...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // never outlives the test
	log := &logBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("jackd: %w (Debian: apt install jackd2)", err)
	}
	s.mu.Lock()
	s.cmd, s.log = cmd, log
	s.mu.Unlock()
	// Another process looks whether it is up: libjack does not bear that one thread opens a client
	// while another closes one whose server was killed.
	wait := exec.Command("jack_wait", "--server", s.Name, "--wait", "--timeout", "10")
	wait.Env = cmd.Env
	if out, err := wait.CombinedOutput(); err != nil {
		s.signal(syscall.SIGKILL)
		return fmt.Errorf("jackd %s did not come up: %w: %s%s", mode, err, out, log)
	}
	return nil
}

// Kill ends the server the hard way, as a crash would.
func (s *Server) Kill() { s.signal(syscall.SIGKILL) }

// Stop ends the server.
func (s *Server) Stop() { s.signal(syscall.SIGTERM) }

// Freeze and Thaw stop the server in its tracks and let it go on.
func (s *Server) Freeze() error { return s.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw ends a Freeze.
func (s *Server) Thaw() error { return s.cmd.Process.Signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.mu.Lock()
	cmd := s.cmd
	s.cmd = nil
	s.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Signal(sig)
	timer := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	timer.Stop()
	for _, pattern := range []string{"/dev/shm/jack_%s_*", "/dev/shm/jack_sem.*_%s_*"} { // what a killed server leaves
		left, _ := filepath.Glob(fmt.Sprintf(pattern, s.Name))
		for _, path := range left {
			_ = os.Remove(path)
		}
	}
}

// Xruns is how many the server has reported since it started.
func (s *Server) Xruns() int {
	s.mu.Lock()
	log := s.log
	s.mu.Unlock()
	return len(xrun.FindAllString(log.String(), -1))
}

// Log is what the server has printed.
func (s *Server) Log() string { return s.log.String() }

var xrun = regexp.MustCompile(`XRun|xrun of|was not finished`)

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
