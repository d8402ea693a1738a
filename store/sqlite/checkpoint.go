package sqlite

import (
	"errors"
	"sync/atomic"

	lib "modernc.org/sqlite/lib"
)

// The log is moved into the database beside the writer, in small pieces: a
// commit that is synced meanwhile waits for no more than one of them. Larger
// ones would not save much, since nearly all pages are new.
//
// The log begins anew only when all of it was moved and nobody writes, so now
// and then the writer waits until the last pages are: that is a commit's time or
// two.
const (
	pieceLen        = 500  // pages: 2 MiB
	logLen          = 4000 // 16 MiB: then the log is to begin anew
	nearlyAll       = 150  // so few pages are moved while the writer waits
	checkpointTries = 4    // rounds to get there; the writer goes on meanwhile
)

// checkpointer moves the log into the database.
type checkpointer struct {
	c      *conn
	kick   chan struct{}
	stop   chan struct{}
	done   chan struct{}
	logged atomic.Int64 // pages in the log, told by the writer
	next   atomic.Int64 // when there are so many, move them

	restartAt int // when there are so many, begin anew
}

func newCheckpointer(path string) (*checkpointer, error) {
	c, err := openWith(path, readWrite,
		"PRAGMA synchronous = FULL",
		"PRAGMA wal_autocheckpoint = 0",
		"PRAGMA busy_timeout = 3", // milliseconds: what the writer waits for readers that are in the way
		"PRAGMA cache_size = -64",
	)
	if err != nil {
		return nil, err
	}
	p := &checkpointer{
		c: c, kick: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}), restartAt: logLen,
	}
	p.next.Store(pieceLen)
	return p, nil
}

// wrote is told, after a commit, how many pages are in the log.
func (p *checkpointer) wrote(logged int) {
	p.logged.Store(int64(logged))
	if int64(logged) < p.next.Load() {
		return
	}
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

func (p *checkpointer) close() error {
	close(p.stop)
	<-p.done
	return p.c.close()
}

// keepLogShort runs the checkpointer until it is closed.
func (s *Store) keepLogShort() {
	p := s.checkpoints
	defer close(p.done)
	for {
		select {
		case <-p.stop:
			return
		case <-p.kick:
		}
		if p.logged.Load() >= p.next.Load() { // it may have been told twice
			s.noteCheckpoint(s.checkpoint())
		}
	}
}

// checkpoint moves a piece of the log, or all of it.
func (s *Store) checkpoint() error {
	p := s.checkpoints
	p.next.Store(p.logged.Load() + pieceLen)
	logged, _, err := p.c.checkpoint(lib.SQLITE_CHECKPOINT_PASSIVE)
	if err != nil || logged < p.restartAt {
		return err
	}
	p.restartAt = logged + logLen // if it fails
	if err := p.catchUp(); err != nil {
		return err
	}
	if err := s.restartLog(); err != nil {
		return err
	}
	p.restartAt = logLen
	return nil
}

// catchUp moves pages until nearly none is left.
func (p *checkpointer) catchUp() error {
	for range checkpointTries {
		_, moved, err := p.c.checkpoint(lib.SQLITE_CHECKPOINT_PASSIVE)
		if err != nil || p.logged.Load()-int64(moved) <= nearlyAll {
			return err
		}
	}
	return nil
}

// restartLog moves the last pages while nobody writes, and has the log begin
// anew. A reader that still needs the log as it is keeps that from happening.
func (s *Store) restartLog() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loader.mu.Lock()
	defer s.loader.mu.Unlock()
	p := s.checkpoints
	if _, _, err := p.c.checkpoint(lib.SQLITE_CHECKPOINT_RESTART); err != nil {
		return err
	}
	p.logged.Store(0)
	p.next.Store(pieceLen)
	return nil
}

// noteCheckpoint says what a checkpoint's failure means. That a reader was in
// the way means nothing: the log is longer then until the next try.
func (s *Store) noteCheckpoint(err error) {
	var e *libError
	switch {
	case err == nil:
	case errors.As(err, &e) && e.primary() == lib.SQLITE_IOERR && !e.full(): // what it moved may be lost
		s.mu.Lock()
		defer s.mu.Unlock()
		s.fail(err)
	case errors.As(err, &e) && e.primary() == lib.SQLITE_BUSY:
	default:
		s.cfg.Log.Warn("the log could not be moved into the database; it grows until it can", "err", err)
	}
}
