package processor

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/pay"
)

// filing is a Record that tells what came of it.
type filing struct {
	pay.Record
	review  review
	settled bool // its outcome is final
}

// Decide is the Record's. It may be called again: the last time counts.
func (f *filing) Decide(b *pay.Book, m ledger.Moment) (pay.Result, error) {
	r, err := f.Record.Decide(b, m)
	if err == nil {
		f.review, f.settled = reviewOf(r), r.Operation.Outcome.Final()
	}
	return r, err
}

// review is what a human must decide since a command. The zero value is nothing.
type review struct {
	pay.Ref
	operation string
	why       string
}

func reviewOf(r pay.Result) review {
	if r.Review == "" {
		return review{}
	}
	return review{r.Payment.Ref, r.Operation.ID, r.Review}
}

// callFor counts a review that is called for, if one is, and tells whoever runs
// the server: nothing more happens until somebody decides.
func (p *Processor) callFor(d *desk, r review) {
	if r == (review{}) {
		return
	}
	d.meter.parked.Add(1)
	p.cfg.Log.Warn("a human must decide what became of a payment or refund",
		"gateway", d.name, "tenant", r.Tenant, "payment", r.ID, "operation", r.operation, "why", r.why)
}

// record has r committed, however long that takes: what a gateway said must not
// get lost because the store is busy. It gives up if the executor was closed, or
// has a defect; then the gateway will be asked again. Before is the operation as
// it was when the gateway was asked.
func (p *Processor) record(d *desk, r pay.Record, before *pay.Operation) error {
	f := &filing{Record: r}
	for try := 0; ; try++ {
		f.House = p.House()
		err := p.exec.Do(context.Background(), &engine.Job{Tenant: r.Tenant, Payment: f}).Err
		switch {
		case err == nil:
			p.filed(d, f, before)
			return nil
		case !busy(err):
			p.unrecorded(d, r, err)
			return err
		}
		d.meter.retried.Add(1)
		time.Sleep(retryPause(try))
	}
}

// busy says whether a job failed because of the state that the store, or the
// queue, is in: nothing was written, and later it may be.
func busy(err error) bool {
	return errors.Is(err, engine.ErrOverloaded) || errors.Is(err, engine.ErrUnavailable)
}

// unrecorded leaves an operation alone for a while whose answer cannot be
// recorded: it would be asked about all the time.
func (p *Processor) unrecorded(d *desk, r pay.Record, err error) {
	if errors.Is(err, engine.ErrClosed) || errors.Is(err, engine.ErrInProgress) { // nobody waited for it
		return
	}
	p.cfg.Log.Error("what a gateway said could not be recorded; it is asked again later",
		"payment", r.ID, "operation", r.Operation, "err", err)
	d.rest(r.Operation, time.Now().Add(restTime))
}

// restTime is how long an operation is left alone that a defect keeps from being
// recorded.
const restTime = time.Minute

// retryPause spaces the tries of a record out: 10 ms, doubled up to about 1 s, up
// to half of it taken off so that those who wait do not come back together.
func retryPause(try int) time.Duration {
	d := 10 * time.Millisecond << min(try, 7)
	return d - rand.N(d/2)
}
