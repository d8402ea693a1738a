package pebble

import (
	"context"
	"errors"
	"time"

	"github.com/oncepay/oncepay/once"
)

// OpenOn opens a store on a file system that a test has made.
var OpenOn = openOn

// Queued is how many writes wait for the group that is being written.
func Queued(s *Store) int {
	s.commits.mu.Lock()
	defer s.commits.mu.Unlock()
	return len(s.commits.queue)
}

// Shelves are those that are looked on.
func Shelves(s *Store) []int64 { return s.shelves.all() }

// Advance has the store's time go ahead of the machine's: it is what it says then.
func Advance(s *Store, by time.Duration) (now time.Time) {
	now = time.Now().Add(by).UTC().Truncate(time.Microsecond)
	s.clock.start(now)
	return now
}

// Fill puts records into a store as if each had been written when it was claimed, and
// were the first of its key: many at a time, for benchmarks.
func Fill(s *Store, records []once.Record) error {
	b := s.db.NewBatch()
	s.shelves.mu.Lock()
	for _, r := range records {
		rs, err := rowsOf(r, r.CreatedAt.UnixMicro())
		if err != nil {
			return err
		}
		rs.write(b, rows{})
		s.shelves.add(rs.shelf)
	}
	s.shelves.mu.Unlock()
	return s.commit(context.Background(), b)
}

// Compact has Pebble do now what it does in time.
func Compact(s *Store) error {
	return errors.Join(s.db.Flush(), s.db.Compact(context.Background(), []byte{0}, []byte{255}, true))
}

// Disk is how many bytes the store's tables take.
func Disk(s *Store) uint64 { return s.db.Metrics().DiskSpaceUsage() }
