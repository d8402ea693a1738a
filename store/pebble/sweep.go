package pebble

import (
	"context"
	"fmt"
	"time"

	lib "github.com/cockroachdb/pebble/v2"
)

// Sweep is [once.Sweeper]'s. Whatever is over is dropped at once: there is never
// more. Answers go to the microsecond, keys when all of their shelf can be forgotten.
// The room is given back within seconds.
func (s *Store) Sweep(ctx context.Context, now time.Time) (more bool, err error) {
	err = s.with(ctx, func() error { return s.sweep(ctx, now.UnixMicro()) })
	if err != nil {
		err = fmt.Errorf("pebble: sweep: %w", err)
	}
	return false, err
}

func (s *Store) sweep(ctx context.Context, now int64) error {
	due, err := s.due(now)
	if err != nil || !due {
		return err
	}
	w := &write{batch: s.db.NewBatch(), done: make(chan struct{})}
	seconds := now / int64(time.Second/time.Microsecond)
	must(w.batch.DeleteRange([]byte{answers}, from(answers, now+1), nil))
	must(w.batch.DeleteRange([]byte{shelved}, from(shelved, seconds+1), nil))
	if err := s.drop(w, now, seconds); err != nil {
		return err
	}
	return s.wait(ctx, w.done)
}

// due says whether there is something to drop.
func (s *Store) due(now int64) (bool, error) {
	if list := s.shelves.all(); s.shelves.live(now/int64(time.Second/time.Microsecond)) < len(list) {
		return true, nil
	}
	it, err := s.db.NewIter(&lib.IterOptions{LowerBound: []byte{answers}, UpperBound: from(answers, now+1)})
	if err != nil {
		return false, damage(err)
	}
	due := it.First()
	return due, damage(it.Close())
}

// drop has a sweep's rows no longer looked for, and the sweep written.
func (s *Store) drop(w *write, now, seconds int64) error {
	s.shelves.mu.Lock()
	defer s.shelves.mu.Unlock()
	before := s.swept.Load()
	s.swept.Store(max(before, now)) // before the first answer is gone
	if err := s.commits.add(w); err != nil {
		s.swept.Store(before)
		return err
	}
	s.shelves.drop(seconds)
	return nil
}

// shelve has a write written, and its shelf looked on from before that.
func (s *Store) shelve(w *write, shelf int64) error {
	s.shelves.mu.Lock()
	defer s.shelves.mu.Unlock()
	s.shelves.add(shelf)
	return s.commits.add(w)
}
