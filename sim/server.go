package sim

import (
	"strconv"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// server drives the real engine.Step: what engine.Executor does with goroutines
// it does with events.
type server struct {
	*world
	step     *engine.Step // nil while it is down
	life     int          // grows with every crash: what belongs to an earlier one is void
	clock    time.Time    // the store's: never runs backwards
	jobs     map[*engine.Job]*call
	requests int64
}

// call is a request on its way, and what the server knew when it came.
type call struct {
	req    *request
	from   *client // nil: the server's own
	op     *op     // that waits for the answer, nil if nobody does
	noWait bool
	wait   time.Duration // how long a duplicate waits, 0: as long as it takes
	try    int           // of op
	came   time.Time     // the server's clock when it arrived
	known  bool          // its key had a record when it arrived
	left   bool          // it has waited long enough
}

// start brings the server up on what the disk has kept.
func (s *server) start() {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(s.luck.Uint32())
	}
	since := s.disk.kept.at
	s.clock = since
	if s.bug == ClockForgotten {
		since, s.clock = time.Time{}, time.Time{}
	}
	s.jobs = map[*engine.Job]*call{}
	s.step = engine.NewStep(engine.Config{
		Rules: s.rules, Since: since, Seed: seed, MaxBatch: s.habits.maxBatch,
		MaxQueue: s.habits.maxQueue, MaxWaiters: s.habits.maxWaiters,
	})
}

func (s *server) rules(string) once.Rules {
	return once.Rules{Window: s.habits.window, Lease: 30 * time.Second}
}

// crash ends the process at once. Whatever it was doing is gone.
func (s *server) crash() {
	s.life++
	s.step, s.jobs = nil, nil
	s.disk.crash()
	s.check.kept()
	s.after(s.between(time.Millisecond, 3*time.Second), "server: starts", s.start)
}

// receive takes a request in, if the server is up.
func (s *server) receive(c call) {
	if s.step == nil || s.crashes(s.habits.crash, "as a request comes") {
		return
	}
	s.requests++
	s.tick()
	c.came = s.clock
	_, c.known = s.disk.kept.keys[c.req.key]
	s.check.arrived(c.req)
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
	switch {
	case s.bug == FingerprintIgnored:
		j.Request.Fingerprint = once.Fingerprint{}
	case s.bug == TenantIgnored && c.req.keyed():
		j.Request.Key.Tenant = "everyone"
	}
	return j
}

// tick is the store's time: the machine's, but never before one that was told
// already, as engine.Executor keeps it.
func (s *server) tick() time.Time {
	if now := s.wall().Truncate(time.Microsecond); now.After(s.clock) {
		s.clock = now
	}
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
	case e.Answer != nil:
		s.answer(e.Answer)
	}
}

func (s *server) commit(c *engine.Changes) {
	if s.bug == AnswerBeforeCommit {
		s.disk.commit(c, func(error) {})
		s.later(0, "server: takes the commit for done", func() { s.committed(c, nil) })
		return
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
	if !s.crashes(s.habits.crash, "as an answer leaves") && c.from != nil {
		s.back(c, a.Outcome)
	}
}

// upkeep expires holds that are due and drops keys that are over, as
// engine.Executor.Keep does from time to time.
func (s *server) upkeep() {
	if s.step == nil {
		return
	}
	s.tick()
	forget := s.clock.Add(-s.habits.tombstones)
	s.disk.kept.sweep(s.clock, forget, s.bug == TombstoneForgotten)
	s.check.forget(s.clock, forget)
	for _, ref := range s.disk.kept.due(s.clock) {
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
