package dsp

import (
	"runtime"
	"sync"
	"weak"
)

// shelf keeps tables that take long to make and never change, for as long as anybody uses them: hundreds of plans with the same
// numbers share one in memory, and in the processor's caches.
type shelf[K comparable, V any] struct {
	mu   sync.Mutex
	held map[K]weak.Pointer[V]
}

// get finds the table of a key, or has it made.
func (s *shelf[K, V]) get(key K, produce func() *V) *V {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.held[key].Value(); v != nil {
		return v
	}
	v := produce()
	if s.held == nil {
		s.held = map[K]weak.Pointer[V]{}
	}
	s.held[key] = weak.Make(v)
	runtime.AddCleanup(v, s.drop, key)
	return v
}

// drop forgets a table that nobody uses any more.
func (s *shelf[K, V]) drop(key K) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[key].Value() == nil {
		delete(s.held, key)
	}
}
