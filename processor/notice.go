package processor

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/ledger"
	"github.com/oncepay/oncepay/pay"
)

// Notice takes a webhook that a gateway sent to a tenant's endpoint: the raw bytes
// of its body, and its headers. It returns nil when the webhook is written down,
// however often it came before; the gateway is asked about it soon after. One
// about a payment that is not known is kept until it is.
//
// It fails with ErrNoGateway, with what the connector has against it (for one, its
// signature), with ErrUntold, as it is not known yet what it is worth, or because
// it could not be written down: after these two the gateway should send it again.
func (p *Processor) Notice(ctx context.Context, gateway, tenant string, h http.Header, body []byte) error {
	d := p.desks[gateway]
	if d == nil {
		return fmt.Errorf("%w: %s", ErrNoGateway, gateway)
	}
	n, finding, err := p.read(d, tenant, h, body)
	if err != nil {
		d.meter.refused.Add(1)
		return err
	}
	if d.conn.Terms().Untold {
		return fmt.Errorf("%w: %s", ErrUntold, gateway)
	}
	n.Tenant, n.Gateway = tenant, gateway
	take := &taking{TakeNotice: pay.TakeNotice{Notice: n, Finding: finding, House: p.House()}}
	if o := p.exec.Do(ctx, &engine.Job{Tenant: tenant, Payment: take}); o.Err != nil {
		return fmt.Errorf("take a notice of %s: %w", gateway, o.Err)
	}
	d.meter.notices.Add(1)
	p.callFor(d, take.review)
	return nil
}

// taking is a TakeNotice that tells what came of it.
type taking struct {
	pay.TakeNotice
	review review
}

// Decide is the TakeNotice's. It may be called again: the last time counts.
func (t *taking) Decide(b *pay.Book, m ledger.Moment) (pay.Result, error) {
	r, err := t.TakeNotice.Decide(b, m)
	t.review = reviewOf(r)
	return r, err
}

// read has the connector read a webhook: by the machine's clock, as its sender
// signed it by a machine's clock.
func (p *Processor) read(d *desk, tenant string, h http.Header, body []byte) (n pay.Notice, f pay.Finding, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			d.meter.panics.Add(1)
			p.cfg.Log.Error("the connector of a gateway has a defect; its webhook is not taken",
				"gateway", d.name, "cause", cause, "stack", string(debug.Stack()))
			err = fmt.Errorf("the connector of %s has a defect", d.name)
		}
	}()
	return d.conn.Notice(tenant, h, body, time.Now().UTC())
}

// match takes the notices that were kept and whose payment, or operation, is
// there by now. Those of a gateway that is not known now are kept on.
func (p *Processor) match(ctx context.Context) {
	house := p.House()
	for name, d := range p.desks {
		if !house.Gateways[name].Untold {
			p.matchAt(ctx, d, house)
		}
	}
}

func (p *Processor) matchAt(ctx context.Context, d *desk, house pay.House) {
	kept, err := p.cfg.Store.Matchable(ctx, d.name, matchLimit)
	if err != nil {
		p.unread(ctx, err)
		return
	}
	jobs, takings := make([]*engine.Job, len(kept)), make([]*taking, len(kept))
	for i, n := range kept {
		takings[i] = &taking{TakeNotice: pay.TakeNotice{Notice: n, Finding: n.Finding(), House: house}}
		jobs[i] = &engine.Job{Tenant: n.Tenant, Payment: takings[i]}
	}
	for i, o := range p.exec.DoAll(ctx, jobs) {
		switch {
		case o.Err == nil:
			p.callFor(d, takings[i].review)
		case ctx.Err() == nil:
			p.cfg.Log.Warn("a notice that was kept could not be taken; it is taken later", "err", o.Err)
		}
	}
}
