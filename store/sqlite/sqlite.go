// Package sqlite keeps everything in one SQLite file: the embedded store.
//
//	store, err := sqlite.Open(ctx, sqlite.Config{Path: "oncepay.db"})
//
// There are two types. A [Store] owns the file and is its only writer. A
// [Reader] reads it, beside a running owner or alone.
//
// # What is promised
//
// A commit that was reported survives the process, the machine and a power cut,
// as far as the disk keeps what it says it has synced. It is there as a whole
// or not at all. One process owns the file: a second is refused, and a kill
// leaves no lock behind. When the outcome of a commit cannot be known the store
// stops, rather than guess. A full disk stops writes and leaves reads.
//
// # What is not promised
//
// A file system that lies about syncing, or that two machines share, is no
// place for the file. Reads are as of some recent commit; only those of the
// executor (Load) are as of the last one.
//
// # Files
//
// PATH is the database, PATH-wal what was committed last and is not in it yet,
// PATH-shm an index of that, PATH.lock the owner's lock. A copy of PATH alone
// is no backup while a process runs.
package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// Config says where a store is and what it may use. Path is needed; the rest
// works as it is.
type Config struct {
	// Path is the database file. It and its directory are made if need be, for
	// this user only.
	Path string

	// CacheBytes bounds the pages of the file that are kept in memory, over all
	// connections.
	//
	// Defaults to 64 MiB.
	CacheBytes int

	// Fatal is called when it cannot be known whether a commit is durable: an
	// fsync failed, or other I/O. It must end the process: what the disk has is
	// found out by opening the store again. If it returns all the same, the
	// store does nothing any more.
	//
	// Defaults to a panic.
	Fatal func(error)

	// Log is told what an operator should know.
	//
	// Defaults to slog.Default.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	c.CacheBytes = cmp.Or(c.CacheBytes, 64<<20)
	if c.Fatal == nil {
		c.Fatal = func(err error) { panic(err) }
	}
	c.Log = cmp.Or(c.Log, slog.Default())
	return c
}

// Store is the owner of a file. Make one with [Open]. It is safe for concurrent
// use.
type Store struct {
	*pool
	cfg  Config
	lock *os.File

	mu     sync.Mutex // held by whoever writes
	w      *writer
	broken atomic.Pointer[brokenError] // set: nothing is written any more

	loader    loader
	nextEntry atomic.Int64
	hot       *hot
	holders   holders
	couriers  couriers

	since  time.Time
	secret []byte

	checkpoints *checkpointer
}

// ErrClosed means that the store was closed.
var ErrClosed = errors.New("sqlite: the store is closed")

// Open opens the store at cfg.Path and becomes its owner. It makes the file if
// there is none, and brings an older one to this version. It fails with an
// [ErrOwned] if another process owns it, with an [ErrNewer] if a later version
// wrote it, with an [ErrForeign] if it is something else, and with an
// [ErrDamaged] if it would lose commits that were reported.
func Open(ctx context.Context, cfg Config) (_ *Store, err error) {
	cfg = cfg.withDefaults()
	if cfg.Path, err = filepath.Abs(cfg.Path); err != nil {
		return nil, fmt.Errorf("sqlite: open: %w", err)
	}
	if err := makeDirectory(filepath.Dir(cfg.Path)); err != nil {
		return nil, fmt.Errorf("sqlite: open: %w", err)
	}
	s := &Store{cfg: cfg, holders: holders{held: map[string]holding{}}, couriers: couriers{taken: map[string]map[string]time.Time{}}}
	if s.lock, err = own(cfg.Path + ".lock"); err != nil {
		return nil, err
	}
	if err := s.open(ctx); err != nil {
		s.release()
		return nil, fmt.Errorf("sqlite: open %s: %w", cfg.Path, err)
	}
	return s, nil
}

// open opens the connections, once the file is ours.
func (s *Store) open(ctx context.Context) error {
	if err := makeFile(s.cfg.Path); err != nil {
		return err
	}
	if err := checkLog(s.cfg.Path + "-wal"); err != nil {
		return err
	}
	c, err := openOwner(s.cfg.Path, s.cfg.CacheBytes/2)
	if err != nil {
		return err
	}
	s.w = &writer{c: c}
	if err := migrate(ctx, c); err != nil {
		return err
	}
	if err := s.w.prepare(); err != nil {
		return err
	}
	if err := s.recall(c); err != nil {
		return err
	}
	if s.loader.c, err = openBeside(s.cfg.Path, s.cfg.CacheBytes/8); err != nil {
		return err
	}
	s.pool = newPool(s.cfg.Path, s.cfg.CacheBytes*3/8, s.secret)
	if s.checkpoints, err = newCheckpointer(s.cfg.Path); err != nil {
		return err
	}
	go s.keepLogShort()
	return syncDirectory(filepath.Dir(s.cfg.Path))
}

// recall reads what the store knows of itself.
func (s *Store) recall(c *conn) (err error) {
	if s.secret, err = readSecret(c); err != nil {
		return err
	}
	clock, err := c.integer("SELECT value FROM meta WHERE name = 'clock'")
	if err != nil {
		return err
	}
	s.since = fromMicros(clock)
	s.hot = newHot(s.w.last.commit)
	last, err := c.integer("SELECT max(seq) FROM entries")
	s.nextEntry.Store(last + 1)
	return err
}

// Secret is the service's secret: 32 random bytes that were made with the
// store. Fingerprints are made with it.
func (s *Store) Secret() []byte { return append([]byte(nil), s.secret...) }

// Since is the time of the last commit when the store was opened: the clock must
// not go behind it.
func (s *Store) Since() time.Time { return s.since }

// Ping says whether the store can be read and has not stopped writing.
func (s *Store) Ping(ctx context.Context) error {
	if b := s.broken.Load(); b != nil {
		return b
	}
	return s.pool.Ping(ctx)
}

// Close waits for what is being written, and closes the store. It must not be
// called while an executor still uses it.
func (s *Store) Close() error {
	s.mu.Lock()
	before := s.broken.Swap(&brokenError{ErrClosed})
	s.mu.Unlock()
	if before != nil && before.err == ErrClosed {
		return nil
	}
	return s.release()
}

// release closes whatever is open, the lock last.
func (s *Store) release() error {
	var errs []error
	if s.checkpoints != nil {
		errs = append(errs, s.checkpoints.close())
	}
	if s.pool != nil {
		errs = append(errs, s.pool.close())
	}
	if s.loader.c != nil {
		errs = append(errs, s.loader.close())
	}
	if s.w != nil {
		errs = append(errs, s.w.c.close())
	}
	errs = append(errs, s.lock.Close())
	return errors.Join(errs...)
}
