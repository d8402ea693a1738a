package once_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/once"
)

var (
	born  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rules = once.Rules{Window: 24 * time.Hour, Lease: 30 * time.Second}
	key   = once.Key{Tenant: "acme", ID: "order-42"}

	theRequest     = once.Request{Key: key, Fingerprint: fingerprint("the request"), Operation: "POST /v1/transfers"}
	anotherRequest = once.Request{Key: key, Fingerprint: fingerprint("another request"), Operation: "POST /v1/transfers"}
)

func fingerprint(body string) once.Fingerprint {
	return once.NewHasher([]byte("secret"), "acme").Request("POST", "/v1/transfers", []byte(body))
}

// moments are the columns of the table: when the request comes.
var moments = []struct {
	name string
	now  time.Time
}{
	{"before the lease is over", born.Add(rules.Lease - time.Microsecond)},
	{"as the lease ends", born.Add(rules.Lease)},
	{"after the lease", born.Add(rules.Lease + time.Microsecond)},
	{"just within the window", born.Add(rules.Window - time.Microsecond)},
	{"as the window ends", born.Add(rules.Window)},
	{"after the window", born.Add(rules.Window + time.Microsecond)},
}

// table is the protocol: for each state and moment, what becomes of the same
// request and of another one under that key.
var table = []struct {
	state       once.State
	same, other string
}{
	// before    at lease   after      window-    at window  after
	{once.Absent,
		"execute   execute    execute    execute    execute    execute ",
		"execute   execute    execute    execute    execute    execute "},
	{once.Claimed,
		"wait      recover    recover    recover    recover    recover ",
		"mismatch  mismatch   mismatch   mismatch   mismatch   mismatch"},
	{once.Done,
		"replay    replay     replay     replay     expired    expired ",
		"mismatch  mismatch   mismatch   mismatch   expired    expired "},
	{once.Released,
		"execute   execute    execute    execute    execute    execute ",
		"execute   execute    execute    execute    execute    execute "},
	{once.Unknown,
		"recover   recover    recover    recover    recover    recover ",
		"mismatch  mismatch   mismatch   mismatch   mismatch   mismatch"},
	{once.Tombstone,
		"expired   expired    expired    expired    expired    expired ",
		"expired   expired    expired    expired    expired    expired "},
}

func TestDecideFollowsTheTable(t *testing.T) {
	for _, row := range table {
		same, other := strings.Fields(row.same), strings.Fields(row.other)
		for i, m := range moments {
			t.Run(row.state.String()+", the same request "+m.name, func(t *testing.T) {
				checkVerdict(t, recordIn(t, row.state), theRequest, m.now, same[i])
			})
			t.Run(row.state.String()+", another request "+m.name, func(t *testing.T) {
				checkVerdict(t, recordIn(t, row.state), anotherRequest, m.now, other[i])
			})
		}
	}
}

// checkVerdict decides, and compares all that the verdict says.
func checkVerdict(t *testing.T, seen once.Record, req once.Request, now time.Time, want string) {
	t.Helper()
	v := once.Decide(seen, req, now, rules)
	wanted := map[string]once.Verdict{
		"execute":  {Action: once.Execute, Record: claimOf(seen, req, now)},
		"wait":     {Action: once.Wait, Record: seen},
		"recover":  {Action: once.Recover, Record: seen},
		"replay":   {Action: once.Replay, Record: seen},
		"mismatch": {Action: once.Refuse, Record: seen, Err: once.ErrMismatch},
		"expired":  {Action: once.Refuse, Record: seen, Err: once.ErrExpired},
	}[want]
	if v.Action != wanted.Action || !errors.Is(v.Err, wanted.Err) {
		t.Fatalf("got %v (%v), want %s", v.Action, v.Err, want)
	}
	if diff := cmp.Diff(wanted.Record, v.Record); diff != "" {
		t.Errorf("the verdict's record (-want +got):\n%s", diff)
	}
}

// claimOf is the claim that an execution must hold: all of it, so that nothing
// of an earlier attempt is left but its number.
func claimOf(seen once.Record, req once.Request, now time.Time) once.Record {
	return once.Record{
		Key: req.Key, State: once.Claimed, Fingerprint: req.Fingerprint, Operation: req.Operation,
		Attempt: seen.Attempt + 1, LeaseUntil: now.Add(rules.Lease), CreatedAt: now, ExpiresAt: now.Add(rules.Window),
	}
}

// recordIn leads a record into a state by the protocol's own transitions.
func recordIn(t *testing.T, s once.State) once.Record {
	t.Helper()
	if s == once.Absent {
		return once.Record{}
	}
	claimed := once.Decide(once.Record{}, theRequest, born, rules).Record
	done, err := claimed.Complete(1, "tr_1", answer)
	if err != nil {
		t.Fatal(err)
	}
	released, err := claimed.Release(1)
	if err != nil {
		t.Fatal(err)
	}
	r := map[once.State]once.Record{
		once.Claimed: claimed, once.Done: done, once.Released: released,
		once.Unknown: claimed.Abandon(claimed.LeaseUntil), once.Tombstone: done.Bury(done.ExpiresAt),
	}[s]
	if r.State != s {
		t.Fatalf("the way to %v leads to %v", s, r.State)
	}
	return r
}

