package pay_test

import (
	"testing"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// µs is the smallest time there is.
const µs = time.Microsecond

// after is so long after noon, when the operation of these tests was made and its
// first send written down.
func after(d time.Duration) time.Time { return noon.Add(d) }

// op makes an operation that was sent once, at noon, and whose send has ended 3 s
// later; how, and what else happened, is what is given.
func op(events ...func(*pay.Operation)) pay.Operation {
	o := pay.Operation{
		ID: "att_1", Kind: pay.Charge, Amount: 100, Attempt: 1, CreatedAt: noon, FirstSentAt: noon, SentAt: noon,
		StoppedAt: after(3 * time.Second), ResendUntil: after(24*time.Hour - 4*time.Second - 5*time.Minute),
	}
	for _, f := range events {
		f(&o)
	}
	return o
}

// What can have happened to it.
func mayHaveArrived(o *pay.Operation) { o.Exposed = true }

func atWork(o *pay.Operation) { o.StoppedAt, o.LeaseUntil = time.Time{}, after(8*time.Second) }

// lost: nothing was heard of the sender, and nobody knows whether it has stopped.
func lost(o *pay.Operation) { o.Exposed, o.Adrift, o.StoppedAt = true, 1, time.Time{} }

// notFound: a check that began then did not find it.
func notFound(at time.Duration) func(*pay.Operation) {
	return func(o *pay.Operation) {
		o.AbsentAt, o.CheckedAt, o.Checks, o.Blanks = after(at), after(at), 1, 1
	}
}

// checked: a check that began then found it.
func checked(at time.Duration) func(*pay.Operation) {
	return func(o *pay.Operation) { o.CheckedAt, o.Checks = after(at), 1 }
}

// lagging: that check may have missed what had happened so long before.
func lagging(by time.Duration) func(*pay.Operation) { return func(o *pay.Operation) { o.Lag = by } }

// noAnswers: so many checks were not answered, the last one at 10 s.
func noAnswers(n int64) func(*pay.Operation) {
	return func(o *pay.Operation) { o.Checks, o.Blanks, o.CheckedAt = n, n, after(10*time.Second) }
}

// sentAgain: the last send was written down then.
func sentAgain(at time.Duration) func(*pay.Operation) {
	return func(o *pay.Operation) { o.Attempt, o.SentAt = 2, after(at) }
}

func sends(n int64) func(*pay.Operation) { return func(o *pay.Operation) { o.Attempt = n } }

func came(to pay.Outcome) func(*pay.Operation) { return func(o *pay.Operation) { o.Outcome = to } }

func a(k pay.Kind) func(*pay.Operation) { return func(o *pay.Operation) { o.Kind = k } }

func parked(o *pay.Operation) { o.Parked = "nobody knows" }

func hinted(o *pay.Operation) { o.Hinted = true }

// resendUntil: the contract of then ended so long after noon.
func resendUntil(d time.Duration) func(*pay.Operation) {
	return func(o *pay.Operation) { o.ResendUntil = after(d) }
}

// promised: so long were H and L when it was sent.
func promised(h, l time.Duration) func(*pay.Operation) {
	return func(o *pay.Operation) { o.LookupLag, o.InFlight = h, l }
}

func neverRepeat(o *pay.Operation) { o.ResendUntil = time.Time{} }

// Contracts. H and L are 4 s, a send takes 3 s at most and is taken for lost after
// 8 s, clocks may be 5 minutes apart.
var (
	forgets  = with(prompt, func(c *pay.Contract) { c.Window = 0 })                                   // does what it is sent, every time
	hourLong = with(prompt, func(c *pay.Contract) { c.Window, c.ResendFor = time.Hour, 2*time.Hour }) // forgets after an hour, and is sent to for longer
	tells    = with(forgets, func(c *pay.Contract) { c.LagKnown = true })                             // and tells how far its lookup is behind
	silent   = with(forgets, func(c *pay.Contract) { c.Lookup = false })                              // and cannot be asked
	careful  = pay.Contract{}
)

func with(c pay.Contract, change func(*pay.Contract)) pay.Contract {
	change(&c)
	return c
}

// latest is when the last send of hourLong begins at the latest: W − L − skew, and
// the 8 s that a send can take.
const latest = time.Hour - 4*time.Second - 5*time.Minute - 8*time.Second

// claimA is claim A of the mission: what may be done about an operation whose
// outcome is open, by what is known of it, what its gateway promises, and the time.
var claimA = []struct {
	sentence string
	contract pay.Contract
	op       pay.Operation
	at       time.Duration // since noon
	want     pay.Do
}{
	// Nothing can have arrived.
	{"what never left is sent", forgets, op(), 5 * time.Second, pay.Send},
	{"what never left is sent, whatever the gateway promises", careful, op(), 5 * time.Second, pay.Send},
	{"what never left is sent for 15 minutes", forgets, op(), 15 * time.Minute, pay.Send},
	{"what never left is dropped then: nobody is charged tomorrow for what failed today", forgets, op(), 15*time.Minute + µs, pay.Drop},
	{"what never left is sent 20 times", prompt, op(sends(19)), 5 * time.Second, pay.Send},
	{"what never left in 20 sends is dropped", prompt, op(sends(20)), 5 * time.Second, pay.Drop},

	// A send is at work.
	{"a send at work is waited for", prompt, op(atWork), 2 * time.Second, pay.Wait},
	{"a send at work is waited for, also if an earlier one may have arrived", prompt, op(mayHaveArrived, atWork), 2 * time.Second, pay.Wait},
	{"a send whose lease is over may still be at work: who takes it over says what he knows", prompt, op(atWork), time.Hour, pay.Wait},

	// It may have arrived: first it is checked.
	{"what may have arrived is checked, not sent", prompt, op(mayHaveArrived), 4 * time.Second, pay.Check},
	{"what may have arrived is checked, not sent, where it would be done twice", forgets, op(mayHaveArrived), 4 * time.Second, pay.Check},
	{"one check without an answer is no reason to send", prompt, op(mayHaveArrived, noAnswers(1)), 11 * time.Second, pay.Check},
	{"two checks without an answer are no reason to send", prompt, op(mayHaveArrived, noAnswers(2)), 11 * time.Second, pay.Check},
	{"after three it is sent, with the same id, inside the window", prompt, op(mayHaveArrived, noAnswers(3)), 11 * time.Second, pay.Send},
	{"after three it is checked on where it would be done twice", forgets, op(mayHaveArrived, noAnswers(3)), 11 * time.Second, pay.Check},

	// (a) With the same id, before first send + W − L − skew.
	{"not found, and inside the window: sent", prompt, op(mayHaveArrived, notFound(4*time.Second)), 5 * time.Second, pay.Send},
	{"not found, and there is no window: checked on", forgets, op(mayHaveArrived, notFound(4*time.Second)), 5 * time.Second, pay.Check},
	{"long inside W − L − skew it is sent", hourLong, op(mayHaveArrived, notFound(4*time.Second)), 30 * time.Minute, pay.Send},
	{"just inside W − L − skew it is sent", hourLong, op(mayHaveArrived, notFound(4*time.Second)), latest - µs, pay.Send},
	{"at its edge it is not", hourLong, op(mayHaveArrived, notFound(4*time.Second)), latest, pay.Check},
	{"after its edge it is not", hourLong, op(mayHaveArrived, notFound(4*time.Second)), latest + µs, pay.Check},
	{"after W it is not", hourLong, op(mayHaveArrived, notFound(4*time.Second)), time.Hour + µs, pay.Check},
	{"checks without an answer open no window that is over", hourLong, op(mayHaveArrived, noAnswers(9)), latest, pay.Check},
	{"the window that was promised when it was first sent counts, if it is shorter", hourLong, op(mayHaveArrived, notFound(4*time.Second), resendUntil(time.Minute)), 52 * time.Second, pay.Check},
	{"and inside that it is sent", hourLong, op(mayHaveArrived, notFound(4*time.Second), resendUntil(time.Minute)), 52*time.Second - µs, pay.Send},
	{"a window that was not promised when it was first sent is none", prompt, op(mayHaveArrived, notFound(4*time.Second), neverRepeat), 5 * time.Second, pay.Check},
	{"a window shorter than skew and flight is none", with(prompt, func(c *pay.Contract) { c.Window = 5 * time.Minute }),
		op(mayHaveArrived, notFound(4*time.Second)), 5 * time.Second, pay.Check},

	// (b) After a check that must have seen it: H + L after the sender has stopped.
	{"not found, just before H + L: checked on", forgets, op(mayHaveArrived, notFound(11*time.Second-µs)), 12 * time.Second, pay.Check},
	{"not found, at H + L: sent", forgets, op(mayHaveArrived, notFound(11*time.Second)), 12 * time.Second, pay.Send},
	{"not found, after H + L: sent", forgets, op(mayHaveArrived, notFound(20*time.Second)), 21 * time.Second, pay.Send},
	{"that it is late now makes no early check a proof", forgets, op(mayHaveArrived, notFound(11*time.Second-µs)), time.Hour, pay.Check},
	{"not found after H + L, and too old: dropped", forgets, op(mayHaveArrived, notFound(20*time.Second)), 15*time.Minute + µs, pay.Drop},
	{"not found after H + L, and sent too often: dropped", forgets, op(mayHaveArrived, notFound(20*time.Second), sends(20)), 21 * time.Second, pay.Drop},
	{"by default H + L is half an hour", with(careful, func(c *pay.Contract) { c.Lookup, c.ResendFor = true, time.Hour }),
		op(mayHaveArrived, notFound(30*time.Minute+3*time.Second-µs)), 31 * time.Minute, pay.Check},
	{"and then it is a proof", with(careful, func(c *pay.Contract) { c.Lookup, c.ResendFor = true, time.Hour }),
		op(mayHaveArrived, notFound(30*time.Minute+3*time.Second)), 31 * time.Minute, pay.Send},

	{"an H below nothing is one that was not declared", with(forgets, func(c *pay.Contract) { c.LookupLag = -time.Hour }),
		op(mayHaveArrived, notFound(11*time.Second)), 12 * time.Second, pay.Check},
	{"a window below nothing is none", with(prompt, func(c *pay.Contract) { c.Window = -time.Hour }),
		op(mayHaveArrived, notFound(4*time.Second)), 5 * time.Second, pay.Check},

	// The last sender is not known to have stopped.
	{"not found, and the sender may still be at it: checked on", forgets, op(lost, notFound(time.Minute)), 2 * time.Minute, pay.Check},
	{"not found for hours, and the sender may still be at it: checked on", forgets, op(lost, notFound(5*time.Hour)), 6 * time.Hour, pay.Check},
	{"an earlier sender that may still be at it is one too", forgets,
		op(mayHaveArrived, notFound(time.Minute), func(o *pay.Operation) { o.Attempt, o.Adrift = 2, 1 }), 2 * time.Minute, pay.Check},
	{"where it is done once that does not matter", prompt, op(lost, notFound(9*time.Second)), 10 * time.Second, pay.Send},

	// The lookup tells by how much it lags.
	{"a lag within H is no objection", tells, op(mayHaveArrived, notFound(11*time.Second), lagging(4*time.Second)), 12 * time.Second, pay.Send},
	{"a lag beyond H breaks the contract: a human must look", tells, op(mayHaveArrived, notFound(11*time.Second), lagging(4*time.Second+µs)), 12 * time.Second, pay.Park},
	{"however long ago that was", tells, op(mayHaveArrived, notFound(time.Hour), lagging(5*time.Second)), 2 * time.Hour, pay.Park},
	{"also inside the window", with(tells, func(c *pay.Contract) { c.Window = 24 * time.Hour }),
		op(mayHaveArrived, notFound(4*time.Second), lagging(5*time.Second)), 5 * time.Second, pay.Park},
	{"a lag is nothing where the contract does not say what it means", forgets,
		op(mayHaveArrived, notFound(11*time.Second), lagging(time.Hour)), 12 * time.Second, pay.Send},

	// The gateway cannot be asked.
	{"blind, inside the window: sent", blind, op(mayHaveArrived), 5 * time.Second, pay.Send},
	{"blind, no window: its notice is waited for, H + L", silent, op(mayHaveArrived), 11*time.Second - µs, pay.Wait},
	{"blind, no window, and no notice came: a human must look", silent, op(mayHaveArrived), 11 * time.Second, pay.Park},
	{"blind, too old to be sent: a human must look", blind, op(mayHaveArrived), 15*time.Minute + µs, pay.Park},
	{"blind, sent 20 times: its notice is waited for", blind, op(mayHaveArrived, sends(20)), 5 * time.Second, pay.Wait},
	{"blind, sent 20 times, and no notice came: a human must look", blind, op(mayHaveArrived, sends(20)), 11 * time.Second, pay.Park},
	{"blind, and the sender may still be at it: its notice is waited for", silent, op(lost), 7 * time.Second, pay.Wait},
	{"blind, the sender may still be at it, and no notice came: a human must look", silent, op(lost), 8 * time.Second, pay.Park},
	{"a gateway that declares nothing is waited for half an hour", careful, op(mayHaveArrived), 30*time.Minute + 3*time.Second - µs, pay.Wait},
	{"and then a human must look", careful, op(mayHaveArrived), 30*time.Minute + 3*time.Second, pay.Park},

	// How long and how often.
	{"what may have arrived is sent for 15 minutes", prompt, op(mayHaveArrived, notFound(4*time.Second)), 15 * time.Minute, pay.Send},
	{"and checked on then", prompt, op(mayHaveArrived, notFound(4*time.Second)), 15*time.Minute + µs, pay.Check},
	{"sent 20 times, it is checked on", prompt, op(mayHaveArrived, notFound(4*time.Second), sends(20)), 5 * time.Second, pay.Check},
	{"it is checked for a day", prompt, op(mayHaveArrived, notFound(4*time.Second)), 24 * time.Hour, pay.Check},
	{"after that a human must look", prompt, op(mayHaveArrived, notFound(4*time.Second)), 24*time.Hour + µs, pay.Park},
	{"after a day also if the sender may still be at it", forgets, op(lost), 24*time.Hour + µs, pay.Park},
	{"patience is the contract's", with(prompt, func(c *pay.Contract) { c.Patience = time.Hour }), op(mayHaveArrived), time.Hour + µs, pay.Park},

	// It is settled, or somebody else's turn.
	{"what happened is left alone", prompt, op(came(pay.Done)), time.Minute, pay.Rest},
	{"what did not happen is left alone", prompt, op(came(pay.Declined)), time.Minute, pay.Rest},
	{"what contradicts itself is left to a human", prompt, op(mayHaveArrived, came(pay.Conflict)), time.Minute, pay.Rest},
	{"what is parked is left to a human", prompt, op(mayHaveArrived, parked, notFound(20*time.Second)), time.Minute, pay.Rest},
	{"a customer at work is looked after", prompt, op(came(pay.ActionRequired)), time.Minute, pay.Check},
	{"never sent again", prompt, op(mayHaveArrived, came(pay.ActionRequired), notFound(20*time.Second)), time.Minute, pay.Check},
	{"for a day, and when that must tell all", prompt, op(came(pay.ActionRequired), checked(24*time.Hour)), 25 * time.Hour, pay.Check},
	{"then every day for a month", prompt, op(came(pay.ActionRequired), checked(31*24*time.Hour-µs)), 32 * 24 * time.Hour, pay.Check},
	{"and no more: a client or a notice has it checked", prompt, op(came(pay.ActionRequired), checked(31*24*time.Hour)), 32 * 24 * time.Hour, pay.Rest},
	{"a customer whom the gateway has forgotten is left to a human", prompt, op(came(pay.ActionRequired), notFound(24*time.Hour+4*time.Second)), 25 * time.Hour, pay.Park},
	{"where the gateway cannot be asked, a customer is waited for", blind, op(came(pay.ActionRequired)), 24 * time.Hour, pay.Wait},
	{"for a day: whether they paid only a human can find out", blind, op(came(pay.ActionRequired)), 24*time.Hour + µs, pay.Park},
	{"who must act for a capture is looked after as well", prompt, op(came(pay.ActionRequired), a(pay.Capture)), time.Minute, pay.Check},
	{"or waited for, where the gateway cannot be asked", blind, op(came(pay.ActionRequired), a(pay.Capture)), time.Minute, pay.Wait},
	{"but others wait for that: after a day a human must look", prompt, op(came(pay.ActionRequired), a(pay.Capture)), 24*time.Hour + µs, pay.Park},
	{"at a void", prompt, op(came(pay.ActionRequired), a(pay.Void)), 24*time.Hour + µs, pay.Park},
	{"at a refund", blind, op(came(pay.ActionRequired), a(pay.Refund)), 24*time.Hour + µs, pay.Park},

	// A contract that has become shorter is no proof of what was sent under the longer one.
	{"H and L are those of when it was sent", forgets, op(mayHaveArrived, promised(time.Minute, time.Hour), notFound(time.Hour+time.Minute+3*time.Second-µs)), 2 * time.Hour, pay.Check},
	{"and then it is proven", with(forgets, func(c *pay.Contract) { c.ResendFor = 3 * time.Hour }), op(mayHaveArrived, promised(time.Minute, time.Hour), notFound(time.Hour+time.Minute+3*time.Second)), 2 * time.Hour, pay.Send},
	{"or those of now, if they are longer", careful, op(mayHaveArrived, promised(time.Second, time.Second)), 30 * time.Minute, pay.Wait},

	// A notice is a hint to check.
	{"a notice has what is open checked", prompt, op(mayHaveArrived, hinted), 4 * time.Second, pay.Check},
	{"a notice has what is at work checked", prompt, op(atWork, hinted), time.Second, pay.Check},
	{"a notice has what never left checked: it did", prompt, op(hinted), 5 * time.Second, pay.Check},
	{"a notice has what could be sent checked first", prompt, op(mayHaveArrived, hinted, notFound(20*time.Second)), time.Minute, pay.Check},
	{"a notice has what is settled checked", prompt, op(came(pay.Declined), hinted), time.Hour, pay.Check},
	{"a notice has what is parked checked", prompt, op(parked, hinted), 48 * time.Hour, pay.Check},
	{"a notice has what contradicts itself checked", prompt, op(came(pay.Conflict), hinted), time.Hour, pay.Check},
	{"a notice is no hint where nobody can be asked", silent, op(mayHaveArrived, hinted), time.Minute, pay.Park},
}

func TestClaimA(t *testing.T) {
	for _, row := range claimA {
		t.Run(row.sentence, func(t *testing.T) {
			o := row.op
			if got := row.contract.Next(&o, pay.Clock{Now: after(row.at)}); got.Do != row.want {
				t.Errorf("%s, want %s (%+v)", got.Do, row.want, got)
			}
			if o != row.op {
				t.Error("it was changed by being looked at")
			}
		})
	}
}

// A clock that has jumped proves nothing about how long ago something was: what
// does not rest on that goes on, the rest is left to a human.
func TestClaimAWhenTheClockHasJumped(t *testing.T) {
	for _, row := range []struct {
		sentence string
		contract pay.Contract
		op       pay.Operation
		at       time.Duration
		want     pay.Do
	}{
		{"what never left is sent", forgets, op(), 5 * time.Second, pay.Send},
		{"no window is known to be open", prompt, op(mayHaveArrived, notFound(4*time.Second)), 5 * time.Second, pay.Check},
		{"no window is known to be open where there is no check either", blind, op(mayHaveArrived), 11 * time.Second, pay.Park},
		{"that it was not found long after proves nothing", forgets, op(mayHaveArrived, notFound(20*time.Second)), 21 * time.Second, pay.Park},
		{"nor where it would be done once", prompt, op(mayHaveArrived, notFound(20*time.Second)), 21 * time.Second, pay.Park},
		{"what may have arrived is checked", prompt, op(mayHaveArrived), 5 * time.Second, pay.Check},
		{"what is at work is waited for", prompt, op(atWork), 5 * time.Second, pay.Wait},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			if got := row.contract.Next(&row.op, pay.Clock{Now: after(row.at), Jumped: true}); got.Do != row.want {
				t.Errorf("%s, want %s (%+v)", got.Do, row.want, got)
			}
		})
	}
}

