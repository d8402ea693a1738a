package dedup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
)

// memory is a disk that loses what was not synced: what files have, and their names. It
// can run out of room, fail, and end at any operation.
type memory struct {
	mu     sync.Mutex
	names  map[string]*inode
	synced map[string]*inode
	locked bool

	room int64 // bytes that can still be written, if it is not negative
	ops  int
	// fault is asked before each operation, under mu. The operation fails with what it
	// returns. A write gets done in part.
	fault func(op op) error
}

// op is an operation on a disk, and how many there were before.
type op struct {
	n    int
	kind string
	name string
}

type inode struct {
	data   []byte
	synced []byte
}

func newMemory() *memory {
	return &memory{names: map[string]*inode{}, synced: map[string]*inode{}, room: -1}
}

// errEnded is what a disk fails with after its end.
var errEnded = errors.New("the machine is down")

// endAt has the disk end at the n-th operation.
func (m *memory) endAt(n int) {
	m.fault = func(op op) error {
		if op.n >= n {
			return errEnded
		}
		return nil
	}
}

// do does an operation, unless it is to fail. The caller holds mu.
func (m *memory) do(kind, name string) error {
	at := m.ops
	switch kind {
	case "read", "open", "list", "stat": // nothing is different after it
	default:
		m.ops++
	}
	if m.fault == nil {
		return nil
	}
	return m.fault(op{at, kind, name})
}

func (m *memory) create(name string) (file, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.do("create", name); err != nil {
		return nil, err
	}
	if m.room == 0 {
		return nil, syscall.ENOSPC
	}
	node := &inode{}
	m.names[name] = node
	return memoryFile{m, node, name}, nil
}

func (m *memory) open(name string) (file, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.do("open", name); err != nil {
		return nil, err
	}
	node := m.names[name]
	if node == nil {
		return nil, fs.ErrNotExist
	}
	return memoryFile{m, node, name}, nil
}

func (m *memory) rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.do("rename", to); err != nil {
		return err
	}
	if m.names[from] == nil {
		return fs.ErrNotExist
	}
	m.names[to] = m.names[from]
	delete(m.names, from)
	return nil
}

func (m *memory) remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.do("remove", name); err != nil {
		return err
	}
	if m.names[name] == nil {
		return fs.ErrNotExist
	}
	if m.room >= 0 {
		m.room += int64(len(m.names[name].data))
	}
	delete(m.names, name)
	return nil
}

func (m *memory) list() (names []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.names {
		names = append(names, name)
	}
	return names, m.do("list", "")
}

func (m *memory) sync() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.do("sync", ""); err != nil {
		return err
	}
	m.synced = maps.Clone(m.names)
	return nil
}

func (m *memory) lock(string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locked {
		return nil, ErrOwned
	}
	m.locked = true
	return unlocker(func() { m.locked = false }), nil
}

type unlocker func()

func (u unlocker) Close() error { u(); return nil }

type memoryFile struct {
	*memory
	*inode
	name string
}

func (f memoryFile) ReadAt(b []byte, at int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.do("read", f.name); err != nil {
		return 0, err
	}
	if at >= int64(len(f.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.data[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f memoryFile) WriteAt(b []byte, at int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.do("write", f.name)
	if err != nil {
		b = b[:f.ops*37%(len(b)+1)] // some of it is written
	}
	if more := at + int64(len(b)) - int64(len(f.data)); more > 0 {
		if f.room >= 0 && more > f.room {
			b, more, err = b[:max(0, int64(len(b))-more+f.room)], f.room, syscall.ENOSPC
		}
		if f.room >= 0 {
			f.room -= more
		}
		f.data = append(f.data, make([]byte, more)...)
	}
	copy(f.data[min(at, int64(len(f.data))):], b)
	f.set(f.data)
	return len(b), err
}

func (f memoryFile) set(data []byte) { f.inode.data = data }

func (f memoryFile) Truncate(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.do("truncate", f.name); err != nil {
		return err
	}
	if f.room >= 0 {
		f.room += int64(len(f.data)) - size
	}
	f.set(append([]byte{}, append(f.data, make([]byte, max(0, size-int64(len(f.data))))...)[:size]...))
	return nil
}

func (f memoryFile) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.do("fsync", f.name); err != nil {
		return err
	}
	f.inode.synced = append([]byte{}, f.data...)
	return nil
}

func (f memoryFile) size() (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return int64(len(f.data)), f.do("stat", f.name)
}

func (f memoryFile) Close() error { return nil }

// kill is what the next process finds: everything that was written, synced or not.
func (m *memory) kill() *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := newMemory()
	next.room = m.room
	copies := map[*inode]*inode{}
	copyOf := func(node *inode) *inode {
		if copies[node] == nil {
			copies[node] = &inode{append([]byte{}, node.data...), append([]byte{}, node.synced...)}
		}
		return copies[node]
	}
	for name, node := range m.names {
		next.names[name] = copyOf(node)
	}
	for name, node := range m.synced {
		next.synced[name] = copyOf(node)
	}
	return next
}

// cutPower is what there is after a power cut: what was synced, and anything of what was
// not: each name, each sector, the first part of one.
func (m *memory) cutPower(r *rand.Rand) *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	share := []float64{0, 0.5, 0.9, 1}[r.IntN(4)]
	return m.after(func() bool { return r.Float64() < share })
}

const sector = 512

func (m *memory) after(kept func() bool) *memory {
	next := newMemory()
	next.room = m.room
	files := map[*inode]*inode{}
	for _, name := range slicesSorted(m.names, m.synced) {
		node := m.synced[name]
		if kept() {
			node = m.names[name]
		}
		if node == nil {
			continue
		}
		if files[node] == nil {
			data := node.after(kept)
			files[node] = &inode{data, append([]byte{}, data...)}
		}
		next.names[name] = files[node]
	}
	next.synced = maps.Clone(next.names)
	return next
}

func (n *inode) after(kept func() bool) []byte {
	data := append([]byte{}, n.synced...)
	if kept() {
		data = append(data, make([]byte, max(0, len(n.data)-len(data)))...)[:len(n.data)]
	}
	for at := 0; at < len(data) && at < len(n.data); at += sector {
		end := min(at+sector, len(data), len(n.data))
		switch {
		case kept():
			copy(data[at:end], n.data[at:end])
		case kept():
			copy(data[at:at+(end-at)/3], n.data[at:])
		}
	}
	return data
}

func slicesSorted(sets ...map[string]*inode) (names []string) {
	all := map[string]bool{}
	for _, set := range sets {
		for name := range set {
			all[name] = true
		}
	}
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (o op) String() string { return fmt.Sprintf("operation %d: %s %s", o.n, o.kind, o.name) }
