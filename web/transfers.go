package web

import (
	"context"

	"github.com/oncepay/oncepay/engine"
	"github.com/oncepay/oncepay/internal/jcs"
	"github.com/oncepay/oncepay/ledger"
)

// TransferReader reads transfers.
type TransferReader interface {
	// Transfer returns a transfer, or nil if there is none.
	Transfer(ctx context.Context, r ledger.Ref) (*ledger.Transfer, error)

	// Transfers lists a tenant's transfers, newest first.
	Transfers(ctx context.Context, tenant string, f engine.TransferFilter, p engine.Page) (engine.List[*ledger.Transfer], error)
}

const transferPath = "/v1/transfers"

var createTransfer = &operation{name: "POST " + transferPath, status: 201, place: transferPath + "/", read: readCreateTransfer}

func readCreateTransfer(f *form, tenant, _ string, body jcs.Value) ledger.Command {
	c := ledger.CreateTransfer{Tenant: tenant}
	for name, v := range body.Members() {
		switch name {
		case "from":
			c.From = f.accountID("/from", v)
		case "to":
			c.To = f.accountID("/to", v)
		case "amount":
			c.Amount = f.amount("/amount", v)
		case "currency":
			c.Currency = f.currency("/currency", v)
		case "reference":
			c.Reference = f.reference("/reference", v)
		case "pending":
			c.Pending = f.boolean("/pending", v)
		case "expires_at":
			c.ExpiresAt = f.moment("/expires_at", v)
		case "metadata":
			c.Metadata = f.metadata("/metadata", v)
		default:
			f.unknown(name)
		}
	}
	f.require(body, "from", "to", "amount", "currency")
	return c
}

var postTransfer = &operation{name: "POST /v1/transfers/{id}/post", status: 200, read: readPostTransfer}

func readPostTransfer(f *form, tenant, id string, body jcs.Value) ledger.Command {
	c := ledger.PostTransfer{Ref: ledger.Ref{Tenant: tenant, ID: id}}
	for name, v := range body.Members() {
		if name != "amount" {
			f.unknown(name)
			continue
		}
		c.Amount = new(f.amount("/amount", v))
	}
	return c
}

var voidTransfer = &operation{name: "POST /v1/transfers/{id}/void", status: 200, read: readVoidTransfer}

func readVoidTransfer(f *form, tenant, id string, body jcs.Value) ledger.Command {
	f.empty(body)
	return ledger.VoidTransfer{Ref: ledger.Ref{Tenant: tenant, ID: id}}
}

var reverseTransfer = &operation{name: "POST /v1/transfers/{id}/reverse", status: 201, place: transferPath + "/", read: readReverseTransfer}

func readReverseTransfer(f *form, tenant, id string, body jcs.Value) ledger.Command {
	f.empty(body)
	return ledger.ReverseTransfer{Ref: ledger.Ref{Tenant: tenant, ID: id}}
}

// empty refuses every member.
func (f *form) empty(body jcs.Value) {
	for name := range body.Members() {
		f.unknown(name)
	}
}

// showTransfer is GET /v1/transfers/{id}.
func (x *exchange) showTransfer() {
	if x.mistaken(x.query()) {
		return
	}
	t, err := x.api.store.Transfer(x.r.Context(), x.ref())
	switch {
	case err != nil:
		x.failed("read a transfer", err)
	case t == nil:
		x.refuse(notFound, "There is no such transfer.")
	default:
		x.json(t.AppendJSON(nil))
	}
}

// listTransfers is GET /v1/transfers.
func (x *exchange) listTransfers() {
	q := x.query(append([]string{"account", "reference"}, paging...)...)
	page, filter := q.page(), engine.TransferFilter{Account: q.get("account"), Reference: q.get("reference")}
	if x.mistaken(q) {
		return
	}
	list, err := x.api.store.Transfers(x.r.Context(), x.caller.tenant.id, filter, page)
	answerList(x, list, err, func(b []byte, t *ledger.Transfer) []byte { return t.AppendJSON(b) })
}
