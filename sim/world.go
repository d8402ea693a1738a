package sim

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/oncepay/oncepay/audit"
	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/once"
)

// world is one history: clients, a network, a server and a disk.
type world struct {
	*loop
	seed    uint64
	bug     Bug
	habits  habits
	server  *server
	disk    *disk
	check   *checker
	tenants []*tenant
	clients []*client
	faults  map[string]int64
	answers Answers
	failure *Failure

	skew    time.Duration // how far the machine's clock is from the loop's
	begun   int           // operations
	planned int
	calm    bool // faults have stopped
}

// tenant is whose requests they are. Tenants use the same keys and the same
// names of accounts, so that nothing keeps them apart but the engine.
type tenant struct {
	name   string
	hasher *once.Hasher
	keys   int
	opened int
	held   []string // transfers that its clients saw pending: they act on each other's
	posted []string
}

// epoch is when histories begin.
var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func newWorld(cfg Config, seed uint64) *world {
	w := &world{loop: newLoop(seed, cfg.Trace), seed: seed, bug: cfg.Bug, faults: map[string]int64{}}
	w.habits = drawHabits(w.loop)
	w.disk = newDisk(w)
	w.server = &server{world: w}
	w.check = newChecker(w)
	for i := range 1 + w.luck.IntN(3) {
		name := "tenant-" + strconv.Itoa(i)
		w.tenants = append(w.tenants, &tenant{name: name, hasher: once.NewHasher([]byte("the service's secret of 32 bytes"), name)})
	}
	for i := range 2 + w.luck.IntN(9) {
		c := newClient(w, i)
		w.clients = append(w.clients, c)
		w.planned += c.left
	}
	return w
}

// live runs the history to its end, or to the first promise that is broken.
func (w *world) live() (failure *Failure) {
	defer func() {
		if p := recover(); p != nil {
			failure = w.broken("no panic", fmt.Sprint(p))
		}
	}()
	w.server.start()
	for _, c := range w.clients {
		w.after(w.between(0, time.Second), "client: begins", c.next)
	}
	for _, part := range []func(){w.quiet, w.askAgain, w.quiet, w.audit} {
		for w.failure == nil && w.next() {
		}
		if w.failure == nil {
			part()
		}
	}
	return w.failure
}

// fail notes that a promise was broken. The first one counts.
func (w *world) fail(claim, format string, args ...any) {
	if w.failure == nil {
		w.failure = w.broken(claim, fmt.Sprintf(format, args...))
	}
}

func (w *world) broken(claim, what string) *Failure {
	w.note("broken: "+claim, what)
	return &Failure{Seed: w.seed, Event: w.events, At: w.now, Claim: claim, What: what}
}

// wall is the machine's clock.
func (w *world) wall() time.Time { return epoch.Add(w.now + w.skew) }

// chance says whether a fault of this kind happens now, and counts it.
func (w *world) chance(perMille int, kind string) bool {
	if w.calm || perMille == 0 || w.luck.IntN(1000) >= perMille {
		return false
	}
	w.faults[kind]++
	w.note("fault", kind)
	return true
}

// crashes says whether the server crashes here, and if so it has.
func (w *world) crashes(perMille int, where string) bool {
	if !w.chance(perMille, "crash") {
		return false
	}
	w.note("crash", fmt.Sprintf("%s, %d commits not synced", where, len(w.disk.unsynced)))
	w.server.crash()
	return true
}

// jump sets the machine's clock.
func (w *world) jump() {
	if !w.chance(w.habits.jump, "clock jump") {
		return
	}
	far := pick(w.loop, time.Second, time.Minute, time.Hour, w.habits.window)
	w.skew += w.between(-far/2, far)
}

// begins counts an operation. Near the end of the history faults stop.
func (w *world) begins() {
	if w.begun++; w.begun*5 >= w.planned*4 {
		w.stop()
	}
}

// stop ends all faults.
func (w *world) stop() {
	w.calm, w.disk.fullUntil = true, 0
	w.note("calm", "")
}

// send brings a request to the server, as well as the network can.
func (w *world) send(c call) {
	if w.chance(w.habits.lose, "request lost") {
		return
	}
	arrive := func() { w.server.receive(c) }
	w.after(w.latency(), "network: request", arrive)
	if w.chance(w.habits.double, "request doubled") {
		w.after(w.latency(), "network: request again", arrive)
	}
}

// back brings an answer to its client.
func (w *world) back(c *call, o engine.Outcome) {
	if w.chance(w.habits.lose, "answer lost") {
		return
	}
	arrive := func() {
		w.check.seen(c, &o)
		c.from.receive(c, &o)
	}
	w.after(w.latency(), "network: answer", arrive)
	if w.chance(w.habits.double, "answer doubled") {
		w.after(w.latency(), "network: answer again", arrive)
	}
}

func (w *world) latency() time.Duration {
	if w.chance(w.habits.delay, "message delayed") {
		return w.between(0, 20*time.Second)
	}
	return w.between(0, w.habits.latency)
}

// quiet is what must be true when nothing happens any more.
func (w *world) quiet() {
	for _, c := range w.clients {
		if c.op != nil || c.left > 0 {
			w.fail("liveness", "client %d waits for ever: %s", c.number, c.waitsFor())
		}
	}
	switch {
	case w.server.step == nil:
		w.fail("liveness", "the server is down for ever")
	case len(w.server.jobs) > 0 || !w.server.step.Idle():
		w.fail("liveness", "%d requests are never answered", len(w.server.jobs))
	case w.check.busy() != nil:
		w.fail("liveness", "key %v is in progress for ever", *w.check.busy())
	case len(w.disk.unsynced)+len(w.disk.waiting) > 0 && w.bug != SyncIgnored:
		w.fail("liveness", "%d commits never end", len(w.disk.unsynced)+len(w.disk.waiting))
	}
}

// askAgain crashes the server once more and asks for every key that was
// answered: it must be known, whatever happened.
func (w *world) askAgain() {
	w.stop()
	w.note("crash", "at the end")
	w.server.crash()
	for i, f := range w.check.told {
		again := call{req: f.req, from: w.clients[0]}
		w.after(5*time.Second+time.Duration(i)*100*time.Millisecond, "client: asks again", func() { w.send(again) })
	}
	w.after(4*time.Second, "server: upkeep", w.server.upkeep)
}

// audit reads the final store from end to end.
func (w *world) audit() {
	w.check.kept()
	r, err := audit.Run(context.Background(), &w.disk.kept, audit.Config{Buckets: 64, MaxFindings: 3})
	if err != nil || !r.OK() {
		w.fail("the audit finds the store in order", "%v %v", err, r.Findings)
	}
}
