package pebble

import (
	"context"
	"fmt"
	"time"

	"github.com/oncepay/oncepay/once"
)

// MaxRecord is how large a record may be, in bytes: some such records are in memory
// at a time, and twice.
const MaxRecord = 8 << 20

// Swap is [once.Store]'s. It fails with a [once.ErrTooLarge], an [ErrDiskFull], an
// [ErrOverloaded] or an [ErrClosed].
func (s *Store) Swap(ctx context.Context, next once.Record) (seen once.Seen, err error) {
	err = s.with(ctx, func() error {
		h, err := s.hold(ctx, next.Key)
		if err == nil {
			seen, err = s.swap(ctx, h, next)
		}
		if err == nil {
			seen.At = s.now(ctx)
		}
		return err
	})
	if err != nil {
		return once.Seen{}, fmt.Errorf("pebble: swap: %w", err)
	}
	return seen, nil
}

// swap writes next if it follows. It gives the key back, or has it given back when
// next is durable.
func (s *Store) swap(ctx context.Context, h *hold, next once.Record) (once.Seen, error) {
	found, err := s.find(next.Key)
	if err != nil || found.record.Version != next.Version-1 {
		s.give(h)
		return once.Seen{Record: found.record}, err
	}
	now, _ := s.clock.now()
	rows, err := rowsOf(next, now.UnixMicro())
	if err != nil {
		s.give(h)
		return once.Seen{}, err
	}
	h.writing.Store(true)
	w := &write{batch: s.db.NewBatch(), hold: h, done: make(chan struct{})}
	rows.write(w.batch, found.rows)
	if err := s.shelve(w, rows.shelf); err != nil {
		s.give(h)
		return once.Seen{}, err
	}
	return once.Seen{Record: next, Won: true}, s.wait(ctx, w.done)
}

// Load is [once.Store]'s. It fails with an [ErrClosed], and while the disk is full with
// an [ErrDiskFull] if a Swap of that key is on its way.
func (s *Store) Load(ctx context.Context, key once.Key) (seen once.Seen, err error) {
	err = s.with(ctx, func() error {
		h, err := s.hold(ctx, key)
		if err != nil {
			return err
		}
		found, err := s.find(key)
		s.give(h)
		if err == nil {
			seen = once.Seen{Record: found.record, At: s.now(ctx)}
		}
		return err
	})
	if err != nil {
		return once.Seen{}, fmt.Errorf("pebble: load: %w", err)
	}
	return seen, nil
}

// now is the store's time. While the disk is full it stands still.
func (s *Store) now(ctx context.Context) time.Time {
	now, may := s.clock.now()
	if !may && s.commit(ctx, s.db.NewBatch()) == nil {
		now, _ = s.clock.now()
	}
	return now
}

// with does something with the store, unless that is closed or has stopped, or nobody
// waits for it.
func (s *Store) with(ctx context.Context, do func() error) error {
	s.use.RLock()
	defer s.use.RUnlock()
	if s.closed {
		return ErrClosed
	}
	select {
	case <-s.gate.broken:
		return &brokenError{s.gate.cause}
	case <-ctx.Done():
		return ctx.Err()
	default:
		return do()
	}
}
