package pebble

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
)

// ErrDamaged means that a file cannot be read where something is that was
// acknowledged. Opening the store would lose it without a word: it is for a human
// to decide, with the disk and a backup at hand.
var ErrDamaged = errors.New("pebble: the store is damaged")

// checkFiles looks for damage in the manifest and in the logs that a crash does not
// explain.
//
// Pebble reads them up to the first chunk that is not what it should be, and takes
// that for the end: rightly so if a crash cut off the last record, which nobody was
// told of. But a record is only written when the one before it was synced (the
// store commits one group after the other, see committer). So if a record begins
// behind the bad chunk, then that was on disk once, and was acknowledged. Blocks of
// a table have checksums of their own, which are looked at whenever one is read.
func checkFiles(fs vfs.FS, dir string, told tip) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if number, isLog := strings.CutSuffix(name, ".log"); isLog {
			if err := checkLog(fs, fs.PathJoin(dir, name), number); err != nil {
				return err
			}
		}
	}
	return checkManifest(fs, dir, told)
}

// checkManifest also holds the manifest to what the mark says of it.
func checkManifest(fs vfs.FS, dir string, told tip) error {
	current, err := atomicfs.ReadMarker(fs, dir, "manifest")
	if err != nil {
		return err
	}
	n := manifestNumber(current)
	if n < told.manifest {
		return fmt.Errorf("%w: the manifest is %q, and there was a later one", ErrDamaged, current)
	}
	if current == "" { // it was never made
		return nil
	}
	data, err := read(fs, fs.PathJoin(dir, current))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	end, err := chunks{data: data}.check()
	if err == nil && n == told.manifest && end < told.size {
		err = fmt.Errorf("it cannot be read from byte %d on, and had %d", end, told.size)
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, current, err)
	}
	return nil
}

func checkLog(fs vfs.FS, path, number string) error {
	var n uint32
	if _, err := fmt.Sscanf(number, "%d", &n); err != nil {
		return nil // no log of Pebble's
	}
	data, err := read(fs, path)
	if err != nil {
		return err
	}
	if _, err := (chunks{data: data, log: n}).check(); err != nil {
		return fmt.Errorf("%w: log %s: %w", ErrDamaged, number, err)
	}
	return nil
}

func read(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// chunks is a file of records, each of them one chunk or several. The format is
// that of the documentation of package github.com/cockroachdb/pebble/v2/record.
type chunks struct {
	data []byte
	log  uint32 // a log's number; 0: it is a manifest
}

// The lengths of chunks: of a block, which they do not cross, and of their headers.
const (
	blockLen          = 32 << 10
	manifestHeaderLen = 7  // checksum, length, kind
	firstHeaderLen    = 11 // and the log's number: in the first log of a store
	logHeaderLen      = 19 // and how far the log was synced: in all others
)

// check returns where the last good chunk ends, and an error if a record begins
// behind the bad one that follows.
//
// What is looked for there may be in the middle of a record. An answer that somebody
// made to look like a chunk of this very log could be taken for one, if a crash cut
// off the record that it was written in: then the store is not opened, although it
// could be.
func (c chunks) check() (end int64, err error) {
	at := c.good()
	for i := c.next(at + 1); i < len(c.data); i = c.next(i + 1) {
		if _, begins, ok := c.chunk(i); ok && begins {
			return int64(at), fmt.Errorf("it cannot be read at byte %d, and goes on at byte %d", at, i)
		}
	}
	return int64(at), nil
}

// good is where the chunks that follow each other from the beginning end.
func (c chunks) good() (end int) {
	for at := 0; ; {
		size, _, ok := c.chunk(at)
		left := blockLen - at%blockLen
		switch {
		case ok:
			at += size
			end = at
		case left < c.headerLen(): // there is no room for one: the next is in the next block
			at += left
		default:
			return end
		}
	}
}

func (c chunks) headerLen() int {
	if c.log == 0 {
		return manifestHeaderLen
	}
	return logHeaderLen
}

// next is the first place from at on where a chunk may be.
func (c chunks) next(at int) int {
	const numberAt = manifestHeaderLen
	if c.log == 0 || at+numberAt >= len(c.data) {
		return at
	}
	skip := bytes.Index(c.data[at+numberAt:], binary.LittleEndian.AppendUint32(nil, c.log))
	if skip < 0 {
		return len(c.data)
	}
	return at + skip
}

// chunk reads the chunk at a place, if there is one.
func (c chunks) chunk(at int) (size int, begins, ok bool) {
	if at+manifestHeaderLen > len(c.data) {
		return 0, false, false
	}
	h := c.data[at:]
	header, part := c.kind(h[6])
	size = header + int(binary.LittleEndian.Uint16(h[4:]))
	if header == 0 || at%blockLen+size > blockLen || size > len(h) {
		return 0, false, false
	}
	if c.log != 0 && binary.LittleEndian.Uint32(h[manifestHeaderLen:]) != c.log {
		return 0, false, false
	}
	ok = checksum(h[6:size]) == binary.LittleEndian.Uint32(h)
	return size, part == whole || part == first, ok
}

// The parts of a record that a chunk can be. The others are its middle and its end.
const (
	whole = iota
	first
	parts = 4
)

// kind says how long the header of a chunk of that kind is, 0 if there is no such
// kind in this file, and which part of a record it is.
func (c chunks) kind(k byte) (header, part int) {
	const ofManifest, ofFirst, ofLog = 1, 5, 9 // the first of each
	switch n := int(k); {
	case c.log == 0 && n >= ofManifest && n < ofManifest+parts:
		return manifestHeaderLen, n - ofManifest
	case c.log != 0 && n >= ofFirst && n < ofFirst+parts:
		return firstHeaderLen, n - ofFirst
	case c.log != 0 && n >= ofLog && n < ofLog+parts:
		return logHeaderLen, n - ofLog
	}
	return 0, 0
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 {
	return bits.RotateLeft32(crc32.Checksum(b, castagnoli), 17) + 0xa282ead8
}
