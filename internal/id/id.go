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
// clock does. Every id has 62 bits that nobody can guess who does not know the
// seed. The same seed and the same calls give the same ids.
//
// # What is not promised
//
// Ids of different sources are in the order of their clocks only. The time in
// an id is a hint for ranges, not evidence: it may be ahead of the clock that
// made it.
package id

import (
	crand "crypto/rand"
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
// or goes back, the tick after the last one is taken: ids stay at the latest
// time seen, one millisecond further for every 4096 of them, until the clock
// has caught up. Times before 1970 count as 1970, times after 9999 as its last
// second.
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
	ticksPerMilli  = 1 << 12
	ticksPerSecond = 1000 * ticksPerMilli

	// lastSecond of 9999: RFC 3339 can write no later time. It leaves more ticks
	// unused than anyone can count through.
	lastSecond = 253402300799
)

// tickAt counts 4096ths of a millisecond since 1970. It fits 60 bits.
func tickAt(t time.Time) uint64 {
	second := t.Unix()
	if second < 0 {
		return 0
	}
	if second > lastSecond {
		return lastSecond * ticksPerSecond
	}
	return uint64(second)*ticksPerSecond + uint64(t.Nanosecond())*ticksPerMilli/1e6
}

func format(prefix string, tick, luck uint64) string {
	hi, lo := layOut(tick, luck)
	return string(appendBase32(append(make([]byte, 0, 64), prefix...), hi, lo))
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
