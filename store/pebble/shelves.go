package pebble

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	lib "github.com/cockroachdb/pebble/v2"
)

// shelves are the shelves that there may be something on, the last one first.
//
// Which there are changes together with the queue of writes: mu is held for both. So
// a shelf that is dropped is no longer looked on, and whoever writes to it afterwards
// has it looked on again.
type shelves struct {
	mu   sync.Mutex
	list atomic.Pointer[[]int64] // never changed once it is here
}

// all are the shelves. The caller must not change them.
func (s *shelves) all() []int64 {
	if list := s.list.Load(); list != nil {
		return *list
	}
	return nil
}

// add has a shelf looked on, unless it is 0 or known. The caller holds mu.
func (s *shelves) add(shelf int64) {
	at, known := slices.BinarySearchFunc(s.all(), shelf, later)
	if shelf == 0 || known {
		return
	}
	list := slices.Insert(slices.Clone(s.all()), at, shelf)
	s.list.Store(&list)
}

// drop has the shelves that are over no longer looked on. The caller holds mu.
func (s *shelves) drop(now int64) {
	list := slices.Clone(s.all()[:s.live(now)])
	s.list.Store(&list)
}

// live is how many shelves are not over.
func (s *shelves) live(now int64) int {
	n, _ := slices.BinarySearchFunc(s.all(), now, later)
	return n
}

func later(a, b int64) int { return cmp.Compare(b, a) }

// find finds the shelves that something is on.
func (s *shelves) find(db *lib.DB) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	it, err := db.NewIter(&lib.IterOptions{LowerBound: []byte{shelved}, UpperBound: []byte{shelved + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; {
		shelf := place(it.Key())
		s.add(shelf)
		if shelf == forGood {
			break
		}
		ok = it.SeekGE(from(shelved, shelf+1))
	}
	return it.Close()
}
