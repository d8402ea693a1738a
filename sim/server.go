package sim

import (
	"strconv"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// server drives the real engine.Step: what engine.Executor does with goroutines
// it does with events.
type server struct {
	*world
	step      *engine.Step // nil while it is down
	processor *processor
	life      int           // grows with every crash: what belongs to an earlier one is void
	clock     time.Time     // the store's, when it was the machine's last, or where it began
	clockAt   time.Duration // when that was, by the loop's clock
	jobs      map[*engine.Job]*call
	requests  int64
}

// call is a request on its way, and what the server knew when it came.
type call struct {
	req    *request
	from   *client // nil: the server's own
	op     *op     // that waits for the answer, nil if nobody does
	noWait bool
	wait   time.Duration         // how long a duplicate waits, 0: as long as it takes
	try    int                   // of op
	came   time.Time             // the server's clock when it arrived
	known  bool                  // its key had a record when it arrived
	left   bool                  // it has waited long enough
	then   func(*engine.Outcome) // the server's own: told what became of it
}

// start brings the server up on what the disk has kept.
func (s *server) start() {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(s.luck.Uint32())
	}
	since := s.disk.kept.at
	s.clock, s.clockAt = since, s.now
	if s.bug == ClockForgotten {
		since, s.clock = time.Time{}, time.Time{}
	}
	s.jobs = map[*engine.Job]*call{}
	s.step = engine.NewStep(engine.Config{
		Rules: s.rules, Since: since, Seed: seed, MaxBatch: s.habits.maxBatch,
		MaxQueue: s.habits.maxQueue, MaxWaiters: s.habits.maxWaiters, Render: render,
	})
	s.processor = newProcessor(s.world)
	s.later(0, "processor: takes over", s.processor.takeOver)
}

func (s *server) rules(string) once.Rules {
	return once.Rules{Window: s.habits.window, Lease: 30 * time.Second}
}

// crash ends the process at once. Whatever it was doing is gone.
func (s *server) crash() {
	s.life++
	if s.processor != nil {
		s.processor.crash()
	}
	s.step, s.jobs, s.processor = nil, nil, nil
	s.disk.crash()
	s.check.kept()
	s.witness.forget()
	s.after(s.between(time.Millisecond, 3*time.Second), "server: starts", s.start)
}

// receive takes a request in, if the server is up.
func (s *server) receive(c call) {
	if s.step == nil || s.crashes(s.habits.crash, "as a request comes") {
		return
	}
	s.requests++
	s.tick()
	c.came = s.tick()
	_, c.known = s.disk.kept.keys[c.req.key]
	s.check.arrived(c.req)
	if c.req.kind == confirm {
		s.processor.returns(pay.Ref{Tenant: c.req.key.Tenant, ID: c.req.target})
	}
	j := s.job(&c)
	s.jobs[j] = &c
	s.tell(func(now time.Time) { s.step.Submit(j, now) })
	if c.wait > 0 {
		s.later(c.wait, "server: a duplicate has waited long enough", func() { s.leave(j) })
	}
}

func (s *server) leave(j *engine.Job) {
	if c := s.jobs[j]; c != nil {
		c.left = true
		s.tell(func(time.Time) { s.step.Leave(j) })
	}
}

// job is what web makes of a request.
func (s *server) job(c *call) *engine.Job {
	j := &engine.Job{Tenant: c.req.key.Tenant, Command: c.req.command, Reply: c.req.reply, NoWait: c.noWait}
	if c.req.keyed() {
		j.Request = once.Request{Key: c.req.key, Fingerprint: c.req.print, Operation: c.req.operation}
	}
	if c.req.pays != nil {
		j.RequestID = "req_" + strconv.FormatInt(s.requests, 10)
		j.Payment = c.req.pays(pay.Ask{Key: j.Request.Key, RequestID: j.RequestID, House: s.processor.house()})
	}
	switch {
	case s.bug == FingerprintIgnored:
		j.Request.Fingerprint = once.Fingerprint{}
	case s.bug == TenantIgnored && c.req.keyed():
		j.Request.Key.Tenant = "everyone"
	}
	return j
}

// tick is the store's time: the machine's, but never before one that was told
// already, and at half the speed until it has caught up, as engine.Executor keeps it.
func (s *server) tick() time.Time {
	if slowed := s.clock.Add((s.now - s.clockAt) / 2).Truncate(time.Microsecond); slowed.After(s.wall()) {
		return slowed
	}
	s.clock, s.clockAt = s.wall().Truncate(time.Microsecond), s.now
	return s.clock
}

