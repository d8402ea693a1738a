package id_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/internal/id"
)

var noon = time.Date(2026, time.November, 20, 12, 0, 0, 0, time.UTC)

func TestIdsGrowWhateverTheClockDoes(t *testing.T) {
	for name, clock := range map[string]func(i int) time.Time{
		"it stands still":                func(int) time.Time { return noon },
		"it goes back":                   func(i int) time.Time { return noon.Add(-time.Duration(i) * time.Hour) },
		"it goes back ten years at once": func(i int) time.Time { return noon.AddDate(-10*min(i, 1), 0, 0) },
		"it ticks in nanoseconds":        func(i int) time.Time { return noon.Add(time.Duration(i)) },
		"it jumps to and fro":            func(i int) time.Time { return noon.Add(time.Duration(i%7) * time.Second) },
		"it is before 1970":              func(i int) time.Time { return time.Unix(-1, int64(i)) },
		"it is beyond every calendar":    func(int) time.Time { return time.Unix(math.MaxInt64/2, 0) },
		"it was never set":               func(int) time.Time { return time.Time{} },
	} {
		t.Run(name, func(t *testing.T) {
			s, last := id.NewSource([32]byte{}), ""
			for i := range 10_000 { // more than one millisecond has ticks for
				next := s.New("tr_", clock(i))
				if next <= last || !id.Valid(next, "tr_") {
					t.Fatalf("id %d is %s after %s (valid: %t)", i, next, last, id.Valid(next, "tr_"))
				}
				last = next
			}
		})
	}
}

func TestTimeInAnId(t *testing.T) {
	newest := time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)
	for name, row := range map[string]struct{ now, want time.Time }{
		"the millisecond is kept, what is below is not": {noon.Add(1_999_999), noon.Add(time.Millisecond)},
		"the time zone does not matter":                 {noon.In(time.FixedZone("", 3600)), noon},
		"before 1970 it is 1970":                        {time.Unix(-1, 999_999_999), time.Unix(0, 0).UTC()},
		"after 9999 it is 9999":                         {newest.AddDate(1, 0, 0), newest},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := id.Time(id.NewSource([32]byte{}).New("evt_", row.now))
			if !ok || got != row.want {
				t.Errorf("got %v, %t; want %v", got, ok, row.want)
			}
		})
	}
}

// Ids that run ahead of a clock that stands still do so by one millisecond for
// every 4096.
func TestTimeRunsAheadSlowly(t *testing.T) {
	s := id.NewSource([32]byte{})
	for range 3 * 4096 {
		s.New("tr_", noon)
	}
	got, _ := id.Time(s.New("tr_", noon))
	if want := noon.Add(3 * time.Millisecond); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	got, _ = id.Time(s.New("tr_", noon.Add(time.Second)))
	if want := noon.Add(time.Second); got != want {
		t.Errorf("once the clock has caught up: got %v, want %v", got, want)
	}
}

func TestLuckIsAnInput(t *testing.T) {
	a, b, c := id.NewSource([32]byte{1}), id.NewSource([32]byte{1}), id.NewSource([32]byte{2})
	for range 10 {
		x, y, z := a.New("tr_", noon), b.New("tr_", noon), c.New("tr_", noon)
		if x != y || x == z {
			t.Fatalf("one seed gives %s and %s, another %s", x, y, z)
		}
	}
	if first, second := id.Seed(), id.Seed(); first == second {
		t.Error("two seeds are the same")
	}
}

func TestFirstIsWhereARangeBegins(t *testing.T) {
	for i := range 1000 {
		at := noon.Add(time.Duration(i) * 1237) // all over a millisecond
		first := id.First("tr_", at)
		if made := id.NewSource([32]byte{byte(i)}).New("tr_", at); made < first {
			t.Fatalf("%s was made at %v, before %s", made, at, first)
		}
		if made := id.NewSource([32]byte{byte(i)}).New("tr_", at.Add(-time.Microsecond)); made >= first {
			t.Fatalf("%s was made a microsecond earlier, but is not before %s", made, first)
		}
		if !id.Valid(first, "tr_") {
			t.Fatalf("%s is no id", first)
		}
	}
}

func TestValidIds(t *testing.T) {
	const good = "01h455vb4pex5vsknk084sn02q"
	for name, row := range map[string]struct {
		id, prefix string
		want       bool
	}{
		"its own prefix":                      {"tr_" + good, "tr_", true},
		"no prefix where none is wanted":      {good, "", true},
		"a prefix with an underscore":         {"a_b_" + good, "a_b_", true},
		"the prefix of something else":        {"acc_" + good, "tr_", false},
		"a prefix where none is wanted":       {"tr_" + good, "", false},
		"no prefix where one is wanted":       {good, "tr_", false},
		"a prefix without its underscore":     {"tr" + good, "tr", false},
		"upper case":                          {"tr_" + strings.ToUpper(good), "tr_", false},
		"an i, which Crockford reads as 1":    {"tr_0ih455vb4pex5vsknk084sn02q", "tr_", false},
		"another version of UUID":             {"tr_01h455vb4p8x5vsknk084sn02q", "tr_", false},
		"another variant of UUID":             {"tr_01h455vb4pex50sknk084sn02q", "tr_", false},
		"more than 128 bits":                  {"tr_81h455vb4pex5vsknk084sn02q", "tr_", false},
		"white space":                         {"tr_" + good + " ", "tr_", false},
		"nothing":                             {"", "tr_", false},
		"a prefix and nothing":                {"tr_", "tr_", false},
		"a prefix that is part of the suffix": {"t_" + good, "t_0", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := id.Valid(row.id, row.prefix); got != row.want {
				t.Errorf("Valid(%q, %q) = %t", row.id, row.prefix, got)
			}
		})
	}
}

func TestNewAllocatesTheStringOnly(t *testing.T) {
	s := id.NewSource([32]byte{})
	if got := testing.AllocsPerRun(100, func() { s.New("acc_", noon) }); got != 1 {
		t.Errorf("%v allocations, want 1", got)
	}
}

func BenchmarkNew(b *testing.B) {
	s, now := id.NewSource(id.Seed()), noon
	b.ReportAllocs()
	for b.Loop() {
		s.New("tr_", now)
	}
}

func BenchmarkTime(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := id.Time("tr_01h455vb4pex5vsknk084sn02q"); !ok {
			b.Fatal("not an id")
		}
	}
}

func BenchmarkUUIDTime(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := id.UUIDTime("017F22E2-79B0-7CC3-98C4-DC0C0C07398F"); !ok {
			b.Fatal("not a UUIDv7")
		}
	}
}
