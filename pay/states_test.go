package pay_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oncepay/oncepay/pay"
)

// edge is a transition of a state chart.
type edge struct{ from, to string }

// start is where charts begin.
const start = "[*]"

// follow notes how the operations of a payment have moved.
func (w *world) follow(old, now *pay.Payment) {
	for i, o := range now.Operations {
		from := start
		if old != nil && i < len(old.Operations) {
			from = stateOf(old.Operations[i])
		}
		if to := stateOf(o); from != to {
			w.moves[edge{from, to}] = true
		}
	}
}

// stateOf is where an operation stands, as docs/states.md draws it.
func stateOf(o *pay.Operation) string {
	switch {
	case o.Parked != "":
		return "parked"
	case o.Outcome != pay.Unknown:
		return o.Outcome.String()
	case !o.LeaseUntil.IsZero():
		return "at_work"
	default:
		return "open"
	}
}

// statusMoves are the transitions of payments, as their events tell of them.
func (w *world) statusMoves() map[edge]bool {
	moves, at := map[edge]bool{}, map[string]string{}
	for _, e := range w.events {
		to, is := strings.CutPrefix(e.Type, "payment.")
		if !is || to == "resolved" {
			continue
		}
		from := start
		if to == "created" {
			to = pay.RequiresConfirmation.String()
		} else {
			from = at[e.Subject]
		}
		moves[edge{from, to}] = true
		at[e.Subject] = to
	}
	return moves
}

// chart reads the transitions that docs/states.md draws under a heading.
func chart(t fataler, heading string) map[edge]bool {
	t.Helper()
	doc, err := os.ReadFile("../docs/states.md")
	if err != nil {
		t.Fatalf("%v", err)
	}
	_, part, found := strings.Cut(string(doc), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("there is no %q", heading)
	}
	_, part, _ = strings.Cut(part, "```mermaid\nstateDiagram-v2\n")
	part, _, _ = strings.Cut(part, "```")
	drawn := map[edge]bool{}
	for line := range strings.Lines(part) {
		m := regexp.MustCompile(`^    (\S+) --> (\w+): .+\n$`).FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("%q is no transition with a reason", line)
		}
		drawn[edge{m[1], m[2]}] = true
	}
	return drawn
}

// said is everything that a gateway can say of an operation of an amount.
func said(amount int64) []pay.Finding {
	asks := done(amount)
	asks.Outcome = pay.ActionRequired
	return []pay.Finding{done(amount), declined, asks, silence, absent, unsent, refusedF, {Outcome: pay.Conflict}}
}

// steps are all that can be done next to a payment, or be heard of it.
func steps(p *pay.Payment) (all []func(fataler, *world)) {
	for _, v := range verbs {
		all = append(all, func(t fataler, w *world) { w.batch(t, v.command(w, p)) })
	}
	for _, o := range p.Operations {
		for _, f := range said(o.Amount) {
			all = append(all,
				func(t fataler, w *world) { w.check(t, p, o.ID, f) },
				func(t fataler, w *world) {
					w.do(t, pay.Record{Ref: p.Ref, Operation: o.ID, House: w.house, Finding: &f, Attempt: o.Attempt})
				},
				func(t fataler, w *world) { // when its sender was gone for a day
					w.now = w.now.Add(25 * time.Hour)
					w.do(t, pay.Record{Ref: p.Ref, Operation: o.ID, House: w.house, Gone: true})
				},
				func(t fataler, w *world) { // over and over
					w.now = w.now.Add(time.Minute)
					w.check(t, p, o.ID, f)
					w.now = w.now.Add(time.Hour)
					w.check(t, p, o.ID, f)
				},
			)
		}
		for _, happened := range []bool{true, false} {
			all = append(all, func(t fataler, w *world) {
				c := w.resolve(p, happened)
				c.Operation = o.ID
				w.batch(t, c)
			})
		}
	}
	return all
}

// The charts are drawn by hand, and what happens must be what is drawn: every
// transition that a command or an answer makes of a payment in any situation, and
// no other.
func TestTheChartsShowWhatHappens(t *testing.T) {
	statuses, operations := map[edge]bool{}, map[edge]bool{}
	for _, way := range ways {
		first := newWorld(prompt)
		p := way(t, first)
		for _, step := range steps(p) {
			w := first.clone()
			step(t, w)
			maps.Copy(statuses, w.statusMoves())
			maps.Copy(operations, w.moves)
		}
	}
	compareChart(t, "A payment", statuses)
	compareChart(t, "An operation", operations)
}

func compareChart(t *testing.T, heading string, happen map[edge]bool) {
	t.Helper()
	drawn := chart(t, heading)
	for _, e := range slices.SortedFunc(maps.Keys(happen), edge.compare) {
		if !drawn[e] {
			t.Errorf("%s: %s --> %s happens and is not drawn", heading, e.from, e.to)
		}
	}
	for _, e := range slices.SortedFunc(maps.Keys(drawn), edge.compare) {
		if !happen[e] {
			t.Errorf("%s: %s --> %s is drawn and does not happen", heading, e.from, e.to)
		}
	}
}

func (e edge) compare(f edge) int { return strings.Compare(e.from+e.to, f.from+f.to) }
