package sqlite

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/oncepay/oncepay/engine"
	lib "modernc.org/sqlite/lib"
)

// stoppable is a store whose Fatal is noted.
func stoppable(t *testing.T) (s *Store, stopped *error) {
	t.Helper()
	stopped = new(error)
	s, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "once.db"), Fatal: func(err error) { *stopped = err }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() }) // some of these have broken it
	return s, stopped
}

// upset has a statement fail, whenever it is run.
func upset(t *testing.T, c *conn) *stmt {
	t.Helper()
	q, err := c.stmt("SELECT abs(-9223372036854775808)")
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func rewriteMeta(w *writer) error {
	_, err := w.setMeta.text("clock").int(1).exec()
	return err
}

// No outcome is unknown: when COMMIT fails, the transaction is undone on disk,
// or the store stops.
func TestFailedCommitIsUndoneOnDisk(t *testing.T) {
	for name, code := range map[string]int{"no memory": lib.SQLITE_NOMEM, "busy": lib.SQLITE_BUSY, "internal": lib.SQLITE_INTERNAL} {
		s, stopped := stoppable(t)
		s.mu.Lock()
		err := s.judge(&commitError{&libError{code: code}})
		s.mu.Unlock()
		undone, bad := s.w.c.integer("SELECT value FROM meta WHERE name = 'undone'")
		if !errors.Is(err, engine.ErrNotCommitted) || undone != 1 || bad != nil || *stopped != nil {
			t.Errorf("%s: %v; %d undone, %v; stopped: %v", name, err, undone, bad, *stopped)
		}
	}
}

func TestCommitThatCannotBeUndoneStopsTheStore(t *testing.T) {
	s, stopped := stoppable(t)
	s.w.commit = upset(t, s.w.c)
	s.mu.Lock()
	err := s.write(rewriteMeta)
	s.mu.Unlock()
	if errors.Is(err, engine.ErrNotCommitted) || *stopped == nil || s.Ping(t.Context()) == nil {
		t.Errorf("the write ended with %v; stopped: %v", err, *stopped)
	}
}

func TestTransactionThatCannotBeRolledBackStopsTheStore(t *testing.T) {
	s, stopped := stoppable(t)
	s.w.rollback = upset(t, s.w.c)
	s.mu.Lock()
	err := s.write(func(*writer) error { return engine.ErrConflict })
	s.mu.Unlock()
	if errors.Is(err, engine.ErrNotCommitted) || *stopped == nil {
		t.Errorf("the write ended with %v; stopped: %v", err, *stopped)
	}
}

func TestRollbackThatWasDoneIsNoError(t *testing.T) {
	s, stopped := stoppable(t)
	s.mu.Lock()
	err := s.write(func(w *writer) error { return errors.Join(engine.ErrConflict, w.c.script("ROLLBACK")) })
	s.mu.Unlock()
	if !errors.Is(err, engine.ErrConflict) || *stopped != nil {
		t.Errorf("the write ended with %v; stopped: %v", err, *stopped)
	}
}
