package pebble

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/oncepay/oncepay/once"
)

// holds are the keys that somebody is at. Whoever reads or writes a record holds its
// key, and whoever writes holds it until the record is durable. So a record that is
// not durable is seen by nobody, and it is where it is while it is looked for.
//
// That a key is held through a sync costs nothing: the next version of a record is
// made from the one before, and nobody has been shown that before it was durable.
type holds struct {
	mu   sync.Mutex
	keys map[once.Key]*hold
}

// hold is a key's turn.
type hold struct {
	key   once.Key
	turn  chan struct{} // has one element while nobody has it
	users int           // who has it or waits for it

	writing atomic.Bool // a record that may not be durable
}

// hold waits until the key is free, and takes it.
func (s *Store) hold(ctx context.Context, k once.Key) (*hold, error) {
	h := s.holds.enter(k)
	if err := s.wait(ctx, h.turn); err != nil {
		s.holds.leave(h)
		return nil, err
	}
	return h, nil
}

// give gives a key back that was taken.
func (s *Store) give(h *hold) {
	h.writing.Store(false)
	h.turn <- struct{}{}
	s.holds.leave(h)
}

func (h *holds) enter(k once.Key) *hold {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.keys[k]
	if one == nil {
		if h.keys == nil {
			h.keys = map[once.Key]*hold{}
		}
		one = &hold{key: k, turn: make(chan struct{}, 1)}
		one.turn <- struct{}{}
		h.keys[k] = one
	}
	one.users++
	return one
}

func (h *holds) leave(one *hold) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if one.users--; one.users == 0 {
		delete(h.keys, one.key)
	}
}

// writing says whether a key's record is on its way to the disk.
func (h *holds) writing(k once.Key) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	one := h.keys[k]
	return one != nil && one.writing.Load()
}
