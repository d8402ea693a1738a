package pebble

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// gate is the file system that Pebble is given. Pebble ends the process, or leaves
// its locks behind, where a log cannot be written to; and it acknowledges what it
// could not. So it is never told: whoever of it meets an error that it cannot live
// with stays here, and so does all that depends on it. What becomes of the store
// is decided by those who wait for it.
//
//   - No room: the write is tried on until there is. Compactions, which can be done
//     later and which give room back, fail instead; if Pebble holds up commits until
//     they are done, that is as good as no room for those.
//   - Anything else, and whatever a sync fails with: the store is broken. A sync is
//     never tried again, since the kernel may have dropped what it could not write.
//
// Once the gate is shut, nothing that Pebble still does changes the disk: the files
// can be opened anew while its goroutines are still there.
type gate struct {
	vfs.FS
	room    room
	trail   *trail
	broken  chan struct{} // closed with the first error that is not for lack of room
	breaks  sync.Once
	cause   error // of that, once broken is closed
	onBreak func(error)

	mu   sync.RWMutex // held by whoever changes the disk, and for good measure by shut
	cut  bool
	lock io.Closer // of the directory
}

func newGate(disk vfs.FS, onBreak func(error)) *gate {
	return &gate{FS: disk, room: room{full: make(chan struct{})}, broken: make(chan struct{}), onBreak: onBreak}
}

// fail breaks the store, and keeps the caller, which is Pebble, for good.
func (g *gate) fail(err error) {
	g.breaks.Do(func() {
		g.cause = err
		close(g.broken)
		g.shut()
		g.onBreak(err)
	})
	select {}
}

// shut ends all changes of the disk: it returns when the last one has ended.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cut = true
}

// try does something to the disk, unless the gate is shut.
func (g *gate) try(op func() error) error {
	g.mu.RLock()
	if g.cut {
		g.mu.RUnlock()
		select {}
	}
	defer g.mu.RUnlock()
	return op()
}

// change does something to the disk that needs room. What is spare fails where
// there is none; everything else waits.
func (g *gate) change(spare bool, op func() error) error {
	err := g.try(op)
	if noRoom(err) && !spare {
		g.room.lack()
		for noRoom(err) {
			time.Sleep(roomPause)
			err = g.try(op)
		}
		g.room.found()
	}
	if spare {
		g.room.starve(noRoom(err))
	}
	switch {
	case err == nil || errors.Is(err, os.ErrNotExist):
		return err // Pebble asks for what may not be there, and knows what to do
	case noRoom(err):
		time.Sleep(spareFor) // it would be tried again at once
		return err
	}
	g.fail(err)
	return err
}

const (
	roomPause = 50 * time.Millisecond // between two looks for room
	spareFor  = time.Second           // between two compactions that find none
)

// must does something to the disk that either happens, or nobody knows what the
// disk has.
func (g *gate) must(op func() error) error {
	if err := g.try(op); err != nil {
		g.fail(err)
	}
	return nil
}

// noRoom says whether a write found no room: a quota that is used up is as good as a
// full disk.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// room is whether there is any for commits: full is closed while there is none.
type room struct {
	mu      sync.Mutex
	waiting int  // writes that cannot wait
	starved bool // the last compaction found none
	stalled bool // commits are held up until compactions are done
	short   bool
	full    chan struct{}
}

func (r *room) lack()               { r.note(func() { r.waiting++ }) }
func (r *room) found()              { r.note(func() { r.waiting-- }) }
func (r *room) starve(starved bool) { r.note(func() { r.starved = starved }) }
func (r *room) stall(stalled bool)  { r.note(func() { r.stalled = stalled }) }

// note notes a change, and what it means for those who wait.
func (r *room) note(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	switch short := r.waiting > 0 || r.stalled && r.starved; {
	case short == r.short:
	case short:
		r.short = true
		close(r.full)
	default:
		r.short, r.full = false, make(chan struct{})
	}
}

func (r *room) lacking() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.short
}

// out is closed when there is no room: at once if there is none now.
func (r *room) out() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.full
}

// The categories that Pebble names what it writes by, as far as it matters here.
const compaction = "pebble-compaction"

func (g *gate) Create(name string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	spare := category == compaction
	err = g.change(spare, func() error { f, err = g.FS.Create(name, category); return err })
	if err == nil && isManifest(g.PathBase(name)) {
		err = g.must(func() error { return syncDir(g.FS, g.PathDir(name)) })
	}
	return g.file(name, f, spare), err
}

// syncDir makes names durable. Pebble does it for all but a manifest's, to which it
// then has a mark point: a power cut could leave a mark that points at nothing.
func syncDir(disk vfs.FS, path string) error {
	dir, err := disk.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (g *gate) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (f vfs.File, err error) {
	if err := g.keepTrail(); err != nil {
		return nil, err
	}
	err = g.change(false, func() error { f, err = g.FS.ReuseForWrite(old, name, category); return err })
	return g.file(name, f, false), err
}

func (g *gate) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (f vfs.File, err error) {
	err = g.change(false, func() error { f, err = g.FS.OpenReadWrite(name, category, opts...); return err })
	return g.file(name, f, false), err
}

func (g *gate) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	return g.file(name, f, false), err
}

func (g *gate) Link(old, name string) error {
	return g.change(false, func() error { return g.FS.Link(old, name) })
}

func (g *gate) Rename(old, name string) error {
	return g.change(false, func() error { return g.FS.Rename(old, name) })
}

func (g *gate) MkdirAll(dir string, perm os.FileMode) error {
	return g.change(false, func() error { return g.FS.MkdirAll(dir, perm) })
}

func (g *gate) RemoveAll(name string) error {
	return g.change(false, func() error { return g.FS.RemoveAll(name) })
}

// Remove removes a file, once it is written down that there is nothing in it any
// more that is not elsewhere.
func (g *gate) Remove(name string) error {
	if holdsRecords(g.PathBase(name)) {
		if err := g.keepTrail(); err != nil {
			return err
		}
	}
	return g.change(false, func() error { return g.FS.Remove(name) })
}

func (g *gate) keepTrail() error { return g.change(false, g.trail.keep) }

// Lock is the directory's lock. It is given back by unlock also where Pebble never
// closes it.
func (g *gate) Lock(name string) (io.Closer, error) {
	err := g.try(func() (err error) {
		g.lock, err = g.FS.Lock(name)
		return err
	})
	if err != nil {
		return nil, lockError(err)
	}
	return closer(g.unlock), nil
}

// lockError tells a lock that somebody has from one that cannot be made.
func lockError(err error) error {
	var file *fs.PathError
	var no syscall.Errno
	if errors.As(err, &file) || errors.As(err, &no) && no != syscall.EAGAIN && no != syscall.EACCES {
		return err
	}
	return fmt.Errorf("%w: %w", ErrOwned, err)
}

func (g *gate) unlock() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lock == nil {
		return nil
	}
	lock := g.lock
	g.lock = nil
	return lock.Close()
}

type closer func() error

func (c closer) Close() error { return c() }

func (g *gate) Unwrap() vfs.FS { return g.FS }
