package id_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/oncepay/oncepay/internal/id"
)

// A key that is made here is what others take for a version 7 UUID of its time, and
// none is made twice.
func TestNewUUID(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 123_456_789, time.UTC)
	seen, bits := map[string]bool{}, [128]int{}
	for range 1000 {
		s := id.NewUUID(now)
		u, err := uuid.Parse(s)
		if err != nil || u.Version() != 7 || u.Variant() != uuid.RFC4122 || u.String() != s || seen[s] {
			t.Fatalf("got %s %v", s, err)
		}
		if made, is := id.UUIDTime(s); !is || !made.Equal(now.Truncate(time.Millisecond)) {
			t.Fatalf("%s says that it was made at %v", s, made)
		}
		seen[s] = true
		for i := range bits {
			bits[i] += int(u[i/8] >> (7 - i%8) & 1)
		}
	}
	for i := 66; i < 128; i++ { // behind the variant
		if bits[i] < 350 || bits[i] > 650 {
			t.Errorf("bit %d is set in %d of 1000: it can be guessed", i, bits[i])
		}
	}
	if later := id.NewUUID(now.Add(time.Millisecond)); later <= id.NewUUID(now) {
		t.Error("a later one is no greater")
	}
}
