package rows_test

import (
	"slices"
	"testing"

	"github.com/oncepay/oncepay/internal/rows"
)

type account struct {
	id      string
	version int64
	balance int
}

func accounts() rows.Set[string, account] {
	return rows.Of(func(a *account) (string, *int64) { return a.id, &a.version })
}

func TestARowIsAskedForOnce(t *testing.T) {
	s := accounts()
	s.Know("c")
	for _, id := range []string{"a", "b", "a", "c"} {
		s.Want(id)
	}
	if got := s.Wanted(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("it wants %q", got)
	}
	s.Want("b")
	if got := s.Wanted(); len(got) != 0 {
		t.Errorf("asked again, it wants %q", got)
	}
	if !s.Knows("a") || s.Get("a") != nil || !s.Knows("c") || s.Knows("d") || s.Get("d") != nil {
		t.Error("what was asked for and not put is absent, what was not is not known")
	}
}

func TestWhatIsPut(t *testing.T) {
	for name, row := range map[string]struct {
		known bool
		have  int64 // version, 0 if it is absent
		put   int64
		taken bool
	}{
		"a row that nobody named":     {false, 0, 1, false},
		"a row that was asked for":    {true, 0, 1, true},
		"a newer version":             {true, 1, 2, true},
		"the version that is there":   {true, 2, 2, false},
		"an older version":            {true, 3, 2, false},
		"the first of a row, far on":  {true, 0, 9, true},
		"a row that is not there yet": {true, 0, 0, true},
	} {
		s := accounts()
		if row.known {
			s.Want("a")
		}
		if row.have > 0 {
			s.Put(&account{id: "a", version: row.have})
		}
		late := &account{id: "a", version: row.put, balance: 7}
		if lacks := s.Lacks(late); lacks != row.taken {
			t.Errorf("%s: it is lacking: %v", name, lacks)
		}
		if s.Put(late); (s.Get("a") == late) != row.taken {
			t.Errorf("%s: there is %+v", name, s.Get("a"))
		}
	}
}

func TestCatchUpTakesCopiesOfWhatIsKnown(t *testing.T) {
	s := accounts()
	s.Want("a")
	written := []*account{{id: "a", version: 2, balance: 7}, {id: "b", version: 2}}
	s.CatchUp(written)
	if a := s.Get("a"); a == nil || a == written[0] || *a != *written[0] || s.Knows("b") {
		t.Errorf("it has %+v", a)
	}
}

// Versions count commits, not writes; and a row that is new need not be known.
func TestWhatIsWritten(t *testing.T) {
	s := accounts()
	s.Want("a")
	a, fresh := &account{id: "a", version: 4}, &account{id: "new"}
	s.Put(a)
	for range 2 {
		s.Write(fresh)
		s.Write(a)
	}
	if got := s.Written(); !slices.Equal(got, []*account{fresh, a}) || a.version != 5 || fresh.version != 1 {
		t.Errorf("it wrote %d rows, the versions are %d and %d", len(got), a.version, fresh.version)
	}
	if s.Get("new") != fresh {
		t.Error("what was written is not there")
	}
}

// A batch pays for no kind of row that it does not use.
func TestASetThatIsNotUsedCostsNothing(t *testing.T) {
	book := new(struct{ unused rows.Set[string, account] })
	row := &account{id: "a"}
	if n := testing.AllocsPerRun(100, func() {
		book.unused = accounts()
		if s := &book.unused; s.Get("a") != nil || s.Knows("a") || s.Lacks(row) || len(s.Wanted())+len(s.Written()) > 0 {
			t.Error("there is something in it")
		}
	}); n > 0 {
		t.Errorf("it takes %v allocations", n)
	}
}
