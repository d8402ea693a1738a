package sqlite

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ErrDamaged means that the log cannot be read where commits that were reported
// are. Opening the store would lose them without a word: it is for a human to
// decide, with the disk and a backup at hand.
var ErrDamaged = errors.New("sqlite: the log is damaged")

// checkLog looks for damage in the log that a crash does not explain.
//
// SQLite reads the log up to the first page that is not what it should be, and
// takes that for the end: rightly so if a crash cut off the last commit, which
// nobody was told of. But a commit is only written after the one before it was
// synced. So if there is a commit behind the bad page, and what was written after
// that commit, then the bad page was on disk once, and was reported.
//
// The format is that of https://www.sqlite.org/fileformat2.html#walformat.
func checkLog(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	l := logReader{r: bufio.NewReaderSize(f, 1<<20)}
	if err := l.readHeader(); err != nil {
		return err
	}
	return l.check()
}

type logReader struct {
	r     *bufio.Reader
	order binary.ByteOrder // of the numbers that checksums add up
	salt  [8]byte          // marks the pages of this log, not of the one that it was before
	frame []byte           // the page that was read last, with its header
	sum   checksum         // up to the last page
}

const (
	logMagic       = 0x377f0682 // the last bit is the order of checksums
	logHeaderLen   = 32
	frameHeaderLen = 24
	maxPage        = 65536
)

// readHeader reads the header. It is synced before anything else is written, so
// where it is wrong and more follows, that has been lost.
func (l *logReader) readHeader() error {
	h := make([]byte, logHeaderLen)
	if _, err := io.ReadFull(l.r, h); err != nil {
		return end(err)
	}
	l.order = binary.LittleEndian
	if h[3]&1 == 1 {
		l.order = binary.BigEndian
	}
	l.sum = l.sum.add(l.order, h[:24])
	size := binary.BigEndian.Uint32(h[8:])
	if binary.BigEndian.Uint32(h)&^1 == logMagic && l.sum == readChecksum(h[24:]) && size <= maxPage {
		l.frame = make([]byte, frameHeaderLen+int(size))
		copy(l.salt[:], h[16:])
		return nil
	}
	if _, err := l.r.Peek(frameHeaderLen); err != nil {
		return end(err)
	}
	if blank, err := l.blank(); err != nil || blank && [logHeaderLen]byte(h) == [logHeaderLen]byte{} {
		return err
	}
	return fmt.Errorf("%w: its header cannot be read", ErrDamaged)
}

// blank says whether all that follows is zero: room that was made for a log, and
// that a crash left before its header was synced.
func (l *logReader) blank() (bool, error) {
	for {
		b, err := l.r.ReadByte()
		if err != nil || b != 0 {
			return err == io.EOF, end(err)
		}
	}
}

// check reads all pages, and those behind the first bad one each by itself.
func (l *logReader) check() error {
	bad, after := 0, false // after: the page before is a commit of this log
	for n := 1; l.frame != nil; n++ {
		if _, err := io.ReadFull(l.r, l.frame); err != nil {
			return end(err)
		}
		good := l.follows()
		switch {
		case bad == 0 && !good:
			bad = n
		case bad > 0 && good && after:
			return fmt.Errorf("%w: page %d of it cannot be read, and was committed before page %d was written", ErrDamaged, bad, n)
		}
		after = l.ours() && binary.BigEndian.Uint32(l.frame[4:]) != 0
		l.sum = readChecksum(l.frame[16:])
	}
	return nil
}

// follows says whether the page is what was written after the one before it.
func (l *logReader) follows() bool {
	sum := l.sum.add(l.order, l.frame[:8]).add(l.order, l.frame[frameHeaderLen:])
	return l.ours() && sum == readChecksum(l.frame[16:])
}

func (l *logReader) ours() bool { return [8]byte(l.frame[8:16]) == l.salt }

func end(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

// checksum is the one of the log: of all before it, too.
type checksum [2]uint32

func (s checksum) add(order binary.ByteOrder, b []byte) checksum {
	for ; len(b) >= 8; b = b[8:] {
		s[0] += order.Uint32(b) + s[1]
		s[1] += order.Uint32(b[4:]) + s[0]
	}
	return s
}

func readChecksum(b []byte) checksum {
	return checksum{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
}
