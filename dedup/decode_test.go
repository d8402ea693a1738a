package dedup

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

// somePage is a page of a log or segment, and what it was sealed as.
func somePage(count int) (p page, number uint64, n uint32) {
	p = make(page, pageSize)
	r := rand.New(rand.NewPCG(uint64(count), 0))
	for place := range count {
		p.put(place, hash{r.Uint64(), r.Uint64()}, r.Uint32())
	}
	p.seal(7, 3, 1_000_000, 2, count)
	return p, 7, 3
}

// A page is what was sealed, or is not whole; any bit counts.
func FuzzPage(f *testing.F) {
	for _, count := range []int{1, 2, perPage} {
		p, _, _ := somePage(count)
		f.Add([]byte(p), uint16(0))
		f.Add([]byte(p), uint16(8*countAt))
	}
	f.Fuzz(func(t *testing.T, b []byte, bit uint16) {
		p := page(append(b, zeroPage[:]...)[:pageSize])
		if p.whole(7, 3) {
			flipped := bytes.Clone(p)
			flipped[bit%(8*pageSize)/8] ^= 1 << (bit % 8)
			if page(flipped).whole(7, 3) || page(flipped).torn() {
				t.Errorf("bit %d is not missed", bit)
			}
			if p.whole(7, 4) || p.whole(8, 3) {
				t.Error("it is another page too")
			}
		}
		count := int(bit % (perPage + 1))
		p.seal(9, 5, 1, 2, count)
		if !p.whole(9, 5) || p.count() != count || p.base() != 1 || p.first() != 2 {
			t.Error("a page is not what it was sealed as")
		}
	})
}

// Whatever is in a log: what is read of it are whole pages from its beginning.
func FuzzLog(f *testing.F) {
	var log []byte
	for n := range uint32(4) {
		p := make(page, pageSize)
		p.seal(7, n, 1, n&^1, 5)
		log = append(log, p...)
	}
	f.Add(log)
	f.Add(log[:700])
	f.Add(append(bytes.Clone(log), zeroPage[:]...))
	f.Add(append(bytes.Clone(log[:512]), log[1024:]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		visited := uint32(0)
		pages, err := scan(memoryFile{newMemory(), &inode{data: b}, "log"}, 7, func(n uint32, p page) {
			if n != visited || !p.whole(7, n) || !bytes.Equal(p, b[n*pageSize:][:pageSize]) {
				t.Errorf("page %d was visited", n)
			}
			visited++
		})
		if err != nil && !errors.Is(err, ErrDamaged) || err == nil && pages != visited {
			t.Errorf("%d pages of %d: %v", visited, pages, err)
		}
	})
}

// A foot that is taken for one is what was encoded.
func FuzzFoot(f *testing.F) {
	good := foot{span: span{from: 1, to: 3, ids: 100, last: 1_000_000}, filterIDs: 120, mark: 9, filterSum: 8}
	f.Add(good.encode(), good.size())
	f.Add(good.encode(), int64(512))
	f.Add([]byte{}, int64(0))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		foot, err := decodeFoot(b, size)
		switch {
		case err == nil && !bytes.Equal(foot.encode(), b[:pageSize]):
			t.Errorf("%+v is another foot", foot)
		case err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer):
			t.Error(err)
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add(encodeKey([keySize]byte{1, 2, 3}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := decodeKey(b)
		switch {
		case err == nil && !bytes.Equal(encodeKey(key), b):
			t.Errorf("%x is another key", key)
		case err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer):
			t.Error(err)
		}
	})
}

// A filter that is opened never tells of what is not there, whatever it was made of.
func FuzzFilter(f *testing.F) {
	b := newFilterBuilder(200)
	for _, h := range hashesInOrder(200, 1) {
		b.add(h)
	}
	_, encoded := b.build()
	f.Add(encoded, uint8(200), uint64(1)<<60, uint64(1))
	f.Add(bytes.Repeat([]byte{0xff}, 600), uint8(3), uint64(1)<<40, uint64(1))
	f.Fuzz(func(t *testing.T, encoded []byte, n uint8, hi, lo uint64) {
		encoded = append(encoded, make([]byte, filterSize(int(n)))...)[:filterSize(int(n))]
		filter := openFilter(encoded, int(n))
		if !filter.within(int(n)) {
			return
		}
		var found [atATime]ranks
		filter.find([]hash{{hi, lo}, {^hi, lo}, {0, 0}}, &found)
		for _, r := range found[:3] {
			if r.from > r.to || r.to > uint32(n) {
				t.Errorf("of %d hashes one is at %v", n, r)
			}
		}
	})
}

// Files that make an index have all generations from the first to the last, each once.
func FuzzNames(f *testing.F) {
	f.Add("key\nlock\nseg-0000000001-0000000008\nseg-0000000003-0000000003\nlog-0000000008\nlog-0000000009")
	f.Add("seg-0000000001-0000000000")
	f.Add("key\nseg-0000000001-0000000002\nseg-0000000004-0000000004")
	f.Add("log-0000000001\nlog-0000000003\nlog--000000001\nlog-00000000001")
	f.Add("seg-0000000009-0000000001\nseg-4294967295-4294967295\nlog-0000000000\nseg-1-1.tmp")
	f.Fuzz(func(t *testing.T, names string) {
		var files []string
		for name := range bytes.SplitSeq([]byte(names), []byte("\n")) {
			files = append(files, string(name))
		}
		found, err := sortNames(files)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Error(err)
			}
			return
		}
		var next uint32
		for _, s := range found.spans {
			if next != 0 && s.from != next || s.to < s.from {
				t.Fatalf("%v after generation %d", s, next-1)
			}
			next = s.to + 1
		}
		for _, number := range found.logs {
			if next != 0 && number != next {
				t.Fatalf("log %d after generation %d", number, next-1)
			}
			next = number + 1
		}
	})
}
