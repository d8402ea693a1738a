package sim

import (
	"time"

	"github.com/oncepay/oncepay/pay"
)

// The promises of claim A, in the words of a failure.
const (
	intent     = "nothing is sent that is not written down"
	onlyLegal  = "what may have arrived is sent again only when that is legal"
	chargeOnce = "a payment is executed once"
	heeded     = "what a gateway answered is written down"
	inLease    = "a sender whose lease is over sends nothing"
)

// witness sees what is on the wire and in the gateways' books. It judges by the
// loop's clock, which nobody sets, and by what the gateways promise, never by
// what package pay thinks.
type witness struct {
	*world
	trails map[string]*trail // by operation
	order  []*trail
	books  map[pay.Ref]*account
	sends  int64
}

// trail is what is known of an operation that was sent.
type trail struct {
	gateway *gateway
	call    pay.Call
	exposed bool          // a send that has ended may have arrived
	out     int           // senders that have not stopped
	left    bool          // a send was put on the wire,
	first   time.Duration // for the first time then
	begun   time.Duration // when the last send began
	stopped time.Duration // when the last sender had stopped
	asked   bool          // since the last send began the gateway was asked, and it settled nothing
	missed  bool          // and it did not find the operation,
	absent  time.Duration // in what was there at that time
	blank   time.Duration // when a check began last that was not answered
	heard   []heard       // what this life of the server was told
	lied    bool          // the gateway said what is not so, where that counts
}

// heard is what a server was told, and when.
type heard struct {
	pay.Finding
	at time.Duration
}

func newWitness(w *world) *witness {
	return &witness{world: w, trails: map[string]*trail{}, books: map[pay.Ref]*account{}}
}

// begins judges a send before its first byte.
func (k *witness) begins(s *sending, d due) {
	o := k.written(d.payment.Ref, s.call.Operation)
	t := k.trails[s.call.Operation]
	switch {
	case o == nil:
		k.fail(intent, "%s is sent, and the store does not know it", s.call.Operation)
		return
	case o.Attempt < s.attempt:
		k.fail(intent, "attempt %d of %s is sent, and the store knows of %d", s.attempt, o.ID, o.Attempt)
	case s.call.Payment != d.payment.ID || s.call.Tenant != d.payment.Tenant || s.call.Amount != o.Amount || s.call.Kind != o.Kind:
		k.fail(intent, "%+v is sent; written down is %+v", s.call, *o)
	case !k.server.tick().Before(d.o.LeaseUntil):
		k.fail(inLease, "attempt %d of %s begins at %v, its lease was over at %v", s.attempt, o.ID, k.server.tick(), d.o.LeaseUntil)
	}
	if t == nil {
		t = &trail{gateway: s.gateway, call: s.call}
		k.trails[o.ID] = t
		k.order = append(k.order, t)
	}
	k.repeats(t, s)
	s.begun, s.repeats = true, t.exposed || t.out > 0
	t.out++
	t.begun, t.asked, t.missed = k.now, false, false
}

// repeats judges a send by those before it. If they certainly came to nothing,
// they do not count any more.
func (k *witness) repeats(t *trail, s *sending) {
	if !sameCall(&t.call, &s.call) {
		k.fail("every send of an operation says the same", "%+v, then %+v", t.call, s.call)
	}
	if why := t.illegal(k.now); why != "" {
		k.fail(onlyLegal, "attempt %d of the %s %s at %s, sent first %v ago: %s",
			s.attempt, s.call.Kind, s.call.Operation, s.gateway.name, k.now-t.first, why)
	}
	t.exposed = t.exposed && !t.impossible()
}

// written is what the store has of an operation, or nil.
func (k *witness) written(ref pay.Ref, operation string) *pay.Operation {
	if p := k.disk.kept.payments[ref]; p != nil {
		return p.Operation(operation)
	}
	return nil
}

func sameCall(a, b *pay.Call) bool {
	return a.Operation == b.Operation && a.Kind == b.Kind && a.Payment == b.Payment && a.Tenant == b.Tenant && a.Target == b.Target &&
		a.TargetOp == b.TargetOp && a.Amount == b.Amount && a.Currency == b.Currency && a.Last == b.Last && a.Method == b.Method
}

