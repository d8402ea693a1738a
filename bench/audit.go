package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
)

// auditSample is how many transfers an audit asks for one by one. All balances
// are read in any case, so a lost cent shows even outside the sample.
const auditSample = 20_000

var errNoAnswer = errors.New("no final answer to any of its repeats")

// faults are the ways in which the server broke its word. Safe for concurrent use.
type faults struct {
	mu       sync.Mutex
	count    uint64
	examples []string // the first ten
}

func (f *faults) add(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count++; len(f.examples) < 10 {
		f.examples = append(f.examples, fmt.Sprintf(format, args...))
	}
}

func (f *faults) list() (uint64, []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count, f.examples
}

// audit asks the server what it stored. The order matters: unknown outcomes are
// settled before balances are judged, and balances are judged before the repeats
// of the sample, which would make a lost transfer anew.
func (r *run) audit(ctx context.Context) (*AuditReport, error) {
	ctx, cancel := context.WithTimeout(ctx, auditLimit)
	defer cancel()
	report := &AuditReport{Unknown: uint64(len(r.outcomes.unknown))}
	unsettled, err := r.settle(ctx)
	report.Unsettled = unsettled
	if err != nil || unsettled > 0 {
		return report, fmt.Errorf("bench: audit: %d transfers are still unknown, so the balances cannot be judged: %w", unsettled, cmp.Or(err, errNoAnswer))
	}
	r.progress.say("auditing %d balances", r.plan.accounts)
	if err := r.each(ctx, r.plan.accounts, func(w *worker, n uint64) error { return w.auditBalance(ctx, n) }); err != nil {
		return report, fmt.Errorf("bench: audit: %w", err)
	}
	report.Accounts = r.plan.accounts
	sample := r.outcomes.sample(auditSample)
	r.progress.say("auditing %d of %d transfers", len(sample), r.outcomes.acked)
	err = r.each(ctx, uint64(len(sample)), func(w *worker, i uint64) error { return w.auditTransfer(ctx, sample[i]) })
	if err != nil {
		return report, fmt.Errorf("bench: audit: %w", err)
	}
	report.Acknowledged, report.Transfers = r.outcomes.acked, uint64(len(sample))
	return report, nil
}

// settle repeats what is unknown with its own key, until an answer says what
// became of it, and returns how many still are.
func (r *run) settle(ctx context.Context) (uint64, error) {
	if len(r.outcomes.unknown) > 0 {
		r.progress.say("settling %d unknown outcomes", len(r.outcomes.unknown))
	}
	var unsettled atomic.Uint64
	err := r.each(ctx, uint64(len(r.outcomes.unknown)), func(w *worker, i uint64) error {
		index := r.outcomes.unknown[i]
		switch ans, err := w.insist(ctx, w.desk.transfer(index)); {
		case err != nil || ans.status >= 500 || verdictOf(ans, nil) == unknown:
			unsettled.Add(1)
		case ans.status == http.StatusCreated:
			r.outcomes.acknowledge(index, ans.body)
		}
		return nil
	})
	return unsettled.Load(), err
}

// auditBalance holds the posted balance of one account against the sum of what
// was acknowledged.
func (w *worker) auditBalance(ctx context.Context, n uint64) error {
	id := w.plan.appendAccount(nil, n)
	var account struct {
		Balance struct {
			Posted *int64 `json:"posted"`
		} `json:"balance"`
	}
	if _, err := w.read(ctx, "/v1/accounts/"+string(id), &account); err != nil {
		return err
	}
	switch got, want := account.Balance.Posted, w.outcomes.posted[n]; {
	case got == nil:
		w.faults.add("account %s: its answer has no posted balance", id)
	case *got != want:
		w.faults.add("account %s: posted is %d, and the acknowledged transfers add up to %d", id, *got, want)
	}
	return nil
}

// stored is what an answer about a transfer is held to.
type stored struct {
	ID       string `json:"id"`
	From     string `json:"from"`
	To       string `json:"to"`
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
	Status   string `json:"status"`
}

// auditTransfer repeats the key of an acknowledged transfer: equal bytes bring
// back the answer that was given. Then it reads the transfer that answer names.
func (w *worker) auditTransfer(ctx context.Context, o outcome) error {
	key := w.plan.appendKey(nil, o.index)
	ans, err := w.insist(ctx, w.desk.transfer(o.index))
	if err != nil || ans.status == http.StatusTooManyRequests || ans.status >= 500 {
		return fmt.Errorf("repeat key %s: status %d: %w", key, ans.status, cmp.Or(err, errNoAnswer))
	}
	if wrong := w.replayFault(o, ans); wrong != "" {
		w.faults.add("key %s: %s", key, wrong)
		return nil
	}
	var given, got stored
	if err := json.Unmarshal(ans.body, &given); err != nil {
		w.faults.add("key %s: its answer is no JSON: %v", key, err)
		return nil
	}
	t := w.plan.transfer(o.index)
	asked := stored{given.ID, string(w.plan.appendAccount(nil, t.from)), string(w.plan.appendAccount(nil, t.to)), t.amount, "EUR", "posted"}
	if given != asked {
		w.faults.add("key %s: asked for %+v, answered %+v", key, asked, given)
	}
	status, err := w.read(ctx, "/v1/transfers/"+given.ID, &got)
	if err == nil && got != given {
		w.faults.add("key %s: answered %+v, stored (status %d) is %+v", key, given, status, got)
	}
	return err
}

// read decodes what is stored under path into v, and leaves v alone if there is
// no such thing.
func (w *worker) read(ctx context.Context, path string, v any) (status int, err error) {
	ans, err := w.insist(ctx, w.desk.get(path))
	switch {
	case err != nil:
		return 0, fmt.Errorf("read %s: %w", path, err)
	case ans.status == http.StatusNotFound:
		return ans.status, nil
	case ans.status != http.StatusOK:
		return ans.status, fmt.Errorf("read %s: status %d: %.300s", path, ans.status, ans.body)
	default:
		return ans.status, json.Unmarshal(ans.body, v)
	}
}
