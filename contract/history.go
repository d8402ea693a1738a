package contract

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// history is one Step on one store, driven by luck, one thing at a time. What
// happens depends on the seed and on what the store answers, and on nothing
// else: stores that answer alike have the same transcript.
type history struct {
	t       testing.TB
	fixture Fixture
	store   Store
	step    *engine.Step
	seed    uint64
	luck    *rand.Rand
	now     time.Time
	out     strings.Builder
	seen    map[string]int // what has happened, and how often

	need    *engine.Need // a load that is on its way
	rows    *engine.Rows // what it found, once the store was asked
	changes *engine.Changes
	written error // what the store said of them, once it was asked
	asked   bool
	resolve *engine.Need

	requests []*request
	moments  []time.Time // when something was decided
	names    map[*engine.Job]string
	made     []ledger.Ref        // transfers
	paid     []pay.Ref           // payments
	orders   []*pay.Order        // what gateways were asked and have not answered
	answers  map[once.Key]string // what each key was answered with
	replays  map[once.Key]int64
}

func newHistory(t testing.TB, f Fixture, seed uint64) *history {
	var h *history
	h = &history{
		t: t, fixture: f, store: f.Open(t), seed: seed, luck: rand.New(rand.NewPCG(seed, 0)), now: opening,
		step: engine.NewStep(engine.Config{
			Since: opening, Seed: [32]byte{byte(seed), 1}, MaxBatch: 8, MaxWaiters: 3,
			Rules:  func(string) once.Rules { return once.Rules{Window: 24 * time.Hour, Lease: time.Minute} },
			Render: func(r pay.Reply) once.Answer { return h.render(r) },
		}),
		seen: map[string]int{}, names: map[*engine.Job]string{}, answers: map[once.Key]string{}, replays: map[once.Key]int64{},
	}
	return h
}

func (h *history) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("%s: %v (replay with %s=%d)", h.fixture.Name, err, SeedVariable, h.seed)
	}
}

func (h *history) write(format string, args ...any) {
	fmt.Fprintf(&h.out, format+"\n", args...)
}

// one says yes once in n times.
func (h *history) one(n int) bool { return h.luck.IntN(n) == 0 }

// play lets so much happen, waits for all answers, and reads everything.
func (h *history) play(turns int) string {
	for i := range 2 * accountNames {
		h.submit(h.openNumber(i))
	}
	for range turns {
		h.turn()
	}
	for !h.step.Idle() {
		h.answer()
	}
	h.readAll()
	return h.out.String()
}

// turn is one thing that happens: most often a request, or a step of what is on
// its way.
func (h *history) turn() {
	h.now = h.now.Add(time.Duration(h.luck.IntN(3)) * time.Millisecond)
	switch n := h.luck.IntN(100); {
	case n < 22:
		for range 1 + h.luck.IntN(4) {
			h.submit(h.request())
		}
		h.act()
	case n < 75:
		h.answer()
	case n < 77:
		h.leave()
	case n < 88:
		h.gateway()
	case n < 92:
		h.read()
	case n < 95:
		h.expire()
	case n < 97:
		h.recover()
	case n < 98:
		h.keep()
	default:
		h.now = h.now.Add([]time.Duration{time.Hour, 10 * time.Hour, 24 * time.Hour}[h.luck.IntN(3)])
		h.write("now %s", h.now.Format(jcs.TimeFormat))
	}
}

// act notes what the Step wants done.
func (h *history) act() {
	for _, e := range h.step.Effects() {
		switch {
		case e.Load != nil:
			h.need = e.Load
		case e.Commit != nil:
			h.changes, h.asked = e.Commit, false
			h.moments = append(h.moments, e.Commit.At)
		case e.Resolve != nil:
			h.resolve = e.Resolve
		case e.Durable != nil:
			h.orders = append(h.orders, e.Durable.Orders...)
		case e.Answer != nil:
			h.tell(e.Answer)
		}
	}
}

// answer takes something that is on its way one step further: the store is
// asked, or the Step is told.
func (h *history) answer() {
	var ways []func()
	if h.need != nil {
		ways = append(ways, h.loaded)
	}
	if h.resolve != nil {
		ways = append(ways, h.resolved)
	} else if h.changes != nil {
		ways = append(ways, h.committed)
	}
	if len(ways) > 0 {
		ways[h.luck.IntN(len(ways))]()
		h.act()
	}
}

func (h *history) loaded() {
	if h.rows == nil {
		rows, err := h.store.Load(context.Background(), *h.need)
		h.must(err)
		h.rows = &rows
		return
	}
	rows, err := *h.rows, error(nil)
	if h.one(40) {
		rows, err = engine.Rows{FirstEntry: rows.FirstEntry}, errFault
	}
	h.need, h.rows = nil, nil
	h.step.Loaded(rows, err, h.now)
}

