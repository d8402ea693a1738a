package sqlite

import (
	"errors"
	"sync/atomic"

	lib "modernc.org/sqlite/lib"
)

// The log is moved into the database beside the writer, in small pieces. A piece
// that is too large makes a commit wait for its sync; since nearly all pages are
// appended to, a larger one would not save writes either.
const (
	checkpointPages = 1000 // 4 MiB: begin to move them
	nearlyAll       = 150  // so few are moved between two batches, in less than a millisecond
	checkpointTries = 4    // rounds to get there; the writer goes on meanwhile
)

// checkpointer moves the log into the database.
type checkpointer struct {
	c      *conn
	kick   chan struct{}
	stop   chan struct{}
	done   chan struct{}
	logged atomic.Int64 // pages in the log, told by the writer
	next   atomic.Int64 // begin at so many
}

func newCheckpointer(path string) (*checkpointer, error) {
	c, err := openWith(path, readWrite,
		"PRAGMA synchronous = FULL",
		"PRAGMA wal_autocheckpoint = 0",
		"PRAGMA busy_timeout = 1", // readers that are in the way are not waited for
		"PRAGMA cache_size = -64",
	)
	if err != nil {
		return nil, err
	}
	p := &checkpointer{c: c, kick: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	p.next.Store(checkpointPages)
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
		err := p.catchUp()
		if err == nil {
			err = s.restartLog()
		}
		s.noteCheckpoint(err)
	}
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
	_, _, err := s.checkpoints.c.checkpoint(lib.SQLITE_CHECKPOINT_RESTART)
	return err
}

// noteCheckpoint decides when to try again.
func (s *Store) noteCheckpoint(err error) {
	p := s.checkpoints
	var e *libError
	switch {
	case err == nil:
		p.next.Store(checkpointPages)
		return
	case errors.As(err, &e) && e.primary() == lib.SQLITE_IOERR:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.fail(err)
	case errors.As(err, &e) && e.primary() != lib.SQLITE_BUSY:
		s.cfg.Log.Warn("the log could not be moved into the database; it is tried again", "err", err)
	}
	p.next.Store(p.logged.Load() + checkpointPages)
}