// illegal says what speaks against sending an operation once more: claim A.
func (t *trail) illegal(now time.Duration) string {
	c := t.gateway.promise
	switch {
	case t.impossible():
		return ""
	case c.window > 0 && t.left && now >= t.first+c.window-c.flight:
		return "the gateway may have forgotten it"
	case c.window > 0 && c.lookup && !t.asked:
		return "it may have arrived, and the gateway was not asked"
	case c.window > 0:
		return ""
	}
	return "it may have arrived, and the gateway would do it again"
}

// impossible says whether nothing of an operation can have happened, nor can any
// more: nothing of it was on the wire, or it was looked for when it must have been
// seen.
func (t *trail) impossible() bool {
	c := t.gateway.promise
	seen := t.stopped + c.lag + c.flight - time.Microsecond // stores keep microseconds
	return t.out == 0 && (!t.exposed || c.lookup && t.missed && t.absent > seen)
}

// left is when the first byte of a send is written.
func (k *witness) left(s *sending) {
	k.sends++
	t := k.trails[s.call.Operation]
	if t == nil {
		return
	}
	if !t.left {
		t.left, t.first = true, k.now
	}
	if c := t.gateway.promise; s.repeats && k.now >= t.first+c.window-c.flight {
		k.fail(onlyLegal, "%s is sent %v after it was sent first: the gateway may have forgotten it", s.call.Operation, k.now-t.first)
	}
}

// ended is when a sender has stopped, and says what it heard.
func (k *witness) ended(s *sending, f pay.Finding) {
	t := k.trails[s.call.Operation]
	if t == nil || !s.begun {
		return
	}
	if s.left && f.Reach == pay.MayHaveArrived {
		t.exposed = true
	}
	k.stopped(t)
	t.heard = append(t.heard, heard{f, k.now})
}

// died is when a sender is gone with its server. Nobody hears of it.
func (k *witness) died(s *sending) {
	if t := k.trails[s.call.Operation]; t != nil && s.begun {
		t.exposed = t.exposed || s.left
		k.stopped(t)
	}
}

func (k *witness) stopped(t *trail) {
	t.out--
	t.stopped = k.now
}

// asked is when a check is answered.
func (k *witness) asked(a *asking, f pay.Finding) {
	t := k.trails[a.call.Operation]
	if t == nil {
		return
	}
	if f.Outcome != pay.Unknown {
		t.heard = append(t.heard, heard{f, k.now})
		return
	}
	if !f.Absent {
		t.blank = a.began
	}
	if a.began < t.begun {
		return // it says nothing of the last send
	}
	t.asked = true
	if f.Absent {
		t.missed = true
		t.absent = max(t.absent, a.began-max(0, f.Lag-t.gateway.promise.lag))
	}
}

// doubt notes that a gateway said what is not so, where that is evidence.
func (k *witness) doubt(operation string, evidence bool) {
	if t := k.trails[operation]; t != nil && evidence {
		t.lied = true
	}
}

func (k *witness) lied(operation string) bool {
	t := k.trails[operation]
	return t != nil && t.lied
}

func (k *witness) liedOf(p *pay.Payment) bool {
	for _, o := range p.Operations {
		if k.lied(o.ID) {
			return true
		}
	}
	return false
}

// senders is how many senders of an operation have not stopped.
func (k *witness) senders(operation string) int {
	if t := k.trails[operation]; t != nil {
		return t.out
	}
	return 0
}

// forget lets go of what a server that crashed was told. Not long ago it may not
// have had the time to write it down.
func (k *witness) forget() {
	k.heeds(writtenWithin)
	for _, t := range k.order {
		t.heard = nil
	}
}

// writtenWithin is how long it takes at most to write something down, whatever is
// wrong with the disk.
const writtenWithin = 3 * time.Minute

// heeds checks that what this server was told is in the store, if it was told so
// long ago.
func (k *witness) heeds(ago time.Duration) {
	for _, t := range k.order {
		for _, f := range t.heard {
			o := k.disk.kept.payments[pay.Ref{Tenant: t.call.Tenant, ID: t.call.Payment}].Operation(t.call.Operation)
			if f.at+ago <= k.now && o.Epoch == 0 && f.Outcome.Join(o.Outcome) != o.Outcome {
				k.fail(heeded, "the gateway said that the %s %s is %s, and it is %s", o.Kind, o.ID, f.Outcome, o.Outcome)
			}
		}
	}
}
