package sqlite

import (
	"context"
	"time"

	"github.com/oncepay/oncepay/engine"
)

var _ engine.Lineage = (*Store)(nil)

// Forgot is [engine.Lineage]'s. A file that was copied looks like the one that it was
// copied from, so it is what an operator has said.
func (s *Store) Forgot(ctx context.Context) (until time.Time, err error) {
	err = s.read(ctx, func(c *conn) error {
		micros, err := c.integer("SELECT coalesce(max(forgot), 0) FROM losses WHERE ended_at IS NULL")
		until = fromMicros(micros)
		return err
	})
	return until, wrap("what is forgotten", err)
}

// Losses are the times at which commits may have been lost, the last one first.
func (s *Store) Losses(ctx context.Context) (losses []engine.Loss, err error) {
	err = s.read(ctx, func(c *conn) error {
		q, err := c.stmt("SELECT number, cause, noted_at, forgot, ended_at, evidence, actor FROM losses ORDER BY number DESC")
		if err != nil {
			return err
		}
		for q.next(&err) {
			losses = append(losses, engine.Loss{
				Number: q.columnInt(0), Cause: q.columnText(1), NotedAt: q.columnTime(2), Forgot: q.columnTime(3),
				EndedAt: q.columnTime(4), Evidence: q.columnText(5), Actor: q.columnText(6),
			})
		}
		return err
	})
	return losses, wrap("losses", err)
}

const insertLoss = `INSERT INTO losses (cause, noted_at, forgot)
	VALUES (?1, ?2, max(?2, (SELECT value FROM meta WHERE name = 'clock')) + ?3)`

// NoteLoss notes that commits may have been lost: a backup was restored. The store must be
// opened anew before anything is executed.
func (s *Store) NoteLoss(_ context.Context, cause string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(func(w *writer) error {
		q, err := w.c.stmt(insertLoss)
		if err != nil {
			return err
		}
		_, err = q.text(cause).time(time.Now()).int(engine.LossMargin.Microseconds()).exec()
		return err
	})
}

// EndLosses ends the caution about all that may have been lost. It says how many losses
// that were.
func (s *Store) EndLosses(_ context.Context, evidence, actor string) (ended int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.write(func(w *writer) error {
		q, err := w.c.stmt("UPDATE losses SET ended_at = ?, evidence = ?, actor = ? WHERE ended_at IS NULL")
		if err != nil {
			return err
		}
		ended, err = q.time(time.Now()).text(evidence).text(actor).exec()
		return err
	})
	return ended, err
}
