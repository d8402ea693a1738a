package engine

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// Executor drives a Step: one goroutine owns it, one loads, one commits.
type Executor struct {
	store Store
	cfg   Config
	step  *Step

	mu     sync.Mutex
	inbox  []arrival
	closed bool

	kick    chan struct{} // the inbox has something
	loads   chan load
	commits chan *Changes
	done    chan func(*Step, time.Time) // what a load or a commit ended with
	stopped chan struct{}

	clock   clock
	began   time.Time                  // by the store's clock
	trust   atomic.Pointer[clockTrust] // once Keep watches the clock
	recent  *recent
	watches map[ledger.Ref]*watch // of payments that somebody waits for; the owner's
	meter   meter
	counts  replayCounts
}

// arrival is something for the owner of the Step: a job, a job whose caller
// gave up, or a question.
type arrival struct {
	call  *call
	leave bool
	ask   func(*Step)
}

// call is a job and where its caller waits.
type call struct {
	job  *Job
	done chan Outcome // holds one: the answer never waits for its caller
}

type load struct {
	need  *Need
	pause time.Duration
	then  func(*Step, Rows, error, time.Time)
}

// New starts an executor on a store. Close stops it.
func New(store Store, cfg Config) *Executor {
	cfg = cfg.withDefaults()
	e := &Executor{
		store: store, cfg: cfg, step: NewStep(cfg), recent: newRecent(),
		kick: make(chan struct{}, 1), loads: make(chan load, 1), commits: make(chan *Changes, 1),
		done: make(chan func(*Step, time.Time), 2), stopped: make(chan struct{}), watches: map[ledger.Ref]*watch{},
	}
	e.clock.start(cfg.Since)
	e.began = e.Now()
	go e.run()
	go e.load()
	go e.commit()
	if cfg.Shared {
		go e.look()
	}
	return e
}

// Do executes a job and returns its outcome. It waits as long as ctx allows:
// then a duplicate that waits for its first request, and a first request that
// the store takes too long for, get ErrInProgress. The execution goes on
// without its caller.
func (e *Executor) Do(ctx context.Context, j *Job) Outcome {
	var leave time.Time
	return e.await(ctx, e.start(j), &leave)
}

// DoAll executes jobs in order, and returns their outcomes in that order. They
// are independent of each other.
func (e *Executor) DoAll(ctx context.Context, jobs []*Job) []Outcome {
	calls := make([]*call, len(jobs))
	for i, j := range jobs {
		calls[i] = e.start(j)
	}
	outcomes := make([]Outcome, len(jobs))
	var leave time.Time // one for all: a caller that gave up does not wait for each
	for i, c := range calls {
		outcomes[i] = e.await(ctx, c, &leave)
	}
	return outcomes
}

// start has a job answered from memory, or sends it to the Step.
func (e *Executor) start(j *Job) *call {
	c := &call{job: j, done: make(chan Outcome, 1)}
	j.caller = c
	if o, ok := e.replay(j); ok {
		c.done <- o
	} else if err := e.send(arrival{call: c}); err != nil {
		o := e.cfg.failed(j, err, e.Now())
		e.count(j, o)
		c.done <- o
	}
	return c
}

// await waits for an outcome as long as ctx allows, and then until leave for the
// caller's leave to be confirmed. It sets leave when it is first needed.
func (e *Executor) await(ctx context.Context, c *call, leave *time.Time) Outcome {
	select {
	case o := <-c.done:
		return e.shed(ctx, c.job, o)
	case <-ctx.Done():
	}
	if leave.IsZero() {
		*leave = time.Now().Add(leaveTime)
	}
	if err := e.send(arrival{call: c, leave: true}); err != nil {
		return e.cfg.failed(c.job, ErrInProgress, e.Now())
	}
	select {
	case o := <-c.done: // it was answered, or has left now
		return o
	case <-time.After(time.Until(*leave)):
		return e.cfg.failed(c.job, ErrInProgress, e.Now())
	}
}

// leaveTime is how long a caller that gave up waits for a duplicate's leave to
// be confirmed; a first request is not waited for any longer than that.
const leaveTime = 20 * time.Millisecond

// replay answers from memory what was answered not long ago.
func (e *Executor) replay(j *Job) (Outcome, bool) {
	if !j.keyed() {
		return Outcome{}, false
	}
	rec, ok := e.recent.get(j.Request.Key)
	if !ok {
		return Outcome{}, false
	}
	return e.known(j, rec)
}

// known answers a job from what is under its key, if that settles it.
func (e *Executor) known(j *Job, rec once.Record) (Outcome, bool) {
	v := once.Decide(rec, j.Request, e.Now(), e.cfg.Rules(j.Request.Key.Tenant))
	if v.Action != once.Replay && v.Action != once.Refuse {
		return Outcome{}, false
	}
	o := told(v)
	o.Replayed = o.Replayed && !j.began
	e.count(j, o)
	return o, true
}

// shed has a job that found no place answered from its key, if it is known:
// what was done is told even when nothing more can be done.
func (e *Executor) shed(ctx context.Context, j *Job, o Outcome) Outcome {
	if o.Err != ErrOverloaded || !j.keyed() {
		return o
	}
	rows, err := e.store.Load(ctx, Need{Keys: []once.Key{j.Request.Key}})
	if err != nil || len(rows.Keys) == 0 {
		return o
	}
	if known, ok := e.known(j, rows.Keys[0]); ok {
		return known
	}
	if s := rows.Keys[0].State; s == once.Claimed || s == once.Unknown { // something did begin
		o.Err = ErrInProgress
	}
	return o
}

