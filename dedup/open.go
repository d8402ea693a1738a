package dedup

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
)

// Open opens the index in a directory, or makes one. After a crash it reads filters,
// and the logs of at most two tables.
func Open(path string, config Config) (*Index, error) {
	config = config.withDefaults()
	if err := config.check(); err != nil {
		return nil, err
	}
	dir, err := openDirectory(path)
	if err != nil {
		return nil, fmt.Errorf("dedup: %w", err)
	}
	return open(dir, config)
}

func open(d disk, config Config) (x *Index, err error) {
	x = newIndex(d, config)
	if x.locked, err = d.lock("lock"); err != nil {
		return nil, fmt.Errorf("dedup: lock: %w", err)
	}
	if err := x.restore(); err != nil {
		x.release()
		return nil, fmt.Errorf("dedup: open: %w", err)
	}
	x.start()
	return x, nil
}

func newIndex(d disk, config Config) *Index {
	return &Index{
		disk:    d,
		config:  config,
		window:  window(config.Window.Milliseconds()),
		shelf:   newShelf(nil),
		changed: make(chan struct{}),
		ending:  make(chan struct{}),
		stop:    make(chan struct{}),
		writes:  make(chan struct{}, 1),
		sealing: make(chan struct{}, 1),
		merging: make(chan struct{}, 1),
		written: make(chan struct{}),
	}
}

func (x *Index) start() {
	x.workers.Add(3)
	go x.write()
	go x.keep()
	go x.merge()
	wake(x.sealing)
	wake(x.merging)
}

// restore makes of the files that there are what there was.
func (x *Index) restore() error {
	names, err := x.disk.list()
	if err != nil {
		return err
	}
	found, err := sortNames(names)
	if err != nil {
		return err
	}
	if err := x.restoreKey(found); err != nil {
		return err
	}
	if err := x.restoreSegments(found.spans); err != nil {
		return err
	}
	if err := x.restoreLogs(found.logs); err != nil {
		return err
	}
	for _, name := range found.leftovers {
		if err := x.disk.remove(name); err != nil {
			return err
		}
	}
	return x.syncNames()
}

// names is what there is in a directory, by the names of its files.
type names struct {
	key       bool
	spans     []span
	logs      []uint32
	leftovers []string // of what a crash has interrupted
}

// sortNames says what files are for. A segment whose generations are all in another one
// was merged into that, and a log whose generation is in a segment was sealed: only a
// crash has saved them from being removed.
func sortNames(files []string) (found names, err error) {
	var logs []uint32
	var spans []span
	for _, name := range files {
		var s span
		switch {
		case name == keyName:
			found.key = true
		case strings.HasSuffix(name, unfinished):
			found.leftovers = append(found.leftovers, name)
		case parse(name, "log-%d", &s.from) && name == logName(s.from) && span{from: s.from, to: s.from}.valid():
			logs = append(logs, s.from)
		case parse(name, "seg-%d-%d", &s.from, &s.to) && name == s.name() && s.valid():
			spans = append(spans, s)
		}
	}
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to))
	})
	slices.Sort(logs)
	var next uint32 // generation
	for _, s := range spans {
		switch {
		case next == 0 || s.from == next:
			found.spans = append(found.spans, s)
			next = s.to + 1
		case s.to < next:
			found.leftovers = append(found.leftovers, s.name())
		default:
			return found, damaged("generation %d is in no segment, and %s is there", next, s.name())
		}
	}
	for _, number := range logs {
		switch {
		case next == 0 || number == next:
			found.logs = append(found.logs, number)
			next = number + 1
		case number < next:
			found.leftovers = append(found.leftovers, logName(number))
		default:
			return found, damaged("generation %d is in no file, and %s is there", next, logName(number))
		}
	}
	return found, nil
}

func parse(name, format string, into ...any) bool {
	n, err := fmt.Sscanf(name, format, into...)
	return err == nil && n == len(into)
}

// The key of a directory: magic 8, version 4, key 16, CRC-32C of all before 4.
const (
	keyName    = "key"
	keyMagic   = "dedupkey"
	keyFile    = 8 + 4 + keySize + 4
	keyVersion = 8
)

func (x *Index) restoreKey(found names) error {
	if found.key {
		return x.readKey()
	}
	if len(found.spans) > 0 || len(found.logs) > 0 {
		return damaged("the key is lost")
	}
	return x.makeKey()
}

