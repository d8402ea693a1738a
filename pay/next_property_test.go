package pay_test

import (
	"cmp"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/oncepay/oncepay/pay"
)

// anyDuration is one of those that contracts and histories are made of, or next to
// a sum of some of them.
func anyDuration(t *rapid.T, name string) time.Duration {
	parts := []time.Duration{
		0, 0, time.Second, 3 * time.Second, 4 * time.Second, 8 * time.Second, 30 * time.Second, 5 * time.Minute,
		15 * time.Minute, time.Hour, 24 * time.Hour,
	}
	var sum time.Duration
	for range rapid.IntRange(1, 4).Draw(t, name+" parts") {
		sum += rapid.SampledFrom(parts).Draw(t, name)
	}
	return max(0, sum+rapid.SampledFrom([]time.Duration{0, 0, -µs, µs}).Draw(t, name+" edge"))
}

// anyTime is a time after noon, or none.
func anyTime(t *rapid.T, name string) time.Time {
	if rapid.IntRange(0, 3).Draw(t, name+" is set") == 0 {
		return time.Time{}
	}
	return after(anyDuration(t, name))
}

func anyContract(t *rapid.T) pay.Contract {
	return pay.Contract{
		Window: anyDuration(t, "W"), Lookup: rapid.Bool().Draw(t, "lookup"), LookupLag: anyDuration(t, "H"), InFlight: anyDuration(t, "L"),
		LagKnown: rapid.Bool().Draw(t, "lag known"), Timeout: anyDuration(t, "timeout"), Skew: anyDuration(t, "skew"),
		ResendFor: anyDuration(t, "resend for"), Patience: anyDuration(t, "patience"),
	}
}

// anyOperation is in a state that may be one of those that can be, or may not:
// what is not decided by what is known must be decided well all the same.
func anyOperation(t *rapid.T) pay.Operation {
	return pay.Operation{
		ID: rapid.SampledFrom([]string{"att_1", "att_2", "re_3"}).Draw(t, "id"), Kind: rapid.SampledFrom([]pay.Kind{pay.Charge, pay.Authorize, pay.Capture, pay.Void, pay.Refund}).Draw(t, "kind"), Amount: 100,
		Outcome: rapid.SampledFrom([]pay.Outcome{0, 0, 0, 0, pay.ActionRequired, pay.Declined, pay.Done, pay.Conflict}).Draw(t, "outcome"),
		Parked:  rapid.SampledFrom([]string{"", "", "", "parked"}).Draw(t, "parked"),
		Attempt: rapid.Int64Range(1, pay.MaxSends+1).Draw(t, "attempt"), Exposed: rapid.Bool().Draw(t, "exposed"),
		FirstSentAt: after(anyDuration(t, "first sent")), SentAt: after(anyDuration(t, "sent")), CreatedAt: noon,
		LeaseUntil: anyTime(t, "lease"), StoppedAt: anyTime(t, "stopped"), ResendUntil: anyTime(t, "resend until"),
		Adrift: rapid.SampledFrom([]int64{0, 0, 1}).Draw(t, "adrift"),
		Checks: rapid.Int64Range(0, 5).Draw(t, "checks"), Blanks: rapid.Int64Range(0, 5).Draw(t, "blanks"),
		CheckedAt: anyTime(t, "checked"), AbsentAt: anyTime(t, "absent"), Lag: anyDuration(t, "lag"),
		LookupLag: anyDuration(t, "H of then"), InFlight: anyDuration(t, "L of then"),
		Hinted: rapid.IntRange(0, 9).Draw(t, "hinted") == 0,
	}
}

// mission is claim A again, as the mission has it: it shares nothing with the
// code but the names of the numbers.
type mission struct {
	w, h, l, skew time.Duration
	pay.Contract
}

func newMission(c pay.Contract, o *pay.Operation) mission {
	return mission{
		w: c.Window, h: max(o.LookupLag, cmp.Or(c.LookupLag, 15*time.Minute)), l: max(o.InFlight, cmp.Or(c.InFlight, 15*time.Minute)), skew: cmp.Or(c.Skew, 5*time.Minute),
		Contract: c,
	}
}

