//go:build integration

package postgres_test

import "testing"

// A server that has vacuumed empty tables takes them for empty, and its sessions keep the
// plans that they made then. Loads and commits find rows by their keys all the same.
func TestPlansMadeWhileTablesWereEmpty(t *testing.T) {
	const accounts, commits, size = 2000, 200, 5
	url := apart(t).migrated(t)
	run(t, url, `DO $$ DECLARE t text; BEGIN
		FOR t IN SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' LOOP
			EXECUTE 'ALTER TABLE ' || t || ' SET (autovacuum_enabled = off)';
		END LOOP; END $$`)
	run(t, url, "VACUUM ANALYZE")
	s := openAt(t, url)
	teller := newTeller(s.Store, "bench")
	openAccounts(t, s.Store, 2)
	for n := range 20 { // on each session: every statement has its plan now
		teller.mustDo(t, batchOf(1, n, 2, false)...)
	}
	openMore(t, s.Store, 2, accounts)
	for n := range commits {
		teller.mustDo(t, batchOf(size, n, accounts, false)...)
	}
	s.Close() // its sessions tell what they did
	for _, table := range []string{"accounts", "balances", "transfers", "keys", "closed_keys", "tombstones"} {
		looked := query(t, url, `SELECT coalesce(sum(seq_tup_read), 0)::bigint + coalesce((SELECT sum(idx_tup_read) FROM pg_stat_user_indexes i
				WHERE i.schemaname = current_schema() AND i.relname LIKE '`+table+`%'), 0)::bigint
			FROM pg_stat_user_tables WHERE schemaname = current_schema() AND relname LIKE '`+table+`%'`)
		if most := int64(20 * (commits*size + accounts)); looked > most {
			t.Errorf("%s: %d rows were looked at, and %d are the most", table, looked, most)
		}
	}
}