// When something is done, as a range: pauses are spread by the operation's id.
func TestWhenItIsDone(t *testing.T) {
	s, ms := time.Second, time.Millisecond
	for _, row := range []struct {
		sentence       string
		contract       pay.Contract
		op             pay.Operation
		at             time.Duration
		do             pay.Do
		earliest, last time.Duration
	}{
		{"the lease of a send at work", prompt, op(atWork), s, pay.Wait, 8 * s, 8 * s},
		{"the first check is within a second of the send's end", prompt, op(mayHaveArrived), 3 * s, pay.Check, 3500 * ms, 4 * s},
		{"and of its beginning if nobody knows its end", prompt, op(lost), 9 * s, pay.Check, 500 * ms, s},
		{"after one check that told nothing, half a second to one later", prompt, op(mayHaveArrived, noAnswers(1)), 10 * s, pay.Check, 10500 * ms, 11 * s},
		{"after two, one second to two", prompt, op(lost, noAnswers(2)), 10 * s, pay.Check, 11 * s, 12 * s},
		{"after many, half a minute to one", forgets, op(lost, noAnswers(50)), 10 * s, pay.Check, 40 * s, 70 * s},
		{"but at H + L, when a check proves something", forgets, op(mayHaveArrived, noAnswers(50)), 10 * s, pay.Check, 11 * s, 11 * s},
		{"a second send, an eighth of a second to a quarter after the first has ended", forgets, op(), 3 * s, pay.Send, 3125 * ms, 3250 * ms},
		{"a third, a quarter to a half", forgets, op(sends(2)), 3 * s, pay.Send, 3250 * ms, 3500 * ms},
		{"a tenth, half a minute to one", forgets, op(sends(10)), 3 * s, pay.Send, 33 * s, 63 * s},
		{"a customer is looked after 10 s after the send", prompt, op(came(pay.ActionRequired)), 5 * s, pay.Check, 10 * s, 10 * s},
		{"and after a check at 40 s, at 80 s", prompt, op(came(pay.ActionRequired), notFound(40*s)), 41 * s, pay.Check, 80 * s, 80 * s},
		{"and after one at 3 h, at 4 h", prompt, op(came(pay.ActionRequired), notFound(3*time.Hour)), 4 * time.Hour, pay.Check, 4 * time.Hour, 4 * time.Hour},
		{"and after one at 23 h 30, when it must tell of all that was done in a day", prompt, op(came(pay.ActionRequired), notFound(23*time.Hour+30*time.Minute)), 24 * time.Hour, pay.Check, 24*time.Hour + 4*s, 24*time.Hour + 4*s},
		{"what was sent again is looked after like what is new", prompt, op(came(pay.ActionRequired), sentAgain(time.Hour)), time.Hour, pay.Check, time.Hour + 10*s, time.Hour + 10*s},
		{"a notice is looked into at once", prompt, op(came(pay.Done), hinted), 5 * s, pay.Check, 5 * s, 5 * s},
		{"and where the gateway did not answer that, again", prompt, op(came(pay.Done), hinted, noAnswers(1)), 10 * s, pay.Check, 10500 * ms, 11 * s},
		{"but what is open does not wait for that", prompt, op(mayHaveArrived, hinted, noAnswers(9)), 10 * s, pay.Check, 10 * s, 10 * s},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			got := row.contract.Next(&row.op, pay.Clock{Now: after(row.at)})
			if got.Do != row.do || got.At.Before(after(row.earliest)) || got.At.After(after(row.last)) {
				t.Errorf("%s at %s, want %s at %s to %s", got.Do, got.At.Sub(noon), row.do, row.earliest, row.last)
			}
		})
	}
}

func TestDosHaveNames(t *testing.T) {
	for do, want := range map[pay.Do]string{
		pay.Wait: "wait", pay.Check: "check", pay.Send: "send", pay.Park: "park", pay.Drop: "drop", pay.Rest: "rest",
	} {
		if got := do.String(); got != want {
			t.Errorf("%d is called %q, want %q", do, got, want)
		}
	}
}

// Where nothing was decided, nothing is sent.
func TestTheZeroMoveSendsNothing(t *testing.T) {
	if (pay.Move{}).Do != pay.Wait {
		t.Errorf("it is to %s", pay.Move{}.Do)
	}
}
