package pebble

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
)

// trail is a mark beside Pebble's files. It says that they are a store of keys, in
// which format, and how much of which manifest was on disk when a file with records
// was last removed, or used again.
//
// A manifest lists the files that count. Pebble reads it up to the first page that
// is damaged and takes that for the end; then what was listed behind it is
// forgotten, and the logs that it came from may be gone. So no log is let go before
// the mark says how long the manifest is without which it would be missed.
//
// The mark is a file's name: there is nothing in it that could be damaged.
type trail struct {
	mu     sync.Mutex
	marker *atomicfs.Marker
	told   tip // what the mark says
	now    tip // what it could say
	sizes  map[string]int64
}

// tip is a manifest, and how much of it is on disk. The zero tip is of a store that
// is being made.
type tip struct{ manifest, size int64 }

// format numbers how a store keeps its keys. A later one is refused.
const format = 1

const markName = "oncepay-keys"

// findTrail reads the mark in a directory, and makes it if there is no store yet.
func findTrail(fs vfs.FS, dir string) (*trail, error) {
	marker, value, err := atomicfs.LocateMarker(fs, dir, markName)
	if err != nil {
		return nil, err
	}
	t := &trail{marker: marker, sizes: map[string]int64{}}
	if value == "" {
		err = t.begin(fs, dir)
	} else {
		err = t.read(value)
	}
	if err == nil {
		err = marker.RemoveObsolete() // what a crash has left
	}
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

func (t *trail) read(value string) error {
	var found int
	n, err := fmt.Sscanf(value, "%d.%d.%d", &found, &t.told.manifest, &t.told.size)
	switch {
	case n > 0 && found > format:
		return fmt.Errorf("%w: its format is %d, this version knows %d", ErrNewer, found, format)
	case err != nil:
		return fmt.Errorf("%w: its mark is %q", ErrForeign, value)
	}
	return nil
}

// begin makes the mark of a new store, before anything else is there.
func (t *trail) begin(fs vfs.FS, dir string) error {
	current, err := atomicfs.ReadMarker(fs, dir, "manifest")
	switch {
	case err != nil:
		return err
	case current != "":
		return fmt.Errorf("%w: it is a Pebble database of something else", ErrForeign)
	}
	return t.move(tip{})
}

// created tells which manifest is used from now on.
func (t *trail) created(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now = tip{manifestNumber(name), t.sizes[name]}
	clear(t.sizes)
	t.sizes[name] = t.now.size
}

// synced tells how much of a manifest is on disk.
func (t *trail) synced(name string, size int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sizes[name] = size
	if t.now.manifest == manifestNumber(name) {
		t.now.size = size
	}
}

// keep moves the mark to what is known.
func (t *trail) keep() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now == t.told || t.now == (tip{}) {
		return nil
	}
	return t.move(t.now)
}

func (t *trail) move(to tip) (err error) {
	defer func() { // it does where the directory could not be synced
		if p := recover(); p != nil {
			err = panicked(p)
		}
	}()
	if err := t.marker.Move(fmt.Sprintf("%d.%d.%d", format, to.manifest, to.size)); err != nil {
		return err
	}
	t.told = to
	return nil
}

func (t *trail) close() error { return t.marker.Close() }

const manifestPrefix = "MANIFEST-"

func isManifest(base string) bool { return strings.HasPrefix(base, manifestPrefix) }

// manifestNumber is the number in a manifest's name; 0 is no manifest's.
func manifestNumber(base string) (n int64) {
	fmt.Sscanf(base, manifestPrefix+"%d", &n)
	return n
}

// holdsRecords says whether a file has records, or says which do.
func holdsRecords(base string) bool {
	return isManifest(base) || strings.HasSuffix(base, ".log") || strings.HasSuffix(base, ".sst") || strings.HasSuffix(base, ".blob")
}
