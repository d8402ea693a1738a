package id

import (
	crand "crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// NewUUID makes a version 7 UUID for now, written as RFC 9562 writes it, of which 62
// bits are nobody's guess: a key for somebody who has no [Source]. It is safe for
// concurrent use.
func NewUUID(now time.Time) string {
	var luck [8]byte
	var uuid [16]byte
	crand.Read(luck[:]) // never fails: it ends the process instead
	hi, lo := layOut(tickAt(now), binary.BigEndian.Uint64(luck[:]))
	binary.BigEndian.PutUint64(uuid[:8], hi)
	binary.BigEndian.PutUint64(uuid[8:], lo)
	var text [36]byte
	at := 0
	for _, part := range [...][]byte{uuid[:4], uuid[4:6], uuid[6:8], uuid[8:10], uuid[10:]} {
		if at > 0 {
			text[at] = '-'
			at++
		}
		at += hex.Encode(text[at:], part)
	}
	return string(text[:])
}

// UUIDTime returns the millisecond in a version 7 UUID that somebody else made,
// written as RFC 9562 writes it: 8-4-4-4-12 hexadecimal digits in either case.
// It returns false for everything else, UUIDs of other versions too.
func UUIDTime(s string) (time.Time, bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return time.Time{}, false
	}
	var digits [32]byte
	var uuid [16]byte
	d := append(digits[:0], s[:8]...)
	d = append(append(append(append(d, s[9:13]...), s[14:18]...), s[19:23]...), s[24:]...)
	if _, err := hex.Decode(uuid[:], d); err != nil {
		return time.Time{}, false
	}
	hi, lo := binary.BigEndian.Uint64(uuid[:8]), binary.BigEndian.Uint64(uuid[8:])
	if !isVersion7(hi, lo) {
		return time.Time{}, false
	}
	return milli(hi), true
}

// ULIDTime returns the millisecond in a ULID that somebody else made: 26
// characters of Crockford's base32 in either case that stand for at most 128
// bits. It returns false for everything else. Only its form tells a ULID, so
// other strings of that form have a "time" too.
func ULIDTime(s string) (time.Time, bool) {
	hi, _, ok := decodeBase32(s, anyCase)
	if !ok {
		return time.Time{}, false
	}
	return milli(hi), true
}
