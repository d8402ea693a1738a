// Package pebble keeps keys in a directory of its own: the fast default for those
// without a database.
//
//	store, err := pebble.Open(ctx, pebble.Config{Path: "keys"})
//	eng, err := once.New(store, once.Config{…})
//
// A [Store] is a [once.Store] on Pebble, an embedded log-structured store. It is a
// [once.Lister] and a [once.Sweeper], too: one engine's Keep has it forget.
//
// # What is promised
//
// A Swap that was acknowledged survives the process, the machine and a power cut, as
// far as the disk keeps what it says it has synced. What is shown is as durable: no
// Load and no lost Swap shows a record that a crash could take back. The store's time
// never runs backwards, also over restarts. One process owns the directory: a second
// is refused, and a kill leaves no lock behind. A full disk stops writes and leaves
// reads, and writes go on when there is room again. When a sync fails the store
// stops, and acknowledges nothing any more until it is opened again. Damage to its
// files is an error, not a wrong answer. What is unfinished is never forgotten, and
// what is over is dropped as a whole, not key by key: forgetting ten million keys
// takes milliseconds.
//
// # What is not promised
//
// It holds no money. A key and what it stands for are committed together only where
// both are in one database: a process that dies between the two leaves a key that is
// unfinished, and its operation's [once.Policy] says what then. Where that matters,
// keep keys where the money is.
//
// One process has the keys: duplicates that come to another machine are not seen. A
// file system that lies about syncing, or that two machines share, is no place for
// them. Damage to what was written last before a crash looks like what the crash has
// cut off. A key may be known for up to an 8th longer than its record says; a Load
// shows it until then. The number of Replays is as it was last written.
//
// # Files
//
// All in the directory are Pebble's, but for one whose name begins with
// "marker.oncepay-keys". They belong together: a copy is a backup only if it was
// made while no process had the store.
package pebble

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"

	lib "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/oncepay/oncepay/once"
)

// Config says where a store is and what it may use. Path is needed; the rest works
// as it is.
type Config struct {
	// Path is the directory. It is made if need be, for this user only.
	Path string

	// CacheBytes bounds the memory for what is read and for what was written last.
	// The filters by which a key is known to be new take 1.25 bytes for each key of
	// the store: where they do not fit, a new key costs reads from the disk.
	//
	// Defaults to 64 MiB.
	CacheBytes int64

	// Fatal is called once if the store has to stop: a sync failed, or other I/O.
	// Whoever wants to find out what the disk has ends the process, or opens the store
	// again. It must not wait.
	//
	// Defaults to nothing: everything that is asked of the store fails.
	Fatal func(error)

	// Log is told what an operator should know, and at the debug level what Pebble
	// tells of itself.
	//
	// Defaults to slog.Default.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	c.CacheBytes = cmp.Or(c.CacheBytes, 64<<20)
	if c.Fatal == nil {
		c.Fatal = func(error) {}
	}
	c.Log = cmp.Or(c.Log, slog.Default())
	return c
}

// Store is the owner of a directory. Make one with [Open]. It is safe for concurrent
// use.
type Store struct {
	cfg     Config
	gate    *gate
	cache   *lib.Cache
	db      *lib.DB
	clock   clock
	holds   holds
	shelves shelves
	swept   atomic.Int64 // micros: answers that were over then are gone, or may be
	commits *committer
	opened  atomic.Bool

	use    sync.RWMutex // held by whoever uses db, and by Close
	closed bool
}

var (
	_ once.Store   = (*Store)(nil)
	_ once.Lister  = (*Store)(nil)
	_ once.Sweeper = (*Store)(nil)
)

// Open opens the store at cfg.Path and becomes its owner. It makes one if there is
// none. It fails with an [ErrOwned] if another process owns it, with an [ErrNewer] if
// a later version wrote it, with an [ErrForeign] if it is something else, with an
// [ErrDamaged] if it would lose what was acknowledged, and with an [ErrDiskFull] if
// there is no room to begin.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("pebble: open: %w", err)
	}
	cfg.Path = path
	return openOn(ctx, vfs.Default, cfg)
}

// openOn opens a store on a file system.
func openOn(ctx context.Context, fs vfs.FS, cfg Config) (*Store, error) {
	s := &Store{cfg: cfg.withDefaults()}
	s.gate = newGate(fs, s.fail)
	err := s.beside(ctx, s.open)
	if err != nil {
		s.abandon()
		return nil, fmt.Errorf("pebble: open %s: %w", s.cfg.Path, err)
	}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("pebble: open %s: %w", s.cfg.Path, err), s.Close())
	}
	s.opened.Store(true)
	select {
	case <-s.gate.broken: // meanwhile
		return nil, errors.Join(fmt.Errorf("pebble: open %s", s.cfg.Path), s.Close())
	default:
		return s, nil
	}
}

// beside does something that may never end, since the gate keeps whoever meets an
// error of the disk.
func (s *Store) beside(ctx context.Context, do func() error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- panicked(p)
			}
		}()
		done <- do()
	}()
	select {
	case err := <-done:
		return err
	case <-s.gate.broken:
		return &brokenError{s.gate.cause}
	case <-s.gate.room.out():
		return ErrDiskFull
	case <-ctx.Done():
		return ctx.Err()
	}
}

// open opens the files.
func (s *Store) open() (err error) {
	if err := s.gate.MkdirAll(s.cfg.Path, 0o700); err != nil {
		return err
	}
	lock, err := lib.LockDirectory(s.cfg.Path, s.gate)
	if err != nil {
		return err
	}
	if s.gate.trail, err = findTrail(s.gate.FS, s.cfg.Path); err != nil {
		return err
	}
	s.cache = lib.NewCache(s.cfg.CacheBytes)
	if err = checkFiles(s.gate.FS, s.cfg.Path, s.gate.trail.told); err == nil {
		s.db, err = lib.Open(s.cfg.Path, s.options(lock))
	}
	if err == nil {
		err = s.recall()
	}
	if err != nil {
		return errors.Join(damage(err), s.release())
	}
	return nil
}

// begin has the store's time begin, which takes a first commit.
func (s *Store) begin(ctx context.Context) error {
	s.commits = newCommitter(s)
	go s.commits.run()
	return s.commit(ctx, s.db.NewBatch())
}

// fail is called when the gate has found that the store cannot go on. While it is
// opened that is what Open fails with.
func (s *Store) fail(err error) {
	if !s.opened.Load() {
		return
	}
	broken := &brokenError{err}
	s.cfg.Log.Error("the store of keys has stopped", "path", s.cfg.Path, "err", err)
	s.cfg.Fatal(broken)
}

// Close waits for what is being written, and closes the store. If the disk is full, or
// the store has stopped, what is not acknowledged is left to its fate.
func (s *Store) Close() error {
	s.use.Lock()
	defer s.use.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	err := s.beside(context.Background(), s.close)
	if err != nil {
		s.abandon()
	}
	return err
}

// close writes everything to where it has checksums, and closes the files.
func (s *Store) close() error {
	s.commits.close()
	if err := s.db.Flush(); err != nil {
		return err
	}
	return s.release()
}

// release closes what is open, the lock last.
func (s *Store) release() (err error) {
	if s.db != nil {
		err = s.db.Close()
	}
	s.cache.Unref()
	return errors.Join(err, s.gate.keepTrail(), s.gate.trail.close(), s.gate.unlock())
}

// abandon leaves Pebble where it is, as it cannot be closed. It changes nothing on the
// disk any more, so that the store can be opened again.
func (s *Store) abandon() {
	s.gate.shut()
	s.gate.unlock()
}
