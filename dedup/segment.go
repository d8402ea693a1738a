package dedup

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sync/atomic"
)

// segment is ids on disk for good, sorted by hash: pages, the filter, and a foot that
// says what there is. Only the filter is in memory. Nothing of it ever changes, and it
// is named by the generations that it has, so a directory needs no list of its files.
type segment struct {
	span
	file   file
	filter filter
	disk   int64 // bytes
	users  atomic.Int32
}

func segmentName(from, to uint32) string { return fmt.Sprintf("seg-%010d-%010d", from, to) }

func (s span) name() string { return segmentName(s.from, s.to) }

// id is what the pages of a segment are told from those of any other file by.
func (s span) id() uint64 { return uint64(s.from)<<32 | uint64(s.to) }

// find returns when h was first seen, which is somewhere among these ranks.
func (s *segment) find(h hash, in ranks, buf page) (at int64, found bool, err error) {
	for n := in.from / perPage; n*perPage < in.to; n++ {
		if err := s.read(n, buf); err != nil {
			return 0, false, err
		}
		for place := range buf.count() {
			if r := buf.record(place); r.hash == h {
				return r.at, true, nil
			}
		}
	}
	return 0, false, nil
}

func (s *segment) read(n uint32, buf page) error {
	if _, err := s.file.ReadAt(buf, int64(n)*pageSize); err != nil {
		return fmt.Errorf("dedup: read %s: %w", s.name(), err)
	}
	if !buf.whole(s.id(), n) {
		return damaged("page %d of %s", n, s.name())
	}
	return nil
}

func (s span) pages() uint32 { return uint32((s.ids + perPage - 1) / perPage) }

// release closes the file when the last user has gone.
func (s *segment) release() {
	if s.users.Add(-1) == 0 {
		s.file.Close() // it was only read: there is nothing to lose
	}
}

// foot is the last page of a segment.
//
//	  0  magic 8
//	  8  version 4
//	 12  from 4, to 4
//	 20  ids 8, ids that the filter was made for 8
//	 36  time of the last id 8
//	 44  mark of the directory 8
//	 52  CRC-32C of the filter 4
//	508  CRC-32C of all before 4
type foot struct {
	span
	filterIDs int
	mark      uint64
	filterSum uint32
}

const (
	segmentMagic = "dedupseg"
	version      = 1
	footSumAt    = pageSize - 4
)

func (f foot) encode() []byte {
	b := append(make([]byte, 0, pageSize), segmentMagic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint32(b, f.from)
	b = binary.LittleEndian.AppendUint32(b, f.to)
	b = binary.LittleEndian.AppendUint64(b, uint64(f.ids))
	b = binary.LittleEndian.AppendUint64(b, uint64(f.filterIDs))
	b = binary.LittleEndian.AppendUint64(b, uint64(f.last))
	b = binary.LittleEndian.AppendUint64(b, f.mark)
	b = binary.LittleEndian.AppendUint32(b, f.filterSum)
	b = append(b, zeroPage[:footSumAt-len(b)]...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// decodeFoot reads the foot of a segment whose file has a size.
func decodeFoot(b []byte, size int64) (f foot, err error) {
	switch {
	case len(b) != pageSize || binary.LittleEndian.Uint32(b[footSumAt:]) != crc32.Checksum(b[:footSumAt], castagnoli):
		return f, damaged("the foot of a segment")
	case string(b[:8]) != segmentMagic:
		return f, damaged("no segment")
	case binary.LittleEndian.Uint32(b[8:]) > version:
		return f, ErrNewer
	}
	f.from = binary.LittleEndian.Uint32(b[12:])
	f.to = binary.LittleEndian.Uint32(b[16:])
	ids, filterIDs := binary.LittleEndian.Uint64(b[20:]), binary.LittleEndian.Uint64(b[28:])
	f.last = int64(binary.LittleEndian.Uint64(b[36:]))
	f.mark = binary.LittleEndian.Uint64(b[44:])
	f.filterSum = binary.LittleEndian.Uint32(b[52:])
	if ids > filterIDs || filterIDs > maxSegment {
		return f, damaged("a segment of %d ids", ids)
	}
	f.ids, f.filterIDs = int(ids), int(filterIDs)
	if want := f.size(); size != want {
		return f, damaged("%s has %d bytes, of %d", f.name(), size, want)
	}
	return f, nil
}

// maxSegment is what ranks of 32 bits can count.
const maxSegment = 1<<32 - 1 - perPage

func (f foot) filterAt() int64 { return int64(f.pages()) * pageSize }

func (f foot) size() int64 { return f.filterAt() + int64(filterSize(f.filterIDs)) + pageSize }

// openSegment reads the foot and the filter, and nothing else.
func openSegment(d disk, name string, mark uint64) (*segment, error) {
	f, err := d.open(name)
	if err != nil {
		return nil, err
	}
	s, err := readSegment(f, name, mark)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func readSegment(f file, name string, mark uint64) (*segment, error) {
	size, err := f.size()
	if err != nil {
		return nil, err
	}
	if size < pageSize {
		return nil, damaged("a segment of %d bytes", size)
	}
	end := make([]byte, pageSize)
	if _, err := f.ReadAt(end, size-pageSize); err != nil {
		return nil, err
	}
	foot, err := decodeFoot(end, size)
	if err != nil {
		return nil, err
	}
	if foot.name() != name || foot.mark != mark {
		return nil, damaged("it is %s of another directory", foot.name())
	}
	encoded := huge(make([]byte, filterSize(foot.filterIDs)))
	if _, err := f.ReadAt(encoded, foot.filterAt()); err != nil {
		return nil, err
	}
	if crc32.Checksum(encoded, castagnoli) != foot.filterSum {
		return nil, damaged("its filter")
	}
	filter := openFilter(encoded, foot.filterIDs)
	if !filter.within(foot.ids) {
		return nil, damaged("its filter is of another segment")
	}
	return &segment{span: foot.span, file: f, filter: filter, disk: size}, nil
}

// shelf is all segments at a moment, the oldest first. It never changes: there is a new
// one when something is put on it. Files stay open while anybody uses a shelf that has
// them.
type shelf struct {
	segments []*segment
	users    atomic.Int32
}

func newShelf(segments []*segment) *shelf {
	s := &shelf{segments: segments}
	s.users.Store(1)
	for _, segment := range segments {
		segment.users.Add(1)
	}
	return s
}

// pin keeps the shelf until it is released. The caller knows that it is not yet.
func (s *shelf) pin() *shelf {
	s.users.Add(1)
	return s
}

func (s *shelf) release() {
	if s.users.Add(-1) == 0 {
		for _, segment := range s.segments {
			segment.release()
		}
	}
}

func (s *shelf) spans() []span {
	spans := make([]span, len(s.segments))
	for i, segment := range s.segments {
		spans[i] = segment.span
	}
	return spans
}
