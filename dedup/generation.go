package dedup

import "fmt"

// generation is the ids between two sealings: a log, and a table to find them in it.
// Generations are numbered from 1 without a gap, and their logs are named by that.
//
// All but the log is guarded by the Index.
type generation struct {
	number uint32
	slot   int64 // that all its ids are of
	log    file
	table  *table
	pages  uint32 // of groups that take no more ids
	synced uint32 // on disk
	last   int64  // time of the last id
}

func logName(number uint32) string { return fmt.Sprintf("log-%010d", number) }

// maxPages is where a generation ends that has fewer ids than fit its table, since
// they came one by one.
func maxPages(table int) uint32 { return uint32(table / 8) }

// takes says whether there is a place for n more ids, behind the groups that wait.
func (g *generation) takes(n, table int, queue []*group) bool {
	return g.table.ids+n <= table && (g.end(queue)+uint32(n))/perPage+2 <= maxPages(table)
}

// sync has what was written to the log on disk. It is never tried again: what could not
// be written may be gone from the kernel's memory.
func (g *generation) sync() error {
	if err := g.log.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", logName(g.number), unsynced{err})
	}
	return nil
}

// cut takes from the log what is not known to be on disk.
func (g *generation) cut() error {
	if err := g.log.Truncate(int64(g.synced) * pageSize); err != nil {
		return fmt.Errorf("truncate %s: %w", logName(g.number), err)
	}
	return g.sync()
}

// read reads a record from a page that is on disk.
func (g *generation) read(pos uint32, buf page) (record, error) {
	n := pos / perPage
	if _, err := g.log.ReadAt(buf, int64(n)*pageSize); err != nil {
		return record{}, fmt.Errorf("dedup: read %s: %w", logName(g.number), err)
	}
	place := int(pos % perPage)
	if !buf.whole(uint64(g.number), n) || place >= buf.count() {
		return record{}, damaged("page %d of %s", n, logName(g.number))
	}
	return buf.record(place), nil
}

// group is what is written and synced together. The last one of an Index takes more
// until it is being written.
type group struct {
	of      *generation
	first   uint32 // page
	base    int64  // no id of it is older
	buf     []byte // pages, not sealed before they are written
	records int
	kept    []run // were told at once: they outlive a group that cannot be written
	done    chan struct{}
	err     error // once done is closed
}

// run is some records of a group, from and before to.
type run struct{ from, to int }

// end is the position that the generation's next id gets, at least.
func (g *generation) end(queue []*group) uint32 {
	if len(queue) > 0 {
		if last := queue[len(queue)-1]; last.of == g {
			return last.first*perPage + uint32(last.records)
		}
	}
	return g.pages * perPage
}

func (g *group) comesBefore(other *group) bool {
	return g.of.number < other.of.number || g.of == other.of && g.first < other.first
}

func (g *group) pages() uint32 { return uint32(len(g.buf) / pageSize) }

var zeroPage [pageSize]byte

// add gives an id the next place in the log, and returns that.
func (g *group) add(r record) (pos uint32) {
	place := g.records % perPage
	if place == 0 {
		g.buf = append(g.buf, zeroPage[:]...)
	}
	page(g.buf[len(g.buf)-pageSize:]).put(place, r.hash, uint32(r.at-g.base))
	pos = g.first*perPage + uint32(g.records)
	g.records++
	return pos
}

// record is the n-th of the group.
func (g *group) record(n int) record {
	h, since := page(g.buf[n/perPage*pageSize:][:pageSize]).get(n % perPage)
	return record{h, g.base + int64(since)}
}

// seal completes the pages.
func (g *group) seal() {
	for i := range g.pages() {
		p := page(g.buf[i*pageSize:][:pageSize])
		p.seal(uint64(g.of.number), g.first+i, g.base, g.first, min(perPage, g.records-int(i)*perPage))
	}
}
