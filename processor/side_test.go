package processor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
)

// side is a little gateway with books. By its contract it does an operation once
// within the window; without a window every send is one more execution.
type side struct {
	mu       sync.Mutex
	contract pay.Contract
	untold   bool
	most     int // how many sends may be at work before it takes nothing new; 0: any number
	busy     int
	books    map[string][]execution // by operation
	sends    map[string]int         // requests that reached it
	checks   map[string]int
	order    []string // operations in the order in which it was asked about them
	asking   int
	mostAsks int // how many checks were at work at once at most

	// fault says what goes wrong with the n-th send of an operation, from 1. nil:
	// nothing.
	fault func(c pay.Call, n int) fault
	ask   func(c pay.Call)                 // runs in every check, before it looks
	twist func(c pay.Call, f *pay.Finding) // changes what a check says
}

// execution is something that the gateway did.
type execution struct {
	id     string
	call   pay.Call
	status pay.Outcome
	at     time.Time
}

// fault is what goes wrong with a send.
type fault struct {
	panics   bool          // before it asks
	breaks   bool          // after it was answered
	unsent   bool          // no byte of it leaves
	hangs    bool          // it never arrives, and there is no answer
	late     time.Duration // it arrives so long after it was sent; the sender waits for its answer as long as it may
	slow     time.Duration // it is done at once and answered so late
	mute     bool          // it is done, and there is no answer
	stuck    time.Duration // it is done so late, and the connector waits for it however long
	declines bool
	acts     bool // the customer must do something
}

func newSide(c pay.Contract) *side {
	return &side{contract: c, books: map[string][]execution{}, sends: map[string]int{}, checks: map[string]int{}}
}

// mild is a gateway that does things once; hostile one that never does.
var (
	mild    = pay.Contract{Window: 24 * time.Hour, Lookup: true, LookupLag: 4 * time.Second, InFlight: 4 * time.Second, Timeout: 3 * time.Second, ManyCaptures: true, PartialCapture: true}
	hostile = pay.Contract{Lookup: true, LookupLag: 4 * time.Second, InFlight: 4 * time.Second, Timeout: 3 * time.Second}
	blind   = pay.Contract{Timeout: 3 * time.Second, LookupLag: 4 * time.Second, InFlight: 4 * time.Second}
)

// execute does what is asked.
func (s *side) execute(c pay.Call, f fault) pay.Finding {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := s.books[c.Operation]
	if s.contract.Window > 0 && len(done) > 0 && time.Since(done[0].at) < s.contract.Window {
		return done[0].finding()
	}
	x := execution{id: fmt.Sprintf("ch_%s_%d", c.Operation, len(done)), call: c, status: pay.Done, at: time.Now()}
	switch {
	case f.declines:
		x.status = pay.Declined
	case f.acts:
		x.status = pay.ActionRequired
	}
	s.books[c.Operation] = append(done, x)
	return x.finding()
}

func (x execution) finding() pay.Finding {
	f := pay.Finding{Outcome: x.status, Amount: x.call.Amount, Currency: x.call.Currency, GatewayID: x.id}
	if x.status == pay.Declined {
		f.Failure = pay.Failure{Code: "card_declined"}
	}
	return f
}

// finish has the customer act.
func (s *side) finish(operation string, as pay.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.books[operation][0].status = as
}

func (s *side) send(ctx context.Context, c pay.Call) pay.Finding {
	s.mu.Lock()
	s.sends[c.Operation]++
	n := s.sends[c.Operation]
	s.busy++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.busy--
		s.mu.Unlock()
	}()
	var f fault
	if s.fault != nil {
		f = s.fault(c, n)
	}
	silence := func() pay.Finding {
		<-ctx.Done()
		return pay.Finding{Detail: "no answer"}
	}
	switch {
	case f.panics:
		panic("the connector has a defect")
	case f.unsent:
		return pay.Finding{Reach: pay.NeverLeft}
	case f.hangs:
		return silence()
	case f.stuck > 0:
		time.Sleep(f.stuck)
	case f.late > 0:
		go func() {
			time.Sleep(f.late)
			s.execute(c, f)
		}()
		return silence()
	}
	found := s.execute(c, f)
	if f.breaks {
		panic("the connector has a defect")
	}
	if f.mute {
		return silence()
	}
	select {
	case <-time.After(f.slow):
		return found
	case <-ctx.Done():
		return pay.Finding{Detail: "no answer"}
	}
}

func (s *side) check(c pay.Call) (f pay.Finding) {
	if s.twist != nil {
		defer func() { s.twist(c, &f) }()
	}
	s.mu.Lock()
	s.checks[c.Operation]++
	s.order = append(s.order, c.Operation)
	s.asking++
	s.mostAsks = max(s.mostAsks, s.asking)
	s.mu.Unlock()
	if s.ask != nil {
		s.ask(c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking--
	var seen []execution
	for _, x := range s.books[c.Operation] {
		if time.Since(x.at) >= s.contract.LookupLag {
			seen = append(seen, x)
		}
	}
	switch len(seen) {
	case 0:
		return pay.Finding{Absent: true}
	case 1:
		return seen[0].finding()
	}
	f = seen[0].finding()
	f.Outcome, f.Amount = pay.Conflict, f.Amount*int64(len(seen))
	return f
}

// asks returns the operations that it was asked about, in order, and how many it
// was asked about at once at most.
func (s *side) asks() (order []string, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.order), s.mostAsks
}

// askedInAll returns how often it was asked about anything.
func (s *side) askedInAll() int {
	order, _ := s.asks()
	return len(order)
}

// executions returns how often something was done for an operation.
func (s *side) executions(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.books[operation])
}

