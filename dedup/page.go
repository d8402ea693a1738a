package dedup

import (
	"encoding/binary"
	"hash/crc32"
)

// Logs and segments consist of pages. A page is checked whenever it is read, and says
// itself which one it is, so nothing is answered from a page that is not what was
// written there.
//
//	  0  24 records: hash 16, milliseconds since base 4
//	480  file 8: see generation and span
//	488  base 8: milliseconds since 1970
//	496  first page of its group 4 (logs)
//	500  records 2
//	502  zero 4
//	506  CRC-32C 4 of all before, and of the page's number
//	510  seal 2: never zero
const (
	pageSize   = 512 // what disks write as one, if they do
	recordSize = 20
	perPage    = 24

	fileAt  = perPage * recordSize
	baseAt  = fileAt + 8
	firstAt = baseAt + 8
	countAt = firstAt + 4
	crcAt   = 506
	sealAt  = crcAt + 4

	pageSeal = 0xd15c
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// record is an id as it is kept.
type record struct {
	hash
	at int64 // first seen, in milliseconds since 1970
}

type page []byte

// put writes a record into its place. It must not be older than the page's base.
func (p page) put(place int, h hash, sinceBase uint32) {
	b := p[place*recordSize:][:recordSize]
	binary.LittleEndian.PutUint64(b, h.hi)
	binary.LittleEndian.PutUint64(b[8:], h.lo)
	binary.LittleEndian.PutUint32(b[16:], sinceBase)
}

func (p page) get(place int) (h hash, sinceBase uint32) {
	b := p[place*recordSize:][:recordSize]
	return hash{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}, binary.LittleEndian.Uint32(b[16:])
}

// record is the record in a place of a page that was checked.
func (p page) record(place int) record {
	h, since := p.get(place)
	return record{h, p.base() + int64(since)}
}

func (p page) base() int64   { return int64(binary.LittleEndian.Uint64(p[baseAt:])) }
func (p page) first() uint32 { return binary.LittleEndian.Uint32(p[firstAt:]) }
func (p page) count() int    { return int(binary.LittleEndian.Uint16(p[countAt:])) }

// seal completes page number n of a file.
func (p page) seal(file uint64, n uint32, base int64, first uint32, count int) {
	binary.LittleEndian.PutUint64(p[fileAt:], file)
	binary.LittleEndian.PutUint64(p[baseAt:], uint64(base))
	binary.LittleEndian.PutUint32(p[firstAt:], first)
	binary.LittleEndian.PutUint16(p[countAt:], uint16(count))
	binary.LittleEndian.PutUint32(p[crcAt:], p.sum(n))
	binary.LittleEndian.PutUint16(p[sealAt:], pageSeal)
}

// sum begins with the page's number, spread over all bits by an odd factor: a page
// that was written to another's place is noticed.
func (p page) sum(n uint32) uint32 {
	return crc32.Update(n*0x9e3779b1, castagnoli, p[:crcAt])
}

// whole says whether this is page number n of the file, as it was sealed.
func (p page) whole(file uint64, n uint32) bool {
	return binary.LittleEndian.Uint16(p[sealAt:]) == pageSeal &&
		binary.LittleEndian.Uint32(p[crcAt:]) == p.sum(n) &&
		binary.LittleEndian.Uint64(p[fileAt:]) == file &&
		p.count() <= perPage
}

// torn says whether a page that is not whole may never have been: it is written from
// its beginning, and the seal is last. A page that was whole once and lost a bit has
// something in either byte of its seal.
func (p page) torn() bool { return p[sealAt] == 0 || p[sealAt+1] == 0 }
