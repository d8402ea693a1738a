package kafka

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/oncepay/oncepay/consume"
)

// In is consume.In that also stores, in the same transaction, that the partition goes on behind the message.
// save must never move a place back: see [Offsets.Save].
func In[Tx any](op consume.Transactional[Tx], group string, save func(ctx context.Context, tx Tx, group, topic string, partition int32, next int64) error,
	fn func(ctx context.Context, tx Tx, m consume.Message) error,
) consume.Effect {
	return consume.In(op, func(ctx context.Context, tx Tx, m consume.Message) error {
		if err := fn(ctx, tx, m); err != nil {
			return err
		}
		if m.At == nil {
			return errors.New("kafka: the message is at no place in a log")
		}
		return save(ctx, tx, group, m.Topic, m.At.Partition, m.At.Offset+1)
	})
}

// Offsets are the places of groups, in the database of their effects through database/sql.
type Offsets struct {
	db         *sql.DB
	load, save string
}

// NewOffsets makes the table consume_offsets, if it is not there. mark is what the
// database's parameters begin with: '$' for PostgreSQL, '?' for SQLite.
func NewOffsets(ctx context.Context, db *sql.DB, mark rune) (*Offsets, error) {
	if _, err := db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS consume_offsets (
		consumers TEXT NOT NULL, topic TEXT NOT NULL, part INTEGER NOT NULL, next BIGINT NOT NULL, PRIMARY KEY (consumers, topic, part))`); err != nil {
		return nil, fmt.Errorf("kafka: offsets: %w", err)
	}
	m := string(mark)
	return &Offsets{
		db:   db,
		load: "SELECT next FROM consume_offsets WHERE consumers = " + m + "1 AND topic = " + m + "2 AND part = " + m + "3",
		save: "INSERT INTO consume_offsets VALUES (" + m + "1, " + m + "2, " + m + "3, " + m + `4)
			ON CONFLICT (consumers, topic, part) DO UPDATE SET next = excluded.next WHERE consume_offsets.next < excluded.next`,
	}, nil
}

// Load says where a group goes on in a partition, if that is known.
func (o *Offsets) Load(ctx context.Context, group, topic string, partition int32) (next int64, known bool, err error) {
	err = o.db.QueryRowContext(ctx, o.load, group, topic, partition).Scan(&next)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return next, err == nil, err
}

// Save stores where a group goes on, unless it is further already: a member of the group that
// was declared dead, and is not, moves nothing back.
func (o *Offsets) Save(ctx context.Context, tx *sql.Tx, group, topic string, partition int32, next int64) error {
	_, err := tx.ExecContext(ctx, o.save, group, topic, partition, next)
	return err
}
