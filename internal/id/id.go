// Package id makes the names of things: a prefix that says what a thing is and
// 26 characters that say when it was made and which one it is.
//
//	tr_01h455vb4pex5vsknk084sn02q
//
// The 26 characters are a version 7 UUID (RFC 9562, section 5.7) in lower-case
// Crockford base32, the form that TypeID 0.3 describes. A prefix is given with
// its underscore, as in "tr_".
//
// # What is promised
//
// Ids of one [Source] with one prefix grow as strings, strictly, whatever the
// clock does. Every id has 62 bits that nobody can guess. The same seed and
// the same times give the same ids.
//
// # What is not promised
//
// Ids of different sources are in the order of their clocks only. The time in
// an id is a hint for ranges, not evidence: it may be ahead of the clock that
// made it.
package id

import (
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// A Source makes ids. It is not safe for concurrent use; make one with
// [NewSource], its zero value does not work.
type Source struct {
	luck *rand.ChaCha8
	last uint64 // the tick of the newest id
}

// NewSource returns a Source whose luck is seed: [Seed] in a program, a fixed
// one where a run has to be repeated. Two sources must never share a seed, or
// they make the same ids.
func NewSource(seed [32]byte) *Source {
	return &Source{luck: rand.NewChaCha8(seed)}
}

// Seed returns a seed that nobody can guess, from the operating system.
func Seed() (seed [32]byte) {
	crand.Read(seed[:]) // never fails: it ends the process instead
	return seed
}

// New returns prefix and a new UUIDv7 for now, greater as a string than every
// id that s made before with that prefix.
//
// The 60 bits before the random ones are one number, the tick: milliseconds and
// 4096ths of one (RFC 9562, section 6.2, method 3). When the clock stands still
// or goes back, the tick after the last one is taken, so that time in ids may
// run ahead of the clock, by one millisecond for every 4096 ids, but never
// back. Times before 1970 count as 1970, times after 9999 as the end of 9999.
func (s *Source) New(prefix string, now time.Time) string {
	s.last = max(tickAt(now), s.last+1)
	return format(prefix, s.last, s.luck.Uint64())
}

// First returns the smallest id with that prefix that a [Source] makes at t,
// where a range of ids begins: no id made at t or later is smaller.
func First(prefix string, t time.Time) string {
	return format(prefix, tickAt(t), 0)
}

// Time returns the millisecond in an id of any prefix, and false for what is
// not an id.
func Time(id string) (time.Time, bool) {
	hi, _, ok := parse(id)
	if !ok {
		return time.Time{}, false
	}
	return milli(hi), true
}

// Valid reports whether id has exactly that prefix and could have been made by
// a [Source].
func Valid(id, prefix string) bool {
	_, _, ok := parse(id)
	return ok && id[:len(id)-suffixLen] == prefix
}

const (
	ticksPerMilli = 1 << 12

	// lastMilli is the end of 9999, beyond which RFC 3339 cannot write a time.
	// It leaves more ticks unused than anyone can count through.
	lastMilli = 253402300799999
)

// tickAt counts 4096ths of a millisecond since 1970; it fits 60 bits.
func tickAt(t time.Time) uint64 {
	millis := t.UnixMilli()
	if millis < 0 {
		return 0
	}
	if millis > lastMilli {
		return lastMilli * ticksPerMilli
	}
	fraction := t.Nanosecond() % 1e6 * ticksPerMilli / 1e6
	return uint64(millis)*ticksPerMilli + uint64(fraction)
}

// format lays out RFC 9562's version 7: 48 bits of milliseconds, version, 12
// bits of tick, variant, 62 random bits.
func format(prefix string, tick, luck uint64) string {
	hi := tick>>12<<16 | version | tick&(ticksPerMilli-1)
	lo := luck&^variantMask | variant
	return string(appendBase32(append(make([]byte, 0, 64), prefix...), hi, lo))
}

const (
	version     = 0x7 << 12 // in the first 64 bits
	versionMask = 0xf << 12
	variant     = 0b10 << 62 // in the last 64 bits
	variantMask = 0b11 << 62
)

// milli is the time in the first 64 bits of a UUIDv7.
func milli(hi uint64) time.Time {
	return time.UnixMilli(int64(hi >> 16)).UTC()
}

func isVersion7(hi, lo uint64) bool {
	return hi&versionMask == version && lo&variantMask == variant
}

// parse takes an id apart: its UUID as two numbers.
func parse(id string) (hi, lo uint64, ok bool) {
	cut := len(id) - suffixLen
	if cut < 0 || !isPrefix(id[:cut]) {
		return 0, 0, false
	}
	hi, lo, ok = decodeBase32(id[cut:], lowerCase)
	return hi, lo, ok && isVersion7(hi, lo)
}

// isPrefix follows TypeID 0.3: up to 63 letters and underscores, no underscore
// at an end, then the underscore that separates; or nothing at all.
func isPrefix(s string) bool {
	if s == "" {
		return true
	}
	n := len(s) - 1
	if n < 1 || n > 63 || s[n] != '_' || s[0] == '_' || s[n-1] == '_' {
		return false
	}
	for i := range n {
		if s[i] != '_' && (s[i] < 'a' || s[i] > 'z') {
			return false
		}
	}
	return true
}

// UUIDTime returns the millisecond in a UUIDv7 written as RFC 9562 writes it
// (8-4-4-4-12 hexadecimal digits, either case), and false for everything else,
// other versions too.
func UUIDTime(s string) (time.Time, bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return time.Time{}, false
	}
	var b [16]byte
	at := 0
	for i := 0; i < 36; i += 2 {
		if s[i] == '-' {
			i++
		}
		high, low := hexDigit(s[i]), hexDigit(s[i+1])
		if high|low > 0xf {
			return time.Time{}, false
		}
		b[at] = high<<4 | low
		at++
	}
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	if !isVersion7(hi, lo) {
		return time.Time{}, false
	}
	return milli(hi), true
}

func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return (c | 0x20) - 'a' + 10
	}
	return 0xff
}

// ULIDTime returns the millisecond in a ULID (26 characters of Crockford
// base32, either case, at most 128 bits), and false for everything else.
func ULIDTime(s string) (time.Time, bool) {
	hi, _, ok := decodeBase32(s, anyCase)
	if !ok {
		return time.Time{}, false
	}
	return milli(hi), true
}
