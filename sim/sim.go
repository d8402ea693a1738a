// Package sim runs the engine through histories that nobody would think of, and
// checks after every step that it keeps its promises.
//
// A history is one seed: a few clients of a few tenants, a network, a server and
// a disk, gateways and a processor, all in one event loop that owns time and luck.
// The server is the real engine.Step with the real once, ledger and pay; what is
// played is everything around it. Clients send transfers, holds and their ends,
// and payments, confirmations, captures in parts, cancellations and refunds. They
// retry with the same key after timeouts, send twice at once, use a key for
// another request, forget a key and buy the same with another one, give up, and
// come back when the window is over, a tick before and a tick after. The network
// loses, delays and doubles. The disk refuses, fills up, loses an answer after it
// wrote, writes long after it was given up, and forgets in a crash what was not
// synced. Clocks jump.
//
// Gateways keep what they declare, which may be nothing: some do an operation once
// within a window, others whenever it arrives; some can be asked, others cannot,
// and one says that its lookup is further behind than it should be. On the way to
// them requests and answers are lost, late, broken and garbled; they decline, ask
// the customer to act, are slow, are down. Their webhooks come before an answer,
// after it, instead of it, against it, twice, in any order, to the wrong tenant, or
// not at all. The processor does with events what package processor does with
// goroutines. It is paused at any point, and dies with the server between any two
// steps; who comes after it takes over.
//
// # What is promised
//
// The same seed gives the same history, event for event, in every process: no
// goroutine, no wall clock, no map is asked for its order. The trace hash says
// so. After every commit, every answer, every send and every crash these are
// checked:
//
//   - a key that was answered gets that answer, byte for byte, until its window
//     is over by the store's clock, and is refused from then on; that there is no
//     answer yet is never kept;
//   - a key has at most one effect, and exactly the one that was asked for once
//     a client saw a 2xx; a client that saw "nothing began" is right;
//   - by the gateways' books an operation is executed at most once, no more of a
//     payment is captured than it is of, no more given back than was captured, no
//     two authorizations of it are live, and an order is charged once; nothing is
//     sent that the store does not have, under any id but its own, or a second
//     time unless that is legal by the loop's clock and the gateway's promises;
//   - debits equal credits, balances are the fold of their entries, no entry
//     changes or vanishes once it was acknowledged, and what the merchant and
//     suspense have of a payment is what the gateways captured and did not give
//     back;
//   - what is known of a payment only grows, and what a gateway answered is in
//     the store;
//   - what a tenant sees depends on that tenant's requests only;
//   - when faults stop, every client gets its answer, every payment comes to its
//     end in the time that its gateway takes, a human is called only where there
//     was a cause, nothing is left over, and package audit finds the store in
//     order.
//
// # What is not promised
//
// A real disk, SQL, HTTP, goroutines, the Executor with its memory of recent
// answers and the Processor itself are not in here: the crash tests of the program
// and the contract suite are for those.
package sim

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"
)

// Config says what to run.
type Config struct {
	// FirstSeed is the seed of the first history; the others follow it.
	FirstSeed uint64

	// Seeds is how many histories are run.
	//
	// Defaults to 100.
	Seeds int

	// Trace, if set, is told every event, a line each, to read how a failure came
	// about.
	Trace io.Writer

	// Progress, if set, is told after every history how many are done.
	Progress func(done, seeds int)

	// Bug is a defect that is planted at the edges of the loop, to see that it is
	// found. It is for tests.
	Bug Bug
}

// Report is what was run.
type Report struct {
	TraceHash  string           `json:"trace_hash"` // hex, over all events of all seeds
	Histories  int64            `json:"histories"`
	Events     int64            `json:"events"`
	Clients    int64            `json:"clients"`
	Requests   int64            `json:"requests"` // that reached a server
	Answers    Answers          `json:"answers"`  // that left one
	Commits    int64            `json:"commits"`  // that became durable
	Payments   int64            `json:"payments"` // that were made
	Sends      int64            `json:"sends"`    // of their operations, that were put on the wire
	Checks     int64            `json:"checks"`   // by which gateways were asked what became of one
	Notices    int64            `json:"notices"`  // webhooks that reached a server
	Faults     int64            `json:"faults"`
	FaultKinds map[string]int64 `json:"fault_kinds"`
}

// Answers counts what requests with a key were told.
type Answers struct {
	Executed   int64 `json:"executed"` // refusals by the ledger's state included
	Replayed   int64 `json:"replayed"`
	Refused    int64 `json:"refused"`    // before anything began: nothing is stored
	Mismatched int64 `json:"mismatched"` // the key was used for another request
	Expired    int64 `json:"expired"`    // the key's window is over
	Interim    int64 `json:"interim"`    // there is none yet: a payment is at work
	Failed     int64 `json:"failed"`     // in progress, overloaded, store not available
}

// Failure is a promise that was broken.
type Failure struct {
	Seed  uint64
	Event int64         // the event after which it was seen
	At    time.Duration // since the history began
	Claim string        // which promise
	What  string
}

func (f *Failure) Error() string {
	return fmt.Sprintf("sim: seed %d, event %d, at %v: %s: %s\nreplay it with: %s", f.Seed, f.Event, f.At, f.Claim, f.What, f.Replay())
}

// Replay is the command that runs the history again.
func (f *Failure) Replay() string {
	return fmt.Sprintf("oncepay simulate --first-seed=%d --seeds=1", f.Seed)
}

// Run runs the histories, one after the other, until one fails with a *Failure
// or ctx ends. The report tells of those that were run, the one that failed
// included.
func Run(ctx context.Context, cfg Config) (Report, error) {
	seeds := cmp.Or(cfg.Seeds, 100)
	r := Report{FaultKinds: map[string]int64{}}
	trace := sha256.New()
	err := ctx.Err()
	for i := 0; i < seeds && err == nil; i++ {
		w := newWorld(cfg, cfg.FirstSeed+uint64(i))
		failure := w.live()
		trace.Write(w.loop.hash())
		r.add(w)
		if err = ctx.Err(); failure != nil {
			err = failure
		}
		if cfg.Progress != nil {
			cfg.Progress(i+1, seeds)
		}
	}
	r.TraceHash = hex.EncodeToString(trace.Sum(nil))
	return r, err
}

func (r *Report) add(w *world) {
	r.Histories++
	r.Events += w.loop.events
	r.Clients += int64(len(w.clients))
	r.Requests += w.server.requests
	r.Answers.add(&w.answers)
	r.Commits += w.disk.commits
	r.Payments += int64(len(w.disk.kept.paid))
	r.Sends += w.witness.sends
	r.Checks += w.checks
	r.Notices += w.notices
	for kind, n := range w.faults {
		r.Faults += n
		r.FaultKinds[kind] += n
	}
}

func (a *Answers) add(b *Answers) {
	a.Executed += b.Executed
	a.Replayed += b.Replayed
	a.Refused += b.Refused
	a.Mismatched += b.Mismatched
	a.Expired += b.Expired
	a.Interim += b.Interim
	a.Failed += b.Failed
}
