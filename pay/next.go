package pay

import (
	"hash/fnv"
	"time"
)

// Do is what there is to do about an operation. The zero Do is Wait: where
// nothing was decided, nothing is sent.
type Do uint8

// What there can be to do.
const (
	Wait  Do = iota // until At
	Check           // ask the gateway what became of it, at At
	Send            // send it, at At, with its own id
	Park            // a human must decide
	Drop            // it certainly did not happen, and is too old to be sent now
	Rest            // nothing: it is settled, or parked
)

func (d Do) String() string { return [...]string{"wait", "check", "send", "park", "drop", "rest"}[d] }

// Move is what there is to do about an operation, and when.
type Move struct {
	Do  Do
	At  time.Time // of Wait, Check and Send; not after now: at once
	Why string    // of Park and Drop, for people

	// Anew says of Send that nothing of the operation has arrived, nor can it any
	// more: only what comes of this send counts.
	Anew bool
}

// Clock is what the time is, and whether it can be relied on: a clock that has
// jumped proves nothing about how long ago something was. Nor does one that did,
// or that nobody watched, before it was Steady.
type Clock struct {
	Now    time.Time
	Jumped bool
	Steady time.Time // nobody has set it since then; zero: since ever

	// Apart is by how much the clock of whoever wrote a time down may be from this one.
	Apart time.Duration

	// Forgot is until when the store may have lost what was written; zero: nothing.
	Forgot time.Time
}

// MaxSends is how often an operation is sent at most: a gateway that never
// answers will not answer the next one either.
const MaxSends = 20

// Next is claim A: what may be done about an operation whose outcome is open.
// It is sent (again) only
//
//   - if no send of it can have arrived, or
//   - with the same id, before the gateway forgets it: after checks that settled
//     nothing, or where there is no check, or
//   - after a check that must have seen it did not: it began when the last sender
//     had been known to have stopped for H + L.
//
// Everything else is checked, waited for, or left to a human.
func (c Contract) Next(o *Operation, k Clock) Move {
	c, o = c.towards(o), o.doubted(k)
	switch {
	case o.Hinted && c.Lookup:
		return Move{Do: Check, At: o.hintAt(k)}
	case o.Outcome.Final(), o.Outcome == Conflict, o.Parked != "":
		return Move{Do: Rest}
	case o.Outcome == ActionRequired:
		return c.watch(o, k)
	case !o.LeaseUntil.IsZero():
		return Move{Do: Wait, At: o.LeaseUntil}
	case !o.Exposed:
		return c.sendAbsent(o, k, "no send of it has reached the gateway")
	case c.Lookup:
		return c.nextByLookup(o, k)
	default:
		return c.nextBlind(o, k)
	}
}

// Next is [Contract.Next] of a gateway as it is just now: where that would send and
// the gateway takes nothing, what may have arrived is asked about all the same, and
// what has not waits.
func (t Terms) Next(o *Operation, k Clock) Move {
	move := t.Contract.Next(o, k)
	switch {
	case move.Do != Send || t.Closed == "":
		return move
	case o.doubted(k).Exposed && t.Contract.Lookup:
		return Move{Do: Check, At: t.Contract.towards(o).checkAt(o, k)}
	default:
		return Move{Do: Wait, At: later(move.At, k.Now.Add(o.closedPause(k)))}
	}
}

// closedPause is how long a send waits until it is looked whether the gateway takes
// it: each look costs a small commit, so the longer it is closed, the fewer.
func (o *Operation) closedPause(k Clock) time.Duration {
	return min(max(time.Second, k.Now.Sub(later(o.StoppedAt, o.SentAt))/4), 15*time.Second)
}

// nextByLookup is Next where the gateway can be asked and the operation may have
// arrived.
func (c Contract) nextByLookup(o *Operation, k Clock) Move {
	switch {
	case c.LagKnown && !o.AbsentAt.IsZero() && o.Lag > c.LookupLag:
		return Move{Do: Park, Why: "the gateway's lookup lags by more than its contract allows"}
	case c.provenAbsent(o, k) && k.Jumped:
		return Move{Do: Park, Why: "the clock has jumped: how old the gateway's answer is cannot be told"}
	case c.provenAbsent(o, k):
		return c.sendAbsent(o, k, "the gateway has no trace of it")
	case o.checkedSince() && c.mayRepeat(o, k):
		return Move{Do: Send, At: o.sendAt()}
	case k.Now.After(o.CreatedAt.Add(c.Patience)):
		return Move{Do: Park, Why: "the gateway could not say what became of it"}
	default:
		return Move{Do: Check, At: c.checkAt(o, k)}
	}
}

// nextBlind is Next where the gateway cannot be asked.
func (c Contract) nextBlind(o *Operation, k Clock) Move {
	until := later(o.StoppedAt, o.SentAt).Add(c.LookupLag + c.InFlight)
	switch {
	case c.mayRepeat(o, k):
		return Move{Do: Send, At: o.sendAt()}
	case k.Now.Before(until): // its notice may still come
		return Move{Do: Wait, At: until}
	default:
		return Move{Do: Park, Why: "the gateway cannot be asked what became of it, and sending it again could do it twice"}
	}
}

// provenAbsent says whether a check must have seen the operation and did not.
func (c Contract) provenAbsent(o *Operation, k Clock) bool {
	if o.AbsentAt.IsZero() || o.StoppedAt.IsZero() || o.Adrift > 0 {
		return false
	}
	return !o.AbsentAt.Before(c.proofAt(o, k))
}

// proofAt is from when on a check that does not find an operation proves that it
// is not there. What came before the clock was steady is of no known age: it is
// taken as of then.
func (c Contract) proofAt(o *Operation, k Clock) time.Time {
	return later(o.StoppedAt, k.Steady).Add(c.LookupLag + c.InFlight + k.Apart)
}