// count returns how many operations it did something for.
func (s *side) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.books)
}

// age makes what it did older.
func (s *side) age(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, all := range s.books {
		for i := range all {
			all[i].at = all[i].at.Add(-d)
		}
	}
}

// asked returns how often it was asked about an operation, and reached how often
// it was asked for it.
func (s *side) asked(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.checks[operation]
}

func (s *side) reached(operation string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sends[operation]
}

// doubled names an operation that was done more than once; "" is none.
func (s *side) doubled() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for operation, x := range s.books {
		if len(x) > 1 {
			return operation
		}
	}
	return ""
}

// line is a process's connection to a side: it dies with the process.
type line struct {
	*side
	life *life
}

func (l *line) Terms() pay.Terms {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := pay.Terms{Contract: l.contract, Untold: l.untold}
	if l.most > 0 && l.busy >= l.most {
		t.Closed = "it has too much to do"
	}
	return t
}

func (l *line) Send(ctx context.Context, c pay.Call) pay.Finding {
	if l.life.step("send: before it leaves") {
		<-ctx.Done()
		return pay.Finding{}
	}
	f := l.send(ctx, c)
	if l.life.step("send: answered") {
		return pay.Finding{}
	}
	return f
}

func (l *line) Check(ctx context.Context, c pay.Call) pay.Finding {
	if l.life.step("check: before it leaves") {
		<-ctx.Done()
		return pay.Finding{}
	}
	f := l.check(c)
	if l.life.step("check: answered") || ctx.Err() != nil {
		return pay.Finding{}
	}
	return f
}

// errSignature is what a webhook is refused with that nobody signed.
var errSignature = errors.New("the signature is wrong")

func (l *line) Notice(_ string, h http.Header, body []byte, _ time.Time) (pay.Notice, pay.Finding, error) {
	if h.Get("Signed") == "" {
		return pay.Notice{}, pay.Finding{}, errSignature
	}
	var n struct {
		ID, Payment, Operation, GatewayID string
		Done                              int64
	}
	if err := json.Unmarshal(body, &n); err != nil {
		panic(err)
	}
	f := pay.Finding{}
	if n.Done > 0 {
		f = pay.Finding{Outcome: pay.Done, Amount: n.Done, GatewayID: n.GatewayID}
	}
	return pay.Notice{
		NoticeID: pay.NoticeID{ID: n.ID}, Payment: n.Payment, Operation: n.Operation, GatewayID: n.GatewayID, Type: "operation.succeeded",
	}, f, nil
}

// life is that of a process, which ends at a step.
type life struct {
	mu    sync.Mutex
	steps []string
	dieAt int // the step at which it ends; 0: none
	dead  bool
}

// step says whether the process is dead.
func (l *life) step(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.dead {
		l.steps = append(l.steps, name)
		l.dead = len(l.steps) == l.dieAt
	}
	return l.dead
}

func (l *life) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
}

func (l *life) isDead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

// books is what processes share: the store.
type books struct {
	*engine.Memory
	mu      sync.Mutex
	commits int
	log     []*engine.Changes // what they wrote
}

// written returns how many commits were made.
func (b *books) written() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.commits
}

// hold is a process's hold on the store: it ends with the process.
type hold struct {
	*books
	life  *life
	fail  func() error // of a commit, if it is set: nothing is written
	queue int          // how many jobs the executor takes; 0: as many as usual
	since time.Time    // when the store's last commit was; zero: there was none
}

var errGone = fmt.Errorf("%w: the process is gone", engine.ErrNotCommitted)

func (h *hold) Load(ctx context.Context, need engine.Need) (engine.Rows, error) {
	if h.life.isDead() {
		return engine.Rows{}, errGone
	}
	return h.books.Load(ctx, need)
}

func (h *hold) Commit(ctx context.Context, c *engine.Changes) error {
	if h.life.step("commit: before") {
		return errGone
	}
	if h.fail != nil {
		if err := h.fail(); err != nil {
			return err
		}
	}
	if err := h.books.Commit(ctx, c); err != nil {
		return err
	}
	h.mu.Lock()
	h.commits++
	h.log = append(h.log, c)
	h.mu.Unlock()
	if h.life.step("commit: after") {
		return errGone
	}
	return nil
}

func (h *hold) DueOperations(ctx context.Context, gateway string, now time.Time, limit int) ([]pay.Due, error) {
	if h.life.isDead() {
		return nil, errGone
	}
	return h.books.DueOperations(ctx, gateway, now, limit)
}