// tell tells the Step something, and does what it wants done.
func (s *server) tell(what func(now time.Time)) {
	what(s.tick())
	life := s.life
	for _, e := range s.step.Effects() {
		s.act(e)
		if s.life != life {
			return // it crashed half way through
		}
	}
}

func (s *server) act(e engine.Effect) {
	switch {
	case e.Load != nil:
		s.disk.load(e.Load, func(rows engine.Rows, err error) {
			s.tell(func(now time.Time) { s.step.Loaded(rows, err, now) })
		})
	case e.Resolve != nil:
		s.disk.load(e.Resolve, func(rows engine.Rows, err error) {
			s.tell(func(now time.Time) { s.step.Resolved(rows, err, now) })
		})
	case e.Commit != nil:
		s.commit(e.Commit)
	case e.Durable != nil:
		s.durable(e.Durable)
	case e.Answer != nil:
		s.answer(e.Answer)
	}
}

// durable has orders carried out.
func (s *server) durable(d *engine.Durable) {
	p := s.processor
	for _, o := range d.Orders {
		if s.bug == IntentNotDurable && o.Attempt > 0 {
			continue // it is on its way already
		}
		if p.act(o); p.over() {
			return
		}
	}
	p.rest()
	p.matchSoon()
}

// hasten sends what is being written down: a planted bug.
func (s *server) hasten(c *engine.Changes) {
	for _, p := range c.Payments.Payments {
		for _, o := range p.Operations {
			if !o.LeaseUntil.IsZero() && o.Owner == s.processor.name && s.processor.sending[attempt{o.ID, o.Attempt}] == nil {
				s.processor.act(&pay.Order{Payment: p.Clone(), Operation: o.ID, Attempt: o.Attempt})
			}
		}
	}
}

func (s *server) commit(c *engine.Changes) {
	if s.bug == AnswerBeforeCommit {
		s.disk.commit(c, func(error) {})
		s.later(0, "server: takes the commit for done", func() { s.committed(c, nil) })
		return
	}
	if s.bug == IntentNotDurable {
		s.hasten(c)
	}
	s.disk.commit(c, func(err error) { s.committed(c, err) })
}

// committed tells the Step how its commit ended.
func (s *server) committed(c *engine.Changes, err error) {
	switch {
	case err == errUnknown && s.bug == UnknownIsCommitted:
		err = nil
	case err == errUnknown && s.bug == UnknownIsRefused:
		err = errRefused
	}
	if err == nil {
		s.check.acknowledged(c)
	}
	s.tell(func(now time.Time) { s.step.Committed(err, now) })
}

// answer checks an answer and sends it on its way.
func (s *server) answer(a *engine.Answered) {
	c := s.jobs[a.Job]
	if c == nil {
		s.fail("one answer", "a job was answered that nobody waits for, or twice")
		return
	}
	delete(s.jobs, a.Job)
	s.note("answer", c.req.name()+" "+text(&a.Outcome))
	s.check.answered(c, &a.Outcome)
	if s.crashes(s.habits.crash, "as an answer leaves") {
		return
	}
	if c.then != nil {
		c.then(&a.Outcome)
	}
	if c.from != nil {
		s.back(c, a.Outcome)
	}
}

// upkeep expires holds that are due and drops keys that are over, as
// engine.Executor.Keep does from time to time.
func (s *server) upkeep() {
	if s.step == nil {
		return
	}
	now := s.tick()
	forget := now.Add(-s.habits.tombstones)
	s.disk.sweep(now, forget)
	s.check.forget(now, forget)
	for _, ref := range s.disk.kept.dueHolds(s.tick()) {
		if s.step == nil {
			return
		}
		req := &request{kind: expire, key: once.Key{Tenant: ref.Tenant}, target: ref.ID, command: ledger.ExpireTransfer{Ref: ref}}
		s.receive(call{req: req})
	}
}

// later has the server do something, unless it crashes before.
func (s *server) later(d time.Duration, name string, run func()) {
	life := s.life
	s.after(d, name, func() {
		if s.life == life {
			run()
		}
	})
}

// text says an outcome in a line.
func text(o *engine.Outcome) string {
	switch {
	case o.Err != nil:
		return o.Err.Error()
	case o.Replayed:
		return "replayed " + strconv.Itoa(o.Answer.Status) + " " + string(o.Answer.Body)
	}
	return strconv.Itoa(o.Answer.Status) + " " + string(o.Answer.Body)
}

// order has the server do something of its own, and then says what came of it.
func (s *server) order(name, tenant string, c pay.Command, then func(*engine.Outcome)) {
	req := &request{kind: own, key: once.Key{Tenant: tenant}, operation: name, pays: func(pay.Ask) pay.Command { return c }}
	s.receive(call{req: req, then: then})
}