var answer = once.Answer{
	Status: 201,
	Header: []once.Field{{Name: "Content-Type", Value: "application/json"}},
	Body:   []byte(`{"id":"tr_1"}`),
}

func TestAKeyThatSaysItsAge(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	withULIDs := once.Rules{Window: rules.Window, Lease: rules.Lease, ULID: true}
	for _, row := range []struct {
		sentence string
		id       string
		rules    once.Rules
		want     once.Action
	}{
		{"a UUIDv7 of this moment runs", "019cae6b-6600-7abc-8abc-0123456789ab", rules, once.Execute},
		{"a UUIDv7 that is exactly as old as the window runs", "019ca945-0a00-7abc-8abc-0123456789ab", rules, once.Execute},
		{"a UUIDv7 that is a millisecond older than the window is refused", "019ca945-09ff-7abc-8abc-0123456789ab", rules, once.Refuse},
		{"upper case makes it no younger", "019CA945-09FF-7ABC-8ABC-0123456789AB", rules, once.Refuse},
		{"a UUIDv7 from the future runs: the clock that made it is wrong, not old", "01a05a43-fc00-7abc-8abc-0123456789ab", rules, once.Execute},
		{"a UUIDv7 from the first moment of 2020 is believed, and refused", "016f5e66-e800-7abc-8abc-0123456789ab", rules, once.Refuse},
		{"a UUIDv7 from before 2020 is chance, and runs", "016f5e66-e7ff-7abc-8abc-0123456789ab", rules, once.Execute},
		{"a UUIDv4 has no time, whatever its digits say", "019ca945-09ff-4abc-8abc-0123456789ab", rules, once.Execute},
		{"an opaque key has no age", "order-42", rules, once.Execute},
		{"an old ULID runs where nobody declared ULIDs", "01KJMMA2FZAAAAAAAAAAAAAAAA", rules, once.Execute},
		{"a declared ULID that is a millisecond older than the window is refused", "01KJMMA2FZAAAAAAAAAAAAAAAA", withULIDs, once.Refuse},
		{"a declared ULID in lower case is as old", "01kjmma2fzaaaaaaaaaaaaaaaa", withULIDs, once.Refuse},
		{"a declared ULID that is exactly as old as the window runs", "01KJMMA2G0AAAAAAAAAAAAAAAA", withULIDs, once.Execute},
		{"an old UUIDv7 is refused where ULIDs are declared, too", "019ca945-09ff-7abc-8abc-0123456789ab", withULIDs, once.Refuse},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			req := theRequest
			req.Key.ID = row.id
			v := once.Decide(once.Record{}, req, now, row.rules)
			if v.Action != row.want {
				t.Fatalf("got %v (%v), want %v", v.Action, v.Err, row.want)
			}
			if v.Action == once.Refuse && !errors.Is(v.Err, once.ErrExpired) {
				t.Errorf("refused with %v, want ErrExpired", v.Err)
			}
		})
	}
}

// Also who is refused for a key's age is told when its window was over.
func TestAnOutdatedKeyEndedBeforeNow(t *testing.T) {
	req := theRequest
	req.Key.ID = "019ca945-0a00-7abc-8abc-0123456789ab"
	made := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	v := once.Decide(once.Record{}, req, made.Add(48*time.Hour), rules)
	if want := made.Add(rules.Window); !v.Record.ExpiresAt.Equal(want) || v.Record.State != once.Absent || v.Record.Key != req.Key {
		t.Errorf("got %+v, want it to end at %v", v.Record, want)
	}
}

// What is known of a key counts for more than what the key says of itself: an
// old key whose work is unfinished, or whose answer is kept, is served.
func TestAnOldKeyThatIsKnownIsServed(t *testing.T) {
	now := born.Add(rules.Lease - time.Microsecond)
	for state, want := range map[once.State]once.Action{
		once.Claimed: once.Wait, once.Done: once.Replay, once.Released: once.Execute, once.Unknown: once.Recover,
	} {
		req := theRequest
		req.Key.ID = "016f5e66-e800-7abc-8abc-0123456789ab" // of 2020
		seen := recordIn(t, state)
		seen.Key = req.Key
		if v := once.Decide(seen, req, now, rules); v.Action != want {
			t.Errorf("%v: got %v (%v), want %v", state, v.Action, v.Err, want)
		}
	}
}

func TestNothingDecidedRunsNothing(t *testing.T) {
	var v once.Verdict
	if v.Action != once.Wait {
		t.Errorf("the zero verdict is %v, want wait", v.Action)
	}
}
