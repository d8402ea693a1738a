package once_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/once"
)

var states = []once.State{once.Absent, once.Claimed, once.Done, once.Released, once.Unknown, once.Tombstone}

func TestOnlyTheHolderOfAnOpenKeyFinishesIt(t *testing.T) {
	finish := map[string]func(once.Record, int64) (once.Record, error){
		"complete": func(r once.Record, attempt int64) (once.Record, error) { return r.Complete(attempt, "tr_2", answer) },
		"release":  once.Record.Release,
	}
	for verb, act := range finish {
		for _, state := range states {
			seen := recordIn(t, state)
			open := state == once.Claimed || state == once.Unknown
			for _, row := range []struct {
				sentence string
				attempt  int64
				fenced   bool
			}{
				{"the holder", seen.Attempt, !open},
				{"an older attempt", seen.Attempt - 1, true},
				{"an attempt that was never made", seen.Attempt + 1, true},
			} {
				t.Run(verb+" "+state.String()+" by "+row.sentence, func(t *testing.T) {
					next, err := act(seen, row.attempt)
					if errors.Is(err, once.ErrFenced) != row.fenced || (err != nil) != row.fenced {
						t.Fatalf("got %v, want fenced: %v", err, row.fenced)
					}
					if row.fenced && !cmp.Equal(next, once.Record{}) {
						t.Errorf("a fenced attempt got a record: %+v", next)
					}
				})
			}
		}
	}
}

func TestCompleteKeepsTheAnswerAndDropsTheLease(t *testing.T) {
	claimed := recordIn(t, once.Claimed)
	got, err := claimed.Complete(1, "tr_1", answer)
	if err != nil {
		t.Fatal(err)
	}
	want := claimed
	want.State, want.Resource, want.Answer, want.LeaseUntil = once.Done, "tr_1", answer, time.Time{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Of a released key nothing may be left but its name and its number: the next
// request may differ in everything.
func TestReleaseKeepsTheAttemptAndNothingElse(t *testing.T) {
	got, err := recordIn(t, once.Claimed).Release(1)
	if err != nil {
		t.Fatal(err)
	}
	want := once.Record{Key: key, State: once.Released, Attempt: 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again := once.Decide(got, anotherRequest, born, rules).Record; again.Attempt != 2 {
		t.Errorf("the next attempt is %d, want 2", again.Attempt)
	}
}

func TestAbandonIsForClaimsWhoseLeaseIsOver(t *testing.T) {
	for _, state := range states {
		for _, m := range moments {
			seen := recordIn(t, state)
			want := seen
			if state == once.Claimed && m.name != "before the lease is over" {
				want.State, want.LeaseUntil = once.Unknown, time.Time{}
			}
			if diff := cmp.Diff(want, seen.Abandon(m.now)); diff != "" {
				t.Errorf("%v %s (-want +got):\n%s", state, m.name, diff)
			}
		}
	}
}

func TestBuryIsForAnswersWhoseWindowIsOver(t *testing.T) {
	for _, state := range states {
		for _, m := range moments {
			seen := recordIn(t, state)
			want := seen
			if state == once.Done && (m.name == "as the window ends" || m.name == "after the window") {
				want.State, want.Answer = once.Tombstone, once.Answer{}
			}
			if diff := cmp.Diff(want, seen.Bury(m.now)); diff != "" {
				t.Errorf("%v %s (-want +got):\n%s", state, m.name, diff)
			}
		}
	}
}

// A slow attempt whose lease ran out knows something that nobody else does.
func TestALateAttemptCompletesIfNobodyTookTheKey(t *testing.T) {
	unknown := recordIn(t, once.Claimed).Abandon(born.Add(time.Hour))
	done, err := unknown.Complete(1, "tr_1", answer)
	if err != nil {
		t.Fatal(err)
	}
	if v := once.Decide(done, theRequest, born.Add(2*time.Hour), rules); v.Action != once.Replay {
		t.Errorf("a retry is told to %v, want replay", v.Action)
	}
}

func TestStatesAndActionsHaveNames(t *testing.T) {
	for state, want := range map[once.State]string{
		once.Absent: "absent", once.Claimed: "claimed", once.Done: "done",
		once.Released: "released", once.Unknown: "unknown", once.Tombstone: "tombstone", 77: "state(77)",
	} {
		if got := state.String(); got != want {
			t.Errorf("state %d is called %q, want %q", state, got, want)
		}
	}
	for action, want := range map[once.Action]string{
		once.Wait: "wait", once.Execute: "execute", once.Replay: "replay", once.Refuse: "refuse", once.Recover: "recover",
	} {
		if got := action.String(); got != want {
			t.Errorf("action %d is called %q, want %q", action, got, want)
		}
	}
}
