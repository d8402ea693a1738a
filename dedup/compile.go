package dedup

import (
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
)

// Segments are made a part after the other. A part is the hashes of one of so many equal
// ranges: all records of it are gathered, sorted, and written behind those before. So
// what sealing and merging take of memory does not depend on how much there is.

// source is where records come from. It is asked for all parts in turn.
type source interface {
	// gather appends the records of a part.
	gather(into []record, part, parts uint64) ([]record, error)
}

// partOf is the part that a hash belongs to, and where in it, as a fraction of 2⁶⁴.
func partOf(h hash, parts uint64) (part, within uint64) { return bits.Mul64(h.hi, parts) }

// logSource is a log. It is in no order, so it is read for each part.
type logSource struct{ of *generation }

func (s logSource) gather(into []record, part, parts uint64) ([]record, error) {
	err := eachPage(s.of.log, s.of.synced, func(n uint32, p page) error {
		if !p.whole(uint64(s.of.number), n) {
			return damaged("page %d of %s", n, logName(s.of.number))
		}
		base := p.base()
		for place := range p.count() {
			h, since := p.get(place)
			if its, _ := partOf(h, parts); its == part {
				into = append(into, record{h, base + int64(since)})
			}
		}
		return nil
	})
	return into, err
}

// segmentSource is a segment, read from its beginning to its end.
type segmentSource struct {
	of    *segment
	page  uint32 // the next one to be read
	read  []byte // pages, of which the first are used up
	place int    // in the first one
	buf   []byte
}

// ahead is what is read of each segment at a time.
const ahead = 256 << 10

func (s *segmentSource) gather(into []record, part, parts uint64) ([]record, error) {
	for {
		if len(s.read) == 0 {
			if s.page == s.of.pages() {
				return into, nil
			}
			if err := s.fill(); err != nil {
				return into, err
			}
		}
		p := page(s.read[:pageSize])
		for ; s.place < p.count(); s.place++ {
			r := p.record(s.place)
			if its, _ := partOf(r.hash, parts); its > part {
				return into, nil
			}
			into = append(into, r)
		}
		s.read, s.place = s.read[pageSize:], 0
	}
}

func (s *segmentSource) fill() error {
	if s.buf == nil {
		s.buf = make([]byte, min(ahead, int(s.of.pages())*pageSize))
	}
	s.read = s.buf[:min(len(s.buf), int(s.of.pages()-s.page)*pageSize)]
	if _, err := s.of.file.ReadAt(s.read, int64(s.page)*pageSize); err != nil {
		return fmt.Errorf("dedup: read %s: %w", s.of.name(), err)
	}
	for at := 0; at < len(s.read); at, s.page = at+pageSize, s.page+1 {
		if p := page(s.read[at:][:pageSize]); !p.whole(s.of.id(), s.page) || p.count() == 0 {
			return damaged("page %d of %s", s.page, s.of.name())
		}
	}
	return nil
}

// order is what sorts parts. It keeps its memory from one to the next.
type order struct {
	sorted []record
	ends   []uint32
}

// perBucket is how many records fall into a bucket, about: few enough to be sorted by
// moving them along.
const perBucket = 4

// sort returns the records of a part in order, each hash once: its newest record. The
// records are where they came from when sort is called again.
func (o *order) sort(records []record, parts uint64) []record {
	n := uint64(len(records)/perBucket + 1)
	bucket := func(r record) uint64 {
		_, within := partOf(r.hash, parts)
		b, _ := bits.Mul64(within, n)
		return b
	}
	o.ends = append(o.ends[:0], make([]uint32, n+1)...)
	for _, r := range records {
		o.ends[bucket(r)+1]++
	}
	for b := range n {
		o.ends[b+1] += o.ends[b]
	}
	o.sorted = append(o.sorted[:0], records...)
	for _, r := range records {
		b := bucket(r)
		o.sorted[o.ends[b]] = r
		o.ends[b]++
	}
	moveAlong(o.sorted)
	return newest(o.sorted)
}

// moveAlong sorts records that are near to their places.
func moveAlong(records []record) {
	for i := 1; i < len(records); i++ {
		r := records[i]
		at := i
		for ; at > 0 && before(r, records[at-1]); at-- {
			records[at] = records[at-1]
		}
		records[at] = r
	}
}

func before(a, b record) bool { return a.less(b.hash) || a.hash == b.hash && a.at > b.at }