// neverArrived: every send of it is known to have gone nowhere.
func (m mission) neverArrived(o *pay.Operation) bool { return !o.Exposed && o.LeaseUntil.IsZero() }

// insideTheWindow: a resend is legal with the same id before first send + W − L −
// skew. First it is checked, where that can be done.
func (m mission) insideTheWindow(o *pay.Operation, k pay.Clock) bool {
	checked := !m.Lookup || !o.AbsentAt.IsZero() || o.Blanks >= 3
	return m.w > 0 && !k.Jumped && checked && k.Now.Add(m.l+m.skew).Before(o.FirstSentAt.Add(m.w))
}

// provenAbsent: a resend is legal after a definitive "absent" that was seen at
// least H + L after the last sender is known to have stopped, by a clock that was
// watched all that time. One that says that it lags by more than H is not
// definitive.
func (m mission) provenAbsent(o *pay.Operation, k pay.Clock) bool {
	seen := m.Lookup && !o.AbsentAt.IsZero() && !k.Jumped && (!m.LagKnown || o.Lag <= m.h)
	stopped := !o.StoppedAt.IsZero() && o.Adrift == 0 && o.LeaseUntil.IsZero()
	watched := k.Steady.IsZero() || o.AbsentAt.Sub(k.Steady) >= m.h+m.l
	return seen && stopped && watched && o.AbsentAt.Sub(o.StoppedAt) >= m.h+m.l
}

func TestNothingIsSentWithoutALegalReason(t *testing.T) {
	dos := map[pay.Do]int{}
	rapid.Check(t, func(t *rapid.T) {
		c := anyContract(t)
		for range 50 { // of each gateway
			dos[checkLegal(t, c)]++
		}
	})
	for do := pay.Wait; do <= pay.Rest; do++ {
		if dos[do] == 0 {
			t.Errorf("nothing was ever to %s: the test says nothing of it", do)
		}
	}
}

func checkLegal(t *rapid.T, c pay.Contract) pay.Do {
	o := anyOperation(t)
	k := pay.Clock{Now: after(anyDuration(t, "now")), Jumped: rapid.IntRange(0, 5).Draw(t, "jumped") == 0, Steady: anyTime(t, "steady")}
	before := o
	move := c.Next(&o, k)
	m := newMission(c, &o)
	legal := m.neverArrived(&o) || m.insideTheWindow(&o, k) || m.provenAbsent(&o, k)
	open := o.Outcome == pay.Unknown && o.Parked == ""
	waits := o.Outcome == pay.ActionRequired && o.Parked == "" && o.Kind != pay.Charge && o.Kind != pay.Authorize
	switch {
	case o != before:
		t.Fatalf("it was changed by being looked at")
	case move.Do == pay.Send && !legal:
		t.Fatalf("sent, which is not legal")
	case move.Do == pay.Send && (!open || o.Attempt >= pay.MaxSends || !o.LeaseUntil.IsZero()):
		t.Fatalf("sent, though it is settled, at work, or was sent too often")
	case move.Do == pay.Drop && (!open || !m.neverArrived(&o) && !m.provenAbsent(&o, k)):
		t.Fatalf("taken for not having happened, which is not known")
	case move.Do == pay.Park && !open && !waits && o.Outcome != pay.ActionRequired:
		t.Fatalf("parked, though it is settled")
	case move.Do == pay.Check && !c.Lookup:
		t.Fatalf("checked, which cannot be done")
	case (move.Do == pay.Park || move.Do == pay.Drop) != (move.Why != ""):
		t.Fatalf("to %s for the reason %q", move.Do, move.Why)
	case (move.Do == pay.Wait || move.Do == pay.Check || move.Do == pay.Send) == move.At.IsZero():
		t.Fatalf("to %s at %s", move.Do, move.At)
	}
	return move.Do
}