// checkedSince says whether a check has settled nothing since the last send: it
// found nothing yet, or several told nothing at all.
func (o *Operation) checkedSince() bool {
	return !o.AbsentAt.IsZero() || o.Blanks >= blanksBeforeRepeat
}

// blanksBeforeRepeat is how many checks must have told nothing before a repeat is
// tried instead: a gateway that is down answers neither.
const blanksBeforeRepeat = 3

// mayRepeat says whether an operation that may have arrived may be sent again all
// the same: the gateway still promises to do it once, also for a send that takes
// as long as one can.
func (c Contract) mayRepeat(o *Operation, k Clock) bool {
	until := c.resendUntil(o.FirstSentAt)
	if o.ResendUntil.Before(until) { // the contract was another one then, or there was none
		until = o.ResendUntil
	}
	return !k.Jumped && k.Now.Add(c.Lease()+k.Apart).Before(until) && !c.sentEnough(o, k)
}

// resendUntil is until when an operation that is first sent at a time may be
// repeated; zero: never.
func (c Contract) resendUntil(first time.Time) time.Time {
	if c.Window <= 0 {
		return time.Time{}
	}
	c = c.withDefaults()
	return first.Add(c.Window - c.InFlight - c.Skew)
}

// sendAbsent sends an operation that certainly has not happened, for the reason
// that is given, or drops it.
func (c Contract) sendAbsent(o *Operation, k Clock, proof string) Move {
	if c.sentEnough(o, k) {
		return Move{Do: Drop, Why: proof}
	}
	return Move{Do: Send, At: o.sendAt(), Anew: true}
}

// sentEnough says whether an operation is not to be sent any more, though it
// could be.
func (c Contract) sentEnough(o *Operation, k Clock) bool {
	return k.Now.After(o.CreatedAt.Add(c.ResendFor)) || o.Attempt >= MaxSends
}

// sendAt spaces sends out, the more the more there were.
func (o *Operation) sendAt() time.Time {
	return later(o.StoppedAt, o.SentAt).Add(o.jittered(backoff(o.Attempt-1, 250*time.Millisecond, time.Minute)))
}

// checkAt spaces checks out: the first is within a second of the send's end. One
// is made as soon as it can prove something.
func (c Contract) checkAt(o *Operation, k Clock) time.Time {
	if ended := later(o.StoppedAt, o.SentAt); o.CheckedAt.Before(ended) {
		return ended.Add(o.jittered(time.Second))
	}
	at := o.CheckedAt.Add(o.jittered(backoff(o.Blanks, 500*time.Millisecond, time.Minute)))
	proof := c.proofAt(o, k)
	if !o.StoppedAt.IsZero() && o.CheckedAt.Before(proof) && at.After(proof) {
		return proof
	}
	return at
}

// hintAt is when a notice is looked into: at once, and then, for an operation that
// nothing else looks after, less and less often until the gateway answers.
func (o *Operation) hintAt(k Clock) time.Time {
	if o.open() || o.Blanks == 0 {
		return k.Now
	}
	return o.CheckedAt.Add(o.jittered(backoff(o.Blanks, 500*time.Millisecond, time.Minute)))
}

// hintChecks is how many checks that the gateway does not answer a notice is worth
// where nothing else is to be found out: over an hour, and it was up just now.
const hintChecks = 100

// watch is Next while somebody must act at the gateway, whose notice may be lost: it
// is asked less and less often, for as long as customers are waited for, when it must
// tell of all that was done until then, and once a day for a month: who acts late has
// paid, too. What others wait for is left to a human by then, and so is what nobody
// can ask about.
func (c Contract) watch(o *Operation, k Clock) Move {
	over := o.CreatedAt.Add(c.Patience)
	switch {
	case k.Now.After(over) && o.open():
		return Move{Do: Park, Why: "somebody had to act at the gateway, and it did not say that they did"}
	case k.Now.After(over) && !c.Lookup:
		return Move{Do: Park, Why: "somebody had to act at the gateway, and it cannot be asked whether they did"}
	case !c.Lookup:
		return Move{Do: Wait, At: over.Add(time.Microsecond)}
	}
	last, all := later(o.CheckedAt, o.SentAt), over.Add(c.LookupLag)
	if k.Now.After(over) && !o.AbsentAt.Before(all) {
		return Move{Do: Park, Why: "somebody had to act at the gateway, which has no trace of it any more"}
	}
	next := last.Add(min(max(last.Sub(o.SentAt), 10*time.Second), time.Hour))
	switch {
	case next.Before(over):
		return Move{Do: Check, At: next}
	case last.Before(all):
		return Move{Do: Check, At: all}
	case last.Before(over.Add(watchLate)):
		return Move{Do: Check, At: last.Add(24 * time.Hour)}
	default:
		return Move{Do: Rest}
	}
}

// watchLate is for how long it is looked whether somebody acted who is not waited for
// any more: no gateway keeps an action open for longer that we know of.
const watchLate = 30 * 24 * time.Hour

// backoff doubles a pause n times, up to a most.
func backoff(n int64, first, most time.Duration) time.Duration {
	return min(first<<min(n, 16), most)
}

// jittered takes up to half off a pause: by the operation's id, so that those
// that fell into doubt together do not come back together, and so that the same
// inputs give the same answer. Whole microseconds: stores keep no more.
func (o *Operation) jittered(d time.Duration) time.Duration {
	h := fnv.New32a()
	h.Write([]byte(o.ID))
	h.Write([]byte{byte(o.Checks), byte(o.Attempt)})
	return (d - d/2*time.Duration(h.Sum32()%1024)/1024).Truncate(time.Microsecond)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
