// Package rows keeps the rows that one batch of commands works on.
//
// A [Set] is the rows of one kind. Commands name the rows that they need
// ([Set.Want]), a store is asked for what was named ([Set.Wanted]), what it found
// is put in ([Set.Put]), and what the commands change is what the batch writes
// ([Set.Written]).
//
// # What is promised
//
// A row is asked for once. One that was asked for and not put is absent. A newer
// version of a row is never replaced by an older one. A row's version grows by
// one, however often it is written: versions count commits.
//
// # What is not promised
//
// A Set copies nothing: it owns the rows that are put and written. It is not safe
// for concurrent use. It takes room only once a row is named, so a batch pays for
// no kind of row that it does not use.
package rows

// Set is the rows of one kind that are known to a batch, by their ids. Make one
// with [Of]; its zero value does not work.
type Set[ID comparable, Row any] struct {
	identify func(*Row) (id ID, version *int64)
	known    map[ID]entry[Row]
	wanted   []ID
	written  []*Row
}

// entry is a row in the set: nil means that it is known to be absent.
type entry[Row any] struct {
	row   *Row
	dirty bool
}

// Of makes an empty set of rows, which have the id and the version that identify
// says. A row that is not in the store yet is at version 0.
func Of[ID comparable, Row any](identify func(*Row) (id ID, version *int64)) Set[ID, Row] {
	return Set[ID, Row]{identify: identify}
}

// Want names a row to be loaded, unless it is known.
func (s *Set[ID, Row]) Want(id ID) {
	if s.Know(id) {
		s.wanted = append(s.wanted, id)
	}
}

// Know makes room for a row that nobody need ask the store for, and says whether
// there was none.
func (s *Set[ID, Row]) Know(id ID) bool {
	if s.Knows(id) {
		return false
	}
	s.keep(id, entry[Row]{})
	return true
}

// Knows says whether a row was named, be it absent or not.
func (s *Set[ID, Row]) Knows(id ID) bool {
	_, known := s.known[id]
	return known
}

// Wanted returns what was named since the last call.
func (s *Set[ID, Row]) Wanted() []ID {
	w := s.wanted
	s.wanted = nil
	return w
}

// Lacks says whether a row is known, and is absent or older than this version of
// it.
func (s *Set[ID, Row]) Lacks(row *Row) bool {
	id, version := s.identify(row)
	e, known := s.known[id]
	if !known || e.row == nil {
		return known
	}
	_, have := s.identify(e.row)
	return *have < *version
}

// Put puts a row that was loaded into the set, if the set lacks it.
func (s *Set[ID, Row]) Put(row *Row) {
	if s.Lacks(row) {
		id, _ := s.identify(row)
		s.keep(id, entry[Row]{row: row})
	}
}

// CatchUp puts copies of rows that another batch has written meanwhile.
func (s *Set[ID, Row]) CatchUp(written []*Row) {
	for _, row := range written {
		if s.Lacks(row) {
			s.Put(new(*row))
		}
	}
}

// Get returns a row, or nil if it does not exist.
func (s *Set[ID, Row]) Get(id ID) *Row { return s.known[id].row }

// Write marks a row as changed. It may be new, and then need not be known.
func (s *Set[ID, Row]) Write(row *Row) {
	id, version := s.identify(row)
	if s.known[id].dirty {
		return
	}
	s.keep(id, entry[Row]{row, true})
	*version++
	s.written = append(s.written, row)
}

// Written returns the rows that were written, in the order in which they were
// first.
func (s *Set[ID, Row]) Written() []*Row { return s.written }

func (s *Set[ID, Row]) keep(id ID, e entry[Row]) {
	if s.known == nil {
		s.known = map[ID]entry[Row]{}
	}
	s.known[id] = e
}
