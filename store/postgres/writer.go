package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// enter makes this process one that commits, with a row of its own.
func (s *Store) enter(ctx context.Context) error {
	var id int64
	err := s.desk.QueryRow(ctx, "INSERT INTO writers VALUES (nextval('writer_numbers'), 0, 0, 0) RETURNING id").Scan(&id)
	if err != nil {
		return hide(err)
	}
	s.writer.id.Store(id)
	s.writer.epoch.Store(0)
	return nil
}

// leave gives the row back. A commit that is still on its way is refused from then on.
// It is not worth an error: a row that stays behind is a few bytes.
func (s *Store) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	s.desk.Exec(ctx, `WITH gone AS (DELETE FROM writers WHERE id = $1 RETURNING clock)
		UPDATE meta SET value = greatest(value, (SELECT max(clock) FROM gone)) WHERE name = 'clock'`, s.writer.id.Load())
}

const selectClock = "SELECT greatest((SELECT value FROM meta WHERE name = 'clock'), (SELECT max(clock) FROM writers))"

// Clock is the time of the last commit, of whatever process.
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	var micros int64
	err := s.desk.QueryRow(ctx, selectClock).Scan(&micros)
	return fromMicros(micros), wrap("the clock", err)
}

// That this is another past is found first: what is gone then was not put back.
const (
	samePast  = "SELECT " + fencePast
	nextEpoch = "UPDATE writers SET epoch = epoch + 1 WHERE id = $1 RETURNING epoch, commits"
)

// settle ends the doubt about a commit whose outcome is not known, if there is any. It
// begins another epoch, and that is a commit, too: it waits for the one in doubt, which
// holds the writer's row, if the server is still at it; one that the server has not seen yet
// will find itself of an old epoch. When it is acknowledged, all that was committed
// before is as durable as it is, on the standby too.
func (s *Store) settle(ctx context.Context) error {
	if !s.writer.doubtful.Load() {
		return nil
	}
	s.writer.settling.Lock()
	defer s.writer.settling.Unlock()
	if !s.writer.doubtful.Swap(false) { // somebody has done it meanwhile
		return nil
	}
	err := s.beginEpoch(ctx)
	if errors.Is(err, pgx.ErrNoRows) { // nobody but this process takes its row away
		err = s.lost()
	}
	if err != nil {
		s.writer.doubtful.Store(true)
	}
	return err
}

func (s *Store) beginEpoch(ctx context.Context) error {
	c, err := s.desk.Acquire(ctx)
	if err != nil {
		return err
	}
	defer c.Release()
	forgetWarnings(c.Conn().PgConn())
	acknowledged := s.writer.acknowledged.Load() // before it is looked how many there are
	var epoch, made int64
	var b pgx.Batch
	b.Queue(begin)
	b.Queue(samePast, s.past.args()...)
	b.Queue(nextEpoch, s.writer.id.Load()).QueryRow(func(row pgx.Row) error { return row.Scan(&epoch, &made) })
	if err := c.SendBatch(ctx, &b).Close(); err != nil {
		return s.forgot(err)
	}
	if err := replicated(c.Conn().PgConn()); err != nil {
		return err
	}
	if made < acknowledged {
		return s.lost()
	}
	s.writer.epoch.Store(epoch)
	return nil
}