func (x *Index) readKey() error {
	f, err := x.disk.open(keyName)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.size()
	if err != nil {
		return err
	}
	b := make([]byte, min(size, keyFile+1))
	if _, err := f.ReadAt(b, 0); err != nil {
		return err
	}
	key, err := decodeKey(b)
	x.hash = newHasher(key)
	return err
}

func decodeKey(b []byte) (key [keySize]byte, err error) {
	switch {
	case len(b) != keyFile || binary.LittleEndian.Uint32(b[keyFile-4:]) != crc32.Checksum(b[:keyFile-4], castagnoli):
		return key, damaged("the key")
	case string(b[:keyVersion]) != keyMagic:
		return key, damaged("the key is none")
	case binary.LittleEndian.Uint32(b[keyVersion:]) > version:
		return key, ErrNewer
	}
	return [keySize]byte(b[keyVersion+4:]), nil
}

func encodeKey(key [keySize]byte) []byte {
	b := append(make([]byte, 0, keyFile), keyMagic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = append(b, key[:]...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// makeKey makes a key. There is none, or all of it.
func (x *Index) makeKey() error {
	var key [keySize]byte
	rand.Read(key[:])
	x.hash = newHasher(key)
	f, err := x.disk.create(keyName + unfinished)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(encodeKey(key), 0)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return x.rename(keyName+unfinished, keyName)
}

func (x *Index) restoreSegments(spans []span) error {
	var segments []*segment
	for _, s := range spans {
		segment, err := openSegment(x.disk, s.name(), x.hash.mark())
		if err != nil {
			for _, opened := range segments {
				opened.file.Close()
			}
			return err
		}
		segment.slot = x.window.slot(segment.last)
		x.now = max(x.now, segment.last)
		segments = append(segments, segment)
	}
	x.put(segments)
	return nil
}

// restoreLogs gives the generations their roles. There are three at most: a spare
// is made when there is none, and becomes active when there is no frozen one.
func (x *Index) restoreLogs(numbers []uint32) (err error) {
	var all []*generation
	defer func() {
		if err != nil {
			for _, g := range all {
				g.log.Close()
			}
		}
	}()
	for _, number := range numbers {
		g, err := x.restoreLog(number)
		if err != nil {
			return err
		}
		all = append(all, g)
	}
	switch n := len(all); {
	case n == 0:
		first, err := x.newGeneration(x.shelf.next())
		if err != nil {
			return err
		}
		x.active = first
	case n == 1:
		x.active = all[0]
	case n == 2 && all[1].table == nil:
		x.active, x.spare = all[0], all[1]
	case n == 2:
		x.frozen, x.active = all[0], all[1]
	case n == 3 && all[2].table == nil:
		x.frozen, x.active, x.spare = all[0], all[1], all[2]
	default:
		return damaged("%d logs with ids", n)
	}
	for _, g := range []*generation{x.active, x.frozen} {
		if g != nil && g.table == nil {
			g.table = newTable(x.config.Table)
		}
	}
	return nil
}

// next is the generation after those on the shelf.
func (s *shelf) next() uint32 {
	if len(s.segments) == 0 {
		return 1
	}
	return s.segments[len(s.segments)-1].to + 1
}

// restoreLog reads a log. What is of no use in it goes, and the rest is synced: it
// may be there only because the machine did not crash with the process.
func (x *Index) restoreLog(number uint32) (*generation, error) {
	log, err := x.disk.open(logName(number))
	if err != nil {
		return nil, err
	}
	g := &generation{number: number, log: log}
	if err := x.load(g); err != nil {
		log.Close()
		return nil, err
	}
	return g, nil
}

func (x *Index) load(g *generation) error {
	ids := 0
	pages, err := scan(g.log, g.number, func(_ uint32, p page) { ids += p.count() })
	if err != nil {
		return err
	}
	g.pages, g.synced = pages, pages
	if err := g.cut(); err != nil || ids == 0 {
		return err
	}
	g.table = newTable(max(ids, x.config.Table))
	err = eachPage(g.log, pages, func(n uint32, p page) error {
		for place := range p.count() {
			r := p.record(place)
			g.table.add(r.hash, n*perPage+uint32(place))
			g.last = max(g.last, r.at)
		}
		return nil
	})
	g.slot = x.window.slot(g.last)
	x.now = max(x.now, g.last)
	return err
}
