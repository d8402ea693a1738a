package jcs

import (
	"maps"
	"slices"
	"time"
)

// TimeFormat is how times are written: RFC 3339, UTC, microseconds.
const TimeFormat = "2006-01-02T15:04:05.000000Z"

// AppendTime appends a time as a string, the zero time as null.
func AppendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	b = t.UTC().AppendFormat(append(b, '"'), TimeFormat)
	return append(b, '"')
}

// AppendOptional appends a string, the empty one as null.
func AppendOptional(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return AppendString(b, s)
}

// AppendPairs appends an object of strings. It sorts the names: the same pairs
// are always the same bytes.
func AppendPairs(b []byte, m map[string]string) []byte {
	if len(m) == 0 { // nearly always: no need to collect and sort nothing
		return append(b, "{}"...)
	}
	b = append(b, '{')
	for i, name := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendString(b, name)
		b = AppendString(append(b, ':'), m[name])
	}
	return append(b, '}')
}
