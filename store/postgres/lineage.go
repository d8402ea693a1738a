package postgres

import "context"

// Lineage says which history a server tells, and how far it is in that. A server that was
// promoted, or restored to a time, has another timeline than the one that it was copied from: what
// was acknowledged there may be missing here.
type Lineage struct {
	System   string // the cluster: copies of it have it, too
	Timeline int64  // grows with every promotion
	Position uint64 // in the write-ahead log; what was acknowledged is before it
}

// Ordinary users may call these, if nobody has forbidden it. The timeline is that of the
// file which is written: the control file has it only after the next checkpoint.
const selectLineage = `SELECT (SELECT system_identifier::text FROM pg_control_system()),
	('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int::bigint,
	(pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint`

// Lineage reads the server's.
func (s *Store) Lineage(ctx context.Context) (l Lineage, err error) {
	var position int64
	err = s.desk.QueryRow(ctx, selectLineage).Scan(&l.System, &l.Timeline, &position)
	l.Position = uint64(position)
	return l, wrap("the lineage", err)
}
