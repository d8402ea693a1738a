// Package pgrows is how keys are kept in PostgreSQL: the tables, the statements on them,
// and what of a record is where. Stores send the statements, each with the driver that it
// has.
//
// # What is promised
//
// A write is one statement, which says whether it won and, if not, what it has lost to.
// At every isolation level the primary key decides who wins: a write waits for a
// transaction that holds its row to end. Nothing is decided by a clock, nor by the day
// that an answer is kept under: that is computed from the record alone.
//
// # What is not promised
//
// A statement sees what had been committed when it began. If it has waited, what it shows
// may be older than what it waited for: [Seen.Stale] says so, and the key is read again.
package pgrows

import (
	"cmp"
	_ "embed"
	"fmt"
	"hash/fnv"
	"regexp"
	"strings"
	"time"
)

//go:embed schema.sql
var schema string

// Slots is how many tables of answers there are, each for those that expire on one day.
// With windows of up to eight days a table is emptied before its next day comes. Longer
// ones mix days, and their answers are deleted instead.
const Slots = 10

// slotSpan is for how long answers go into one table.
const slotSpan = 24 * time.Hour

// slotOf is the table of an answer: a function of the record, so that whoever reads it
// looks where it was written, whatever either's clock says.
func slotOf(expires time.Time) int16 {
	return int16(((expires.Unix()/int64(slotSpan/time.Second))%Slots + Slots) % Slots)
}

// MaxRecord is how large a record may be, with its answer: the server holds it in memory
// several times over while it writes it.
const MaxRecord = 64 << 20

// Names are those of a store's tables.
type Names struct {
	// Schema is the schema of the tables.
	//
	// Defaults to what search_path says.
	Schema string

	// Prefix is what their names begin with.
	//
	// Defaults to "once_".
	Prefix string
}

