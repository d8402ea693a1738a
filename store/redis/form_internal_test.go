package redis

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/once"
)

var born = time.Date(2026, 11, 30, 12, 0, 0, 123_456_000, time.UTC)

func claimOf(k once.Key) once.Record {
	return once.Record{
		Key: k, State: once.Claimed, Fingerprint: once.Fingerprint{Scheme: once.SchemeV1, Sum: [32]byte{1}}, Operation: "charge", Attempt: 1,
		Owner: "me.1", LeaseUntil: born.Add(time.Minute), CreatedAt: born, ExpiresAt: born.Add(24 * time.Hour), ForgetAt: born.Add(48 * time.Hour), Version: 1,
	}
}

// hashTag is the part of a name that decides about its slot: see the Redis Cluster
// specification.
func hashTag(name string) string {
	_, rest, opened := strings.Cut(name, "{")
	tag, _, closed := strings.Cut(rest, "}")
	if !opened || !closed || tag == "" {
		return name
	}
	return tag
}

func FuzzNames(f *testing.F) {
	for _, k := range []once.Key{
		{}, {Tenant: "acme", ID: "order-42"}, {Tenant: "a:b", ID: "c"}, {Tenant: "a", ID: "b:c"}, {Tenant: "}", ID: "}"}, {Tenant: "{}", ID: "a"},
		{Tenant: "", ID: "}a"}, {Tenant: "\x00\xff", ID: "1:x"},
	} {
		f.Add(k.Tenant, k.ID, "1:a:b")
	}
	f.Fuzz(func(t *testing.T, tenant, id, other string) {
		n, k := names{"once:"}, once.Key{Tenant: tenant, ID: id}
		name := n.record(k)
		if got, ours := n.key(name); !ours || got != k {
			t.Errorf("%q is read as %+v, %v", name, got, ours)
		}
		if hashTag(name) != hashTag(n.answer(name)) {
			t.Errorf("%q and its answer have the hash tags %q and %q", name, hashTag(name), hashTag(n.answer(name)))
		}
		if k, ours := n.key("once:{" + other + "}"); ours && n.record(k) != "once:{"+other+"}" {
			t.Errorf("%q is another name of %+v", other, k)
		}
		if got, ours := n.key(other); ours && n.record(got) != other {
			t.Errorf("%q is another name of %+v", other, got)
		}
	})
}

func TestTheNamesOfKeys(t *testing.T) {
	n := names{"once:"}
	if got, want := n.record(once.Key{Tenant: "acme", ID: "order-42"}), "once:{4:acme:order-42}"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, name := range []string{
		"", "once:", "once:{}", "once:{4:acme:order-42}a", "twice:{4:acme:order-42}", "once:{5:acme:order-42}", "once:{04:acme:order-42}",
		"once:{+4:acme:order-42}", "once:{-1:acme}", "once:{4:acme}", "once:{4acme:order-42}", "once:{99999999999999999999:a:b}",
	} {
		if k, ours := n.key(name); ours {
			t.Errorf("%q is read as %+v", name, k)
		}
	}
	if got, want := (names{`a*b?c[d]e\`}).pattern(), `a\*b\?c\[d\]e\\{*}`; got != want {
		t.Errorf("names are found by %s, want %s", got, want)
	}
}

// The mark of a version begins that of no other, so that comparing as much of a value as
// the mark has is enough.
func TestMarks(t *testing.T) {
	versions := []int64{1, 2, 9, 10, 11, 99, 100, 1 << 62}
	for _, a := range versions {
		for _, b := range versions {
			if a != b && strings.HasPrefix(mark(a), mark(b)) {
				t.Errorf("%q begins with %q", mark(a), mark(b))
			}
		}
	}
	if mark(0) != "" {
		t.Errorf("an absent key is marked %q", mark(0))
	}
}

func TestValues(t *testing.T) {
	k := once.Key{Tenant: "acme", ID: "order-42"}
	for state := once.Absent; state <= once.Tombstone; state++ {
		r := claimOf(k)
		r.State, r.Version = state, 1<<62
		v := string(value(r))
		if got, err := parse(k, v); err != nil || !cmp.Equal(got, r) {
			t.Errorf("%s: %v %s", state, err, cmp.Diff(r, got))
		}
		if got, marked := stateOf(v[:headLen]); !marked || got != state {
			t.Errorf("%s is marked as %s", state, got)
		}
		for n := 1; n < len(v); n++ {
			if got, err := parse(k, v[:n]); !errors.Is(err, ErrForeign) {
				t.Fatalf("%s cut off at %d is read as %+v %v", state, n, got, err)
			}
		}
		if _, err := parse(k, v+"x"); !errors.Is(err, ErrForeign) {
			t.Errorf("%s with a byte behind it is read: %v", state, err)
		}
	}
	if got, err := parse(k, ""); err != nil || !cmp.Equal(got, once.Record{Key: k}) {
		t.Errorf("nothing is read as %+v %v", got, err)
	}
}

// An answer is a record's only if the record says that there is one, of that version.
func TestWhoseAnswerItIs(t *testing.T) {
	k := once.Key{Tenant: "acme", ID: "order-42"}
	for state := once.Absent; state <= once.Tombstone; state++ {
		for version := int64(1); version < 4; version++ {
			known, answer := claimOf(k), claimOf(k)
			known.State, known.Version = state, version
			answer.State, answer.Version, answer.Owner = once.Done, 2, "whoever answered"
			want := known
			if state == once.Tombstone && version == 2 {
				want = answer
			}
			if diff := cmp.Diff(want, whole(known, answer)); diff != "" {
				t.Errorf("%s at version %d (-want +got):\n%s", state, version, diff)
			}
		}
	}
}

// FuzzParse holds that whatever is under a key is read as what it says, or is an error.
func FuzzParse(f *testing.F) {
	f.Add(value(claimOf(once.Key{ID: "a"})))
	f.Add([]byte("v1 1"))
	f.Fuzz(func(t *testing.T, v []byte) {
		k := once.Key{Tenant: "acme", ID: "order-42"}
		r, err := parse(k, string(v))
		if err != nil || len(v) == 0 {
			return
		}
		if again, err := parse(k, string(value(r))); err != nil || !cmp.Equal(again, r) {
			t.Errorf("%q: %v %s", v, err, cmp.Diff(r, again))
		}
	})
}

// An expiry is never before what it is for.
func TestExpiry(t *testing.T) {
	for _, row := range []struct {
		at   time.Time
		want int64
	}{
		{time.Time{}, 0},
		{time.UnixMilli(5_000), 5_000},
		{time.UnixMilli(5_000).Add(time.Microsecond), 5_001},
		{time.UnixMilli(5_000).Add(-time.Microsecond), 5_000},
		{time.UnixMilli(0), 1},
		{time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC), 1},
	} {
		if got := expiry(row.at); got != row.want {
			t.Errorf("%v expires at %d, want %d", row.at, got, row.want)
		}
	}
}

func TestConfigSaysWhatIsWrong(t *testing.T) {
	for what, row := range map[string]struct {
		cfg  Config
		says string
	}{
		"no server":          {Config{}, "Addrs"},
		"a brace":            {Config{Addrs: []string{"x"}, Prefix: "{once}"}, "brace"},
		"a closing brace":    {Config{Addrs: []string{"x"}, Prefix: "once}"}, "brace"},
		"a negative timeout": {Config{Addrs: []string{"x"}, Timeout: -1}, "Timeout"},
	} {
		if _, err := Open(t.Context(), row.cfg); err == nil || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: it is told %v, want it to speak of %s", what, err, row.says)
		}
	}
}
