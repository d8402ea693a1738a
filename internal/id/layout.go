package id

import "time"

// The fields of a version 7 UUID (RFC 9562, section 5.7), held as its first and
// its last 64 bits.
const (
	version     = 0x7 << 12
	versionMask = 0xf << 12
	variant     = 0b10 << 62
	variantMask = 0b11 << 62
)

// layOut puts 48 bits of milliseconds, the version, 12 bits of tick, the
// variant and 62 random bits in their places.
func layOut(tick, luck uint64) (hi, lo uint64) {
	hi = tick/ticksPerMilli<<16 | version | tick%ticksPerMilli
	lo = luck&^variantMask | variant
	return hi, lo
}

func isVersion7(hi, lo uint64) bool {
	return hi&versionMask == version && lo&variantMask == variant
}

// milli is the time in the first 48 bits, of a UUID and a ULID alike.
func milli(hi uint64) time.Time {
	return time.UnixMilli(int64(hi >> 16)).UTC()
}
