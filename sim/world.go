package sim

import (
	"fmt"
	"strconv"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/once"
	"github.com/oncepay/oncepay/pay"
)

// world is one history: clients, a network, a server and a disk.
type world struct {
	*loop
	seed     uint64
	bug      Bug
	habits   habits
	server   *server
	disk     *disk
	check    *checker
	witness  *witness
	tenants  []*tenant
	clients  []*client
	gateways []*gateway
	faults   map[string]int64
	answers  Answers
	failure  *Failure

	skew            time.Duration // how far the machine's clock is from the loop's
	setBack         time.Duration // by how much it was set back, altogether
	setForward      time.Duration // and forward
	lost            bool          // it was set by more than the skew that is allowed
	begun           int           // operations
	planned         int
	calm            bool // faults have stopped
	calmSince       time.Duration
	checks, notices int64
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

	orders                    int
	bought, reserved, charged []string // payments, as its clients saw them
}

// epoch is when histories begin.
var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func newWorld(cfg Config, seed uint64) *world {
	w := &world{loop: newLoop(seed, cfg.Trace), seed: seed, bug: cfg.Bug, faults: map[string]int64{}}
	w.habits = drawHabits(w.loop)
	w.disk = newDisk(w)
	w.server = &server{world: w}
	w.check = newChecker(w)
	w.witness = newWitness(w)
	for i := range 1 + w.luck.IntN(3) {
		g := newGateway(w, i)
		w.gateways = append(w.gateways, g)
		w.note("gateway", fmt.Sprintf("%s %+v breaches %t", g.name, g.promise, g.breaches))
	}
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
	for _, part := range []func(){w.quiet, w.review, w.quiet, w.askAgain, w.quiet, w.audit} {
		for w.failure == nil && w.next() {
			if w.events == stormy && !w.calm {
				w.stop()
			}
		}
		if w.failure == nil {
			part()
		}
	}
	return w.failure
}

// stormy is after how many events faults stop at the latest: what goes on for
// longer is more of the same.
const stormy = 5_000

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
	if w.server.step == nil || !w.chance(perMille, "crash") {
		return false // who is down already does not crash again
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
	by := w.between(-far/2, far)
	w.skew += by
	w.note("jump", by.String())
	w.setBack += max(0, -by)
	w.setForward += max(0, by)
	w.lost = w.lost || by.Abs() > w.habits.skew
	if w.server.processor != nil {
		w.server.processor.jolt()
	}
}

// begins counts an operation. Near the end of the history faults stop.
func (w *world) begins() {
	if w.begun++; w.begun*5 >= w.planned*4 && !w.calm {
		w.stop()
	}
	if w.chance(w.habits.down, "gateway down") {
		w.gateways[w.luck.IntN(len(w.gateways))].fails()
	}
}

// stop ends all faults.
func (w *world) stop() {
	if !w.calm {
		w.calm, w.calmSince = true, w.now
	}
	w.disk.fullUntil = 0
	for _, g := range w.gateways {
		g.downUntil, g.shutUntil = 0, 0
	}
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

func (w *world) gatewayOf(p *pay.Payment) *gateway {
	for _, g := range w.gateways {
		if g.name == p.Gateway {
			return g
		}
	}
	panic("a payment at a gateway that does not exist: " + p.Gateway)
}
