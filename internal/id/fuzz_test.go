package id_test

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/oncepay/oncepay/internal/id"
)

// FuzzNew gives any two times, one after the other, to one source.
func FuzzNew(f *testing.F) {
	f.Add(int64(0), int64(0))
	f.Add(noon.UnixNano(), noon.UnixNano()-1)
	f.Fuzz(func(t *testing.T, first, second int64) {
		s := id.NewSource([32]byte{})
		a, b := s.New("tr_", time.Unix(0, first)), s.New("tr_", time.Unix(0, second))
		if a >= b || !id.Valid(a, "tr_") || !id.Valid(b, "tr_") {
			t.Errorf("%s and then %s", a, b)
		}
		if first > 0 {
			if got, _ := id.Time(a); got.UnixMilli() != first/1e6 {
				t.Errorf("made at %d ns, says %d ms", first, got.UnixMilli())
			}
		}
	})
}

// FuzzTime holds that whatever is taken as an id is written in the one way
// there is: with the time that was read, it sorts where First says.
func FuzzTime(f *testing.F) {
	for _, s := range []string{"tr_01h455vb4pex5vsknk084sn02q", "01h455vb4pex5vsknk084sn02q", "_", "tr_", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, ok := id.Time(s)
		if !ok {
			return
		}
		prefix := s[:len(s)-26]
		if !id.Valid(s, prefix) || s != strings.ToLower(s) {
			t.Errorf("%q has time %v", s, at)
		}
		if at.Year() > 9999 {
			return // First stops there
		}
		if from, to := id.First(prefix, at), id.First(prefix, at.Add(time.Millisecond)); s < from || at.Year() < 9999 && s >= to {
			t.Errorf("%q has time %v, but is not in [%q, %q)", s, at, from, to)
		}
	})
}

// FuzzUUIDTime holds UUIDTime to another reader of UUIDs, which takes more
// spellings.
func FuzzUUIDTime(f *testing.F) {
	for _, s := range []string{"017F22E2-79B0-7CC3-98C4-DC0C0C07398F", "919108f7-52d1-4320-9bac-f847db4148a8", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := id.UUIDTime(s)
		u, err := uuid.Parse(s)
		want := err == nil && len(s) == 36 && u.Version() == 7 && u.Variant() == uuid.RFC4122
		if ok != want {
			t.Fatalf("UUIDTime(%q) is %t, want %t", s, ok, want)
		}
		millis := new(big.Int).SetBytes(u[:6]).Int64()
		if ok && got.UnixMilli() != millis {
			t.Errorf("UUIDTime(%q) is %d, want %d", s, got.UnixMilli(), millis)
		}
	})
}

// FuzzULIDTime holds ULIDTime to base 32 as math/big reads it, which has other
// letters.
func FuzzULIDTime(f *testing.F) {
	for _, s := range []string{"01ARZ3NDEKTSV4RRFFQ69G5FAV", "7zzzzzzzzzzzzzzzzzzzzzzzzz", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", ""} {
		f.Add(s)
	}
	const crockford, usual = "0123456789ABCDEFGHJKMNPQRSTVWXYZ", "0123456789abcdefghijklmnopqrstuv"
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := id.ULIDTime(s)
		translated := strings.Map(func(r rune) rune {
			if 'a' <= r && r <= 'z' {
				r += 'A' - 'a'
			}
			if i := strings.IndexRune(crockford, r); i >= 0 {
				return rune(usual[i])
			}
			return '!'
		}, s)
		n, isNumber := new(big.Int).SetString(translated, 32)
		if want := len(s) == 26 && isNumber && n.BitLen() <= 128; ok != want {
			t.Fatalf("ULIDTime(%q) is %t, want %t", s, ok, want)
		}
		if ok && got.UnixMilli() != new(big.Int).Rsh(n, 80).Int64() {
			t.Errorf("ULIDTime(%q) is %d", s, got.UnixMilli())
		}
	})
}