// name is what is taken for a name: it needs no quotes, and leaves room for what follows
// a prefix, of the 63 characters that PostgreSQL keeps.
var name = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,39}$`)

// Tables are a store's tables, and the statements on them. Make them with [New]; they are
// safe for concurrent use.
type Tables struct {
	Schema string // the statements that make them, each ended by ";\n"
	Lock   int64  // the advisory lock of who makes them, or others in the same schema

	Load       string // of a tenant and an id
	Unfinished string // after a tenant and an id, up to a number
	Forget     string // what may be forgotten at a time, up to a number

	insert, update, complete writes
	marks                    string
	answers                  [Slots]Answers
}

// writes are the forms of a write: last is that without an answer, the others those with
// an answer in a slot.
type writes [Slots + 1]string

// Answers are the statements on a table of answers.
type Answers struct {
	Find     string // the answer of a tenant, an id and a version
	Over     string // is there one that is over at a time, and one that is not?
	Lock     string // for who truncates, if nobody is at it
	Truncate string
	Delete   string // what is over at a time, up to a number
}

// New makes the statements on tables of these names.
func New(n Names) (*Tables, error) {
	n.Prefix = cmp.Or(n.Prefix, "once_")
	prefix := n.Prefix
	if n.Schema != "" {
		prefix = n.Schema + "." + prefix
	}
	for _, part := range []string{cmp.Or(n.Schema, "public"), n.Prefix} {
		if !name.MatchString(part) {
			return nil, fmt.Errorf("pgrows: %q is no name for a table: small letters, digits and _, 40 at most", part)
		}
	}
	lock := fnv.New64a()
	fmt.Fprintf(lock, "oncepay keys %s", n.Schema)
	t := &Tables{
		Schema: makes(n, prefix), Lock: int64(lock.Sum64()),
		Load: shows("false", "", prefix),
		Unfinished: "SELECT clock_timestamp(), false, " + listed("k.") + " FROM " + prefix + `keys k
			WHERE state IN (1, 4) AND (tenant, id) > ($1, $2) ORDER BY tenant, id LIMIT $3`,
		Forget: "DELETE FROM " + prefix + "keys WHERE ctid = ANY (ARRAY (SELECT ctid FROM " + prefix + `keys
			WHERE state IN (2, 3, 5) AND forget_at <= $1 AND coalesce(expires_at, '-infinity') <= $1
			ORDER BY forget_at LIMIT $2 FOR UPDATE SKIP LOCKED))`,
	}
	t.marks = marking(prefix)
	for slot := range Slots + 1 {
		t.insert[slot], t.update[slot], t.complete[slot] = writing(prefix, slot)
	}
	for slot := range Slots {
		t.answers[slot] = answering(fmt.Sprint(prefix, "answers_", slot))
	}
	return t, nil
}

// makes are the statements that make the tables, with their names.
func makes(n Names, prefix string) string {
	text := strings.NewReplacer("INDEX IF NOT EXISTS once_", "INDEX IF NOT EXISTS "+n.Prefix, "once_", prefix).Replace(schema)
	if n.Schema != "" {
		text = "CREATE SCHEMA IF NOT EXISTS " + n.Schema + ";\n" + text
	}
	return text
}

func answering(table string) Answers {
	return Answers{
		Find:     "SELECT header, body FROM " + table + " WHERE tenant = $1 AND id = $2 AND version = $3",
		Over:     "SELECT coalesce(min(expires_at) <= $1, false), coalesce(max(expires_at) > $1, false) FROM " + table, // two looks into the index, whatever was analyzed
		Lock:     "LOCK TABLE " + table + " IN ACCESS EXCLUSIVE MODE NOWAIT",
		Truncate: "TRUNCATE " + table,
		Delete: "DELETE FROM " + table + " WHERE ctid = ANY (ARRAY (SELECT ctid FROM " + table + `
			WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))`,
	}
}

// columns are those of keys, in the order of values and Scan; the first two are the key.
var columns = []string{
	"tenant", "id", "version", "state", "operation", "resource", "attempt", "owner", "lease_until", "created_at", "expires_at", "forget_at",
	"scheme", "fingerprint", "progress", "note", "replays", "status", "dropped", "seal", "slot",
}

func listed(of string) string { return of + strings.Join(columns, ", "+of) }

// shows selects the time, whether it won, and the row of the key $1, $2, where that is
// to be shown.
func shows(won, unless, prefix string) string {
	return "SELECT clock_timestamp(), " + won + ", " + listed("k.") + " FROM (VALUES (1)) AS one LEFT JOIN " + prefix +
		"keys k ON k.tenant = $1 AND k.id = $2" + unless
}

// writing makes the statements that write a record: where there is none, over another
// version, and the latter so that it fails unless it wins. What won has nothing to show.
func writing(prefix string, slot int) (insert, update, complete string) {
	marks, sets := make([]string, len(columns)), []string{}
	for i, c := range columns {
		marks[i] = fmt.Sprintf("$%d", i+1)
		if i > 1 {
			sets = append(sets, fmt.Sprintf("%s = $%d", c, i+1))
		}
	}
	n := len(columns)
	kept := ""
	if slot < Slots {
		kept = fmt.Sprintf(`, kept AS (INSERT INTO %sanswers_%d (tenant, id, version, expires_at, header, body)
			SELECT $1::text, $2::text, $3::bigint, coalesce($11::timestamptz, 'infinity'), $%d::json, $%d::bytea WHERE EXISTS (SELECT FROM won)
			ON CONFLICT (tenant, id, version) DO UPDATE SET expires_at = excluded.expires_at, header = excluded.header, body = excluded.body)`,
			prefix, slot, n+1, n+2)
		n += 2
	}
	const won, lost = "EXISTS (SELECT FROM won)", " AND NOT EXISTS (SELECT FROM won)"
	insert = "WITH won AS (INSERT INTO " + prefix + "keys (" + listed("") + ") VALUES (" + strings.Join(marks, ", ") +
		") ON CONFLICT (tenant, id) DO NOTHING RETURNING 1)" + kept + " " + shows(won, lost, prefix)
	change := "WITH won AS (UPDATE " + prefix + "keys SET " + strings.Join(sets, ", ") +
		fmt.Sprintf(" WHERE tenant = $1 AND id = $2 AND version = $%d RETURNING 1)", n+1) + kept + " "
	return insert, change + shows(won, lost, prefix), change + shows("1 / (SELECT count(*) FROM won) = 1", lost, prefix)
}