var errFault = errors.New("contract: a fault of the history")

func (h *history) committed() {
	if !h.asked {
		h.ask()
		return
	}
	err := h.written
	if err == nil || errors.Is(err, engine.ErrNotCommitted) {
		h.changes = nil
	}
	h.step.Committed(err, h.now)
}

// ask gives the store the changes, or has them lost on the way there or back.
func (h *history) ask() {
	h.asked = true
	switch n := h.luck.IntN(40); {
	case n < 2:
		h.written = engine.ErrConflict
		h.seen["a lost race"]++
	case n < 3:
		h.written = fmt.Errorf("full: %w", engine.ErrNotCommitted)
	case n < 5:
		h.written = errFault // it never got there
		h.seen["an unknown commit"]++
	default:
		h.written = h.store.Commit(context.Background(), h.changes)
		h.must(h.written) // nobody else writes
		if n < 8 {
			h.written = errFault // the answer got lost
			h.seen["an unknown commit"]++
		}
	}
}

func (h *history) resolved() {
	if h.one(4) {
		h.step.Resolved(engine.Rows{}, errFault, h.now)
		return
	}
	rows, err := h.store.Load(context.Background(), *h.resolve)
	h.must(err)
	h.resolve, h.changes = nil, nil
	h.step.Resolved(rows, nil, h.now)
}

// tell writes an answer down.
func (h *history) tell(a *engine.Answered) {
	o := a.Outcome
	what := "done"
	switch {
	case o.Interim:
		what = "at work"
	case errors.Is(o.Err, engine.ErrUnavailable): // why not is the store's to say
		what = engine.ErrUnavailable.Error()
	case o.Err != nil:
		what = o.Err.Error()
	case o.Replayed:
		what = "replayed"
		h.replays[a.Job.Request.Key]++
	}
	h.seen[what]++
	if o.Err == nil && o.Answer.Status >= 400 {
		code, _, _ := strings.Cut(string(o.Answer.Body), " ")
		h.seen[code]++
	}
	if o.Err == nil && (o.Stored || o.Replayed) {
		h.wantOneAnswer(a.Job.Request.Key, fmt.Sprint(o.Answer))
	}
	h.write("%s: %s %d %s %s, until %s", h.names[a.Job], what, o.Answer.Status, o.Answer.Header, o.Answer.Body, stamp(o.ExpiresAt))
}

func (h *history) wantOneAnswer(k once.Key, answer string) {
	h.t.Helper()
	if before, ok := h.answers[k]; ok && before != answer {
		h.t.Errorf("%s: key %s has two answers (replay with %s=%d)", h.fixture.Name, k.ID, SeedVariable, h.seed)
	}
	h.answers[k] = answer
}

func stamp(t time.Time) string { return t.Format(jcs.TimeFormat) }

// leave has somebody who asked not long ago go away.
func (h *history) leave() {
	if n := len(h.requests); n > 0 {
		r := h.requests[max(0, n-1-h.luck.IntN(10))]
		h.write("%s leaves", h.names[r.job])
		h.step.Leave(r.job)
		h.act()
	}
}

// expire has the holds that are due expired.
func (h *history) expire() {
	due, err := h.store.DueHolds(context.Background(), h.now, 1000)
	h.must(err)
	sortRefs(due) // of those that are due at once any may be first
	for _, ref := range due {
		h.seen["an expired hold"]++
		h.submit(&request{words: "expire " + ref.ID, tenant: ref.Tenant, command: ledger.ExpireTransfer{Ref: ref}})
	}
	h.act()
}

// tombstones is how long a key is refused in a history.
const tombstones = 5 * 24 * time.Hour

// keep counts replays and sweeps.
func (h *history) keep() {
	if h.late() {
		return
	}
	h.must(h.store.CountReplays(context.Background(), h.replays))
	h.replays = map[once.Key]int64{}
	for more := true; more; {
		var err error
		more, err = h.store.Sweep(context.Background(), h.now, h.now.Add(-tombstones))
		h.must(err)
	}
	for k := range h.answers {
		rec, err := h.store.Key(context.Background(), k)
		h.must(err)
		if rec.State == once.Absent {
			delete(h.answers, k)
			h.seen["a forgotten key"]++
		}
	}
}

// late says whether a commit is on its way that makes keys whose window is over by now: none
// takes that long, and stores need not agree on whether a sweep before it is of them.
func (h *history) late() bool {
	return h.changes != nil && slices.ContainsFunc(h.changes.Keys, func(r once.Record) bool { return !r.ExpiresAt.After(h.now) })
}
