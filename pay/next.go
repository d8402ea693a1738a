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
}

// Clock is what the time is, and whether it can be relied on: a clock that has
// jumped proves nothing about how long ago something was.
type Clock struct {
	Now    time.Time
	Jumped bool
}

// MaxSends is how often an operation is sent at most: a gateway that never
// answers will not answer the next one either.
const MaxSends = 20

// Next is claim A: what may be done about an operation whose outcome is open.
// It is sent (again) only
//
//   - if no send of it can have arrived, or
//   - with the same id, before the gateway forgets it: after a check that settled
//     nothing, or where there is no check, or
//   - after a check that must have seen it did not: it began when the last sender
//     had been known to have stopped for H + L.
//
// Everything else is checked, waited for, or left to a human.
func (c Contract) Next(o *Operation, k Clock) Move {
	c = c.withDefaults()
	switch {
	case o.Hinted && c.Lookup:
		return Move{Do: Check, At: k.Now}
	case o.Outcome.Final(), o.Outcome == Conflict, o.Parked != "":
		return Move{Do: Rest}
	case o.Outcome == ActionRequired:
		return c.watch(o, k)
	case !o.LeaseUntil.IsZero():
		return Move{Do: Wait, At: o.LeaseUntil}
	case !o.Exposed:
		return c.sendAgain(o, k, "no send of it has reached the gateway")
	case c.Lookup && c.LagKnown && !o.AbsentAt.IsZero() && o.Lag > c.LookupLag:
		return Move{Do: Park, Why: "the gateway's lookup lags by more than its contract allows"}
	case c.Lookup:
		return c.nextByLookup(o, k)
	default:
		return c.nextBlind(o, k)
	}
}

// nextByLookup is Next where the gateway can be asked and the operation may have
// arrived.
func (c Contract) nextByLookup(o *Operation, k Clock) Move {
	switch {
	case c.provenAbsent(o) && k.Jumped:
		return Move{Do: Park, Why: "the clock has jumped: how old the gateway's answer is cannot be told"}
	case c.provenAbsent(o):
		return c.sendAgain(o, k, "the gateway has no trace of it")
	case c.checkedSince(o) && c.mayRepeat(o, k):
		return c.sendAgain(o, k, "")
	case k.Now.After(o.CreatedAt.Add(c.Patience)):
		return Move{Do: Park, Why: "the gateway could not say what became of it"}
	default:
		return Move{Do: Check, At: c.checkAt(o)}
	}
}

// nextBlind is Next where the gateway cannot be asked.
func (c Contract) nextBlind(o *Operation, k Clock) Move {
	until := later(o.StoppedAt, o.SentAt).Add(c.LookupLag + c.InFlight)
	switch {
	case c.mayRepeat(o, k):
		return c.sendAgain(o, k, "")
	case k.Now.Before(until): // its notice may still come
		return Move{Do: Wait, At: until}
	default:
		return Move{Do: Park, Why: "the gateway cannot be asked what became of it, and sending it again could do it twice"}
	}
}

// provenAbsent says whether a check must have seen the operation and did not.
func (c Contract) provenAbsent(o *Operation) bool {
	if o.AbsentAt.IsZero() || o.StoppedAt.IsZero() || o.Adrift > 0 {
		return false
	}
	told := !c.LagKnown || !o.AbsentAt.Add(-o.Lag).Before(o.StoppedAt.Add(c.InFlight))
	return told && !o.AbsentAt.Before(o.StoppedAt.Add(c.LookupLag+c.InFlight))
}

// checkedSince says whether a check has settled nothing since the last send: it
// found nothing yet, or several told nothing at all.
func (c Contract) checkedSince(o *Operation) bool {
	return !o.AbsentAt.IsZero() || o.Blanks >= blanksBeforeRepeat
}

// blanksBeforeRepeat is how many checks must have told nothing before a repeat is
// tried instead: a gateway that is down answers neither.
const blanksBeforeRepeat = 3

// mayRepeat says whether the gateway still promises to do the operation once,
// also for a send that takes as long as one can.
func (c Contract) mayRepeat(o *Operation, k Clock) bool {
	until := o.FirstSentAt.Add(c.Window - c.InFlight - c.Skew)
	if o.ResendUntil.Before(until) {
		until = o.ResendUntil
	}
	return c.Window > 0 && !k.Jumped && !o.ResendUntil.IsZero() && k.Now.Add(c.Lease()).Before(until)
}

// resendUntil is until when an operation that is first sent now may be repeated.
func (c Contract) resendUntil(now time.Time) time.Time {
	if c.Window == 0 {
		return time.Time{}
	}
	c = c.withDefaults()
	return now.Add(c.Window - c.InFlight - c.Skew)
}

// sendAgain sends an operation that may be sent, unless it is too late or was
// too often. Proof is why it certainly has not happened; "" if that is not known.
func (c Contract) sendAgain(o *Operation, k Clock, proof string) Move {
	old := k.Now.After(o.CreatedAt.Add(c.ResendFor)) || o.Attempt >= MaxSends
	switch {
	case old && proof != "":
		return Move{Do: Drop, Why: proof}
	case old && c.Lookup && k.Now.Before(o.CreatedAt.Add(c.Patience)):
		return Move{Do: Check, At: c.checkAt(o)}
	case old:
		return Move{Do: Park, Why: "it was sent as often and as long as it may be, and there is no answer"}
	default:
		return Move{Do: Send, At: o.sendAt()}
	}
}

// sendAt spaces sends out, the more the more there were.
func (o *Operation) sendAt() time.Time {
	if o.Attempt == 0 {
		return o.CreatedAt
	}
	return later(o.StoppedAt, o.SentAt).Add(o.jittered(backoff(o.Attempt-1, 250*time.Millisecond, time.Minute)))
}

// checkAt spaces checks out: the first is within a second of the send's end. One
// is made as soon as it can prove something.
func (c Contract) checkAt(o *Operation) time.Time {
	if ended := later(o.StoppedAt, o.SentAt); o.CheckedAt.Before(ended) {
		return ended.Add(o.jittered(time.Second))
	}
	at := o.CheckedAt.Add(o.jittered(backoff(o.Blanks, 500*time.Millisecond, time.Minute)))
	proof := o.StoppedAt.Add(c.LookupLag + c.InFlight)
	if !o.StoppedAt.IsZero() && o.CheckedAt.Before(proof) && at.After(proof) {
		return proof
	}
	return at
}

// watch is Next while a customer acts at the gateway, whose notice may be lost.
func (c Contract) watch(o *Operation, k Clock) Move {
	if !c.Lookup || k.Now.After(o.CreatedAt.Add(c.Patience)) {
		return Move{Do: Rest}
	}
	age := later(o.CheckedAt, o.UpdatedAt).Sub(o.CreatedAt)
	return Move{Do: Check, At: later(o.CheckedAt, o.UpdatedAt).Add(min(max(age, 10*time.Second), time.Hour))}
}

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
