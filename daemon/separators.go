package daemon

import (
	"sync"

	"github.com/autovoiced/autovoiced/infer"
)

// separators keeps the last separator that a song has used, ready for the next: opening one takes seconds.
type separators struct {
	policy infer.Policy // where they run
	mu     sync.Mutex
	idle   *keptSeparator
	closed bool
}

// keptSeparator goes back where it came from when it is closed.
type keptSeparator struct {
	infer.Separator
	name, preset string // as asked for
	home         *separators
}

// take is a separator of nobody else, fresh. Its Close gives it back.
func (s *separators) take(name, preset string) (infer.Separator, error) {
	s.mu.Lock()
	kept := s.idle
	if kept != nil && kept.name == name && kept.preset == preset {
		s.idle = nil
		s.mu.Unlock()
		kept.Reset()
		return kept, nil
	}
	s.mu.Unlock()
	made, err := infer.NewSeparatorOn(s.policy, name, preset)
	if err != nil {
		return nil, err
	}
	return &keptSeparator{made, name, preset, s}, nil
}

// ProcessMany implements infer.Bulk.
func (k *keptSeparator) ProcessMany(vocals, mixture [][]float32) error {
	return infer.ProcessHops(k.Separator, vocals, mixture)
}

// Provider implements infer.Placed.
func (k *keptSeparator) Provider() (infer.Provider, []string) { return infer.Placement(k.Separator) }

// Close implements infer.Separator.
func (k *keptSeparator) Close() error {
	s := k.home
	s.mu.Lock()
	if s.closed || k.Name() == infer.SeparatorNone {
		s.mu.Unlock()
		return k.Separator.Close()
	}
	before := s.idle
	s.idle = k
	s.mu.Unlock()
	if before == nil {
		return nil
	}
	return before.Separator.Close()
}

// close ends the one that waits; those that are in use end when they are given back.
func (s *separators) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.idle == nil {
		return nil
	}
	err := s.idle.Separator.Close()
	s.idle = nil
	return err
}
