package sim

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/once"
)

// client does one operation after the other, each until it has an answer or
// loses patience.
type client struct {
	*world
	number   int
	tenant   *tenant
	left     int // operations
	op       *op // at work
	accounts []string
}

// op is a request that a client wants answered.
type op struct {
	req   *request
	tries int
	polls int // how often there was no final answer yet
	turn  int // what was to be done next before, is not any more
}

func newClient(w *world, number int) *client {
	c := &client{world: w, number: number, tenant: w.tenants[w.luck.IntN(len(w.tenants))], left: 5 + w.luck.IntN(25)}
	c.accounts = slices.Clone(accounts)
	return c
}

// accounts are what every tenant opens first, all of the same names.
var accounts = []string{"world", "a0", "a1", "a2"}

// next begins the next operation.
func (c *client) next() {
	if c.op = nil; c.left == 0 {
		return
	}
	c.left--
	c.begins()
	c.jump()
	c.op = &op{req: c.think()}
	c.try(c.op)
}

// tooLong is how many tries no weather explains.
const tooLong = 500

// try sends an operation's request, and tries again if no answer comes.
func (c *client) try(o *op) {
	if c.op != o {
		return
	}
	o.tries++
	switch {
	case !c.calm && o.tries > tooLong:
		c.stop() // so that it cannot be the faults
	case o.tries > 2*tooLong:
		c.fail("liveness", "client %d has no answer after %d tries: %s", c.number, o.tries, o.req.name())
		return
	}
	c.send(call{req: o.req, from: c, op: o, try: o.tries, wait: pick(c.loop, 0, time.Second), noWait: c.luck.IntN(10) == 0})
	if c.chance(c.habits.twice, "sent twice at once") {
		c.send(call{req: o.req, from: c, op: o, try: o.tries, noWait: c.luck.IntN(2) == 0})
	}
	try := o.tries
	c.after(c.between(100*time.Millisecond, 3*time.Second), "client: loses patience", func() {
		if c.op == o && o.tries == try {
			c.timeout(o)
		}
	})
}

func (c *client) timeout(o *op) {
	if c.chance(c.habits.giveUp, "given up") {
		c.rest()
		return
	}
	c.forgets(o)
	c.again(o)
}

// again waits a little longer every time.
func (c *client) again(o *op) {
	longest := min(10*time.Second, 10*time.Millisecond<<min(o.tries, 20))
	c.soon(o, longest, "client: tries again")
}

// soon has an operation's request sent again, within a while.
func (c *client) soon(o *op, within time.Duration, name string) {
	o.turn++
	turn := o.turn
	c.after(c.between(0, within), name, func() {
		if o.turn == turn {
			c.try(o)
		}
	})
}

// rest begins the next operation a little later, now and then much later.
func (c *client) rest() {
	c.op = nil
	pause := c.between(0, c.habits.pace)
	if c.luck.IntN(50) == 0 {
		pause = c.between(0, c.habits.window)
	}
	c.after(pause, "client: goes on", c.next)
}

// receive takes an answer in.
func (c *client) receive(to *call, o *engine.Outcome) {
	if to.op == nil || to.op != c.op {
		return // nobody waits for it any more
	}
	if o.Err != nil && !errors.Is(o.Err, once.ErrMismatch) && !errors.Is(o.Err, once.ErrExpired) {
		if to.try == to.op.tries {
			to.op.tries++ // what else this try brings is not waited for
			c.again(to.op)
		}
		return
	}
	c.learn(to.req, o)
	if o.Interim {
		c.poll(to.op)
		return
	}
	if to.req.keyed() {
		c.comeBack(to.req, o)
	}
	c.rest()
}

// poll has the client ask again how it stands.
func (c *client) poll(o *op) {
	if o.polls++; o.polls > 10*tooLong {
		c.fail(liveness, "client %d is told %d times that there is no answer yet: %s", c.number, o.polls, o.req.name())
		return
	}
	o.tries = 0
	c.soon(o, min(10*time.Minute, 20*time.Millisecond<<min(o.polls, 20)), "client: asks how it stands")
}

// learn reads the answer, as a client would.
func (c *client) learn(req *request, o *engine.Outcome) {
	if o.Err != nil || o.Answer.Status >= 300 {
		return
	}
	id := idOf(o.Answer.Body)
	switch body := string(o.Answer.Body); {
	case req.pays != nil:
		c.learnPayment(req, body)
	case req.kind == open:
		c.accounts = append(c.accounts, id)
	case strings.Contains(body, `"status":"pending"`):
		c.tenant.held = append(c.tenant.held, id)
	case strings.Contains(body, `"status":"posted"`):
		c.tenant.posted = append(c.tenant.posted, id)
	}
}