// luck draws what a gateway that settles nothing does.
type luck struct {
	t        *rapid.T
	contract pay.Contract
}

func (l luck) answer() pay.Finding {
	return rapid.SampledFrom([]pay.Finding{silence, silence, unsent}).Draw(l.t, "answer")
}

func (l luck) found() pay.Finding {
	f := rapid.SampledFrom([]pay.Finding{silence, absent}).Draw(l.t, "found")
	if f.Absent && l.contract.LagKnown {
		f.Lag = rapid.SampledFrom([]time.Duration{0, l.contract.LookupLag}).Draw(l.t, "lag")
	}
	return f
}

// A gateway that answers nothing ends nothing: every operation is given up in a
// bounded time, after a bounded number of sends and checks, also where senders
// vanish, time is jumped over and the gateway takes nothing for a while.
func TestWhatTheGatewaySettlesNothingOfEndsAllTheSame(t *testing.T) {
	ends := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		c := anyContract(t)
		w := newWorld(c)
		p := w.confirmed(t)
		sends, checks := follow(t, w, p, luck{t, c})
		o := w.last(p)
		patience := cmp.Or(c.Patience, 24*time.Hour)
		resend := cmp.Or(c.ResendFor, 15*time.Minute)
		hl := cmp.Or(c.LookupLag, 15*time.Minute) + cmp.Or(c.InFlight, 15*time.Minute)
		bound := max(patience, resend) + hl + 2*c.Lease() + 10*time.Minute
		if lasted := w.now.Sub(noon); lasted > bound {
			t.Fatalf("it took %s, at most %s", lasted, bound)
		}
		if most := int(patience/(30*time.Second)) + pay.MaxSends*12; sends > pay.MaxSends || checks > most {
			t.Fatalf("%d sends and %d checks, at most %d and %d", sends, checks, pay.MaxSends, most)
		}
		if o.Parked == "" && o.Outcome != pay.Declined || !o.DueAt.IsZero() {
			t.Fatalf("it ended as %+v", o)
		}
		ends[w.at(p).Status.String()]++
		if w.books() != (books{}) {
			t.Fatalf("money was booked: %+v", w.books())
		}
	})
	if ends["failed"] == 0 || ends["needs_review"] == 0 {
		t.Errorf("it ended as %v: the test says nothing", ends)
	}
}

// follow does what is due until nothing is.
func follow(t *rapid.T, w *world, p *pay.Payment, l luck) (sends, checks int) {
	for range 20_000 {
		o := w.last(p)
		if len(w.orders) > 0 { // the send that was just written down
			order := w.orders[0]
			w.orders = nil
			sends++
			if rapid.IntRange(0, 9).Draw(t, "vanishes") == 0 {
				continue // nobody will answer it
			}
			w.now = w.now.Add(rapid.SampledFrom([]time.Duration{0, time.Second, l.contract.Wait()}).Draw(t, "takes"))
			f := l.answer()
			w.do(t, pay.Record{Ref: p.Ref, Operation: o.ID, House: w.house, Finding: &f, Attempt: order.Attempt})
			continue
		}
		if o.DueAt.IsZero() {
			return sends, checks
		}
		w.now = later(w.now, o.DueAt).Add(rapid.SampledFrom([]time.Duration{0, 0, µs, time.Second}).Draw(t, "late"))
		r := pay.Record{Ref: p.Ref, Operation: o.ID, House: w.house}
		if !o.LeaseUntil.IsZero() {
			r.Lost, r.Sender = true, o.Attempt
			r.Gone = rapid.Bool().Draw(t, "gone")
		} else if l.contract.Next(o, pay.Clock{Now: w.now}).Do == pay.Check {
			f := l.found()
			r.Finding, r.Began = &f, w.now
			checks++
		}
		if o := w.do(t, r); o.Order != nil && rapid.IntRange(0, 3).Draw(t, "shut") == 0 {
			w.shut("it is down")
		} else {
			w.shut("")
		}
	}
	t.Fatalf("there is no end to it")
	return 0, 0
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
