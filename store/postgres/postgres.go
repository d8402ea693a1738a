// Package postgres keeps everything in a PostgreSQL database: the store of many replicas.
//
//	err := postgres.Migrate(ctx, url)
//	store, err := postgres.Open(ctx, postgres.Config{URL: url})
//
// There are three types. A [Store] loads and commits; any number of processes may have
// one on the same database. A [View] reads, and a [Reader] reads all of it as of one
// moment. The tables are in the first schema of the connection's search_path, and must
// be there first: [Migrate] makes them.
//
// # What is promised
//
// A commit that was reported survives the process, the server and a power cut, as far
// as the server keeps what it says it has: with synchronous replication, its standby
// too. It is there as a whole or not at all. Of commits that found the same row, from
// whatever process, one wins, and they do not deadlock. A commit whose answer got lost
// is unknown, and the next Load settles it: by then it is there, or never will be. A
// server's WARNING that it did not wait for its standby is no acknowledgement.
//
// Nothing is kept in a session between transactions but prepared statements, and
// those may be turned off in the URL: it works through PgBouncer's transaction mode.
//
// # What is not promised
//
// A server that runs with fsync=off, or that fails over to a standby which does not
// have all, loses commits that were reported; Open warns of what it sees. A store that is
// found on another server, or on one that was promoted or restored to a time, counts as one
// that has lost some: see [Store.Forgot]. A copy of a server's files that is simply started is
// not told from a restart, but by a process that ran meanwhile: an operator must say so. A commit whose wait for the standby an
// administrator cancels is seen by other processes before it is on the standby.
// Entries of one account are in the order of their ordinals; seq is unique, and does
// not ascend from one replica's to another's.
package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Config says where a store is. URL is needed; the rest works as it is.
type Config struct {
	// URL is the database, as libpq and pgx take it: postgres://user@host:port/name.
	// Passwords may come from ~/.pgpass, files and TLS settings from its parameters.
	// default_query_exec_mode=exec (or cache_describe) is for a PgBouncer before 1.21;
	// pool_max_conns bounds the connections that read, not those that commit.
	URL string

	// Fatal is told, once, that the store was opened in another past than the server now
	// tells: what it loads and commits fails from then on, and it must be opened anew. It may
	// end the process.
	//
	// Defaults to nothing.
	Fatal func(error)

	// Log is told what an operator should know.
	//
	// Defaults to slog.Default.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Log = cmp.Or(c.Log, slog.Default())
	if c.Fatal == nil {
		c.Fatal = func(error) {}
	}
	return c
}

// Store loads and commits. Make one with [Open]. It is safe for concurrent use.
type Store struct {
	*pool               // reads
	desk  *pgxpool.Pool // loads and commits: reads never keep these from a connection
	cfg   Config

	past    past
	found   int64     // the past that was known when it was opened
	astray  sync.Once // it was told that this is not the past any more
	writer  writer
	held    holder
	horizon horizon
	entries entryNumbers
	opened  accountNumbers
	known   *known

	since  time.Time
	secret []byte
	closed atomic.Bool
}

// writer is who commits: a row of the table writers.
type writer struct {
	id       atomic.Int64
	epoch    atomic.Int64
	doubtful atomic.Bool // the outcome of a commit is not known

	acknowledged atomic.Int64 // commits; as many must be there

	settling sync.Mutex
}

// ErrClosed means that the store was closed.
var ErrClosed = errors.New("postgres: the store is closed")

// Open opens the store that [Migrate] made. It fails with an [ErrOlder] if that was
// done by an earlier version of the program, with an [ErrNewer] if by a later one, with
// an [ErrForeign] if there is no store, and where a server cannot hold one.
func Open(ctx context.Context, cfg Config) (_ *Store, err error) {
	s := &Store{cfg: cfg.withDefaults(), known: newKnown()}
	if s.pool, err = openPool(ctx, cfg.URL); err != nil {
		return nil, fmt.Errorf("postgres: open: %w", err)
	}
	if err := s.open(ctx); err != nil {
		s.release()
		return nil, fmt.Errorf("postgres: open: %w", err)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	if s.desk, err = connect(ctx, s.cfg.URL, deskConns); err != nil {
		return err
	}
	server, err := ask(ctx, s.desk)
	if err != nil {
		return err
	}
	if err := server.check(); err != nil {
		return err
	}
	if err := checkHistory(ctx, s.desk); err != nil {
		return err
	}
	server.warn(s.cfg.Log)
	if err := checkSchema(ctx, s.desk); err != nil {
		return err
	}
	return s.recall(ctx)
}

// recall reads what the store knows of itself, and enters this process among those
// that commit.
func (s *Store) recall(ctx context.Context) (err error) {
	if s.secret, err = s.pool.recall(ctx); err != nil {
		return err
	}
	if err = s.remember(ctx); err != nil {
		return err
	}
	if s.since, err = s.Clock(ctx); err != nil {
		return err
	}
	if err := s.entries.recall(ctx, s.desk); err != nil {
		return err
	}
	return s.enter(ctx)
}

// Secret is the service's secret: 32 random bytes that were made with the store.
// Fingerprints are made with it.
func (s *Store) Secret() []byte { return append([]byte(nil), s.secret...) }

// Since is the time of the last commit when the store was opened: the clock must not go
// behind it.
func (s *Store) Since() time.Time { return s.since }

// Ping says whether the store can be read and its server takes commits.
func (s *Store) Ping(ctx context.Context) error {
	if s.closed.Load() {
		return ErrClosed
	}
	server, err := ask(ctx, s.desk)
	if err == nil {
		err = server.check()
	}
	return wrap("ping", err)
}

// Close waits for what is at work, and closes the store. It must not be called while an
// executor still uses it.
func (s *Store) Close() error {
	if !s.closed.Swap(true) {
		s.held.take().letGo()
		s.leave()
		s.release()
	}
	return nil
}

func (s *Store) release() {
	s.pool.db.Close()
	if s.desk != nil {
		s.desk.Close()
	}
}