// comeBack has the client ask again for what it knows already: at once, with
// another body, or around the end of the window.
func (c *client) comeBack(req *request, o *engine.Outcome) {
	if c.chance(c.habits.misuse, "key used for another request") {
		other := createRequest(req.key, c.transfer()).seal(c.tenant.hasher)
		c.after(c.between(0, time.Second), "client: misuses its key", func() { c.send(call{req: other, from: c}) })
	}
	if c.luck.IntN(1000) >= c.habits.comeBack || o.ExpiresAt.IsZero() {
		return
	}
	end := o.ExpiresAt.Sub(c.wall())
	tick := time.Duration(c.luck.IntN(3)-1) * time.Microsecond
	late := pick(c.loop, 0, end+tick, end+tick, end+c.between(0, 3*time.Hour), c.habits.tombstones+c.between(0, time.Hour))
	if late >= c.habits.tombstones && !dated(req.key.ID) {
		return // nothing but a reference protects it then, and nobody says otherwise
	}
	c.after(max(0, late), "client: comes back", func() {
		if c.luck.IntN(2) == 0 {
			c.server.upkeep()
		}
		c.server.receive(call{req: req, from: c}) // at that very tick
	})
}

// think makes up what to do next.
func (c *client) think() *request {
	key := c.newKey()
	if c.luck.IntN(1000) < c.habits.shop {
		return c.shop(key)
	}
	switch n := c.luck.IntN(100); {
	case n < 5 || c.tenant.opened < len(accounts):
		return c.opens(key).seal(c.tenant.hasher)
	case n < 55:
		return createRequest(key, c.transfer()).seal(c.tenant.hasher)
	case n < 58:
		c.mend(key)
		return malformed(key).seal(c.tenant.hasher)
	case n < 60:
		return shutRequest(key, c.account()).seal(c.tenant.hasher)
	case n < 64:
		return updateRequest(key.Tenant, c.account(), strconv.Itoa(n))
	case n < 84:
		return c.settles(key, n).seal(c.tenant.hasher)
	}
	return reverseRequest(key, c.one(c.tenant.posted)).seal(c.tenant.hasher)
}

func (c *client) opens(key once.Key) *request {
	id := "b" + strconv.Itoa(c.luck.IntN(20))
	if c.tenant.opened < len(accounts) || c.luck.IntN(3) == 0 {
		id = accounts[c.tenant.opened%len(accounts)]
		c.tenant.opened++
	}
	return openRequest(key, id, ledger.Floor{None: id == "world"})
}

func (c *client) settles(key once.Key, n int) *request {
	switch {
	case n < 70:
		return voidRequest(key, c.one(c.tenant.held))
	case n < 76:
		return postRequest(key, c.one(c.tenant.held), new(1+c.luck.Int64N(30)))
	}
	return postRequest(key, c.one(c.tenant.held), nil)
}

// mend has the client send what it should have sent, with the same key.
func (c *client) mend(key once.Key) {
	mended := createRequest(key, c.transfer()).seal(c.tenant.hasher)
	c.after(c.between(0, time.Second), "client: sends it mended", func() { c.send(call{req: mended, from: c}) })
}

func (c *client) transfer() ledger.CreateTransfer {
	t := ledger.CreateTransfer{From: c.account(), To: c.account(), Amount: 1 + c.luck.Int64N(40)}
	if c.luck.IntN(3) == 0 {
		t.From = "world"
	}
	if t.From == t.To && c.luck.IntN(10) > 0 {
		t.To = "a0"
	}
	if c.luck.IntN(40) == 0 {
		t.Amount = 1 << 62 // so that balances overflow
	}
	if c.luck.IntN(3) == 0 {
		t.Pending = true
		t.ExpiresAt = c.wall().Add(c.between(time.Second, time.Hour)).Truncate(time.Microsecond)
	}
	return t
}

func (c *client) account() string { return c.accounts[c.luck.IntN(len(c.accounts))] }

// one picks one of the ids, mostly a young one, or one that does not exist.
func (c *client) one(ids []string) string {
	if len(ids) == 0 || c.luck.IntN(20) == 0 {
		return "tr_nowhere"
	}
	return ids[max(0, len(ids)-1-c.luck.IntN(4))]
}

// newKey makes a key: counted, so that tenants meet, or a UUIDv7.
func (c *client) newKey() once.Key {
	k := once.Key{Tenant: c.tenant.name}
	c.tenant.keys++
	if c.luck.IntN(4) > 0 {
		k.ID = "key-" + strconv.Itoa(c.tenant.keys)
		return k
	}
	made := c.wall()
	if c.luck.IntN(20) == 0 {
		made = made.Add(-c.habits.window - time.Minute) // it lay in a queue for too long
	}
	ms, luck := made.UnixMilli(), c.luck.Uint64()
	k.ID = fmt.Sprintf("%08x-%04x-7%03x-8%03x-%012x", ms>>16, ms&0xffff, luck>>52, luck>>40&0xfff, luck&0xffffffffff)
	return k
}

// dated says whether a key carries its time, so that it is refused when it is
// old even if nothing is known of it.
func dated(key string) bool { return !strings.HasPrefix(key, "key-") }

func (c *client) waitsFor() string {
	if c.op == nil {
		return "its next operation"
	}
	return c.op.req.name()
}

// idOf reads the id from a resource's JSON.
func idOf(body []byte) string {
	_, rest, _ := strings.Cut(string(body), `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}
