package engine_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// drive does what a Step wants on a store, until it is idle.
func drive(t *testing.T, s *engine.Step, store engine.Store) map[*engine.Job]engine.Outcome {
	t.Helper()
	outcomes := map[*engine.Job]engine.Outcome{}
	for effects := s.Effects(); len(effects) > 0; effects = s.Effects() {
		for _, e := range effects {
			switch {
			case e.Load != nil:
				rows, err := store.Load(context.Background(), *e.Load)
				s.Loaded(rows, err, day)
			case e.Commit != nil:
				s.Committed(store.Commit(context.Background(), e.Commit), day)
			case e.Answer != nil:
				if _, twice := outcomes[e.Answer.Job]; twice {
					t.Fatalf("answered twice: %+v", e.Answer)
				}
				outcomes[e.Answer.Job] = e.Answer.Outcome
			}
		}
	}
	if !s.Idle() {
		t.Fatal("it wants nothing and is not idle")
	}
	return outcomes
}

// newBank has accounts a and b that may go below nothing.
func newBank(t testing.TB) *engine.Memory {
	t.Helper()
	m := engine.NewMemory()
	var accounts []*ledger.Account
	for _, name := range []string{"a", "b"} {
		accounts = append(accounts, &ledger.Account{
			Ref: ledger.Ref{Tenant: "acme", ID: name}, Currency: "EUR", Floor: ledger.Floor{None: true}, CreatedAt: day, Version: 1,
		})
	}
	if err := m.Commit(context.Background(), &engine.Changes{At: day, Ledger: &ledger.Changes{Accounts: accounts}}); err != nil {
		t.Fatal(err)
	}
	return m
}

// pay is a transfer of amount from a to b under a key. Its answer says which
// transfer was made.
func transferOne(key string, amount int64) *engine.Job {
	return &engine.Job{
		Tenant: "acme",
		Request: once.Request{
			Key: once.Key{Tenant: "acme", ID: key}, Operation: "POST /v1/transfers",
			Fingerprint: fingerprint(fmt.Sprint(amount)),
		},
		Command: ledger.CreateTransfer{Tenant: "acme", From: "a", To: "b", Amount: amount, Currency: "EUR"},
		Reply: func(r ledger.Result, refusal *ledger.Refusal) once.Answer {
			if refusal != nil {
				return once.Answer{Status: 422, Body: []byte(refusal.Code)}
			}
			return once.Answer{Status: 201, Body: []byte(r.ID())}
		},
	}
}

// Numbers are reserved in blocks. A block that runs out in the middle, and
// batches as large as they may be, use each number once: the store refuses a
// number that was used or never reserved.
func TestEntriesAreNumberedOnceOverManyBlocks(t *testing.T) {
	store := newBank(t)
	s := engine.NewStep(engine.Config{Since: day, MaxBatch: 1 << 20, MaxTenantQueue: 1 << 20, MaxQueue: 1 << 20})
	for n, size := range []int{1, 4096, 4096, 5000, 3} {
		var jobs []*engine.Job
		for i := range size {
			j := transferOne(fmt.Sprintf("%d-%d", n, i), 1)
			jobs = append(jobs, j)
			s.Submit(j, day)
		}
		outcomes := drive(t, s, store)
		for _, j := range jobs {
			if o := outcomes[j]; o.Err != nil || o.Answer.Status != 201 {
				t.Fatalf("batch %d: %+v", n, o)
			}
		}
	}
}

// Two executors that share a store in turns never use the same number, nor
// does one that comes after a crash.
func TestANewStepNumbersOnAfterTheOldOne(t *testing.T) {
	store := newBank(t)
	for n := range byte(3) {
		s := engine.NewStep(engine.Config{Since: day, Seed: [32]byte{n}})
		j := transferOne(fmt.Sprint(n), 1)
		s.Submit(j, day)
		if o := drive(t, s, store)[j]; o.Err != nil {
			t.Fatal(o.Err)
		}
	}
}

func TestTheSameInputsGiveTheSameEffects(t *testing.T) {
	play := func() (answers []string) {
		store := newBank(t)
		s := engine.NewStep(engine.Config{Since: day, Seed: [32]byte{7}})
		var jobs []*engine.Job
		for i := range 20 {
			jobs = append(jobs, transferOne(fmt.Sprint(i%7), int64(i%3+1)))
			s.Submit(jobs[i], day)
		}
		outcomes := drive(t, s, store)
		for _, j := range jobs {
			answers = append(answers, fmt.Sprintf("%s %v", outcomes[j].Answer.Body, outcomes[j].Err))
		}
		return answers
	}
	if diff := cmp.Diff(play(), play()); diff != "" {
		t.Errorf("two runs differ:\n%s", diff)
	}
}

func TestTheBatchHasABound(t *testing.T) {
	store := newBank(t)
	s := engine.NewStep(engine.Config{Since: day, MaxBatch: 7})
	for i := range 100 {
		s.Submit(transferOne(fmt.Sprint(i), 1), day)
	}
	most := 0
	drive(t, s, bounded{store, &most})
	if most != 7 {
		t.Errorf("the largest commit had %d keys, want 7", most)
	}
}

// bounded notes the largest commit.
type bounded struct {
	*engine.Memory
	most *int
}

func (b bounded) Commit(ctx context.Context, c *engine.Changes) error {
	*b.most = max(*b.most, len(c.Keys))
	return b.Memory.Commit(ctx, c)
}
