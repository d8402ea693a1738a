package web

import (
	"slices"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/pay"
)

const refundPath = "/v1/refunds"

// showRefund is GET /v1/refunds/{id}.
func (x *exchange) showRefund() {
	if x.mistaken(x.query()) {
		return
	}
	p, err := x.api.store.PaymentOf(x.r.Context(), x.ref())
	if err != nil {
		x.failed("read a refund", err)
		return
	}
	if p != nil {
		if o := p.Operation(x.r.PathValue("id")); o != nil && o.Kind == pay.Refund {
			x.json(p.AppendRefund(nil, o))
			return
		}
	}
	x.refuse(notFound, "There is no such refund.")
}

// listRefunds is GET /v1/payments/{id}/refunds. All of them come with their
// payment, so that the page is cut here.
func (x *exchange) listRefunds() {
	q := x.query(paging...)
	page := q.page()
	if x.mistaken(q) {
		return
	}
	if p := x.payment(); p != nil {
		list, err := refundsOf(p, page)
		answerList(x, list, err, p.AppendRefund)
	}
}

// refundsOf is a page of a payment's refunds, newest first. Its cursor is the id
// of the last one that was shown.
func refundsOf(p *pay.Payment, page engine.Page) (l engine.List[*pay.Operation], err error) {
	shown := page.Cursor == ""
	for _, o := range slices.Backward(p.Operations) {
		switch {
		case o.Kind != pay.Refund:
		case !shown:
			shown = o.ID == page.Cursor
		case !page.After.IsZero() && !o.CreatedAt.After(page.After), !page.Before.IsZero() && !o.CreatedAt.Before(page.Before):
		case len(l.Items) == page.Limit:
			l.Next = l.Items[page.Limit-1].ID
			return l, nil
		default:
			l.Items = append(l.Items, o)
		}
	}
	if !shown {
		return l, engine.ErrBadCursor
	}
	return l, nil
}