// newest keeps the first record of each hash. An id that expired and came again has
// two.
func newest(records []record) []record {
	kept := records[:0]
	for i, r := range records {
		if i == 0 || r.hash != kept[len(kept)-1].hash {
			kept = append(kept, r)
		}
	}
	return kept
}

// segmentWriter writes a segment under a name of no meaning.
type segmentWriter struct {
	foot
	file    file
	filter  *filterBuilder
	buf     []byte
	written int64
	dirty   int64 // of that, not synced
	full    [perPage]record
	held    int
}

// maxDirty is how much is written before it is synced, so that the disk is not busy with
// it for long when somebody waits for a log.
const maxDirty = 8 << 20

func newSegmentWriter(f file, s span, mark uint64) *segmentWriter {
	w := &segmentWriter{file: f, filter: newFilterBuilder(s.ids), buf: make([]byte, 0, min(chunk, int(s.pages()+1)*pageSize))}
	w.span, w.filterIDs, w.mark = s, s.ids, mark
	w.ids = 0
	return w
}

func (w *segmentWriter) add(r record) error {
	w.filter.add(r.hash)
	w.full[w.held] = r
	w.held++
	w.ids++
	if w.held == perPage {
		return w.page()
	}
	return nil
}

// page writes the records that are held.
func (w *segmentWriter) page() error {
	base := w.full[0].at
	for _, r := range w.full[:w.held] {
		base = min(base, r.at)
	}
	n := uint32((w.written + int64(len(w.buf))) / pageSize)
	w.buf = append(w.buf, zeroPage[:]...)
	p := page(w.buf[len(w.buf)-pageSize:])
	for place, r := range w.full[:w.held] {
		p.put(place, r.hash, uint32(r.at-base))
	}
	p.seal(w.id(), n, base, 0, w.held)
	w.held = 0
	if len(w.buf) == cap(w.buf) {
		return w.flush()
	}
	return nil
}

func (w *segmentWriter) flush() error {
	err := w.write(w.buf)
	w.buf = w.buf[:0]
	return err
}

func (w *segmentWriter) write(b []byte) error {
	if _, err := w.file.WriteAt(b, w.written); err != nil {
		return err
	}
	w.written += int64(len(b))
	if w.dirty += int64(len(b)); w.dirty < maxDirty {
		return nil
	}
	return w.sync()
}

func (w *segmentWriter) sync() error {
	w.dirty = 0
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", w.name(), unsynced{err})
	}
	return nil
}

// finish writes the filter and the foot, and has all of it on disk.
func (w *segmentWriter) finish() (*segment, error) {
	if w.held > 0 {
		if err := w.page(); err != nil {
			return nil, err
		}
	}
	filter, encoded := w.filter.build()
	w.filterSum = crc32.Checksum(encoded, castagnoli)
	for _, part := range [][]byte{w.buf, encoded, w.encode()} {
		if err := w.write(part); err != nil {
			return nil, err
		}
	}
	if err := w.sync(); err != nil {
		return nil, err
	}
	return &segment{span: w.span, file: w.file, filter: filter, disk: w.written}, nil
}

// errStopped means that the index ends before a segment was done.
var errStopped = errors.New("dedup: stopped")

const unfinished = ".tmp" // ends the names of what means nothing yet

// compile makes a segment of what the sources have, in parts of some size. It is
// durable, and has its name, when compile returns.
func (x *Index) compile(s span, sources []source, perPart int) (made *segment, err error) {
	tmp := s.name() + unfinished
	f, err := x.disk.create(tmp)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
			x.disk.remove(tmp) // or the next Open does
		}
	}()
	w := newSegmentWriter(f, s, x.hash.mark())
	if err := x.fill(w, sources, uint64(s.ids/perPart+1)); err != nil {
		return nil, err
	}
	if made, err = w.finish(); err != nil {
		return nil, err
	}
	return made, x.rename(tmp, s.name())
}

func (x *Index) rename(from, to string) error {
	if err := x.disk.rename(from, to); err != nil {
		return err
	}
	return x.syncNames()
}

func (x *Index) fill(w *segmentWriter, sources []source, parts uint64) error {
	var gathered []record
	var order order
	for part := range parts {
		gathered = gathered[:0]
		for _, s := range sources {
			if x.stopped() {
				return errStopped
			}
			var err error
			if gathered, err = s.gather(gathered, part, parts); err != nil {
				return err
			}
		}
		for _, r := range order.sort(gathered, parts) {
			if err := w.add(r); err != nil {
				return err
			}
		}
	}
	return nil
}