// InProgress says whether a request with the key is at work.
func (e *Executor) InProgress(ctx context.Context, k once.Key) (bool, error) {
	reply := make(chan bool, 1)
	if err := e.send(arrival{ask: func(s *Step) { reply <- s.InProgress(k) }}); err != nil {
		return false, err
	}
	select {
	case found := <-reply:
		return found, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func (e *Executor) send(a arrival) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return ErrClosed
	case len(e.inbox) >= e.cfg.MaxQueue+e.cfg.MaxWaiters:
		return ErrOverloaded
	}
	e.inbox = append(e.inbox, a)
	select {
	case e.kick <- struct{}{}:
	default:
	}
	return nil
}

// Close refuses new jobs, finishes those that it has, and stops. If ctx ends
// first, it returns its error; what is committing then goes on.
func (e *Executor) Close(ctx context.Context) error {
	e.mu.Lock()
	already := e.closed
	e.closed = true
	e.mu.Unlock()
	if !already {
		select {
		case e.kick <- struct{}{}:
		default:
		}
	}
	select {
	case <-e.stopped:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run owns the Step.
func (e *Executor) run() {
	defer close(e.stopped)
	defer close(e.loads)
	defer close(e.commits)
	var spare []arrival
	for {
		select {
		case <-e.kick:
			spare = e.receive(spare)
		case end := <-e.done:
			end(e.step, e.Now())
		}
		e.act()
		if e.finished() {
			return
		}
	}
}

// receive brings what is in the inbox to the Step, and leaves spare there to be
// filled next.
func (e *Executor) receive(spare []arrival) []arrival {
	e.mu.Lock()
	inbox := e.inbox
	e.inbox = spare[:0]
	e.mu.Unlock()
	now := e.Now()
	for _, a := range inbox {
		switch {
		case a.ask != nil:
			a.ask(e.step)
		case a.leave:
			e.step.Leave(a.call.job)
		default:
			e.step.Submit(a.call.job, now)
		}
	}
	clear(inbox)
	return inbox
}

func (e *Executor) finished() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closed && len(e.inbox) == 0 && e.step.Idle()
}

// act does what the Step wants: first what the store has to do, so that it works
// while callers are answered. Nothing here waits for long: the Step has one load
// and one commit on their way at a time, beside a load the look-up of a commit
// that is in doubt may queue, and a caller is answered once.
func (e *Executor) act() {
	effects := e.step.Effects()
	for _, effect := range effects {
		switch {
		case effect.Load != nil:
			e.loads <- load{effect.Load, effect.Pause, (*Step).Loaded}
		case effect.Resolve != nil:
			e.loads <- load{effect.Resolve, 0, (*Step).Resolved}
		case effect.Commit != nil:
			e.commits <- effect.Commit
		}
	}
	for _, effect := range effects {
		switch {
		case effect.Durable != nil:
			e.tell(effect.Durable)
		case effect.Answer != nil:
			e.answer(effect.Answer)
		}
	}
	e.meter.observe(e.step)
}

func (e *Executor) answer(a *Answered) {
	if a.Outcome.Stored {
		e.recent.put(a.Record)
	}
	a.Outcome.Replayed = a.Outcome.Replayed && !a.Job.began
	e.count(a.Job, a.Outcome)
	if a.Outcome.Interim {
		a.Outcome.Changed = e.watch(a.Outcome)
		a.Job.began = a.Job.began || a.Outcome.Began
	}
	a.Job.caller.done <- a.Outcome
}

// tell has what became durable carried out, and wakes those who wait for it:
// they find its answers in memory.
func (e *Executor) tell(d *Durable) {
	for _, r := range d.Changes.Keys {
		if r.State == once.Done {
			e.recent.put(r)
		}
	}
	for _, o := range d.Orders {
		e.cfg.Act(o)
	}
	for _, p := range d.Changes.Payments.Payments {
		e.wake(p.Ref)
	}
}

func (e *Executor) count(j *Job, o Outcome) {
	e.meter.count(o)
	if o.Replayed {
		e.counts.add(j.Request.Key)
	}
}

// load asks the store. It outlives every caller.
func (e *Executor) load() {
	for l := range e.loads {
		if l.pause > 0 {
			time.Sleep(rand.N(l.pause))
		}
		began := time.Now()
		rows, err := e.store.Load(context.Background(), *l.need)
		e.meter.loaded(time.Since(began), err)
		if e.cfg.Shared {
			e.clock.hear(&rows, time.Since(began))
		}
		if err != nil {
			time.Sleep(loadPause) // a store that fails is not asked in a tight loop
		}
		e.done <- func(s *Step, now time.Time) { l.then(s, rows, err, now) }
	}
}

// loadPause keeps a failing store from being asked all the time: by the next
// batch, or to resolve a commit.
const loadPause = 20 * time.Millisecond

func (e *Executor) commit() {
	for c := range e.commits {
		began := time.Now()
		e.cfg.OnCommit(Committing)
		err := e.store.Commit(context.Background(), c)
		e.cfg.OnCommit(Ended)
		e.meter.committed(time.Since(began), err)
		e.done <- func(s *Step, now time.Time) { s.Committed(err, now) }
	}
}
