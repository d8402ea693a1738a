package sqlite

import (
	"unsafe"

	"github.com/oncepay/oncepay/engine"
	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// stmt is a prepared statement. Values are bound from left to right, then it is
// run:
//
//	changed, err := s.int(num).text(id).exec()
//
// or its rows are read:
//
//	s.int(num)
//	for s.next(&err) { … s.columnInt(0) … }
type stmt struct {
	c     *conn
	p     uintptr
	sql   string
	bound int32 // how many values are bound
	bad   int32 // result code of a value that could not be bound
	onRow bool  // it has a row that is being read

	// Text and blobs are copied here and bound in place, so that binding
	// allocates nothing; they stay until the statement is run again.
	arena     uintptr
	size, top int
	spill     []uintptr // values that did not fit in
}

// arenaSize holds the values of most rows.
const arenaSize = 16 << 10

func (s *stmt) int(v int64) *stmt {
	s.bound++
	s.note(lib.Xsqlite3_bind_int64(s.c.tls, s.p, s.bound, v))
	return s
}

func (s *stmt) null() *stmt {
	s.bound++
	s.note(lib.Xsqlite3_bind_null(s.c.tls, s.p, s.bound))
	return s
}

func (s *stmt) text(v string) *stmt {
	s.bound++
	p := s.keep(unsafe.Slice(unsafe.StringData(v), len(v)))
	s.note(lib.Xsqlite3_bind_text(s.c.tls, s.p, s.bound, p, int32(len(v)), 0))
	return s
}

// textBytes binds text that is a byte slice.
func (s *stmt) textBytes(v []byte) *stmt {
	s.bound++
	s.note(lib.Xsqlite3_bind_text(s.c.tls, s.p, s.bound, s.keep(v), int32(len(v)), 0))
	return s
}

func (s *stmt) blob(v []byte) *stmt {
	s.bound++
	s.note(lib.Xsqlite3_bind_blob(s.c.tls, s.p, s.bound, s.keep(v), int32(len(v)), 0))
	return s
}

// textOrNull binds "" as null.
func (s *stmt) textOrNull(v string) *stmt {
	if v == "" {
		return s.null()
	}
	return s.text(v)
}

func (s *stmt) bool(v bool) *stmt {
	if v {
		return s.int(1)
	}
	return s.int(0)
}

func (s *stmt) note(rc int32) {
	if rc != lib.SQLITE_OK && s.bad == lib.SQLITE_OK {
		s.bad = rc
	}
}

// keep copies a value to where the library can see it.
func (s *stmt) keep(v []byte) uintptr {
	if s.arena == 0 {
		s.arena, s.size = libc.Xmalloc(s.c.tls, arenaSize), arenaSize
	}
	p := s.arena + uintptr(s.top)
	if len(v) > s.size-s.top {
		p = libc.Xmalloc(s.c.tls, lib.Tsize_t(len(v)))
		s.spill = append(s.spill, p)
	} else {
		s.top += len(v)
	}
	copy(memory(p, len(v)), v)
	return p
}

// exec runs the statement to its end and says how many rows it changed.
func (s *stmt) exec() (changed int, err error) {
	defer s.reset()
	for row := true; row; {
		if row, err = s.step(); err != nil {
			return 0, err
		}
	}
	return int(lib.Xsqlite3_changes(s.c.tls, s.c.db)), nil
}

// returned runs a statement that changes one row to its end, and returns the
// integer that it returns of that. It is a conflict if there was no such row.
func (s *stmt) returned() (n int64, err error) {
	defer s.reset()
	row, err := s.step()
	if err == nil && !row {
		err = engine.ErrConflict
	}
	if err != nil {
		return 0, err
	}
	n = s.columnInt(0)
	_, err = s.step()
	return n, err
}

// next moves to the next row. At the end, or at an error, which it puts into
// err, the statement is ready to be bound again.
func (s *stmt) next(err *error) bool {
	row, e := s.step()
	if e != nil {
		*err = e
	}
	if !row {
		s.reset()
	}
	return row
}

func (s *stmt) step() (row bool, err error) {
	if s.bad != lib.SQLITE_OK {
		return false, s.c.failure(s.bad, s.sql)
	}
	switch rc := lib.Xsqlite3_step(s.c.tls, s.p); rc {
	case lib.SQLITE_ROW:
		s.onRow = true
		return true, nil
	case lib.SQLITE_DONE:
		return false, nil
	default:
		return false, s.c.failure(rc, s.sql)
	}
}

// reset makes the statement ready to be bound again. Leaving the rows of a
// statement early needs one.
func (s *stmt) reset() {
	lib.Xsqlite3_reset(s.c.tls, s.p) // its result is that of the last step
	s.bound, s.bad, s.top, s.onRow = 0, lib.SQLITE_OK, 0, false
	for _, p := range s.spill {
		libc.Xfree(s.c.tls, p)
	}
	s.spill = s.spill[:0]
}

func (s *stmt) finalize() {
	s.reset()
	lib.Xsqlite3_finalize(s.c.tls, s.p)
	if s.arena != 0 {
		libc.Xfree(s.c.tls, s.arena)
	}
}

func (s *stmt) columnInt(i int32) int64 { return lib.Xsqlite3_column_int64(s.c.tls, s.p, i) }

func (s *stmt) columnNull(i int32) bool {
	return lib.Xsqlite3_column_type(s.c.tls, s.p, i) == lib.SQLITE_NULL
}

// columnText is "" for null.
func (s *stmt) columnText(i int32) string { return string(s.view(i)) }

// columnBytes is a copy of a text or a blob, nil if it is empty or null.
func (s *stmt) columnBytes(i int32) []byte { return append([]byte(nil), s.view(i)...) }

// view is a text or a blob where the library has it, until the next call.
func (s *stmt) view(i int32) []byte {
	p := lib.Xsqlite3_column_blob(s.c.tls, s.p, i)
	if p == 0 {
		return nil
	}
	return memory(p, int(lib.Xsqlite3_column_bytes(s.c.tls, s.p, i)))
}

// name reads a row of one text.
func (s *stmt) name() (string, error) { return s.columnText(0), nil }
