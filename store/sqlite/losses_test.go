package sqlite_test

import (
	"path/filepath"
	"testing"
	"time"
)

// A store has lost nothing until somebody says so; that outlives it, until somebody
// says what it was compared with.
func TestALossIsKeptUntilItIsEnded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "once.db")
	forgot := func() time.Time {
		t.Helper()
		s := open(t, path)
		defer mustClose(t, s)
		until, err := s.Forgot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return until
	}
	if until := forgot(); !until.IsZero() {
		t.Errorf("a new store has lost what was before %v", until)
	}
	s, before := open(t, path), time.Now()
	if err := s.NoteLoss(t.Context(), "the backup of last night"); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	if until := forgot(); !until.After(before) {
		t.Errorf("commits from before %v may be missing, and it was said at %v", until, before)
	}
	s = open(t, path)
	for _, want := range []int{1, 0} {
		if n, err := s.EndLosses(t.Context(), "settlement report", "ops"); n != want || err != nil {
			t.Errorf("%d were ended, want %d: %v", n, want, err)
		}
	}
	losses, err := s.Losses(t.Context())
	if err != nil || len(losses) != 1 || losses[0].Cause != "the backup of last night" || losses[0].Evidence != "settlement report" || losses[0].Actor != "ops" {
		t.Errorf("it is remembered as %+v, %v", losses, err)
	}
	mustClose(t, s)
	if until := forgot(); !until.IsZero() {
		t.Errorf("it was ended, and what was before %v may be missing", until)
	}
}
