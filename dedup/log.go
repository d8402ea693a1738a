package dedup

import (
	"errors"
	"fmt"
	"io"
)

// chunk is how much of a file is read or written at a time.
const chunk = 1 << 20

// eachPage reads the pages of a file in turn, up to where it ends or visit fails. What
// there is of a last page that is not all there is given with zeros.
func eachPage(f io.ReaderAt, pages uint32, visit func(n uint32, p page) error) error {
	buf := make([]byte, min(chunk, int64(pages)*pageSize))
	for n := uint32(0); n < pages; {
		part := buf[:min(int64(len(buf)), int64(pages-n)*pageSize)]
		got, err := f.ReadAt(part, int64(n)*pageSize)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		clear(part[got:])
		for ; len(part) > 0; n, part = n+1, part[pageSize:] {
			if err := visit(n, part[:pageSize]); err != nil {
				return err
			}
		}
	}
	return nil
}

// scan reads a log after a crash. It returns how many of its pages are of use: all that
// were synced, and perhaps some of the group that was being written. Pages of that one
// may be missing, or stand there in part; any other is damage.
func scan(f file, number uint32, visit func(n uint32, p page)) (pages uint32, err error) {
	size, err := f.size()
	if err != nil {
		return 0, err
	}
	s := logScan{number: number, visit: visit}
	err = eachPage(f, uint32((size+pageSize-1)/pageSize), s.page)
	if err != nil {
		return 0, fmt.Errorf("dedup: read %s: %w", logName(number), err)
	}
	return s.pages, nil
}

type logScan struct {
	number uint32
	visit  func(n uint32, p page)
	pages  uint32
	ended  bool
}

func (s *logScan) page(n uint32, p page) error {
	whole := p.whole(uint64(s.number), n)
	switch {
	case !whole && !p.torn():
		return damaged("page %d of %s", n, logName(s.number))
	case !whole:
		s.ended = true
	case s.ended && p.first() > s.pages:
		return damaged("page %d of %s was synced, and is lost", s.pages, logName(s.number))
	case !s.ended:
		s.visit(n, p)
		s.pages = n + 1
	}
	return nil
}
