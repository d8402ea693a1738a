package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	lib "github.com/cockroachdb/pebble/v2"
)

// state is what the store knows of itself.
type state struct {
	until int64 // micros: no later time was told
	swept int64 // micros: answers that were over then are gone, or may be
}

func (st state) append(b []byte) []byte {
	return binary.AppendVarint(binary.AppendVarint(b, st.until), st.swept)
}

func readState(b []byte) (st state, err error) {
	var n, m int
	st.until, n = binary.Varint(b)
	if n > 0 {
		st.swept, m = binary.Varint(b[n:])
	}
	if n <= 0 || m <= 0 || n+m != len(b) {
		return state{}, fmt.Errorf("%w: what it knows of itself cannot be read", ErrDamaged)
	}
	return st, nil
}

// recall reads what the store knows of itself.
func (s *Store) recall() error {
	value, done, err := s.db.Get([]byte{ofStore})
	if errors.Is(err, lib.ErrNotFound) { // it is new
		return nil
	}
	if err != nil {
		return err
	}
	defer done.Close()
	st, err := readState(value)
	if err != nil {
		return err
	}
	since := time.UnixMicro(st.until).UTC()
	if behind := time.Until(since); behind > time.Minute {
		s.cfg.Log.Warn("the machine's clock is behind the store's, which goes on at half the speed", "behind", behind)
	}
	s.clock.start(since)
	s.swept.Store(st.swept)
	return s.shelves.find(s.db)
}
